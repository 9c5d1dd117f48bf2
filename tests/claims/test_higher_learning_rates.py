"""Higher learning rates: planted divergence and planted networks, judged each way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from normlab.claims import higher_learning_rates
from normlab.claims.bench import Bench
from normlab.claims.higher_learning_rates import CLAIM, rung
from tests.claims.planted import INSENSITIVE, LOW, SENSITIVE, PlantedBench, judged, low, measured, plain

RATES = [rung(index) for index in range(-2, 7)]  # 0.1 to 1000


@pytest.fixture(scope="module")
def networks(_devices: None) -> pl.DataFrame:
    """Return the evidence of planted networks: outputs times ten tolerate a hundredth of the rate."""
    bench = PlantedBench({SENSITIVE: partial(plain, gain=10.0), INSENSITIVE: plain, LOW: low})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(higher_learning_rates, "STEPS", {"quick": 24})
        return measured(higher_learning_rates, bench, SENSITIVE, INSENSITIVE, LOW)


@pytest.mark.parametrize(
    ("none", "batch", "allowed"),
    [
        (SENSITIVE, INSENSITIVE, {"supported"}),
        (INSENSITIVE, SENSITIVE, {"refuted"}),
        (LOW, INSENSITIVE, {"refuted", "undecided"}),
        (INSENSITIVE, LOW, {"refuted", "undecided"}),
    ],
)
def test_planted_networks_are_judged_by_what_they_tolerate(
    networks: pl.DataFrame, none: str, batch: str, allowed: set[str]
) -> None:
    finding = judged(higher_learning_rates, networks, none, batch)
    assert finding.verdict in allowed
    sign = {SENSITIVE: 1, INSENSITIVE: -1}.get(none, 0) if LOW not in (none, batch) else 0
    assert finding.effect == pytest.approx(2.0 * sign, abs=0.75)


def test_a_ladder_ends_where_all_have_diverged_and_begins_where_none_has(networks: pl.DataFrame) -> None:
    assert networks["batch_size"].unique().sort().to_list() == [4, 32]
    for _, part in networks.group_by("arm", "batch_size"):
        assert not part.filter(pl.col("rate") == part["rate"].min())["diverged"].any()
        ever = part.group_by("seed").agg(pl.col("diverged").any())
        assert ever["diverged"].all()
        assert sorted(ever["seed"]) == list(range(12))
        first = part.group_by("seed").agg(pl.col("rate").filter(pl.col("diverged")).min())
        assert first["rate"].max() == part["rate"].max()  # it goes no further


def test_a_ladder_is_climbed_and_descended_at_its_own_rates() -> None:
    """From 1 down to 0.1, where neither of two runs diverges, and up to 10, where both have."""
    limits = np.array([0.1, 3.0])

    def train(_: object, seeds: Sequence[int], rates: Sequence[float], __: int, **named: object) -> SimpleNamespace:
        assert (len(seeds), named["batches"]) == (2, 3)  # all full batches, if there are fewer than steps
        told = np.array([rates])
        return SimpleNamespace(diverged=told[0] > limits, val_accuracy=told, val_loss=told)

    data = SimpleNamespace(train=range(100), task="classification")
    bench = SimpleNamespace(dataset=data, budget="quick", seeds=[5, 6], train=train)
    program = SimpleNamespace(trainer=SimpleNamespace(batch_size=32))
    found = pl.concat(higher_learning_rates._ladder(bench, program, 0))  # type: ignore[arg-type]
    assert found["rate"].unique(maintain_order=True).to_list() == [0.1, 0.3, 1.0, 3.0, 10.0]
    assert (found["val_loss"] == found["rate"]).all()
    assert found.filter(pl.col("seed") == 6)["diverged"].to_list() == [False] * 4 + [True]


def _evidence(**tolerated: Sequence[float]) -> pl.DataFrame:
    """Return runs that diverge at every rate above their own; keys are arm_batchsize."""
    rows = []
    for name, limits in tolerated.items():
        arm, size = name.split("_")
        for seed, limit in enumerate(limits):
            rows += [(arm, int(size), rate, seed, rate > limit, 0.5, 1.0) for rate in RATES]
    columns = ["arm", "batch_size", "rate", "seed", "diverged", "val_accuracy", "val_loss"]
    return pl.DataFrame(rows, schema=columns, orient="row")


SMALL, LARGE, MIXED = [1.0, 1.0, 3.0] * 4, [30.0, 100.0, 100.0] * 4, [1.0, 100.0] * 6
CASES = {
    "gain at both": (SMALL, LARGE, SMALL, LARGE, "supported"),
    "gain at none": (SMALL, SMALL, LARGE, LARGE, "undecided"),  # twelve pairs on such a ladder show no equality
    "loss at both": (LARGE, SMALL, LARGE, SMALL, "refuted"),
    "gain at 32 only": (SMALL, LARGE, SMALL, SMALL, "undecided"),
    "gain at 32, loss at 4": (SMALL, LARGE, LARGE, SMALL, "conditional"),
    "open at 4": (SMALL, LARGE, MIXED, MIXED[::-1], "undecided"),
}


@pytest.mark.parametrize("case", CASES)
def test_planted_divergence_is_judged(case: str) -> None:
    none_32, batch_32, none_4, batch_4, verdict = CASES[case]
    finding = CLAIM.judge(_evidence(none_32=none_32, batch_32=batch_32, none_4=none_4, batch_4=batch_4))
    assert finding.verdict == verdict
    assert bool(finding.conditions) == (verdict == "conditional")
    _, told, outlook = finding.answer.partition("Undecided at ")
    assert bool(told) == ("batch size 4: " in outlook) == (verdict == "undecided")
    expected = sum(math.log10(b / a) for a, b in zip(none_32, batch_32, strict=True)) / 12
    assert finding.effect == pytest.approx(expected)


def test_the_largest_rate_that_one_in_ten_runs_diverges_at() -> None:
    # Of ten runs one may fall short of it, two may not.
    one, two = [1.0] + [10.0] * 9, [1.0] * 2 + [10.0] * 8
    finding = CLAIM.judge(_evidence(none_32=one, batch_32=two, none_4=one, batch_4=two))
    assert finding.details["largest_rate_tolerated"]["batch size 32"] == pytest.approx({"none": 10.0, "batch": 1.0})


def test_a_run_that_diverges_once_tolerates_no_larger_rate() -> None:
    evidence = _evidence(none_32=SMALL, batch_32=LARGE, none_4=SMALL, batch_4=LARGE)
    odd = (pl.col("arm") == "batch") & (pl.col("rate") == 1.0)
    finding = CLAIM.judge(evidence.with_columns(pl.col("diverged") | odd))
    assert finding.details["largest_rate_tolerated"]["batch size 32"]["batch"] == pytest.approx(0.3)


def test_below_and_above_the_ladder() -> None:
    finding = CLAIM.judge(_evidence(none_32=[0.01] * 12, batch_32=[1e9] * 12, none_4=SMALL, batch_4=LARGE))
    assert finding.effect == pytest.approx(4.5)  # half a decade below 0.1, to 1000
    assert finding.details["never_diverged"] == 12
    assert "12 of 48 runs never diverged up to 1e+08, the end of the ladder." in finding.answer


def test_the_figure_counts_runs() -> None:
    rows = CLAIM.draw(_evidence(none_32=SMALL, batch_32=LARGE, none_4=SMALL, batch_4=LARGE)).rows
    shares = {row["x"]: row["y"] for row in rows if row["series"] == "none, batch size 32"}
    assert [shares[rate] for rate in (1.0, 3.0, 10.0)] == pytest.approx([0.0, 2 / 3, 1.0])
    assert len(rows) == 4 * len(RATES)


def test_an_epoch_can_be_cut_to_some_batches(tiny: Bench) -> None:
    trained = tiny.train(tiny.program("none"), [0, 1], [0.1, 0.1], 2, batches=3)
    assert (trained.states[0].step == 2 * (3 + 1)).all()  # the short last batch is always taken
