"""The claim that batch norm regularizes: test error where both arms fit the training data equally well."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from normlab.claims.claim import Claim
from normlab.claims.drawing import Drawing
from normlab.claims.finding import Finding, decide, numbers
from normlab.claims.fit import curves, watched
from normlab.norms import NORMS
from normlab.stats.effect import paired_effect

if TYPE_CHECKING:
    from normlab.claims.bench import Bench
    from normlab.norms import Norm

ARMS = ("none", "batch")
# As in studies: half a point of accuracy; 2 % of a standardized target's variance.
MARGINS = {"test error": 0.005, "test loss": 0.02}
# Samples per ghost batch, beside those of the whole batch; the smaller, the noisier are the moments. Raised where one
# sample would be left over.
GHOSTS = (4, 16)
# A pair matched at more than half the loss of knowing nothing has a run that hardly learned.
HARDLY_LEARNED = 0.5


def measure(bench: Bench) -> pl.DataFrame:
    """Train both arms at their own best rates, and two sizes of ghost batches at batch norm's; watch every epoch.

    Batch norm is the ghost norm whose ghost batch is the whole batch, so that it is a dose too.

    Returns:
        One row per arm, seed and epoch (0: before the first): arm, dose (samples whose moments are taken together; null
        without a norm), seed, epoch, rate, train_loss (evaluation mode, whole training set), test_error, metric,
        hardly_learned (the loss above which a match means little).
    """
    rates = {arm: bench.best_rate(arm) for arm in ARMS}
    whole = bench.batch_size
    frames = [_trajectories(bench, "none", "none", rates["none"])]
    frames.append(_trajectories(bench, "batch", "batch", rates["batch"], whole))
    last = len(bench.dataset.train) % whole
    for smallest in GHOSTS:
        size = next(d for d in itertools.count(smallest) if 1 not in (whole % d, last % d))
        norm = NORMS["ghost"].with_options(ghost_batch_size=size)
        frames.append(_trajectories(bench, f"ghost {size}", norm, rates["batch"], size))
    return pl.concat(frames)


def judge(evidence: pl.DataFrame) -> Finding:
    """Return the verdict on the test error at the lowest training loss that both runs of a pair reach."""
    arms = matched(evidence.filter(pl.col("arm").is_in(ARMS)))
    metric, few = str(evidence["metric"][0]), float(evidence["hardly_learned"][0])
    values = {arm: arms.filter(pl.col("arm") == arm).sort("seed")["test_error"].to_numpy() for arm in ARMS}
    effect = paired_effect(values["batch"], values["none"], margin=MARGINS[metric], higher_is_better=False)
    decision = decide(effect)
    verdict, p_value, reason = decision.verdict, decision.p_value, decision.reason
    hardly = int((arms.filter(pl.col("arm") == ARMS[0])["level"] > few).sum())
    if verdict == "refuted" and effect.ci_low <= 0 and hardly:
        verdict, p_value = "undecided", None
        reason += f" But in {hardly} pairs a run hardly learned, where equal errors mean nothing."
    slope = _dose_slope(evidence)
    levels = float(arms["level"].median())  # type: ignore[arg-type]
    answer = (
        f"At equal training loss (median {levels:.2g}) the {metric} is {values['batch'].mean():.4f} with batch norm "
        f"and {values['none'].mean():.4f} without. {reason} {_dose_words(slope)}"
    )
    return Finding(
        verdict,
        **numbers(effect),
        answer=answer,
        p_value=p_value,
        would_change=f"A difference inside ±{MARGINS[metric]:g}, or a higher {metric}, would refute it.",
        details={
            "metric": metric,
            "matched_training_loss": levels,
            "pairs_that_hardly_learned": hardly,
            "per_doubling_of_the_ghost_batch": slope,
            "rates": {
                str(arm): float(part["rate"][0]) for (arm,), part in evidence.group_by("arm", maintain_order=True)
            },
            "test_error_at_the_end": _at_the_end(evidence),
        },
    )


def draw(evidence: pl.DataFrame) -> Drawing:
    """Return the test error over the training loss along the runs, for the arms and the ghost batches."""
    rows = []
    for (arm,), part in evidence.group_by("arm", maintain_order=True):
        runs = [run.sort("epoch") for _, run in part.group_by("seed", maintain_order=True)]
        losses = [_lowest(run) for run in runs]
        # Levels that at least half of the runs come down to, from the loss of knowing little.
        top, bottom = 2 * float(part["hardly_learned"][0]), max(float(np.median(losses)), 1e-6)
        for level in np.geomspace(top, min(bottom, top), 12):
            errors = [
                _error_at(run, level) for run, loss in zip(runs, losses, strict=True) if loss <= level * (1 + 1e-9)
            ]
            if errors:
                low, middle, high = np.quantile(errors, [0.25, 0.5, 0.75]).tolist()
                rows.append({"series": arm, "x": float(level), "y": middle, "low": low, "high": high})
    return Drawing(
        "lines",
        "Test error at equal training loss",
        "training loss (evaluation mode)",
        str(evidence["metric"][0]),
        rows,
        "Median over the seeds that reached this training loss, band from the lower to the upper quartile; training "
        "goes from right to left. Ghost batches share the batch size and rate of batch norm.",
        log_x=True,
    )


def matched(evidence: pl.DataFrame) -> pl.DataFrame:
    """Return the test error of every arm and seed at the lowest training loss that all arms of the seed reach.

    The loss is crossed for the first time between two epochs; there the error is interpolated over the log of the loss.

    Returns:
        Columns arm, seed, level (the loss), test_error.
    """
    rows = []
    for (seed,), pair in evidence.group_by("seed", maintain_order=True):
        runs = {str(arm): run.sort("epoch") for (arm,), run in pair.group_by("arm", maintain_order=True)}
        level = max(_lowest(run) for run in runs.values())
        rows += [
            {"arm": arm, "seed": seed, "level": level, "test_error": _error_at(run, level)} for arm, run in runs.items()
        ]
    return pl.DataFrame(rows)


def _trajectories(bench: Bench, name: str, norm: str | Norm, rate: float, dose: int | None = None) -> pl.DataFrame:
    has_classes = bench.dataset.task == "classification"

    seen = curves(watched(bench, norm, rate))
    uninformed = bench.program(norm).trainer.objective.uninformed_loss
    epochs = len(seen)
    return pl.DataFrame(
        {
            "arm": name,
            "dose": dose,
            "seed": np.tile(bench.seeds, epochs),
            "epoch": np.repeat(np.arange(epochs), len(bench.seeds)),
            "rate": rate,
            "train_loss": seen[:, 0].ravel().astype(float),
            "test_error": (1 - seen[:, 2] if has_classes else seen[:, 1]).ravel().astype(float),
            "metric": "test error" if has_classes else "test loss",
            "hardly_learned": HARDLY_LEARNED * uninformed,
        },
        schema_overrides={"dose": pl.Int64},
    )


def _lowest(run: pl.DataFrame) -> float:
    """Return the lowest training loss of a run; that before the first step is always finite."""
    losses = run["train_loss"].to_numpy()
    return float(losses[np.isfinite(losses)].min())


def _error_at(run: pl.DataFrame, level: float) -> float:
    """Return the error where the run's loss first comes down to the level."""
    losses, errors = run["train_loss"].to_numpy(), run["test_error"].to_numpy()
    at = int(np.argmax(losses <= level * (1 + 1e-9)))
    if at == 0 or not np.isfinite(losses[at - 1]) or not np.isfinite(errors[at - 1]):
        return float(errors[at])
    before, after, wanted = (math.log(max(value, 1e-12)) for value in (losses[at - 1], losses[at], level))
    share = min((before - wanted) / (before - after), 1.0) if before > after else 1.0
    return float(errors[at - 1] + share * (errors[at] - errors[at - 1]))


