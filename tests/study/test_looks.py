"""Looks on planted records: when a study stops, what it then says, and that nothing later changes a pair."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from normlab.stats.sequential import sequential_verdict
from normlab.study.cells import Chunk, Stage
from normlab.study.looks import Looks
from normlab.study.metrics import ALL_DIVERGED, with_outcomes
from normlab.study.seeds import FIRST_LOOK
from normlab.study.summary import Evidence, comparisons
from tests.study.planted import STEPS_PER_EPOCH, planted

BUDGET, UNINFORMED = 40, 2.3
RNG = np.random.default_rng(5)
BASE = 0.8 + 0.02 * RNG.normal(size=BUDGET)
NOISE = 0.02 * RNG.normal(size=BUDGET)
UNCLEAR = 0.012 * np.resize([1.0, -1.0, 0.7, -0.8, 0.4], BUDGET)


def _runs(chunk: int, arms: dict[str, np.ndarray], diverged: dict[str, Sequence[bool]] | None = None) -> pl.DataFrame:
    """Runs whose test accuracy is given, cut into chunks; the test loss is 1 - accuracy."""
    curves = {arm: [[float(value)] for value in values] for arm, values in arms.items()}
    _, runs = planted(curves, diverged=diverged)
    return runs.with_columns(chunk=(pl.col("seed") // chunk).cast(pl.Int32))


def _chunk(start: int, stage: Stage = "report") -> Chunk:
    return Chunk(stage, start, ())


def _looked(
    runs: pl.DataFrame, chunk: int, *, metric: str = "test_accuracy", margin: float = 0.005, budget: int = BUDGET
) -> Looks:
    """Look chunk by chunk until the looks say stop, or there are no more pairs."""
    arms = runs["arm"].unique(maintain_order=True).to_list()
    looks = Looks(arms, 1, metric, margin, budget, chunk, UNINFORMED)
    for index in range(-(-budget // chunk)):
        if not looks.after(_chunk(index), runs):
            break
    return looks


def _two(effect: np.ndarray) -> dict[str, np.ndarray]:
    return {"none": BASE, "batch": BASE + effect}


CASES = {
    "better": (0.1 + NOISE, 0.005, 10, 10, "better"),
    "worse": (-0.1 + NOISE, 0.005, 10, 10, "worse"),
    "equivalent": (0.01 * NOISE, 0.005, 10, 10, "equivalent"),
    "a first look after ten pairs, at a chunk's end": (0.1 + NOISE, 0.005, 4, 12, "better"),
    "the budget": (UNCLEAR, 0.001, 16, 40, "undecided"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_study_stops_when_it_is_decided_or_the_budget_is_spent(case: str) -> None:
    effect, margin, chunk, stopped, verdict = CASES[case]
    looks = _looked(_runs(chunk, _two(effect)), chunk, margin=margin)
    told = looks.summary()
    assert (looks.num_pairs, told["pairs"], told["looks"][-1]["pairs"]) == (stopped, stopped, stopped)
    assert told["decided"] == (verdict != "undecided")
    assert [look["pairs"] for look in told["looks"]] == [
        pairs for pairs in [*range(chunk, stopped, chunk), stopped] if pairs >= FIRST_LOOK
    ]
    judged = looks.answers()["batch"]
    reference = sequential_verdict(((BASE + effect) - BASE)[:stopped], margin=margin, first_look=FIRST_LOOK)
    assert judged.verdict == reference.verdict == verdict
    assert (judged.effect.ci_low, judged.effect.ci_high) == (reference.low, reference.high)
    assert judged.effect.pairs == stopped
    assert judged.effect.p_value is judged.p_adjusted is judged.effect.p_equivalence is None


def test_every_arm_must_be_decided_and_has_its_share_of_the_level() -> None:
    arms = {**_two(0.1 + NOISE), "layer": BASE + UNCLEAR}
    looks = _looked(_runs(10, arms), 10, margin=0.001)
    assert looks.num_pairs == BUDGET
    assert looks.level == 0.025
    verdicts = {arm: judged.verdict for arm, judged in looks.answers().items()}
    assert verdicts == {"batch": "better", "layer": "undecided"}
    assert "The budget of 40 pairs is spent with 1 of 2 comparisons undecided" in looks.summary()["reason"]
    assert "A test that looks once would need" in looks.answers()["layer"].reason


def test_a_study_that_was_stopped_looks_at_the_same_pairs() -> None:
    """With all chunks on record, or only those so far, every look sees the same."""
    runs = _runs(7, _two(UNCLEAR + 0.004))
    whole = _looked(runs, 7, margin=0.001)
    step = Looks(["none", "batch"], 1, "test_accuracy", 0.001, BUDGET, 7, UNINFORMED)
    for index in range(6):
        if not step.after(_chunk(index), runs.filter(pl.col("chunk") <= index)):
            break
    assert step.summary() == whole.summary()
    assert len(whole.summary()["looks"]) > 2


def test_a_later_run_does_not_change_what_an_earlier_pair_was() -> None:
    """A diverged run counts as the largest loss so far; a larger one that comes later leaves it as it was."""
    losses = {"none": BASE.copy(), "batch": BASE + 0.1 * UNCLEAR}
    diverged = {"none": [False] * BUDGET, "batch": [index == 2 for index in range(BUDGET)]}
    runs = _runs(10, losses, diverged)
    looks = Looks(["none", "batch"], 1, "test_loss", 0.005, BUDGET, 10, 0.1)
    looks.after(_chunk(0), runs)
    first = looks.summary()["looks"][0]["verdicts"]["batch"]["difference"]
    later = runs.with_columns(test_loss=pl.when(pl.col("seed") == 15).then(50.0).otherwise("test_loss"))
    again = Looks(["none", "batch"], 1, "test_loss", 0.005, BUDGET, 10, 0.1)
    again.after(_chunk(0), later)
    assert again.summary()["looks"][0]["verdicts"]["batch"]["difference"] == first
    again.after(_chunk(1), later)
    values = again.answers()["batch"].effect
    largest = runs.filter((pl.col("chunk") == 0) & ~pl.col("diverged"))["test_loss"].max()
    # The pair of seed 2 still counts as the largest of the first chunk; that of seed 15 has 50 in both arms.
    expected = later.filter(pl.col("arm") == "batch").sort("seed")["test_loss"].to_numpy()[:20].copy()
    expected[2] = largest
    assert values.value == pytest.approx(expected.mean())


@pytest.mark.parametrize("metric", ["test_accuracy", "test_loss"])
def test_arms_that_only_diverge_are_not_called_equivalent_and_take_no_more_pairs(metric: str) -> None:
    always = {"none": [True] * BUDGET, "batch": [True] * BUDGET}
    looks = _looked(_runs(10, _two(np.zeros(BUDGET)), always), 10, metric=metric)
    assert looks.num_pairs == 10
    judged = looks.answers()["batch"]
    assert (judged.verdict, judged.reason) == ("undecided", ALL_DIVERGED)
    assert looks.summary()["reason"] == "Every run of batch and none diverged in 10 pairs: more would not decide."
    assert not looks.summary()["decided"]


def test_only_the_question_is_answered_by_the_looks() -> None:
    epochs, runs = planted({"none": [[v] for v in BASE], "batch": [[v] for v in BASE + 0.1 + NOISE]})
    outcomes = with_outcomes(runs, epochs, 0.75, UNINFORMED)
    evidence = Evidence(epochs, outcomes, ["none", "batch"], "classification", 0.005, STEPS_PER_EPOCH, None, 0.1)
    looks = _looked(runs.with_columns(chunk=pl.lit(0, pl.Int32)), BUDGET)
    fixed, looked = (comparisons(dataclasses.replace(evidence, answers=a)) for a in (None, looks.answers()))
    assert fixed[1:] == looked[1:]
    assert fixed[0].keys() == looked[0].keys()
    same = ("metric", "arm", "baseline", "rate", "difference", "value", "baseline_value", "pairs", "margin", "verdict")
    assert {name: fixed[0][name] for name in same} == {name: looked[0][name] for name in same}
    assert (looked[0]["interval"], looked[0]["correction"]) == ("confidence sequence", "bonferroni")
    assert looked[0]["ci_high"] - looked[0]["ci_low"] > fixed[0]["ci_high"] - fixed[0]["ci_low"]


def test_before_the_first_look_there_is_no_answer() -> None:
    looks = Looks(["none", "batch"], 1, "test_accuracy", 0.005, BUDGET, 4, UNINFORMED)
    assert looks.after(_chunk(0), _runs(4, _two(0.1 + NOISE)))
    with pytest.raises(ValueError, match="there must have been a look, got 4 pairs"):
        looks.answers()


def test_a_pair_is_the_runs_that_their_own_validation_chooses_once_all_are_there() -> None:
    """At a second rate batch validates better with even seeds, and is then worse on test data."""
    arms = _two(0.1 + NOISE)
    runs = _runs(10, arms)
    even = pl.when((pl.col("arm") == "batch") & (pl.col("seed") % 2 == 0))
    other = runs.with_columns(
        rate=pl.lit(0.3),
        stage=pl.lit("alternative"),
        val_accuracy=even.then(1.0).otherwise(0.0),
        test_accuracy=pl.lit(0.5),
    )
    looks = Looks(["none", "batch"], 2, "test_accuracy", 0.005, BUDGET, 10, UNINFORMED)
    assert looks.after(_chunk(0), pl.concat([runs, other]))  # no pair is complete before its runs at the other rate
    assert looks.num_pairs == 0
    looks.after(_chunk(0, "alternative"), pl.concat([runs, other]))
    assert looks.num_pairs == 10
    expected = np.where(np.arange(10) % 2 == 0, 0.5, arms["batch"][:10]) - arms["none"][:10]
    assert looks.answers()["batch"].effect.difference == pytest.approx(expected.mean())
