"""Ghost batches: planted outcomes both ways, and small networks trained for real in all four regimes."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.replicate import ghost
from normlab.replicate.ghost import Outcomes, measure, relations
from normlab.replicate.relation import checked
from tests.replicate.planted import PlantedBench, Trial, failing, planted

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
    "longer training gains beyond what the source shows": ({}, {"longer": 0.005}, {3}),
    "ghost batches gain beyond what the source shows": ({"ghost": 0.02}, {}, {2}),
}


def _outcomes(losses: dict[str, float], errors: dict[str, float]) -> Outcomes:
    planted_errors = planted({**ERRORS, **errors}, 0.001)
    return {name: (loss, planted_errors[name]) for name, loss in planted({**LOSSES, **losses}, 0.002).items()}


@pytest.mark.parametrize("change", CHANGES)
def test_each_relation_can_fail(change: str) -> None:
    losses, errors, expected = CHANGES[change]
    assert failing(checked(relations(_outcomes(losses, errors)))) == expected


def test_four_regimes_are_trained() -> None:
    """Planted networks: the loss tells norm, batch size, rate and steps apart; a diverged run counts as no better."""

    def loss(trial: Trial) -> float:
        return 0.1 * trial.rate + trial.batch_size / 1000 + 1 / trial.epochs + (0.5 if trial.norm == "ghost" else 0.0)

    bench = PlantedBench(
        lambda trial: 0.9 - trial.batch_size / 1000,
        loss,
        diverges=lambda trial: trial.norm == "ghost" and trial.epochs == 40 and trial.seed == 1,
    )
    found = measure(bench)  # type: ignore[arg-type]
    rate = ghost.RATE * 8**0.5
    expected = {
        "small": 0.1 * ghost.RATE + 0.032 + 1 / 40,
        "large": 0.1 * rate + 0.256 + 1 / 40,
        "longer": 0.1 * rate + 0.256 + 1 / 320 + 0.5,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found[name][0], value)
        np.testing.assert_allclose(found[name][1], 0.132 if name == "small" else 0.356)
    calm = 0.1 * rate + 0.256 + 1 / 40 + 0.5
    np.testing.assert_allclose(found["ghost"][0], [calm, 2 * np.log(10), calm])  # in the order of the seeds 3, 1, 2
    np.testing.assert_allclose(found["ghost"][1], [0.356, 1.0, 0.356])
    assert all(trial.options["momentum"] == ghost.MOMENTUM for trial in bench.trials)
    assert all(trial.options["ghost_batch_size"] == 32 for trial in bench.trials if trial.norm == "ghost")
