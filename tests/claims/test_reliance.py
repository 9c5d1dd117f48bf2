"""What is lost with units and weights removed: networks that rest on one unit, and on many alike."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from normlab.claims.bench import Bench
from normlab.claims.reliance import KINDS, SHARES, errors_without, removable
from normlab.claims.settled import settled_error
from normlab.data.dataset import Dataset, Part

UNITS, SEEDS = 16, 6


@pytest.fixture(scope="module")
def bench(_devices: None) -> Bench:
    """Return a bench whose samples are all of the first class."""
    part = Part(np.zeros((8, 3), np.float32), np.zeros(8, np.int64))
    dataset = Dataset("one", "classification", part, part, part, ("a", "b"), 1.0, ("one class",))
    found = Bench(dataset, "mlp", {"widths": (UNITS,)}, "quick")
    found.seeds = list(range(SEEDS))
    return found


def _errors(bench: Bench, kernel: np.ndarray) -> dict[tuple[str, float], np.ndarray]:
    """Return the errors of networks whose hidden units are all 1, with this kernel of the head, (units, 2)."""
    program = bench.program("none", layout="vmap")
    state = program.start(bench.seeds, [0.0] * SEEDS)
    values = [np.zeros_like(np.asarray(value)) for value in state.trainable]
    names = [variable.path for variable in program.plan.model.trainable_variables]
    hidden = next(n for n, name in enumerate(names) if name.endswith("bias") and values[n].shape[1] == UNITS)
    values[hidden] += 1.0
    values[removable(program)[0]] += kernel.astype(np.float32)
    state = state._replace(trainable=[program.place(value) for value in values])
    trained: Any = SimpleNamespace(states=[state], diverged=np.zeros(SEEDS, bool))
    return {(kind, share): error for kind, share, error in errors_without(bench, program, trained)}


def test_a_network_of_many_units_alike_loses_nothing(bench: Bench) -> None:
    found = _errors(bench, np.tile([1.0, 0.0], (UNITS, 1)))
    assert set(found) == {("units", 0.0), *((kind, share) for kind in KINDS for share in SHARES)}
    assert all((error == 0).all() for error in found.values())


def test_a_network_that_rests_on_one_unit_loses_all_with_it(bench: Bench) -> None:
    kernel = np.tile([0.0, 0.01], (UNITS, 1))
    kernel[3] = [1.0, 0.0]
    found = _errors(bench, kernel)
    assert (found["units", 0.0] == 0).all()
    for kind in KINDS:
        lost = np.array([found[kind, share] for share in SHARES])
        assert set(lost.ravel()) == {0.0, 1.0}
        assert (np.diff(lost, axis=0) >= 0).all()  # a larger share holds the smaller ones
        assert len({tuple(run) for run in lost.T}) > 1  # another seed loses others
    assert not np.array_equal(found["units", 0.5], found["weights", 0.5])


def test_a_unit_goes_with_all_its_weights_and_a_weight_alone(bench: Bench) -> None:
    """Every unit votes for the first class a little more than for the second: only weights taken apart turn it."""
    found = _errors(bench, np.tile([1.0, 0.999], (UNITS, 1)))
    assert all((error == 0).all() for (kind, _), error in found.items() if kind == "units")
    assert (np.array([found["weights", share] for share in SHARES]) > 0).any()


def test_statistics_are_settled(tiny: Bench) -> None:
    program = tiny.program("batch")
    trained = tiny.train(program, tiny.seeds, [0.1] * len(tiny.seeds))
    _, share, whole = next(errors_without(tiny, program, trained))
    assert share == 0.0
    np.testing.assert_allclose(whole, settled_error(tiny, program, trained), atol=1e-6)
    assert (np.abs(whole - (1 - trained.test_accuracy)) > 0.01).any()
