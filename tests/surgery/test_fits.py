"""Options of a swapped norm: how they are set, how groups adapt to each place, and advice that works when followed."""

from __future__ import annotations

import re
from pathlib import Path

import keras
import pytest

from normlab.errors import InputError
from normlab.surgery import swap
from normlab.surgery.files import open_model
from tests.command import command, refused
from tests.surgery.networks import Conv2D, Dense, L

# Keras warns so when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")


def _convnet(*channels: int, norms: bool = True) -> keras.Model:
    layers: list[keras.layers.Layer] = []
    for number, width in enumerate(channels):
        layers.append(Conv2D(width, 1, name=f"conv_{number}"))
        layers += [L.BatchNormalization(name=f"norm_{number}")] if norms else []
        layers.append(L.ReLU())
    return keras.Sequential([keras.Input((4, 4, 1)), *layers, L.Flatten(), Dense(2, name="head")])


def _dense(width: int) -> keras.Model:
    return keras.Sequential([keras.Input((3,)), Dense(width), L.BatchNormalization(name="norm"), L.ReLU(), Dense(2)])


def _groups(model: keras.Model) -> list[int]:
    return [layer.groups for layer in model._flatten_layers() if isinstance(layer, L.GroupNormalization)]


@pytest.mark.parametrize("norms", [True, False])
def test_a_refusal_names_places_and_numbers_that_work_when_followed(norms: bool) -> None:
    place = "norm_0" if norms else "conv_0"
    with pytest.raises(InputError, match=rf"got groups=4 at {place} with 9 channels \(1, 3 or 9 would serve\)") as told:
        swap(_convnet(9, 32, norms=norms), "group")
    advised = [int(number) for number in re.findall(r"\d+", told.value.action)]
    assert advised == [1]
    assert _groups(swap(_convnet(9, 32, norms=norms), "group", {"groups": 1}).model) == [1, 1]
    assert _groups(swap(_convnet(9, 32, norms=norms), "group", per_layer=True).model) == [3, 4]


def test_all_numbers_that_serve_everywhere_are_told() -> None:
    with pytest.raises(InputError, match=r"groups=5 at norm_0 with 12 .*, norm_1 with 18 channels") as told:
        swap(_convnet(12, 18), "group", {"groups": 5})
    advised = [int(number) for number in re.findall(r"\d+", told.value.action)]
    assert advised == [1, 2, 3, 6]
    for groups in advised:
        assert _groups(swap(_convnet(12, 18), "group", {"groups": groups}).model) == [groups] * 2


def test_many_places_are_counted() -> None:
    with pytest.raises(InputError, match=r"norm_2 with 7 .* and 1 places? more; set groups=1 or 7, which serve"):
        swap(_convnet(7, 7, 7, 7), "group")


def test_groups_of_one_value_do_not_serve() -> None:
    """Without spatial axes, four groups of four channels hold one value each."""
    with pytest.raises(InputError, match=r"at norm with 4 channels \(1 or 2 would serve\); set groups=1 or 2"):
        swap(_dense(4), "group")
    assert _groups(swap(_dense(4), "group", per_layer=True).model) == [2]
    for per_layer in (False, True):
        with pytest.raises(InputError, match=r"norm with 1 channel[ ,].*choose another norm"):
            swap(_dense(1), "group", per_layer=per_layer)


def test_the_table_tells_the_groups_that_a_place_got() -> None:
    swapped = swap(_convnet(9, 32), "group", {"groups": 8}, per_layer=True)
    assert [row.note for row in swapped.changes] == ["3 groups of 9 channels", ""]
    again = swap(swapped.model, "group", {"groups": 2}, per_layer=True)
    assert [row.note for row in again.changes] == ["groups 3 is 1 now", "groups 8 is 2 now"]


def test_other_options_and_what_cannot_be_set() -> None:
    assert swap(_convnet(4), "batch", {"momentum": 0.5}).model.get_layer("norm_0").momentum == 0.5
    cases = [
        ("group", {"size": 2}, False, "must be a known one, got size; choose among groups, epsilon"),
        ("group", {"groups": 0}, False, "groups must be a whole number of at least 1, got 0"),
        ("none", {"groups": 2}, False, "leave it out: it has none"),
        ("layer", {}, True, "must be a number of groups, got the norm layer, which has none; leave out --per-layer"),
    ]
    for norm, options, per_layer, words in cases:
        with pytest.raises(InputError, match=re.escape(words)):
            swap(_convnet(4), norm, options, per_layer)


def test_the_command_sets_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _convnet(7).save("seven.keras")
    _convnet(9, 32).save("odd.keras")
    swapping = ("swap", "seven.keras", "--norm", "group", "--out", "out.keras")
    refused(command(*swapping), "groups must divide", "norm_0 with 7 channels", "set groups=1 or 7")
    refused(command(*swapping, "--set", "groups"), "--set must be NAME=VALUE", "'groups'", "--set groups=8")
    assert not Path("out.keras").exists()
    ended = command(*swapping, "--set", "groups=7", "--set", "epsilon=0.01")
    assert ended.status == 0, ended.err
    layer = open_model(Path("out.keras")).get_layer("norm_0")
    assert (layer.groups, layer.epsilon) == (7, 0.01)
    ended = command("swap", "odd.keras", "--norm", "group", "--per-layer", "--out", "both.keras")
    assert ended.status == 0, ended.err
    assert _groups(open_model(Path("both.keras"))) == [3, 4]
