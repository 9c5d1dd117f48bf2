"""The arms of a user's own network: what they share, what is drawn per seed, and what a file's values are for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from normlab.data import Dataset, Part
from normlab.errors import InputError
from normlab.norms import Norm
from normlab.study.design import make_study
from normlab.study.laboratory import build_plans
from normlab.study.own import own_model
from normlab.surgery.copying import array_of
from normlab.train.blueprint import Blueprint, shared_paths
from normlab.train.initial import InitialValues

# Keras warns so when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

PART = Part(np.zeros((9, 4), np.float32), np.zeros(9, np.int32))
DATASET = Dataset("d", "classification", PART, PART, PART, ("a", "b"), 1.0, ())
ARMS = ("none", "batch", "weight")
L = keras.layers
TRAINED = {f"{name}/{variable}" for name in ("first", "second", "head") for variable in ("kernel", "bias")}
UNTRAINED = {"frozen/kernel", "frozen/bias", "scale/mean", "scale/variance", "scale/count"}
NORM = {f"norm/{name}" for name in ("gamma", "beta", "moving_mean", "moving_variance")}


def _network() -> keras.Model:
    """Return a network with one norm, and two layers in which nothing trains."""
    scale = L.Normalization(name="scale")
    scale.adapt(np.float32([[0, 1, 2, 3], [2, 3, 4, 7]]))
    frozen = L.Dense(4, trainable=False, name="frozen")
    stages = [scale, frozen, L.Dense(4, name="first"), L.BatchNormalization(name="norm"), L.ReLU(name="relu")]
    head = [L.Dense(4, name="second"), L.ReLU(), L.Dense(2, name="head")]
    return keras.Sequential([keras.Input((4,)), *stages, *head])


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of the network with values as training would leave them, one kernel all zeros."""
    model = _network()
    for number, variable in enumerate(model.trainable_variables):
        variable.assign(np.full(variable.shape, 0.5 + number))
    model.get_layer("second").kernel.assign(np.zeros((4, 4)))
    path = tmp_path_factory.mktemp("own") / "mine.keras"
    model.save(path)
    return path


def _plans(source: Any, arms: tuple[str, ...] = ARMS, **settings: Any) -> dict[str, Blueprint]:
    given = {"model": source if isinstance(source, str) else "function", "arms": arms, "batch_size": 3, "rates": 0.1}
    study = make_study({**given, **settings})
    return build_plans(study, DATASET, own_model(study, DATASET, source))


def _values(plan: Blueprint, seed: int) -> dict[str, np.ndarray]:
    """Return what a run begins with, by path within the model."""
    variables = [variable for variable in plan.model.variables if "seed" not in variable.path]
    drawn = InitialValues().stacked(plan, variables, [seed])
    return {plan.paths[id(v)].split("/", 1)[1]: array[0] for v, array in zip(variables, drawn, strict=True)}


def _equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> set[str]:
    return {path for path in one.keys() & other.keys() if np.array_equal(one[path], other[path])}


def _shared(plans: dict[str, Blueprint]) -> set[str]:
    return {path.split("/", 1)[1] for path in shared_paths(list(plans.values()))}


def test_a_function_that_takes_nothing_is_redrawn_for_every_seed() -> None:
    plans = _plans(_network)
    assert _shared(plans) == TRAINED
    values = {arm: _values(plan, 0) for arm, plan in plans.items()}
    assert {arm: set(found) - UNTRAINED - TRAINED for arm, found in values.items()} == {
        "none": set(),
        "batch": NORM,
        "weight": {"first/gain"},
    }
    for arm in ("batch", "weight"):
        assert _equal(values["none"], values[arm]) == TRAINED | UNTRAINED
    # Another seed draws other kernels, frozen ones too: the function gave them no values. Statistics stay.
    kernels = {path for path in values["batch"] if path.endswith("kernel")}
    assert _equal(values["batch"], _values(plans["batch"], 1)) == set(values["batch"]) - kernels
    assert all(values["batch"][path].std() > 0.1 for path in kernels)
    assert values["batch"]["scale/mean"].ravel().tolist() == [1, 2, 3, 5]
    # The new norm begins as Keras begins it, the gain at the initializer's scale.
    begins = {path: set(values["batch"][path].tolist()) for path in NORM}
    assert begins == {path: {float("gamma" in path or "variance" in path)} for path in NORM}
    assert 0.5 < values["weight"]["first/gain"][0] < 2


