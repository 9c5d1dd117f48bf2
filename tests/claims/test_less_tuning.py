"""Less tuning: planted searches, judged each way; the expected best against all subsets; one small real search."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
import pytest

from normlab.claims.bench import Bench
from normlab.claims.less_tuning import BOX, CLAIM, TRIALS, expected_best

RNG = np.random.default_rng(0)
SCORES = RNG.uniform(0.3, 0.9, (12, TRIALS))
OTHERS = RNG.uniform(0.3, 0.9, (12, TRIALS))


def _evidence(none: np.ndarray, batch: np.ndarray) -> pl.DataFrame:
    rows = [
        {"arm": arm, "seed": seed, "trial": trial, "score": float(score), "diverged": bool(score == 0)}
        for arm, scores in (("none", none), ("batch", batch))
        for (seed, trial), score in np.ndenumerate(scores)
    ]
    return pl.DataFrame(rows)


CASES = {
    "higher everywhere": (SCORES, SCORES + 0.05, "supported"),
    "lower everywhere": (SCORES, SCORES - 0.05, "refuted"),
    "alike": (SCORES, SCORES + 0.001, "refuted"),
    "another draw": (SCORES, OTHERS, "undecided"),
    "the same best, found sooner": (SCORES, 0.5 * (SCORES + SCORES.max(1, keepdims=True)), "supported"),
}


@pytest.mark.parametrize("case", CASES)
def test_planted_searches_are_judged(case: str) -> None:
    none, batch, verdict = CASES[case]
    finding = CLAIM.judge(_evidence(none, batch))
    assert finding.verdict == verdict
    gains = [expected_best(b).mean() - expected_best(a).mean() for a, b in zip(none, batch, strict=True)]
    assert finding.effect == pytest.approx(np.mean(gains))


def test_the_share_near_the_best_of_either_arm() -> None:
    none, batch = np.full((12, TRIALS), 0.5), np.full((12, TRIALS), 0.9)
    none[:, 0], batch[:, 0] = 0.89, 0.0
    details = CLAIM.judge(_evidence(none, batch)).details
    assert details["share_near_the_best"] == pytest.approx({"none": 1 / TRIALS, "batch": 1 - 1 / TRIALS})
    assert details["diverged"] == {"none": 0, "batch": 12}


def test_expected_best_is_the_mean_over_all_subsets() -> None:
    scores = RNG.normal(size=6)
    means = [np.mean([max(chosen) for chosen in combinations(scores, k)]) for k in range(1, 7)]
    np.testing.assert_allclose(expected_best(scores), means)


def test_expected_best_is_unbiased() -> None:
    # The best of 3 of 8 uniform draws is Beta(3, 1) on average: mean 3/4.
    found = np.mean([expected_best(draw)[2] for draw in RNG.uniform(size=(4000, 8))])
    assert found == pytest.approx(0.75, abs=0.01)


def test_the_figure_rises_with_the_trials() -> None:
    rows = CLAIM.draw(_evidence(SCORES, OTHERS)).rows
    for arm in ("none", "batch"):
        best = [row["y"] for row in rows if row["series"] == arm]
        assert len(best) == TRIALS
        assert (np.diff(best) > 0).all()


def test_a_real_search_tries_the_same_in_both_arms(tiny: Bench) -> None:
    evidence = CLAIM.measure(tiny)
    settings = ["seed", "trial", *BOX]
    none, batch = (evidence.filter(pl.col("arm") == arm).select(settings) for arm in ("none", "batch"))
    assert none.equals(batch)
    assert len(none) == 2 * TRIALS
    for name, (low, high) in BOX.items():
        assert none[name].is_between(low, high).all()
        assert none[name].n_unique() == 2 * TRIALS
    # Steps of 0.001 to 1, at scales of 1/8 to 8: some of it learns within an epoch, some of it does not.
    assert evidence["score"].max() > 0.6  # type: ignore[operator]
    assert evidence["score"].min() < 0.4  # type: ignore[operator]
