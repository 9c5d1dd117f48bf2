"""Santurkar et al.: planted outcomes both ways, and a small network measured while it trains."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.claims import trajectory
from normlab.replicate import santurkar
from normlab.replicate.bench import bench_for
from normlab.replicate.relation import checked
from normlab.replicate.replication import Setting
from normlab.replicate.santurkar import NUM_RELATIONS, Outcomes, measure, relations
from tests.replicate.planted import failing, planted

PUBLISHED = {("none", "accuracy"): 0.9, ("batch", "accuracy"): 0.95, ("noisy", "accuracy"): 0.95}
SHIFT, COSINE = (
    tuple(f"{name} at {rate}" for rate in santurkar.SHIFT_RATES) for name in (santurkar.SHIFT, santurkar.COSINE)
)
PUBLISHED |= {(arm, name): 1.0 for arm in santurkar.MEASURED for name in (*SHIFT, *COSINE)}
PUBLISHED |= {("none", name): 1.0 for name in santurkar.SMOOTHNESS} | {
    ("batch", name): 0.5 for name in santurkar.SMOOTHNESS
}
CHANGES = {
    "as published": ({}, set()),
    "more shift": ({("batch", SHIFT[0]): 3.0, ("batch", COSINE[1]): 0.1}, set()),
    "noise harms": ({("noisy", "accuracy"): 0.9}, {0, 1}),
    "noise helps beyond what the source shows": ({("noisy", "accuracy"): 0.99}, {0}),
    "less shift at the low rate": ({("batch", SHIFT[0]): 0.5}, {2}),
    "less shift": ({("batch", SHIFT[1]): 0.5}, {3}),
    "gradients keep their direction at the low rate": ({("none", COSINE[0]): 0.5}, {4}),
    "gradients keep their direction": ({("none", COSINE[1]): 0.5}, {5}),
    "the loss varies as much": ({("batch", "loss_range"): 1.0}, {6}),
    "gradients change as much": ({("batch", "gradient_change"): 1.0}, {7}),
    "beta is larger": ({("batch", "smoothness"): 2.0}, {8}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_relation_can_fail(change: str) -> None:
    means, expected = CHANGES[change]
    outcomes: Outcomes = {"none": {}, "batch": {}, "noisy": {}}
    for (arm, name), values in planted({**PUBLISHED, **means}).items():
        outcomes[arm][name] = values
    figures = checked(relations(outcomes))
    assert len(figures) == NUM_RELATIONS
    assert failing(figures) == expected


def test_arms_are_trained_and_measured_at_two_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """One arm is measured here, and one is not: each takes seconds to compile."""
    monkeypatch.setattr(santurkar, "MEASURED", ("batch",))
    monkeypatch.setattr(santurkar, "CONTROL", "none")
    monkeypatch.setitem(santurkar.EPOCHS, "quick", 1)
    monkeypatch.setitem(trajectory.MEASUREMENTS, "quick", 2)
    bench = bench_for(Setting("quick", None, 9, None, lambda _: None), NUM_RELATIONS, "mlp", {"widths": (6, 6)})
    bench.seeds = [0, 1]
    found = measure(bench)
    assert set(found) == {"batch", "none"}
    assert set(found["none"]) == {"accuracy"}
    measured = found["batch"]
    assert set(measured) == {"accuracy", *santurkar.SMOOTHNESS, *SHIFT, *COSINE}
    assert all(values.shape == (2,) and np.all(np.isfinite(values)) for values in measured.values())
    assert all(np.all(measured[name] > 0) for name in (*santurkar.SMOOTHNESS, *SHIFT))
    assert all(np.all(np.abs(measured[name]) <= 1 + 1e-6) for name in COSINE)
    assert np.all(measured[SHIFT[0]] < measured[SHIFT[1]])
