"""Recurrent batch norm: planted accuracies both ways, sequences in reading order, a short real run."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from normlab.data import load
from normlab.replicate import per_timestep
from normlab.replicate.bench import bench_for
from normlab.replicate.per_timestep import measure, relations, sequences
from normlab.replicate.relation import checked
from normlab.replicate.replication import Setting
from tests.replicate.planted import failing, planted

PUBLISHED = {("small", 0): 0.8, ("small", 1): 0.7, ("one", 0): 0.5, ("one", 1): 0.5, ("shared", 1): 0.4}
CHANGES = {
    "as published": ({}, set()),
    "gamma one trains as well": ({("one", 0): 0.8}, {0}),
    "gamma one generalizes better": ({("one", 1): 0.8}, {1}),
    "statistics may be shared": ({("shared", 1): 0.7}, {2}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_relation_can_fail(change: str) -> None:
    means, expected = CHANGES[change]
    values = planted({**PUBLISHED, **means})
    values["shared", 0] = values["small", 0]
    accuracies = {arm: (values[arm, 0], values[arm, 1]) for arm in per_timestep.ARMS}
    assert failing(checked(relations(accuracies))) == expected


def test_images_are_read_line_by_line() -> None:
    digits = load("digits")
    read = sequences(4, digits)
    assert read.input_shape == (16, 4)
    np.testing.assert_array_equal(read.train.x[5, 3], digits.train.x[5, 1, 4:])
    np.testing.assert_array_equal(read.test.y, digits.test.y)


def test_statistics_have_no_part_in_training_and_settle_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(per_timestep, "ARMS", {name: per_timestep.ARMS[name] for name in ("small", "shared")})
    monkeypatch.setitem(per_timestep.EPOCHS, "quick", 1)
    setting = Setting("quick", None, 7, None, lambda _: None)
    network = {**per_timestep.NETWORK, "units": 4, "cell": "simple"}
    bench = bench_for(setting, 3, "recurrent", network, change=partial(sequences, 32))
    bench.seeds = [0, 1]
    found = measure(bench)
    assert all(values.shape == (2,) for pair in found.values() for values in pair)
    np.testing.assert_array_equal(found["small"][0], found["shared"][0])
    assert not np.array_equal(found["small"][1], found["shared"][1])