def _dose_slope(evidence: pl.DataFrame) -> dict[str, Any]:
    """Return the slope of the matched error per doubling of the ghost batch: least squares per seed, then the mean."""
    doses = evidence.filter(pl.col("dose").is_not_null())
    found = matched(doses).join(doses.select("arm", "dose").unique(), on="arm")
    slopes = [
        np.polyfit(np.log2(part["dose"].to_numpy()), part["test_error"].to_numpy(), 1)[0]
        for _, part in found.sort("seed", "dose").group_by("seed", maintain_order=True)
    ]
    effect = paired_effect(slopes, np.zeros(len(slopes)), margin=0.0, higher_is_better=True)
    means = found.group_by("dose").agg(pl.col("test_error").mean()).sort("dose")
    return {**numbers(effect), "p_value": effect.p_value, "matched_error_by_dose": means.to_dicts()}


def _dose_words(slope: dict[str, Any]) -> str:
    """Return the response to the dose as a sentence; a small ghost batch is a strong dose of noise."""
    decided = slope["p_value"] is not None and slope["p_value"] <= 0.05
    low, high = (math.nan if slope[name] is None else slope[name] for name in ("ci_low", "ci_high"))
    if not decided:
        found = "no dependence of the error on the size of ghost batches was found"
    elif slope["effect"] > 0:
        found = "smaller ghost batches, whose noise is larger, have the lower error, as a regularizing noise would"
    else:
        found = "smaller ghost batches have the higher error, which speaks against a regularizing noise"
    return f"At equal fit {found} ({slope['effect']:+.2g} per doubling, interval {low:.2g} to {high:.2g})."


def _at_the_end(evidence: pl.DataFrame) -> dict[str, float]:
    last = evidence.filter(pl.col("epoch") == pl.col("epoch").max())
    return {
        str(arm): float(np.mean(part["test_error"].to_numpy()))
        for (arm,), part in last.group_by("arm", maintain_order=True)
    }


CLAIM = Claim(
    id="generalization",
    kind="benefit",
    statement="Batch normalization acts as a regularizer.",
    protocol="each arm at its own best rate; training loss in evaluation mode and test error after every epoch; per "
    "pair, the test error at the lowest training loss that both runs reach, interpolated along each run; dose and "
    "response: ghost batches of two sizes, and batch norm, at one batch size and one rate",
    metric="test error at the matched training loss, batch minus none (test loss where there are no classes)",
    expected="a lower test error at equal fit, from the noise of the batch's moments, which grows as the batch "
    "shrinks; small, and absent where the data are hardly overfitted",
    source="Ioffe and Szegedy 2015, section 3.4; Luo et al. 2019, arXiv:1809.00846; ghost batches: Hoffer et al. 2017, "
    "arXiv:1705.08741",
    measure=measure,
    judge=judge,
    draw=draw,
)
