"""Ghost batches: planted outcomes both ways, and small networks trained for real in all four regimes."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.replicate import ghost
from normlab.replicate.bench import bench_for
from normlab.replicate.ghost import Outcomes, measure, relations
from normlab.replicate.relation import checked
from normlab.replicate.replication import Setting
from tests.replicate.planted import failing, planted

LOSSES = {"small": 0.05, "large": 0.08, "ghost": 0.065, "longer": 0.05}
ERRORS = {"small": 0.02, "large": 0.03, "ghost": 0.03, "longer": 0.02}
# Losses and errors that differ from the published picture, and the relations that then fail.
CHANGES: dict[str, tuple[dict[str, float], dict[str, float], set[int]]] = {
    "as published": ({}, {}, set()),
    "no gap in the loss": ({"large": 0.05, "ghost": 0.04}, {}, {0}),
    "no gap in the error": ({}, {"large": 0.02}, {1}),
    "ghost batches do not help": ({"ghost": 0.08}, {}, {2}),
    "ghost batches harm": ({"ghost": 0.1}, {}, {2}),
    "longer training leaves the gap": ({}, {"longer": 0.03}, {3}),
}


def _outcomes(losses: dict[str, float], errors: dict[str, float]) -> Outcomes:
    planted_errors = planted({**ERRORS, **errors}, 0.001)
    return {name: (loss, planted_errors[name]) for name, loss in planted({**LOSSES, **losses}, 0.002).items()}


@pytest.mark.parametrize("change", CHANGES)
def test_each_relation_can_fail(change: str) -> None:
    losses, errors, expected = CHANGES[change]
    assert failing(checked(relations(_outcomes(losses, errors)))) == expected


def test_four_regimes_are_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ghost.EPOCHS, "quick", 1)
    bench = bench_for(Setting("quick", None, 6, None, lambda _: None), 1, "mlp", {"widths": (8,)})
    bench.seeds = [0, 1, 2]
    found = measure(bench)
    assert set(found) == set(LOSSES)
    assert all(loss.shape == error.shape == (3,) for loss, error in found.values())
    assert not np.array_equal(found["ghost"][0], found["large"][0])
    assert found["longer"][0].mean() < found["ghost"][0].mean()
