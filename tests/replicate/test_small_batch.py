"""Small batches: planted errors both ways, and a small network trained for real."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.replicate import small_batch
from normlab.replicate.bench import bench_for
from normlab.replicate.relation import checked
from normlab.replicate.replication import Setting
from normlab.replicate.small_batch import NUM_RELATIONS, Errors, measure, relations

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
    "precise statistics mend all": ({("batch", 2, "precise"): 0.03}, {3}),
    "precise statistics are worse": ({("batch", 2, "precise"): 0.2}, {4}),
    "running statistics fail at 32": ({("batch", 32, "running"): 0.06}, {5}),
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


def test_two_norms_are_trained_at_two_batch_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(small_batch.EPOCHS, "quick", 1)
    bench = bench_for(Setting("quick", None, 6, None, lambda _: None), 1, "mlp", {"widths": (16,)})
    bench.seeds = [0, 1, 2]
    found = measure(bench)
    assert found.keys() == PUBLISHED.keys()
    assert all(values.shape == (3,) and np.all((values >= 0) & (values <= 1)) for values in found.values())
    assert not np.array_equal(found["batch", 2, "running"], found["batch", 2, "precise"])
