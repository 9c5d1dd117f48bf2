"""The table's entries: defaults, options and their bounds, the layers they build, degenerate uses."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import keras
import pytest

from normlab.errors import InputError
from normlab.norms import NORMS, check, check_model, fixes_mean_over_space
from normlab.norms import layers as norm_layers
from tests.norms.table import layer_at

DOCS = Path(__file__).resolve().parents[2] / "docs" / "norms"


@pytest.mark.parametrize("name", list(NORMS))
def test_an_entry_is_complete(name: str) -> None:
    norm = NORMS[name]
    assert norm.name == name
    for field in dataclasses.fields(norm):
        if field.type == "str":
            assert getattr(norm, field.name).strip()
    assert name == "none" or re.search(r"arXiv:\d{4}\.\d{4,5}", norm.source)
    page = " ".join((DOCS / f"{name}.md").read_text(encoding="utf-8").replace("`", "").split())
    assert norm.formula.lower() in page.lower()
    assert set(re.findall(r"arXiv:[\d.]*\d", norm.source)) <= set(re.findall(r"arXiv:[\d.]*\d", page))
    assert f"({name}.md)" in (DOCS / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(NORMS))
def test_the_layer_has_the_options_and_the_name(name: str) -> None:
    norm = NORMS[name]
    layer = layer_at(norm, name="here")
    assert layer.name == "here"
    config = layer.get_config()
    assert {option: config[option] for option in norm.options} == norm.options
    # A Keras user who builds the layer without arguments gets the same.
    if norm.wrapper is None and type(layer).__name__ in norm_layers.__all__:
        usual = type(layer)().get_config()
        assert {option: usual[option] for option in norm.options} == norm.options


def test_all_layers_are_in_the_table() -> None:
    used = {type(layer_at(norm)).__name__ for norm in NORMS.values()}
    assert set(norm_layers.__all__) <= used


def test_options_reach_the_layer() -> None:
    norm = NORMS["group"].with_options(groups=2).with_options(epsilon=0.1)
    assert (norm().groups, norm().epsilon) == (2, 0.1)
    assert NORMS["group"].options["groups"] == 4


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("group", {"size": 3}, "option of the norm group must be a known one, got size; choose among groups, epsilon"),
        ("none", {"epsilon": 0.1}, "got epsilon; leave it out: it has none"),
        ("group", {"groups": 0}, "groups must be a whole number of at least 1, got 0; change groups"),
        ("group", {"groups": 2.0}, "groups must be a whole number"),
        ("group", {"groups": True}, "groups must be a whole number"),
        ("group", {"groups": "8"}, "groups must be a whole number of at least 1, got 8"),
        ("batch", {"momentum": 1}, "momentum must be a finite number between 0 and 1, both excluded, got 1"),
        ("batch", {"momentum": float("nan")}, "momentum must be a finite number"),
        ("batch", {"epsilon": 0}, "epsilon must be a finite number between 0 and 1"),
        ("ghost", {"ghost_batch_size": 1}, "ghost_batch_size must be a whole number of at least 2, got 1"),
        ("batch-renorm", {"r_max": 0.5}, "r_max must be a finite number of at least 1"),
        ("batch-renorm", {"d_max": -1}, "d_max must be a finite number of at least 0"),
        ("frozen", {"freeze_step": -1}, "freeze_step must be a whole number of at least 0"),
        ("noisy", {"scale_limit": 0.9}, "scale_limit must be a finite number of at least 1"),
        ("dyt", {"alpha": float("inf")}, "alpha must be a finite number"),
    ],
)
def test_options_are_checked(name: str, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        NORMS[name].with_options(**options)


def test_layers_check_their_arguments() -> None:
    for wrong in (
        lambda: norm_layers.GhostBatchNormalization(ghost_batch_size=1),
        lambda: norm_layers.BatchRenormalization(momentum=1.0),
        lambda: norm_layers.EvoNormS0(groups=3).build((None, 8)),
        lambda: norm_layers.FilterResponseNormalization().build((None, 8)),
    ):
        with pytest.raises(InputError):
            wrong()


@pytest.mark.parametrize(
    ("name", "options", "shape", "batch_size", "message"),
    [
        ("group", {"groups": 3}, (4, 4, 16), 8, "groups must divide the number of channels, got 3 groups and 16"),
        ("group", {"groups": 3}, (4, 4, 16), 8, "; try 2."),
        ("group", {"groups": 16}, (16,), 8, "16 groups of one channel without spatial axes"),
        ("group", {"groups": 16}, (1, 1, 16), 8, "16 groups of one channel"),
        ("instance", {}, (16,), 8, "instance norm needs spatial axes"),
        ("instance", {}, (1, 16), 8, "instance norm needs spatial axes"),
        ("frn", {}, (16,), 8, "frn norm needs spatial axes"),
        ("evo-s0", {"groups": 8}, (8,), 8, "8 groups of one channel"),
        ("evo-s0", {"groups": 5}, (4, 4, 8), 8, "groups must divide"),
        ("layer", {}, (1,), 8, "at least two features"),
        ("rms", {}, (4, 4, 1), 8, "at least two features"),
        ("batch", {}, (16,), 1, "batch norm needs at least two samples in every training batch: over one, it ignores"),
        ("batch", {}, (4, 4, 16), 1, "its moments are those of the sample alone, got a batch of one"),
        ("batch-renorm", {}, (16,), 1, "at least two samples"),
        ("frozen", {}, (16,), 1, "at least two samples"),
        ("ghost", {}, (16,), 1, "at least two samples"),
        (
            "ghost",
            {},
            (16,),
            33,
            "got a batch of 33 in ghost batches of 8, the last of one sample; choose another ghost_batch_size",
        ),
    ],
)
def test_degenerate_uses_are_refused(
    name: str, options: dict, shape: tuple[int, ...], batch_size: int, message: str
) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        check(NORMS[name].with_options(**options), shape, batch_size)


@pytest.mark.parametrize(
    ("name", "options", "shape", "batch_size"),
    [
        ("group", {"groups": 16}, (None, 16), 8),
        ("group", {"groups": 8}, (16,), 1),
        ("instance", {}, (2, 1, 16), 1),
        ("batch", {}, (16,), None),
        ("batch", {}, (16,), 2),
        ("ghost", {}, (16,), 34),
        ("ghost", {}, (16,), 2),
        ("layer", {}, (2,), 1),
        ("dyt", {}, (1,), 1),
        ("weight", {}, (1,), 1),
    ],
)
def test_other_uses_are_not(name: str, options: dict, shape: tuple[int | None, ...], batch_size: int | None) -> None:
    assert check(NORMS[name].with_options(**options), shape, batch_size) is None


def test_a_model_is_checked_wherever_the_norm_stands() -> None:
    norm = NORMS["group"].with_options(groups=4)
    inner = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4), norm(name="deep")])
    model = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(8), norm(name="good"), keras.layers.Dense(6), inner]
    )
    with pytest.raises(InputError, match="4 groups of one channel"):
        check_model(norm, model, 8)
    assert check_model(NORMS["batch"], model, 1) is None  # it stands nowhere
    good = keras.Sequential([keras.Input((5,)), keras.layers.Dense(8), norm(name="good")])
    assert check_model(norm, good, 8) is None


@pytest.mark.parametrize(
    ("name", "options", "fixes"),
    [("group", {"groups": 8}, True), ("group", {}, False), ("evo-s0", {"groups": 8}, False), ("instance", {}, True)],
)
def test_groups_of_one_channel_fix_the_mean_over_space_as_instance_norm_does(
    name: str, options: dict, fixes: bool
) -> None:
    assert fixes_mean_over_space(NORMS[name].with_options(**options), 8) == fixes


@pytest.mark.parametrize("late", ["r_steps", "d_steps"])
def test_bounds_of_renormalization_do_not_rise_before_they_begin_to(late: str) -> None:
    norm = NORMS["batch-renorm"].with_options(warm_up_steps=600, **{"r_steps": 600, "d_steps": 600, late: 599})
    with pytest.raises(InputError, match=f"{late} must be at least warm_up_steps, 600, got 599; change {late}"):
        norm()
