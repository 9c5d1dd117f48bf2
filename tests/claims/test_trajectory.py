"""Runs measured while they train: where, at which rates, and how what is not finite counts."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

from normlab.claims import trajectory as module
from normlab.claims.bench import Bench
from normlab.claims.trajectory import log_ratios, medians_of, rate_title, rates_of, trajectory


class _Rated:
    """A bench of which only the possible rates are asked for."""

    def __init__(self, none: tuple[float, ...], batch: tuple[float, ...]) -> None:
        self.possible = {"none": none, "batch": batch}

    def possible_rates(self, arm: str) -> tuple[float, ...]:
        return self.possible[arm]


@pytest.mark.parametrize(
    ("possible", "arm", "rates"),
    [
        (((0.1,), (0.3,)), "none", {"shared": 0.1, "own": 0.1}),
        (((0.1,), (0.3,)), "batch", {"shared": 0.1, "own": 0.3}),
        (((0.1,), (0.3,)), "noisy", {"shared": 0.1, "own": 0.3}),
        (((0.3,), (0.1,)), "none", {"shared": 0.1, "own": 0.3}),
        (((0.1,), (0.1,)), "batch", {"shared": 0.1}),
        (((0.1,), (0.1, 0.3)), "none", {"shared": 0.1, "own": 0.1}),
        (((0.1,), (0.1, 0.3, 0.03)), "batch", {"shared": 0.1, "own": 0.1, "own 1": 0.3, "own 2": 0.03}),
        (((0.1, 0.3), (0.1, 0.3)), "none", {"shared": 0.1, "own": 0.1, "own 1": 0.3}),
    ],
)
def test_arms_meet_at_one_rate_and_have_all_that_could_be_their_own(
    possible: tuple[tuple[float, ...], tuple[float, ...]], arm: str, rates: dict[str, float]
) -> None:
    bench: Bench = _Rated(*possible)  # type: ignore[assignment]
    assert rates_of(bench, arm) == rates
    assert rates_of(bench, arm, low=0.1) == {"low": pytest.approx(0.01), **rates}


def test_every_run_is_measured_at_equal_distances(tiny: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEPS", {"quick": 6})
    monkeypatch.setattr(module, "MEASUREMENTS", {"quick": 2})
    program = tiny.program("none")

    def measure(trainer, state, x, y):
        return {"moved": jnp.abs(state.trainable[0]).sum(), "batch": x.astype(jnp.float32).sum()}

    def nothing_else(*_: object, **__: object) -> None:
        raise AssertionError("nobody reads what is evaluated here")

    # Neither is read, and on large data each costs more than the steps between two measurements.
    monkeypatch.setattr(program, "_end", nothing_else)
    monkeypatch.setattr(program, "_end_programs", {})
    monkeypatch.setattr(program, "evaluate", nothing_else)
    found = trajectory(tiny, program, {"nothing": 0.0, "own": 0.1, "also": 0.1}, measure)
    # Names of one rate share its runs.
    assert [cell[1:] for cell in found[6:12]] == [cell[1:] for cell in found[12:]]
    found = found[:12]
    every = 3 + (len(tiny.dataset.train) % tiny.batch_size > 0)  # a short last batch is a step of its own
    assert [cell[:3] for cell in found] == [
        (name, seed, step) for name in ("nothing", "own") for seed in tiny.seeds for step in (0, every, 2 * every)
    ]
    moved = np.array([measured["moved"] for *_, measured in found]).reshape(2, 2, 3)
    batches = np.array([measured["batch"] for *_, measured in found]).reshape(4, 3)
    assert np.ptp(moved[0], axis=1).max() == 0.0  # at rate 0 nothing moves
    assert (np.diff(moved[1]) != 0).all()
    np.testing.assert_array_equal(moved[0][:, 0], moved[1][:, 0])  # the same seeds start alike
    assert (batches == batches[0]).all()  # runs share the batches,
    assert len(set(batches[0])) == 3  # which are new at every measurement


def _table(values: dict[str, list[float]]) -> pl.DataFrame:
    """Return evidence of two seeds: the first with these values over the steps, the second with twice as much."""
    rows = [
        (arm, "shared", 0.1, seed, step, "head", "quantity", (1 + seed) * value)
        for arm, own in values.items()
        for seed in (0, 1)
        for step, value in enumerate(own)
    ]
    names = ["arm", "rate_name", "rate", "seed", "step", "layer", "quantity", "value"]
    return pl.DataFrame(rows, schema=names, orient="row")


def test_ratios_are_of_medians_over_what_is_finite() -> None:
    evidence = _table({"batch": [2.0, 4.0, 6.0], "none": [8.0, math.nan, math.inf]})
    ratios = log_ratios(medians_of(evidence), "quantity", ("shared", "shared"), ("batch", "none"))
    np.testing.assert_allclose(ratios, math.log(4 / 8))
    turned = log_ratios(medians_of(evidence), "quantity", ("shared", "shared"), ("none", "batch"))
    np.testing.assert_allclose(turned, math.log(8 / 4))
    assert rate_title(evidence, "shared") == "the same rate 0.1"


def test_layers_enter_by_their_geometric_mean_and_zero_stays_finite() -> None:
    evidence = _table({"batch": [2.0], "none": [1.0]})
    second = _table({"batch": [0.5], "none": [1.0]}).with_columns(layer=pl.lit("hidden_1"))
    ratios = log_ratios(medians_of(pl.concat([evidence, second])), "quantity", ("shared", "shared"), ("batch", "none"))
    np.testing.assert_allclose(ratios, 0.0, atol=1e-12)
    dead = medians_of(_table({"batch": [0.0], "none": [1.0]}))
    assert np.isfinite(log_ratios(dead, "quantity", ("shared", "shared"), ("batch", "none"))).all()


def test_own_rates_are_compared_with_every_one_that_could_have_been_chosen() -> None:
    """Batch norm's quantity is 0.5 at its best rate and 4 at another; without a norm it is 1 and 2."""
    values = {("batch", "own"): 0.5, ("batch", "own 1"): 4.0, ("none", "own"): 1.0, ("none", "own 1"): 2.0}
    rows = [(arm, rate, 0.1, seed, None, "q", value) for (arm, rate), value in values.items() for seed in range(6)]
    names = ["arm", "rate_name", "rate", "seed", "layer", "quantity", "value"]
    medians = pl.DataFrame(rows, schema=names, schema_overrides={"layer": pl.String}, orient="row")
    effect = module.ratio_effect(medians, "q", "own", ("batch", "none"), 0.1)
    assert math.exp(effect.difference) == pytest.approx(0.5)
    assert (math.exp(effect.ci_low), math.exp(effect.ci_high)) == (pytest.approx(0.25), pytest.approx(4.0))
    assert effect.p_value == 1.0
    best = medians.filter(~pl.col("rate_name").str.ends_with("1"))
    assert module.ratio_effect(best, "q", "own", ("batch", "none"), 0.1).p_value == pytest.approx(2 / 2**6)
