"""Bjorck et al.: planted accuracies both ways, and a small network trained for real."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.replicate import bjorck
from normlab.replicate.bjorck import Accuracies, measure, relations
from normlab.replicate.relation import checked
from tests.replicate.planted import PlantedBench

SPREAD = 0.005 * np.random.default_rng(0).normal(size=12)
# Mean test accuracies as published in kind, and the relation that each change breaks.
PUBLISHED = {
    ("none", "small"): 0.85,
    ("none", "large"): 0.1,
    ("none", "best"): 0.9,
    ("batch", "small"): 0.85,
    ("batch", "large"): 0.95,
    ("batch", "best"): 0.95,
}
CHANGES = {
    "a gain at the small rate too": (("batch", "small"), 0.9, [False, True, True, True]),
    "a loss at the small rate": (("none", "small"), 0.9, [False, True, True, True]),
    "the large rate works without": (("none", "large"), 0.95, [True, False, True, True]),
    "the large rate is of no use": (("batch", "large"), 0.85, [True, True, False, True]),
    "no gain at the best rates": (("none", "best"), 0.96, [True, True, True, False]),
    "a gain beyond what the source shows": (("none", "best"), 0.5, [True, True, True, False]),
}


def _planted(means: dict[tuple[str, str], float]) -> Accuracies:
    return {key: mean + np.roll(SPREAD, number) for number, (key, mean) in enumerate(means.items())}


def test_the_published_relations_agree() -> None:
    figures = checked(relations(_planted(PUBLISHED)))
    assert [figure.agrees for figure in figures] == [True] * bjorck.NUM_RELATIONS


@pytest.mark.parametrize("change", CHANGES)
def test_each_relation_can_fail(change: str) -> None:
    key, mean, agree = CHANGES[change]
    assert [figure.agrees for figure in checked(relations(_planted({**PUBLISHED, key: mean})))] == agree


def test_the_best_rates_must_agree_under_every_choice() -> None:
    planted = _planted(PUBLISHED)
    for second, agrees in ((0.94, True), (0.9, False)):
        batch = np.stack([planted["batch", "best"], second + SPREAD])
        figures = checked(relations({**planted, ("batch", "best"): batch}))
        assert [figure.agrees for figure in figures] == [True, True, True, agrees]


def test_every_arm_is_trained_at_the_rate_it_is_reported_for() -> None:
    """Planted networks: accuracy tells norm, rate and seed apart; a run that diverges counts as 0."""
    bench = PlantedBench(
        lambda trial: 0.5 + trial.rate + 0.01 * trial.seed + (0.1 if trial.norm == "batch" else 0.0),
        diverges=lambda trial: trial.norm == "none" and trial.rate == bjorck.LARGE,
        possible={"none": (0.02, 0.03), "batch": (0.1,)},
    )
    found = measure(bench)  # type: ignore[arg-type]
    seeds = 0.01 * np.array(bench.seeds)
    expected = {
        ("none", "small"): 0.5 + bjorck.SMALL + seeds,
        ("none", "large"): np.zeros(3),
        ("none", "best"): np.stack([0.52 + seeds, 0.53 + seeds]),
        ("batch", "small"): 0.6 + bjorck.SMALL + seeds,
        ("batch", "large"): 0.6 + bjorck.LARGE + seeds,
        ("batch", "best"): (0.7 + seeds)[None],
    }
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, err_msg=str(key))
    assert {trial.epochs for trial in bench.trials} == {bjorck.EPOCHS["quick"]}
