"""Bjorck et al.: planted accuracies both ways, and a small network trained for real."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.claims.bench import Bench
from normlab.data import load
from normlab.replicate import bjorck
from normlab.replicate.bjorck import Accuracies, measure, relations
from normlab.replicate.relation import checked

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
    "the large rate is borne without": (("none", "large"), 0.95, [True, False, True, True]),
    "the large rate is of no use": (("batch", "large"), 0.85, [True, True, False, True]),
    "no gain at the best rates": (("none", "best"), 0.96, [True, True, True, False]),
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


def test_a_small_network_is_trained_at_three_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(load("digits"), "mlp", {"widths": (8,)}, "quick")
    bench.seeds, bench.tuning_seeds = [0, 1], [1_000_000]
    monkeypatch.setitem(bjorck.EPOCHS, "quick", 2)
    found = measure(bench)
    assert found.keys() == PUBLISHED.keys()
    assert all(values.shape[-1] == 2 and np.all((values >= 0) & (values <= 1)) for values in found.values())
    assert {key: values.ndim for key, values in found.items()} == {key: 1 + (key[1] == "best") for key in PUBLISHED}
    assert found["none", "large"].mean() > found["none", "small"].mean()
