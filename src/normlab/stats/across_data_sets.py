"""Two arms over several data sets at once: interquartile means and the probability of improvement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from normlab.stats.bootstrap import FEWEST_PAIRS, NO_INTERVAL, Interval
from normlab.stats.differences import checked_rows, require_level

_COUNTS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class AcrossDataSets:
    """An arm against its baseline over several data sets.

    Attributes:
        mean: Interquartile mean of the arm's scores.
        mean_interval: Stratified bootstrap, percentiles.
        baseline_mean: Of the baseline's.
        baseline_interval: Stratified bootstrap, percentiles.
        difference: mean - baseline_mean.
        difference_interval: Stratified bootstrap of pairs, percentiles.
        probability: That a run of the arm beats one of the baseline, drawn at random on a data set drawn at random;
            ties count half.
        probability_interval: Stratified bootstrap of pairs, percentiles.
        data_sets: How many.
        pairs: On each.
    """

    mean: float
    mean_interval: Interval
    baseline_mean: float
    baseline_interval: Interval
    difference: float
    difference_interval: Interval
    probability: float
    probability_interval: Interval
    data_sets: int
    pairs: int


def interquartile_mean(scores: ArrayLike) -> float:
    """Return the mean of the middle half of all scores, whatever their shape; of n, floor(n / 4) fall at either end.

    Source: Agarwal et al. 2021, Deep Reinforcement Learning at the Edge of the Statistical Precipice, section 4.

    Raises:
        ValueError: If there is no score or one that is not finite.
    """
    flat = np.asarray(scores, dtype=np.float64).reshape(1, -1)
    return float(_interquartile_means(checked_rows(flat, "scores"))[0])


def probability_of_improvement(
    values: ArrayLike, baseline_values: ArrayLike, *, higher_is_better: bool = True
) -> float:
    """Return how often a run of the arm beats one of the baseline: two runs drawn at random on one data set.

    The mean over data sets of the share of i != j with values[t, i] above baseline_values[t, j]; ties count half. The
    two runs of a pair share a seed, so they are no two runs drawn at random: unlike in the source, whose runs are not
    paired, they are left out. With them, intervals held the truth in 31 % of simulated studies instead of 97 %
    (five data sets, ten pairs of correlation 0.95, the arm 0.5 deviations above). It says how often, not how much.

    Source: Agarwal et al. 2021, section 4.

    Args:
        values: Shape (data sets, n).
        baseline_values: Of the same shape.
        higher_is_better: Whether above is better.

    Raises:
        ValueError: If the shapes differ, do not have two axes, hold no data set or fewer than two pairs, or a value is
            not finite.
    """
    return float(_probabilities(_wins(*_checked(values, baseline_values), higher_is_better)).mean())


def across_data_sets(
    values: ArrayLike,
    baseline_values: ArrayLike,
    *,
    higher_is_better: bool = True,
    confidence: float = 0.95,
    num_resamples: int = 9999,
    seed: int = 0,
) -> AcrossDataSets:
    """Return the comparison over data sets; values[t, i] and baseline_values[t, i] are a pair on data set t.

    Intervals: the quantiles (1 -+ confidence) / 2 of the statistics of resamples that draw n pairs with replacement on
    every data set (strata), both runs of a pair together. They cover new seeds on these data sets, not new data sets.
    A resample that drew one pair n times has no probability there, so that of the data set stands in. Scores must be
    comparable across data sets: accuracies, or scores scaled to a common range. Below `FEWEST_PAIRS` on each data set
    the intervals are infinite.

    Source: Agarwal et al. 2021, section 4; they draw the arms' runs apart, since theirs are not paired.

    Raises:
        ValueError: As `probability_of_improvement`; if `confidence` is not inside (0, 1) or `num_resamples` is not
            positive.
    """
    arm, baseline = _checked(values, baseline_values)
    require_level(confidence, "confidence")
    if num_resamples < 1:
        raise ValueError(f"num_resamples must be at least 1, got {num_resamples!r}.")
    mean, baseline_mean = interquartile_mean(arm), interquartile_mean(baseline)
    wins = _wins(arm, baseline, higher_is_better)
    observed = _probabilities(wins)
    resampled = _resampled(arm, baseline, wins, num_resamples, seed)
    arm_means, baseline_means, probabilities = resampled
    return AcrossDataSets(
        mean=mean,
        mean_interval=_percentiles(arm_means, confidence, arm.shape[1]),
        baseline_mean=baseline_mean,
        baseline_interval=_percentiles(baseline_means, confidence, arm.shape[1]),
        difference=mean - baseline_mean,
        difference_interval=_percentiles(arm_means - baseline_means, confidence, arm.shape[1]),
        probability=float(observed.mean()),
        probability_interval=_percentiles(probabilities, confidence, arm.shape[1]),
        data_sets=arm.shape[0],
        pairs=arm.shape[1],
    )


def _resampled(
    arm: NDArray[np.float64], baseline: NDArray[np.float64], wins: NDArray[np.float64], num_resamples: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return both interquartile means and the probability of improvement in every resample."""
    observed = _probabilities(wins)
    resampled, probabilities = [], []
    generator = np.random.default_rng(seed)
    num_sets, num_pairs = arm.shape
    block = max(1, _COUNTS_AT_ONCE // (arm.size * num_pairs))
    for start in range(0, num_resamples, block):
        size = min(block, num_resamples - start)
        drawn = generator.integers(0, num_pairs, (num_sets, size, num_pairs))
        resampled.append(np.stack([_resampled_means(part, drawn) for part in (arm, baseline)]))
        counts = (drawn[..., None] == np.arange(num_pairs)).sum(axis=2).astype(np.float64)  # (set, resample, pair)
        pairings = num_pairs**2 - np.sum(counts**2, axis=2)
        won = np.sum(counts @ wins * counts, axis=2) / np.maximum(pairings, 1.0)
        probabilities.append(np.where(pairings > 0, won, observed[:, None]).mean(axis=0))
    arm_means, baseline_means = np.concatenate(resampled, axis=1)
    arm_means, baseline_means = np.concatenate(resampled, axis=1)
    return arm_means, baseline_means, np.concatenate(probabilities)


def _checked(values: ArrayLike, baseline_values: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    arm, baseline = checked_rows(values, "values"), checked_rows(baseline_values, "baseline_values")
    if arm.shape != baseline.shape:
        raise ValueError(f"values and baseline_values must pair up, got shapes {arm.shape} and {baseline.shape}.")
    if arm.shape[0] == 0:
        raise ValueError("values must hold at least one data set, got none.")
    if arm.shape[1] < 2:
        raise ValueError("values must hold at least two pairs on every data set, got 1.")
    return arm, baseline


def _wins(arm: NDArray[np.float64], baseline: NDArray[np.float64], higher_is_better: bool) -> NDArray[np.float64]:
    """1 where the arm's run i beats the baseline's run j on data set t, 1/2 for a tie, 0 for i = j; (t, i, j)."""
    signs: NDArray[np.float64] = np.sign(arm[:, :, None] - baseline[:, None, :])
    return (0.5 + (0.5 if higher_is_better else -0.5) * signs) * ~np.eye(arm.shape[1], dtype=np.bool_)


def _probabilities(wins: NDArray[np.float64]) -> NDArray[np.float64]:
    num_pairs = wins.shape[1]
    return np.asarray(wins.sum(axis=(1, 2)) / (num_pairs * (num_pairs - 1)))


def _interquartile_means(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy import stats

    return np.asarray(stats.trim_mean(rows, 0.25, axis=1), dtype=np.float64)


def _resampled_means(part: NDArray[np.float64], drawn: NDArray[np.int64]) -> NDArray[np.float64]:
    """Interquartile mean of every resample; drawn[t, b] are the pairs of data set t in resample b."""
    scores = np.take_along_axis(part[:, None, :], drawn, axis=2)
    return _interquartile_means(scores.transpose(1, 0, 2).reshape(drawn.shape[1], -1))


def _percentiles(resampled: NDArray[np.float64], confidence: float, num_pairs: int) -> Interval:
    if num_pairs < FEWEST_PAIRS:
        return Interval(-np.inf, np.inf, NO_INTERVAL)
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high), "stratified percentile")
