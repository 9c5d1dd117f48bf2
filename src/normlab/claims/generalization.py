"""The claim that batch norm regularizes: test error where both arms fit the training data equally well."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from normlab.claims.claim import Claim
from normlab.claims.conditions import together
from normlab.claims.drawing import Drawing
from normlab.claims.equal_fit import dose_slopes, effect_at_equal_fit, error_at, followed, lowest, matches
from normlab.claims.finding import Decision, Finding, decision_of, numbers
from normlab.claims.lag import interval_words, over_choices
from normlab.claims.reliance import KINDS, errors_without
from normlab.norms import NORMS
from normlab.stats.effect import Effect, paired_effect
from normlab.stats.verdict import judge as judge_effects

if TYPE_CHECKING:
    from normlab.claims.bench import Bench
    from normlab.norms import Norm

ARMS = ("none", "batch")
# As in studies: half a point of accuracy; 2 % of a standardized target's variance.
MARGINS = {"test error": 0.005, "test loss": 0.02}
# Samples per ghost batch, beside those of the whole batch; the smaller, the noisier are the moments. Raised where one
# sample would be left over.
GHOSTS = (4, 16)
SCHEMA: dict[str, Any] = {
    "arm": pl.String,
    "samples": pl.String,
    "dose": pl.Int64,
    "choice": pl.Int64,
    "rate": pl.Float64,
    "seed": pl.Int64,
    "epoch": pl.Float64,
    "kind": pl.String,
    "removed": pl.Float64,
    "train_loss": pl.Float64,
    "test_error": pl.Float64,
    "metric": pl.String,
    "hardly_learned": pl.Float64,
}
# The conditions: the first two make the claim.
ALL, DOSE = "equal fit, all training samples", "noise of ghost batches"
FEWER, RELIANCE = "equal fit, a quarter of the training samples", "units and weights removed"
FEW = 0.25
# A pair matched at more than half the loss of knowing nothing has a run that hardly learned.
HARDLY_LEARNED = 0.5


def measure(bench: Bench) -> pl.DataFrame:
    """Train both arms at their own best rates, on all and on few training samples, and two sizes of ghost batches.

    Every run is watched along its training, with statistics recomputed over its training samples. Ghost batches take
    batch norm's rate, and batch norm is the ghost norm whose ghost batch is the whole batch, so that it is a dose too.

    Returns:
        One row per arm, samples trained on, choice (0: the best rate; then others that could have been chosen), seed,
        epoch (parts of one early on) and share removed: arm, samples (`all` or `few`), dose (samples whose moments are
        taken together; null without a norm), choice, rate, seed, epoch, kind (null; of the last epoch also what was
        removed, see `reliance`), removed (the share), train_loss (evaluation mode, whole training set; null where
        something was removed), test_error, metric, hardly_learned (the loss above which a match means little).
    """
    whole = bench.batch_size
    frames = []
    for arm in ARMS:
        for choice, rate in enumerate(bench.possible_rates(arm)):
            frames += _followed(bench, arm, arm, rate, choice, whole if arm == "batch" else None)
    rate = bench.possible_rates("batch")[0]
    last = len(bench.dataset.train) % whole
    for smallest in GHOSTS:
        size = next(d for d in itertools.count(smallest) if 1 not in (whole % d, last % d))
        norm = NORMS["ghost"].with_options(ghost_batch_size=size)
        frames += _followed(bench, f"ghost {size}", norm, rate, 0, size)
    small = limited(bench)
    for arm in ARMS:
        if small is None:
            break
        for choice, rate in enumerate(small.possible_rates(arm)):
            frames += _followed(small, arm, arm, rate, choice, samples="few")
    return pl.concat(frames)


def limited(bench: Bench) -> Bench | None:
    """Return a bench with a random share `FEW` of the training samples, and twice the epochs; None if batches are few.

    Validation and test data stay, and so do seeds and network; rates are chosen anew.
    """
    from normlab import seeding
    from normlab.claims.bench import Bench
    from normlab.data.dataset import Part

    train = bench.dataset.train
    count = int(len(train) * FEW)
    if count < 2 * bench.batch_size:
        return None
    chosen = np.sort(seeding.generator(0, "claims", "few samples").permutation(len(train))[:count])
    dataset = replace(bench.dataset, train=Part(train.x[chosen], train.y[chosen]))
    small = Bench(dataset, bench.model, bench.network, bench.budget)
    small.seeds, small.tuning_seeds, small.epochs = bench.seeds, bench.tuning_seeds, 2 * bench.epochs
    return small


def judge(evidence: pl.DataFrame) -> Finding:
    """Judge the test error at equal training loss, and whether it answers to the dose of noise; both make the claim.

    A regularizer lowers the error at equal fit, and more so the stronger it is. Where the two disagree, the verdict is
    conditional. Few training samples, and the error lost with units and weights removed, are further conditions: they
    restrict the verdict where they are decided the other way, and leave it where they are undecided. Holm's correction
    is over all.
    """
    metric, few = str(evidence["metric"][0]), float(evidence["hardly_learned"][0])
    margin = MARGINS[metric]
    fits = evidence.filter(pl.col("kind").is_null())
    found_at = {
        title: matches(part, ARMS)
        for title, samples in ((ALL, "all"), (FEWER, "few"))
        if (part := fits.filter(pl.col("samples") == samples, pl.col("arm").is_in(ARMS))).height
    }
    effects = {title: effect_at_equal_fit(found, ARMS, margin) for title, found in found_at.items()}
    slopes = dose_slopes(fits)
    # From the smallest ghost batch to the whole one, so that the response has the unit and the margin of the error.
    effects[DOSE] = paired_effect(
        slopes.range * slopes.values, np.zeros(len(slopes.values)), margin=margin, higher_is_better=True
    )
    lost = _lost(evidence)
    if lost:
        effects[RELIANCE] = over_choices(lost["batch"], lost["none"], margin=margin, higher_is_better=False)
    decisions = {
        title: decision_of(one)
        for title, one in zip(effects, judge_effects(list(effects.values()), correction="holm"), strict=True)
    }
    hardly = {
        title: int((found[0].filter(pl.col("arm") == "none")["level"] > few).sum()) for title, found in found_at.items()
    }
    for title, count in hardly.items():
        if count and decisions[title].verdict == "refuted" and effects[title].ci_low <= 0:
            why = f"in {count} pairs a run hardly learned, where equal errors mean nothing"
            decisions[title] = replace(decisions[title], verdict="undecided", p_value=None, outlook=why)
    used = {t: d for t, d in decisions.items() if t in (ALL, DOSE) or d.verdict != "undecided"}
    found = together(used, one_refutes=decisions[ALL].verdict == "refuted")
    levels = float(found_at[ALL][0]["level"].median())  # type: ignore[arg-type]
    answer = (
        f"At equal training loss (median {levels:.2g}) the {metric} is {effects[ALL].value:.4f} with batch norm and "
        f"{effects[ALL].baseline_value:.4f} without. {decisions[ALL].reason} "
        f"{_dose_words(effects[DOSE], decisions[DOSE].verdict)}{_conflict(decisions)}"
    )
    if FEWER in effects:
        answer += (
            f" With {FEW:.0%} of the training samples it is {effects[FEWER].value:.4f} with and "
            f"{effects[FEWER].baseline_value:.4f} without ({decisions[FEWER].verdict})."
        )
    if RELIANCE in effects:
        one = effects[RELIANCE]
        answer += (
            f" With a share of the units or weights removed, the {metric} rises by {one.value:.3f} with batch norm and "
            f"by {one.baseline_value:.3f} without ({decisions[RELIANCE].verdict})."
        )
    return Finding(
        found.verdict,
        **numbers(effects[ALL]),
        answer=answer + found.open,
        conditions=found.conditions,
        p_value=found.p_value,
        would_change=f"A difference inside ±{margin:g}, or a higher {metric}, at equal fit would refute it, and so "
        "would an error that does not fall with the size of the ghost batches where it falls at equal fit.",
        details={
            "metric": metric,
            "matched_training_loss": levels,
            "pairs_that_hardly_learned": hardly[ALL],
            "by_condition": {t: {**numbers(e), "verdict": decisions[t].verdict} for t, e in effects.items()},
            "matched_error_by_dose": slopes.means,
            "error_lost_by_kind": {
                kind: {arm: float(values[0].mean()) for arm, values in _lost(evidence, kind).items()} for kind in KINDS
            },
            "rates": {
                str(arm): part["rate"].unique(maintain_order=True).to_list()
                for (arm,), part in fits.filter(pl.col("samples") == "all").group_by("arm", maintain_order=True)
            },
            "test_error_at_the_end": _at_the_end(fits),
        },
    )


def draw(evidence: pl.DataFrame) -> Drawing:
    """Return the test error over the training loss along the runs, for the arms and the ghost batches."""
    rows = []
    shown = evidence.filter(pl.col("kind").is_null(), pl.col("samples") == "all", pl.col("choice") == 0)
    for (arm,), part in shown.group_by("arm", maintain_order=True):
        runs = [run.sort("epoch") for _, run in part.group_by("seed", maintain_order=True)]
        losses = [lowest(run) for run in runs]
        # Levels that at least half of the runs come down to, from the loss of knowing little.
        top, bottom = 2 * float(part["hardly_learned"][0]), max(float(np.median(losses)), 1e-6)
        for level in np.geomspace(top, min(bottom, top), 12):
            errors = [
                error_at(run, level) for run, loss in zip(runs, losses, strict=True) if loss <= level * (1 + 1e-9)
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


def _followed(
    bench: Bench,
    name: str,
    norm: str | Norm,
    rate: float,
    choice: int,
    dose: int | None = None,
    samples: str = "all",
) -> list[pl.DataFrame]:
    """Return the curves of one arm at one rate; and of arms trained on all samples, what their networks lose."""
    trained, epochs, seen = followed(bench, norm, rate)
    told = {"arm": name, "samples": samples, "choice": choice, "rate": rate}
    curves = _frame(
        bench,
        **told,
        dose=dose,
        seed=np.tile(bench.seeds, len(epochs)),
        epoch=np.repeat(epochs, len(bench.seeds)),
        train_loss=seen[:, 0].ravel().astype(float),
        test_error=(1 - seen[:, 2] if _has_classes(bench) else seen[:, 1]).ravel().astype(float),
    )
    if name not in ARMS or samples != "all":
        return [curves]
    removed = [
        _frame(bench, **told, seed=bench.seeds, epoch=epochs[-1], kind=kind, removed=share, test_error=error)
        for kind, share, error in errors_without(bench, bench.program(norm), trained)
    ]
    return [curves, *removed]


def _frame(bench: Bench, **columns: Any) -> pl.DataFrame:
    """Return rows of the evidence; columns that are not given are null."""
    columns["metric"] = "test error" if _has_classes(bench) else "test loss"
    columns["hardly_learned"] = HARDLY_LEARNED * bench.program("none").trainer.objective.uninformed_loss
    return pl.DataFrame({name: columns.get(name) for name in SCHEMA}, schema=SCHEMA)


def _has_classes(bench: Bench) -> bool:
    return bench.dataset.task == "classification"


def _lost(evidence: pl.DataFrame, kind: str | None = None) -> dict[str, list[np.ndarray]]:
    """Return by arm, at every rate that could have been chosen, how much the error rises with units or weights removed.

    The mean over the shares removed, and over both kinds unless one is named, (seeds,).
    """
    rows = evidence.filter(pl.col("kind").is_not_null())
    lost = {}
    for arm in ARMS if rows.height else ():
        own = rows.filter(pl.col("arm") == arm).sort("choice").partition_by("choice")
        lost[arm] = [_rise(part, kind) for part in own]
    return lost


def _rise(rows: pl.DataFrame, kind: str | None) -> np.ndarray:
    whole = rows.filter(pl.col("removed") == 0).sort("seed")["test_error"].to_numpy()
    less = rows.filter(pl.col("removed") > 0, pl.lit(kind is None) | (pl.col("kind") == (kind or "")))
    return less.group_by("seed").agg(pl.col("test_error").mean()).sort("seed")["test_error"].to_numpy() - whole


def _dose_words(effect: Effect, verdict: str) -> str:
    """Return the response to the dose as a sentence; a small ghost batch is a strong dose of noise."""
    if verdict == "supported":
        found = "smaller ghost batches, whose noise is larger, have the lower error, as a regularizing noise would"
    elif verdict == "refuted" and effect.ci_high < 0:
        found = "smaller ghost batches have the higher error, which speaks against a regularizing noise"
    elif verdict == "refuted":
        found = "the error does not depend on the size of ghost batches, which speaks against a regularizing noise"
    else:
        found = "no dependence of the error on the size of ghost batches was found"
    interval = interval_words(effect)
    return f"At equal fit {found} ({effect.difference:+.2g} from the smallest to the whole batch, {interval})."


def _conflict(decisions: Mapping[str, Decision]) -> str:
    """Return a sentence where equal fit and dose contradict each other; else nothing."""
    if {decisions[ALL].verdict, decisions[DOSE].verdict} != {"supported", "refuted"}:
        return ""
    if decisions[ALL].verdict == "supported":
        return " The two contradict each other: the error is lower at equal fit, but not by the noise of the moments."
    return " The two contradict each other: noise of the moments lowers the error, but batch norm as a whole does not."


def _at_the_end(fits: pl.DataFrame) -> dict[str, float]:
    own = fits.filter(pl.col("samples") == "all", pl.col("choice") == 0)
    last = own.filter(pl.col("epoch") == pl.col("epoch").max())
    return {
        str(arm): float(np.mean(part["test_error"].to_numpy()))
        for (arm,), part in last.group_by("arm", maintain_order=True)
    }


CLAIM = Claim(
    id="generalization",
    kind="benefit",
    statement="Batch normalization acts as a regularizer.",
    protocol="each arm at its own best rate, and at others that could have been chosen; training loss in evaluation "
    "mode and test error along the training, with statistics recomputed over the training samples; per pair, the test "
    "error at the lowest training loss that both runs reach, interpolated along each run; dose and response: ghost "
    "batches of two sizes, and batch norm, at one batch size and one rate; again with a quarter of the training "
    "samples; and with units or weights of the trained networks removed",
    metric="test error at the matched training loss, batch minus none (test loss where there are no classes; the "
    "effect shown); the response of that error to the size of ghost batches, from the smallest to the whole batch; "
    "what is lost when 25, 50 and 75 % of the units or weights are removed, batch minus none",
    expected="a lower test error at equal fit, from the noise of the batch's moments, which grows as the batch "
    "shrinks; small, and absent where the data are hardly overfitted; less lost by removing units (Morcos et al.)",
    source="Ioffe and Szegedy 2015, section 3.4; Luo et al. 2019, arXiv:1809.00846; ghost batches: Hoffer et al. 2017, "
    "arXiv:1705.08741; single units: Morcos et al. 2018, arXiv:1803.06959",
    measure=measure,
    judge=judge,
    draw=draw,
    not_about="how fast an arm learns, since errors are compared at equal training loss; how far running statistics "
    "lag, since they are recomputed; and, of units and weights removed, which arm has the lower error, since each is "
    "set against itself",
)
