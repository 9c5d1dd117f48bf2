"""Evaluations with other statistics, of all runs at once, against one Keras model at a time."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from normlab import seeding
from normlab.claims.bench import Bench
from normlab.claims.evaluations import with_batch_statistics, with_precise_statistics
from normlab.claims.final_error import final_error
from normlab.claims.one_run import model_of
from normlab.claims.trained import Trained
from normlab.norms.precise import recompute
from normlab.train.order import statistics_order
from normlab.train.population import Population


@pytest.fixture(scope="module")
def trained(tiny: Bench) -> tuple[Population, Trained]:
    """Return five runs in groups of at most three."""
    program = tiny.program("batch")
    return program, tiny.train(program, [0, 1, 2, 3, 4], [0.1] * 5)


def _error(scores: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(scores.argmax(-1) != labels))


def _model(tiny: Bench, trained: tuple[Population, Trained], run: int):
    program, found = trained
    group, place = divmod(run, program.capacity)
    return model_of(tiny, "batch", found.states[group], place)


@pytest.mark.parametrize("run", [0, 4])
def test_statistics_recomputed_over_the_training_set(tiny: Bench, trained, run: int) -> None:
    model, data = _model(tiny, trained, run), tiny.dataset
    x = data.train.x.astype(np.float32) / data.divisor
    x = x[statistics_order(len(x))]
    size = trained[0].trainer.batch_size
    recompute(model, np.split(x, range(size, len(x), size)))
    expected = _error(np.asarray(model(data.test.x / data.divisor, training=False)), data.test.y)
    errors = with_precise_statistics(tiny, *trained)
    assert errors.shape == (5,)
    assert errors[run] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("run", [0, 4])
def test_statistics_of_the_test_batch(tiny: Bench, trained, run: int) -> None:
    model, data = _model(tiny, trained, run), tiny.dataset
    order = seeding.generator(0, "claims", "test batches").permutation(len(data.test))
    wrong = 0.0
    for first in range(0, len(order), 32):
        own = order[first : first + 32]
        batch = np.concatenate([own, order])[:32]  # the last batch is filled from the beginning
        scores = np.asarray(model(data.test.x[batch] / data.divisor, training=True))[: len(own)]
        wrong += _error(scores, data.test.y[own]) * len(own)
    errors = with_batch_statistics(tiny, *trained)
    assert errors[run] == pytest.approx(wrong / len(order), abs=1e-6)


def test_running_statistics_are_the_models_own(tiny: Bench, trained) -> None:
    model, data = _model(tiny, trained, 4), tiny.dataset
    scores = np.asarray(model(data.test.x / data.divisor, training=False))
    assert 1 - trained[1].test_accuracy[4] == pytest.approx(_error(scores, data.test.y), abs=1e-6)


def test_a_run_that_diverged_counts_as_wrong_everywhere(tiny: Bench) -> None:
    diverged = np.array([False, True])
    error = final_error(tiny, np.array([0.3, np.nan]), np.array([0.9, 0.9]), diverged)
    assert error.tolist() == pytest.approx([0.1, 1.0])


def test_errors_of_regression_are_losses_and_a_diverged_run_is_no_better_than_any() -> None:
    regression = SimpleNamespace(dataset=SimpleNamespace(task="regression"))
    loss = np.array([0.3, np.nan, 7.0, 0.1])
    error = final_error(regression, loss, np.zeros(4), np.array([False, True, False, True]))  # type: ignore[arg-type]
    assert error.tolist() == pytest.approx([0.3, 7.0, 7.0, 7.0])
