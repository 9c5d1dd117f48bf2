"""What the table of changes says of training holds when a step is trained, at any depth of freezing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from normlab.surgery import swap
from normlab.surgery.copying import array_of
from tests.surgery.networks import Dense, L, trained


def _parts() -> tuple[keras.Model, keras.Model]:
    """Return a base with a norm, and a trunk around it."""
    base = keras.Sequential([keras.Input((5,)), Dense(4, name="deep"), L.BatchNormalization(name="norm")], name="base")
    inputs = keras.Input((5,))
    return base, keras.Model(inputs, Dense(4, name="side")(base(inputs)), name="trunk")


def _model(trunk: keras.Model, **call: object) -> keras.Model:
    inputs = keras.Input((5,))
    return trained(keras.Model(inputs, Dense(2, name="head")(trunk(inputs, **call))))


def _frozen(depth: str) -> keras.Model:
    base, trunk = _parts()
    model = _model(trunk)
    {"layer": base.get_layer("norm"), "container": base, "container in container": trunk, "whole model": model}[
        depth
    ].trainable = False
    return model


# What trains besides the new norm.
TRAINED = {
    "layer": {"deep", "side", "head"},
    "container": {"side", "head"},
    "container in container": {"head"},
    "whole model": set(),
}


def _moved(model: keras.Model) -> set[str]:
    """Return the variables that one step of training moves, by layer and name."""
    before = {v.path: array_of(v) for v in model.variables}
    model.compile(keras.optimizers.SGD(0.1), "mse")
    rng = np.random.default_rng(0)
    model.fit(rng.normal(2, 3, (16, 5)), rng.normal(size=(16, 2)), verbose=0)
    moved = {v.path for v in model.variables if not np.array_equal(before[v.path], array_of(v))}
    return {"/".join(path.split("/")[-2:]) for path in moved}


@pytest.mark.parametrize(
    ("norm", "variables"),
    [("batch", {"gamma", "beta", "moving_mean", "moving_variance"}), ("layer", {"gamma", "beta"})],
)
@pytest.mark.parametrize("depth", TRAINED)
def test_a_new_norm_trains_and_what_was_frozen_does_not(depth: str, norm: str, variables: set[str]) -> None:
    swapped = swap(_frozen(depth), norm)
    moved = _moved(swapped.model)
    assert {path.split("/")[1] for path in moved if path.startswith("norm/")} == variables
    assert {path.split("/")[0] for path in moved} - {"norm"} == TRAINED[depth]
    assert "was frozen; trains, as its values are new" in swapped.changes[0].note


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")  # Keras, when it saves
def test_the_file_of_a_swapped_model_keeps_what_trains(tmp_path: Path) -> None:
    swapped = swap(_frozen("container in container"), "layer").model
    swapped.save(tmp_path / "model.keras")
    opened = keras.saving.load_model(tmp_path / "model.keras")
    trained_in = [
        {x.name for x in model._flatten_layers() if x.trainable_variables and not isinstance(x, keras.Model)}
        for model in (swapped, opened)
    ]
    assert trained_in == [{"norm", "head"}] * 2


def test_what_was_thawed_inside_a_frozen_model_stays_thawed() -> None:
    base, trunk = _parts()
    model = _model(trunk)
    trunk.trainable = False
    base.get_layer("deep").trainable = True
    for norm in ("none", "layer"):
        paths = {v.path.split("/")[-2] for v in swap(model, norm).model.trainable_variables}
        assert paths == {"deep", "head"} | ({"norm"} if norm == "layer" else set())


def test_without_a_new_norm_frozen_models_stay_frozen() -> None:
    model = swap(_frozen("container"), "none").model
    assert not model.get_layer("trunk").get_layer("base").trainable
    assert {v.path.split("/")[-2] for v in model.trainable_variables} == {"side", "head"}


def _held_call() -> keras.Model:
    inputs = keras.Input((5,))
    x = L.BatchNormalization(name="norm")(Dense(4)(inputs), training=False)
    return trained(keras.Model(inputs, Dense(2)(x)))


@pytest.mark.parametrize("build", [_held_call, lambda: _model(_parts()[1], training=False)])
def test_a_new_norm_follows_the_mode_of_the_model(build: Callable[[], keras.Model]) -> None:
    swapped = swap(build(), "batch")
    held = "was called with training=False; the norm follows the model's mode, as its values are new"
    assert held in swapped.changes[0].note
    assert {"norm/gamma", "norm/beta", "norm/moving_mean", "norm/moving_variance"} <= _moved(swapped.model)
    # A norm that computes the same in both modes has nothing to follow.
    assert "training=False" not in swap(build(), "layer").changes[0].note


@pytest.mark.parametrize(
    ("norm", "note"),
    [("layer", "trains, though deep is frozen"), ("weight", "its gain trains, though deep is frozen")],
)
def test_norms_in_frozen_models_without_norms_train(norm: str, note: str) -> None:
    base = keras.Sequential([keras.Input((5,)), Dense(4, activation="relu", name="deep")], name="base")
    base.trainable = False
    swapped = swap(_model(base), norm)
    assert [row.note for row in swapped.changes] == [note]
    names = {"deep_norm/gamma", "deep_norm/beta"} if norm == "layer" else {"deep/gain"}
    assert _moved(swapped.model) == names | {"head/kernel", "head/bias"}
