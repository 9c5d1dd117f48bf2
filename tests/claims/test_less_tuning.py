"""Less tuning: planted searches and planted networks both ways; the expected best against all subsets."""

from __future__ import annotations

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from normlab.claims import less_tuning
from normlab.claims.less_tuning import ARMS, BOX, CLAIM, TRIALS, expected_best, search_curves
from tests.claims.planted import INSENSITIVE, LAGGING, LOW, SENSITIVE, SETTLED, PlantedBench, judged, measured

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def networks(planted: PlantedBench) -> pl.DataFrame:
    return measured(less_tuning, planted, SENSITIVE, INSENSITIVE, LOW, SETTLED, LAGGING)


@pytest.mark.parametrize(
    ("none", "batch", "allowed"),
    [
        (SENSITIVE, INSENSITIVE, {"supported"}),
        (INSENSITIVE, SENSITIVE, {"refuted"}),
        (LOW, SENSITIVE, {"refuted", "undecided"}),
        (SENSITIVE, LOW, {"refuted", "undecided"}),
    ],
)
def test_planted_networks_are_judged_by_sensitivity_and_not_by_level(
    networks: pl.DataFrame, none: str, batch: str, allowed: set[str]
) -> None:
    finding = judged(less_tuning, networks, none, batch)
    assert finding.verdict in allowed
    assert finding.pairs == 12
    if LOW in (none, batch):
        assert (finding.details["own_best"]["batch"] > finding.details["own_best"]["none"]) == (none == LOW)


def test_running_statistics_that_lag_move_nothing(networks: pl.DataFrame) -> None:
    keys = ["seed", "trial", "training"]
    one, other = (networks.filter(pl.col("arm") == arm, ~pl.col("is_reference")) for arm in (SETTLED, LAGGING))
    shared = one.join(other, on=keys, suffix="_lagging")
    for column in ("score", "validation"):
        assert (shared[column] - shared[f"{column}_lagging"]).abs().mean() < 1e-3
    assert (shared["running_score"] - shared["running_score_lagging"]).mean() > 0.1


def test_arms_try_the_same_settings_twice_each(networks: pl.DataFrame) -> None:
    columns = ["seed", "trial", "training", "is_reference", *BOX]
    none, batch = (networks.filter(pl.col("arm") == arm).select(columns) for arm in (SENSITIVE, INSENSITIVE))
    assert none.equals(batch)
    trials = none.filter(~pl.col("is_reference"))
    assert len(trials) == 12 * TRIALS * 2
    for name, (low, high) in BOX.items():
        assert trials[name].is_between(low, high).all()
        assert trials[name].n_unique() == 12 * TRIALS
    scores = networks.filter(pl.col("arm") == SENSITIVE, ~pl.col("is_reference")).pivot(
        "training", index=["seed", "trial"], values="score"
    )
    assert (scores["0"] != scores["1"]).mean() > 0.5  # from two draws
    assert scores["0"].max() - scores["0"].min() > 0.2  # settings matter


def test_every_trial_trains_with_its_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    cells, given = less_tuning._search(3), {}

    def train(_: object, seeds: list[int], rates: list[float], epochs: int, start: less_tuning._Settings) -> None:
        given.update(seeds=seeds, rates=rates, epochs=epochs, settings=start.left, scales=start.drawn.left)

    monkeypatch.setattr(less_tuning, "settled_error", lambda *_: np.zeros(len(cells)))
    monkeypatch.setattr(less_tuning, "running_error", lambda *_: np.zeros(len(cells)))
    monkeypatch.setattr(less_tuning, "chance_score", lambda _: 0.1)
    bench = SimpleNamespace(dataset=SimpleNamespace(train=range(9)), epochs=6, values=None, train=train)
    bench.program = lambda arm, optimizer: (arm, optimizer)
    with pytest.raises(AttributeError, match="diverged"):  # of what was trained nothing is there
        less_tuning._trained(bench, "none", cells)  # type: ignore[arg-type]
    assert given["rates"] == cells["rate"].to_list()
    assert given["seeds"] == [3] * TRIALS + [2_000_003] * TRIALS
    assert given["epochs"] == 3
    assert given["settings"].equals(cells)
    assert [factor for _, factor, _ in given["scales"]] == cells["init_scale"].to_list()