@pytest.mark.parametrize("weights", ["redraw", "keep"])
def test_a_files_values_are_used_where_they_are_to_be_kept(weights: str, file: Path) -> None:
    opened = keras.saving.load_model(file, compile=False)
    in_file = {"/".join(v.path.split("/")[-2:]): array_of(v) for v in opened.variables}
    plans = _plans(str(file), weights=weights)
    assert _shared(plans) == TRAINED
    first, other = _values(plans["batch"], 0), _values(plans["batch"], 1)
    kept = UNTRAINED | (TRAINED if weights == "keep" else set())
    zeros = set() if weights == "keep" else {path for path in TRAINED if path.endswith("bias")}
    assert _equal(first, other) == kept | NORM | zeros
    for arm, plan in plans.items():
        assert _equal(_values(plan, 0), in_file) - NORM == kept, arm
    # A kept kernel is what the gain begins with, so that the layer computes the same.
    gain = _values(plans["weight"], 0)["first/gain"]
    is_matched = np.allclose(gain, np.linalg.norm(in_file["first/kernel"], axis=0))
    assert is_matched == (weights == "keep")
    said = "; ".join(plans["none"].notes)
    assert ("nothing trains in scale, frozen" in said) == (weights == "redraw")


def test_the_identity_is_of_the_network_and_the_values_kept_and_of_nothing_else(file: Path) -> None:
    def unnamed(width: int = 3) -> keras.Model:
        inputs = keras.Input((4,))
        hidden = keras.ops.relu(L.BatchNormalization()(L.Dense(width)(inputs)))
        return keras.Model(inputs, L.Dense(2)(hidden))

    digests = [{arm: plan.digest() for arm, plan in _plans(unnamed, ("none", "layer")).items()} for _ in range(2)]
    assert digests[0] == digests[1]
    assert digests[0]["none"] != digests[0]["layer"]
    assert _plans(lambda: unnamed(5), ("none", "layer"))["none"].digest() != digests[0]["none"]
    drawn, kept = (_plans(str(file), weights=weights)["none"].digest() for weights in ("redraw", "keep"))
    assert drawn != kept


def test_layers_made_once_for_all_calls_are_redrawn_too() -> None:
    layers = [keras.Input((4,)), L.Dense(3), L.BatchNormalization(), L.ReLU(), L.Dense(2)]
    for source in (lambda: keras.Sequential(layers), lambda: keras.Sequential(layers), keras.Sequential(layers)):
        plans = _plans(source, ("none", "batch"))
        assert len(_shared(plans)) == 4
        kernels = [value for path, value in _values(plans["batch"], 3).items() if path.endswith("kernel")]
        assert len(kernels) == 2
        assert all(value.std() > 0.1 for value in kernels)


def test_layers_of_one_name_in_two_parts_are_drawn_apart() -> None:
    def part(name: str) -> keras.Model:
        inputs = keras.Input((4,))
        return keras.Model(inputs, L.Dense(4, activation="relu", name="same")(inputs), name=name)

    def network() -> keras.Model:
        inputs = keras.Input((4,))
        return keras.Model(inputs, L.Dense(2)(part("two")(part("one")(inputs))))

    plans = _plans(network, ("none", "batch"))
    kernels = [v for v in plans["none"].model.trainable_variables if v.name == "kernel"]
    first, second, _ = (drawn[0] for drawn in InitialValues().stacked(plans["none"], kernels, [0]))
    assert not np.array_equal(first, second)
    assert len(shared_paths(list(plans.values()))) == 6


def test_notes_say_what_surgery_did() -> None:
    notes = {arm: plan.notes for arm, plan in _plans(_network, (*ARMS, "layer")).items()}
    kept = "nothing trains in scale: the values they came with are kept"
    assert notes == {
        "none": ("norm removed", kept),
        "batch": ("norm replaced by BatchNormalization", kept),
        "weight": ("norm removed", "WeightNormalization on first", kept),
        "layer": ("norm replaced by LayerNormalization", kept),
    }


