"""Sigmoids on MNIST: planted curves both ways, the measure of unsteadiness, the order of samples, a small real run."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.replicate import ioffe
from normlab.replicate.bench import bench_for
from normlab.replicate.ioffe import Curves, measure, relations, samples_between, unsteadiness
from normlab.replicate.relation import checked
from normlab.replicate.replication import Setting
from tests.replicate.planted import failing, planted

# By arm: mean validation accuracy, test accuracy, and how far the percentiles move.
PUBLISHED = {("none", 0): 0.7, ("none", 1): 0.9, ("none", 2): 0.5}
PUBLISHED |= {("batch", 0): 0.9, ("batch", 1): 0.95, ("batch", 2): 0.1}
CHANGES = {
    "as published": ({}, set()),
    "no faster": ({("batch", 0): 0.7}, {0}),
    "no better in the end": ({("batch", 1): 0.9}, {1}),
    "no steadier": ({("batch", 2): 0.5}, {2}),
    "worse in all": ({("batch", 0): 0.6, ("batch", 1): 0.8, ("batch", 2): 0.6}, {0, 1, 2}),
}


def _curves(means: dict[tuple[str, int], float]) -> dict[str, Curves]:
    values = planted(means)
    found = {}
    for arm in ioffe.ARMS:
        accuracy = np.stack([values[arm, 0] - 0.1, values[arm, 0] + 0.1])
        # Two checkpoints, one `moved` above and one below: a standard deviation of `moved`.
        swing = values[arm, 2][:, None, None] * np.ones((12, 3, 5))
        found[arm] = Curves(accuracy, values[arm, 1], np.stack([1.0 - swing, 1.0 + swing]))
    return found


@pytest.mark.parametrize("change", CHANGES)
def test_each_relation_can_fail(change: str) -> None:
    means, expected = CHANGES[change]
    assert failing(checked(relations(_curves({**PUBLISHED, **means})))) == expected


def test_unsteadiness_is_the_median_unit_of_the_mean_percentile() -> None:
    deviations = np.array([[1.0, 2.0, 6.0], [3.0, 3.0, 3.0], [8.0, 9.0, 10.0]]).T  # (percentiles, units)
    percentiles = np.stack([5.0 - deviations, 5.0 + deviations])[:, None]
    assert unsteadiness(percentiles) == pytest.approx([3.0])


@pytest.mark.parametrize("samples", [4, 5, 10, 25])
def test_all_samples_are_seen_before_one_comes_again(samples: int) -> None:
    seen = np.concatenate([samples_between(samples, 0, checkpoint, 10) for checkpoint in range(100 // samples)])
    for epoch in seen.reshape(10, 10):
        assert sorted(epoch) == list(range(10))
    assert not np.array_equal(seen[:10], seen[10:20])


def test_a_small_network_is_watched_while_it_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ioffe.CHECKPOINTS, "quick", 3)
    monkeypatch.setitem(ioffe.STEPS, "quick", 8)
    network = {**ioffe.NETWORK, "widths": (8, 8, 6)}
    bench = bench_for(Setting("quick", None, 7, None, lambda _: None), 3, "mlp", network, "digits")
    bench.seeds = [0, 1]
    found = measure(bench)
    for arm, curves in found.items():
        assert (curves.accuracy.shape, curves.test_accuracy.shape) == ((3, 2), (2,)), arm
        assert curves.percentiles.shape == (4, 2, 3, 6)
        assert np.all(np.diff(curves.percentiles, axis=2) >= 0)
    # Batch norm's output is standard normal before training, whatever the weights: beta and gamma are 0 and 1.
    assert found["batch"].percentiles[0, :, 1].mean() == pytest.approx(0.0, abs=0.2)
    assert found["batch"].percentiles[0, :, 2].mean() == pytest.approx(1.0, abs=0.25)
