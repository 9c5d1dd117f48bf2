"""Small batches: planted errors both ways, and a small network trained for real."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.claims import evaluations
from normlab.replicate import small_batch
from normlab.replicate.relation import checked
from normlab.replicate.small_batch import NUM_RELATIONS, Errors, measure, relations
from tests.replicate.planted import PlantedBench

SPREAD = 0.003 * np.random.default_rng(0).normal(size=12)
PUBLISHED = {
    ("batch", 2, "running"): 0.15,
    ("batch", 2, "precise"): 0.14,
    ("batch", 32, "running"): 0.03,
    ("batch", 32, "precise"): 0.03,
    ("group", 2, "running"): 0.035,
    ("group", 32, "running"): 0.035,
}
# What else is found, and the relations that then fail, counted from 0.
CHANGES = {
    "batch norm copes": ({("batch", 2, "running"): 0.03, ("batch", 2, "precise"): 0.03}, {0, 2, 3}),
    "group norm falls too": ({("group", 2, "running"): 0.15}, {1, 2}),
    "group norm's error rises by half": ({("group", 2, "running"): 0.0525}, {1}),
    "precise statistics mend all": ({("batch", 2, "precise"): 0.03}, {3, 4}),
    "precise statistics are worse": ({("batch", 2, "precise"): 0.25}, {4}),
    "running statistics fail at 32": ({("batch", 32, "running"): 0.045}, {5}),
}


def _planted(means: dict[tuple[str, int, str], float]) -> Errors:
    return {key: mean + np.roll(SPREAD, number) for number, (key, mean) in enumerate(means.items())}


def test_the_published_relations_agree() -> None:
    figures = checked(relations(_planted(PUBLISHED)))
    assert [figure.agrees for figure in figures] == [True] * NUM_RELATIONS


@pytest.mark.parametrize("change", CHANGES)
def test_each_relation_can_fail(change: str) -> None:
    means, failing = CHANGES[change]
    figures = checked(relations(_planted({**PUBLISHED, **means})))
    assert {number for number, figure in enumerate(figures) if not figure.agrees} == failing


def test_every_norm_is_trained_at_both_batch_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted networks: the error tells norm, batch size and rate apart; statistics are recomputed of the same runs."""

    def error(norm: str, size: int, rate: float, seed: float) -> float:
        return 0.2 * (norm == "batch") + 1 / 8 / size + 0.01 * rate + 1e-4 * seed

    bench = PlantedBench(lambda trial: 1 - error(trial.norm, trial.batch_size, trial.rate, trial.seed))
    monkeypatch.setattr(
        evaluations, "with_precise_statistics", lambda bench, program, trained: (1 - trained.test_accuracy) / 2
    )
    found = measure(bench)  # type: ignore[arg-type]
    for (norm, size, statistics), values in found.items():
        rate = small_batch.RATE * size / small_batch.USUAL
        expected = np.array([error(norm, size, rate, seed) for seed in bench.seeds])
        np.testing.assert_allclose(values, expected / 2 if statistics == "precise" else expected)
    assert found.keys() == PUBLISHED.keys()
    assert {trial.epochs for trial in bench.trials} == {small_batch.EPOCHS["quick"]}
    assert {trial.samples for trial in bench.trials} == {96}  # whole batches at both sizes