def _frozen_base() -> keras.Model:
    base = keras.Sequential([keras.Input((4,)), L.Dense(4, name="deep"), L.BatchNormalization(name="norm"), L.ReLU()])
    base.trainable = False
    inputs = keras.Input((4,))
    return keras.Model(inputs, L.Dense(2, name="head")(base(inputs, training=False)))


def test_a_norm_in_a_frozen_model_trains_and_is_said_to() -> None:
    plans = _plans(_frozen_base)
    trained = {
        arm: {"/".join(v.path.split("/")[-2:]) for v in plan.model.trainable_variables} for arm, plan in plans.items()
    }
    head = {"head/kernel", "head/bias"}
    assert trained == {"none": head, "batch": head | {"norm/gamma", "norm/beta"}, "weight": head | {"deep/gain"}}
    assert any("was frozen; trains, as its values are new" in note for note in plans["batch"].notes)
    assert any("its gain trains, though deep is frozen" in note for note in plans["weight"].notes)
    layers = {layer.name: layer for layer in plans["batch"].model._flatten_layers()}
    norm = layers["norm"]
    layers["deep"].kernel.assign(np.eye(4))  # zeros so far: values are drawn per run
    x = np.random.default_rng(0).normal(3, 1, (9, 4)).astype(np.float32)
    before = array_of(norm.moving_mean)
    plans["batch"].model(x, training=True)
    assert not np.array_equal(before, array_of(norm.moving_mean))


def _with_norm(norm: Norm) -> keras.Model:
    return keras.Sequential([keras.Input((4,)), norm.wrap(L.Dense(3)), norm(), L.ReLU(), L.Dense(2)])


def test_a_function_that_takes_a_norm_builds_every_arm() -> None:
    plans = _plans(_with_norm)
    assert [plan.notes for plan in plans.values()] == [()] * 3
    assert len(_shared(plans)) == 4


class _Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = L.Dense(2)

    def build(self, shape: Any) -> None:
        self.dense.build(shape)

    def call(self, x: Any) -> Any:
        return self.dense(x)


def _built() -> keras.Model:
    model = _Subclassed()
    model.build((None, 4))
    return model


REFUSED: dict[str, tuple[Callable[..., Any], dict[str, Any], str]] = {
    "nothing of the norm": (
        lambda norm: keras.Sequential([keras.Input((4,)), L.Dense(2)]),
        {},
        r"must use the norm that it is given, got a model without BatchNormalization for the norm batch; call norm\(\)",
    ),
    "nothing of a norm of weights": (
        lambda norm: keras.Sequential([keras.Input((4,)), norm(), L.Dense(2)]),
        {"arms": ("none", "weight")},
        r"a model without WeightNormalization for the norm weight; call norm\.wrap\(layer\)",
    ),
    "two parameters": (
        lambda norm, width: None,
        {},
        r"one parameter, the norm, or none, got <lambda> with norm, width",
    ),
    "keyword alone": (lambda *, norm: None, {}, r"one parameter, the norm, or none, got <lambda> with norm; give"),
    "subclassed": (_built, {}, r"must be Functional or Sequential.* got the subclassed model _Subclassed; build it"),
    "subclass itself": (_Subclassed, {}, r"must be Functional or Sequential.* got the subclassed model _Subclassed"),
    "no place": (
        lambda: keras.Sequential([keras.Input((4,)), L.Dense(3), L.Dense(2)]),
        {},
        r"a model without norms must have a place for one: .* put the norms into the code",
    ),
    "weights of a function with a norm": (
        _with_norm,
        {"weights": "keep"},
        r"weights can be kept of a model that comes",
    ),
    "degenerate": (
        _network,
        {"arms": ("none", "instance")},
        r"instance norm needs spatial axes.* got the shape \(4,\)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_an_arm_is_refused(case: str) -> None:
    source, settings, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as caught:
        _plans(source, settings.pop("arms", ("none", "batch")), **settings)
    assert "\n" not in str(caught.value)