def test_references_are_what_did_best_in_the_searches_of_others(networks: pl.DataFrame) -> None:
    own = networks.filter(pl.col("arm") == SENSITIVE, ~pl.col("is_reference"))
    means = own.group_by("seed", "trial", *BOX).agg(pl.col("validation").mean())
    for seed in (0, 5):
        best = means.filter(pl.col("seed") != seed).sort("validation", descending=True).head(1)
        reference = networks.filter(pl.col("is_reference"), pl.col("seed") == seed, pl.col("trial") == TRIALS)
        assert set(reference["rate"]) == set(best["rate"])
        assert sorted(reference["training"].unique()) == [0, 1]


def _evidence(none: np.ndarray, batch: np.ndarray) -> pl.DataFrame:
    """Return searches of these scores, (seeds, trials), the last two of which are references; both trainings alike."""
    settings = {name: (low * high) ** 0.5 for name, (low, high) in BOX.items()}
    rows = []
    for arm, scores in (("none", none), ("batch", batch)):
        for (seed, trial), score in np.ndenumerate(scores):
            cell = {"arm": arm, "seed": seed, "trial": trial, "is_reference": trial >= scores.shape[1] - 2}
            told = dict.fromkeys(("validation", "score", "running_score"), float(score))
            rows += [{**settings, **cell, **told, "training": t, "nothing": 0.1, "diverged": False} for t in (0, 1)]
    return pl.DataFrame(rows)


SCORES = np.c_[RNG.uniform(0.3, 0.7, (12, TRIALS)), np.full((12, 2), 0.8)]
FOUND_SOONER = 0.5 * (SCORES + 0.8)
CASES = {
    "the same best, found sooner": (SCORES, FOUND_SOONER, "supported"),
    "the same best, found later": (FOUND_SOONER, SCORES, "refuted"),
    "higher everywhere": (SCORES, SCORES + 0.05, "undecided"),
    "lower everywhere": (SCORES, SCORES - 0.05, "undecided"),
    "higher in the share above 0.1": (SCORES, 0.1 + 1.2 * (SCORES - 0.1), "undecided"),
    "alike": (SCORES, SCORES + 0.0001, "refuted"),
}


@pytest.mark.parametrize("case", CASES)
def test_planted_searches_are_judged(case: str) -> None:
    none, batch, verdict = CASES[case]
    finding = CLAIM.judge(_evidence(none, batch))
    assert finding.verdict == verdict or (verdict == "undecided" and finding.verdict == "refuted")
    losses = [np.mean([s.max() - expected_best(s[:-2], s[:-2]).mean() for s in scores]) for scores in (batch, none)]
    assert finding.effect == pytest.approx(losses[0] - losses[1])


def test_the_share_near_the_own_best() -> None:
    none = np.c_[np.full((12, TRIALS), 0.5), np.full((12, 2), 0.9)]
    batch = none.copy()
    batch[:, 0] = 0.89
    details = CLAIM.judge(_evidence(none, batch)).details
    assert details["share_near_the_own_best"] == pytest.approx({"none": 0.0, "batch": 1 / TRIALS})


def test_best_trials_at_an_edge_of_the_box_are_named() -> None:
    evidence = _evidence(SCORES, SCORES)
    high = evidence.with_columns(rate=pl.when(pl.col("score") > 0.6).then(0.9).otherwise(0.03))
    assert "none (rate), batch (rate)" in CLAIM.judge(high).answer
    assert "(rate)" not in CLAIM.judge(evidence.with_columns(rate=pl.lit(0.03))).answer


def test_what_chooses_is_not_what_is_scored() -> None:
    """A trial that was lucky on validation data is chosen, and counts with its other training's score."""
    validation = np.array([[[0.9, 0.1], [0.5, 0.5]]])
    score = np.array([[[0.9, 0.2], [0.6, 0.4]]])
    # By the first training trial 0 is chosen: 0.2 counts; by the second trial 1: 0.6. One trial at random: the means.
    np.testing.assert_allclose(search_curves(validation, score), [[np.mean(score), 0.4]])


def test_expected_best_is_the_mean_over_all_subsets() -> None:
    chosen_by, scores = RNG.normal(size=(2, 6))
    means = [
        np.mean([scores[max(chosen, key=lambda i: chosen_by[i])] for chosen in map(list, combinations(range(6), k))])
        for k in range(1, 7)
    ]
    np.testing.assert_allclose(expected_best(chosen_by, scores), means)
    np.testing.assert_allclose(expected_best(np.zeros(6), scores), scores.mean())  # equals are chosen by chance


def test_the_figure_falls_with_the_trials() -> None:
    rows = CLAIM.draw(_evidence(SCORES, FOUND_SOONER)).rows
    for arm in ARMS:
        short = [row["y"] for row in rows if row["series"] == arm]
        assert len(short) == TRIALS
        assert (np.diff(short) < 0).all()
