"""Norms of the user's own, from a file."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from normlab.errors import InputError
from normlab.norms import Norm, named_norm, own_norm

SOURCE = '''
import keras
from normlab.norms import NORMS

class Halved(keras.layers.Layer):
    """y = x / divisor."""
    cancels_bias = True
    couples_samples = False

    def __init__(self, divisor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.divisor = divisor

    def call(self, inputs):
        return inputs / self.divisor

def grouped(name=None, groups=2):
    return keras.layers.GroupNormalization(groups=groups, name=name)

def nameless():
    return keras.layers.Identity()

class Sized(keras.layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)

def number_for_a_layer(name=None):
    return 3

ready = NORMS["group"].with_options(groups=2)
number = 3
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my_norms.py"
    path.write_text(SOURCE)
    return path


def test_a_class(file: Path) -> None:
    norm = own_norm(f"{file}:Halved")
    assert (norm.name, norm.options, norm.cancels_bias, norm.couples_samples) == (
        "Halved",
        {"divisor": 2.0},
        True,
        False,
    )
    assert norm.differs_in_evaluation  # unknown, so not taken for granted
    layer = norm.with_options(divisor=4.0)(name="here")
    assert layer.name == "here"
    assert float(layer(np.array([8.0], np.float32))[0]) == 2.0


def test_a_function_and_a_norm(file: Path) -> None:
    assert own_norm(f"{file}:grouped").with_options(groups=4)(name="here").groups == 4
    ready = own_norm(f"{file}:ready")
    assert isinstance(ready, Norm)
    assert ready.options["groups"] == 2


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("{file}", "must be FILE.py:NAME"),
        ("{file}:", "must be FILE.py:NAME"),
        ("{file}:two words", "must be FILE.py:NAME"),
        ("{file}.txt:Halved", "must be FILE.py:NAME"),
        ("nowhere.py:Halved", "the file of a norm must exist, got nowhere.py"),
        ("{file}:Third", "choose among Halved, grouped, nameless, Sized, number_for_a_layer"),
        ("{file}:number", "choose among Halved, grouped, nameless, Sized, number_for_a_layer"),
        ("{file}:nameless", "must take `name=`"),
        ("{file}:Sized", "must need nothing but `name=`, got {file}:Sized with units; give the others defaults"),
        ("{broken}:Halved", "must be Python"),
    ],
)
def test_refusals(file: Path, reference: str, message: str) -> None:
    broken = file.with_name("broken.py")
    broken.write_text("class Halved(:\n")
    with pytest.raises(InputError, match=re.escape(message.format(file=file))):
        own_norm(reference.format(file=file, broken=broken))


def test_a_file_without_a_name_is_told_what_is_missing(file: Path) -> None:
    with pytest.raises(InputError, match=re.escape("must be FILE.py:NAME")):
        named_norm(str(file))


def test_what_gives_no_layer(file: Path) -> None:
    norm = own_norm(f"{file}:number_for_a_layer")
    with pytest.raises(InputError, match=r"must be a Keras layer, got int of .*number_for_a_layer"):
        norm(name="here")


def test_options_of_ones_own_have_no_bounds(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "import keras\ndef Scaled(name=None, alpha=1.0): return keras.layers.LeakyReLU(alpha**2, name=name)\n"
    )
    assert own_norm(f"{tmp_path / 'own.py'}:Scaled").with_options(alpha=-2.0)().negative_slope == 4


def test_wrong_options(file: Path) -> None:
    norm = own_norm(f"{file}:Halved")
    with pytest.raises(InputError, match="must be a known one, got factor; choose among divisor"):
        norm.with_options(factor=2.0)
    with pytest.raises(InputError, match="divisor must be of type float, got two; give one such as"):
        norm.with_options(divisor="two")
