"""How many runs train side by side, and which models are refused."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from normlab.data import Dataset, Part
from normlab.errors import InputError
from normlab.models import mlp
from normlab.norms import NORMS
from normlab.study import sizing
from normlab.study.cells import chunks, report_cells, tuning_cells
from normlab.study.design import Study, make_study
from normlab.study.laboratory import fitting
from normlab.study.sizing import MOST_CHUNK_RUNS, chunk_size
from normlab.train.blueprint import Blueprint, blueprint

PART = Part(np.zeros((9, 4), np.float32), np.zeros(9, np.int32))
DATASET = Dataset("d", "classification", PART, PART, PART, ("a", "b"), 1.0, ())


@pytest.fixture(scope="module")
def plan() -> Blueprint:
    return blueprint(lambda: mlp(NORMS["batch"], (4,), 2, widths=(8,)))


def _idle(study: Study, size: int) -> int:
    stages = [tuning_cells(study), report_cells(study, {} if study.tuned else None)]
    return sum(size - len(chunk.cells) for cells in stages for chunk in chunks("report", cells, size))


@pytest.mark.parametrize("num_devices", [1, 2, 3, 16, 100])
@pytest.mark.parametrize("seeds", [1, 2, 10, 65, 200])
@pytest.mark.parametrize("rates", ["tuned", 0.1])
def test_chunks_fill_the_devices_and_stay_small(plan: Blueprint, num_devices: int, seeds: int, rates: Any) -> None:
    study = make_study({"seeds": seeds, "rates": rates})
    size = chunk_size(study, {"batch": plan}, num_devices)
    assert size % num_devices == 0
    assert num_devices <= size <= max(MOST_CHUNK_RUNS, num_devices)
    # No multiple of the devices from the fewest upward leaves fewer places idle.
    fewest = min(8, max(seeds, len(tuning_cells(study))))
    others = [n for n in range(num_devices, MOST_CHUNK_RUNS + 1, num_devices) if n >= fewest]
    assert all(_idle(study, size) <= _idle(study, other) for other in others)


@pytest.mark.parametrize(
    ("num_devices", "rates", "size"), [(1, 0.1, 10), (2, "tuned", 14), (3, 0.1, 12), (16, 0.1, 16)]
)
def test_an_auto_study_can_stop_after_its_first_look(plan: Blueprint, num_devices: int, rates: Any, size: int) -> None:
    study = make_study({"seeds": "auto", "max_seeds": 60, "rates": rates})
    assert chunk_size(study, {"batch": plan}, num_devices) == size


def test_a_network_that_fills_the_memory_trains_a_run_per_device(
    plan: Blueprint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizing, "CHUNK_BYTES", 1)
    assert chunk_size(make_study({}), {"batch": plan}, 3) == 3


def test_adam_keeps_two_moments_per_value(plan: Blueprint, monkeypatch: pytest.MonkeyPatch) -> None:
    bytes_per_value = {"sgd": 8, "momentum": 12, "adam": 16, "adamw": 16}
    num_values = sum(int(np.prod(v.shape)) for v in plan.model.variables)
    for optimizer, size in bytes_per_value.items():
        monkeypatch.setattr(sizing, "CHUNK_BYTES", 20 * size * num_values)
        assert chunk_size(make_study({"optimizer": optimizer, "seeds": 260, "rates": 0.1}), {"batch": plan}, 1) == 20


def _two_inputs() -> keras.Model:
    one, other = keras.Input((4,)), keras.Input((4,))
    return keras.Model([one, other], keras.layers.Dense(2)(one + other))


MODELS = {
    "no model": (lambda: 3, r"must return a Keras model, got int; return"),
    "unbuilt": (
        lambda: keras.Sequential([keras.layers.Dense(2)]),
        r"must return a built model.*begin it with keras\.Input",
    ),
    "another input": (
        lambda: keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)]),
        r"input shape must be \(4,\) for d, got \(5,\); change its input layer",
    ),
    "two inputs": (_two_inputs, r"input shape must be \(4,\)"),
    "another output": (
        lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]),
        r"output shape must be \(2,\) for d, got \(3,\); change its output layer",
    ),
}


@pytest.mark.parametrize("case", MODELS)
def test_a_model_that_does_not_fit_the_data_is_refused(case: str) -> None:
    build, message = MODELS[case]
    with pytest.raises(InputError, match=message):
        fitting(build(), DATASET)


def test_a_model_that_fits_is_returned() -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    assert fitting(model, DATASET) is model


@pytest.mark.parametrize("activation", ["sigmoid", "linear"])
def test_two_classes_may_have_one_output(activation: str) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, activation=activation)])
    assert fitting(model, DATASET) is model


@pytest.mark.parametrize("activation", ["softmax", "relu", "tanh", "hard_sigmoid", "softplus"])
def test_one_output_that_is_neither_probability_nor_logit_is_refused(activation: str) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, activation=activation)])
    with pytest.raises(InputError, match=rf"one output .* sigmoid, or in no activation, got {activation} at the end"):
        fitting(model, DATASET)


def test_three_classes_need_three_outputs() -> None:
    dataset = Dataset("d", "classification", PART, PART, PART, ("a", "b", "c"), 1.0, ())
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid")])
    with pytest.raises(InputError, match=r"output shape must be \(3,\) for d, got \(1,\); change its output layer\.$"):
        fitting(model, dataset)


def test_an_input_of_any_size_fits() -> None:
    model = keras.Sequential([keras.Input((None,)), keras.layers.Embedding(5, 3), keras.layers.LSTM(2)])
    assert fitting(model, DATASET) is model
