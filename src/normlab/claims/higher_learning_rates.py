"""The claim that batch norm tolerates larger learning rates: the largest rate before divergence, at two batch sizes."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from normlab.claims.claim import Claim
from normlab.claims.conditions import decide_each
from normlab.claims.drawing import Drawing
from normlab.claims.finding import Finding, numbers
from normlab.stats.effect import paired_effect

if TYPE_CHECKING:
    from normlab.claims.bench import Bench
    from normlab.train.population import Population

ARMS = ("none", "batch")
# De and Smith 2020 find little gain from large rates at small batches; a last batch of one sample is avoided.
SMALL_BATCH = 4
# Every run takes about as many steps, whatever its batch: too large a rate shows within a few tens.
STEPS = {"quick": 128, "full": 512}
# Rungs 1, 3, 10, 30, ... : rung k is the rate 10^(k/2), rounded. Beyond the last ones float32 itself gives out.
LOWEST_RUNG, HIGHEST_RUNG = -16, 16
# Half a rung, which is half the resolution at which the largest rate is known.
MARGIN = 0.25
MOST_DIVERGED = 0.1


def measure(bench: Bench) -> pl.DataFrame:
    """Train both arms up a ladder of rates until every seed has diverged, and down it until none has.

    The ladder starts at the smaller one of the arms' best rates, the same for both arms and both batch sizes.

    Returns:
        One row per arm, batch size, rate and seed: arm, batch_size, rate, seed, diverged, val_accuracy, val_loss.
    """
    start = round(2 * math.log10(min(bench.best_rate(arm) for arm in ARMS)))
    small = next(size for size in itertools.count(SMALL_BATCH) if len(bench.dataset.train) % size != 1)
    frames = []
    for batch_size in (bench.batch_size, small):
        for arm in ARMS:
            program = bench.program(arm, batch_size=batch_size)
            frames += [frame.with_columns(arm=pl.lit(arm)) for frame in _ladder(bench, program, start)]
    return pl.concat(frames)


def judge(evidence: pl.DataFrame) -> Finding:
    """Return the verdict on log10 of the largest rate up to which a seed's run does not diverge, pair by pair.

    Each batch size is a condition. A seed that diverges at the lowest rate tried counts as one rung below it, one that
    never diverges as the highest.
    """
    tolerated = _tolerated(evidence)
    effects, parts = {}, {}
    for (size,), part in tolerated.sort("batch_size", descending=True).group_by("batch_size", maintain_order=True):
        paired = part.pivot("arm", index="seed", values="log_rate").sort("seed")
        effects[f"batch size {size}"] = paired_effect(
            paired["batch"].to_numpy(), paired["none"].to_numpy(), margin=MARGIN, higher_is_better=True
        )
        parts[f"batch size {size}"] = {arm: _robust_rate(part, arm) for arm in ARMS}
    found = decide_each(effects)
    first = next(iter(effects))
    details = _details(evidence, tolerated, {name: numbers(effect) for name, effect in effects.items()}, parts)
    best = ", ".join(
        f"{row['rate']:g} ({row['arm']}, batch size {row['batch_size']})" for row in details["best_rate_on_the_ladder"]
    )
    never = int(tolerated["censored"].sum())
    bound = f" {never} of {len(tolerated)} runs never diverged up to {rung(HIGHEST_RUNG):g}, the end of the ladder." * (
        never > 0
    )
    sentences = [
        f"At {name} the largest rate that at most {MOST_DIVERGED:.0%} of the runs diverge at is "
        f"{parts[name]['batch']:g} with batch norm and {parts[name]['none']:g} without; a factor of "
        f"{10**effect.difference:.2g} over the pairs, {found.by_condition[name].verdict}."
        for name, effect in effects.items()
    ]
    return Finding(
        found.verdict,
        **numbers(effects[first]),
        answer=" ".join(
            [
                *sentences,
                f"What is tolerated need not be of use: best within these steps were {best}.{bound}{found.open}",
            ]
        ),
        conditions=found.conditions,
        p_value=found.p_value,
        would_change=f"A factor below {10**MARGIN:.2g} (equivalence), or below one, would refute it.",
        details=details,
    )


def draw(evidence: pl.DataFrame) -> Drawing:
    """Return the share of runs that diverged at a rate or below it, over the rate."""
    rows = []
    for (arm, size), part in (
        _tolerated(evidence).sort("arm", "batch_size").group_by("arm", "batch_size", maintain_order=True)
    ):
        rates = evidence.filter(pl.col("arm") == arm, pl.col("batch_size") == size)["rate"].unique().sort()
        for rate in rates:
            share = float(np.mean(part["log_rate"].to_numpy() < math.log10(rate) - 1e-9))
            rows.append({"series": f"{arm}, batch size {size}", "x": rate, "y": share})
    return Drawing(
        "lines",
        "Which rates training tolerates",
        "learning rate",
        "share of runs that diverged",
        rows,
        "Share of the seeds whose run diverged at this rate or a lower one of the ladder; the rule is the "
        f"{MOST_DIVERGED:.0%} that still counts as tolerated.",
        log_x=True,
        reference=MOST_DIVERGED,
    )


def rung(index: int) -> float:
    """Return the rate of a rung: 1, 3, 10, 30, ... for 0, 1, 2, 3, ..."""
    decade, is_three = divmod(index, 2)
    return float(f"{3 if is_three else 1}e{decade}")


def _ladder(bench: Bench, program: Population, start: int) -> list[pl.DataFrame]:
    """Return what happened at every rung from the highest at which no run diverged to where all have."""
    batch_size = program.trainer.batch_size
    full, rest = divmod(len(bench.dataset.train), batch_size)
    batches = min(STEPS[bench.budget], full)
    epochs = math.ceil(STEPS[bench.budget] / (batches + (rest > 0)))

    def at(index: int) -> pl.DataFrame:
        rates = [rung(index)] * len(bench.seeds)
        trained = bench.train(program, bench.seeds, rates, epochs, batches=batches, test=False)
        has_classes = bench.dataset.task == "classification"
        return pl.DataFrame(
            {
                "batch_size": batch_size,
                "rate": rung(index),
                "seed": bench.seeds,
                "diverged": trained.diverged,
                "val_accuracy": trained.val_accuracy[-1].astype(float) if has_classes else None,
                "val_loss": trained.val_loss[-1].astype(float),
            },
            schema_overrides={"val_accuracy": pl.Float64},
        )

    frames = [at(start)]
    for index in range(start - 1, LOWEST_RUNG - 1, -1):
        if not frames[0]["diverged"].any():
            break
        frames.insert(0, at(index))
    ever = np.any([frame["diverged"].to_numpy() for frame in frames], axis=0)
    for index in range(start + 1, HIGHEST_RUNG + 1):
        if ever.all():
            break
        frames.append(at(index))
        ever |= frames[-1]["diverged"].to_numpy()
    return frames


def _tolerated(evidence: pl.DataFrame) -> pl.DataFrame:
    """Return log_rate, per arm, batch size and seed: log10 of the largest rate up to which the run never diverged."""
    rows = []
    for (arm, size, seed), part in evidence.sort("rate").group_by("arm", "batch_size", "seed", maintain_order=True):
        rates, diverged = part["rate"].to_list(), part["diverged"].to_list()
        first = diverged.index(True) if True in diverged else len(rates)
        log_rate = math.log10(rates[first - 1]) if first else math.log10(rates[0]) - 0.5
        rows.append(
            {"arm": arm, "batch_size": size, "seed": seed, "log_rate": log_rate, "censored": True not in diverged}
        )
    return pl.DataFrame(rows)


def _robust_rate(tolerated: pl.DataFrame, arm: str) -> float:
    """Return the largest of the seeds' rates that at most `MOST_DIVERGED` of the seeds fall short of."""
    values = np.sort(tolerated.filter(pl.col("arm") == arm)["log_rate"].to_numpy())
    return float(f"{10 ** values[math.floor(MOST_DIVERGED * values.size)]:.3g}")


def _details(
    evidence: pl.DataFrame, tolerated: pl.DataFrame, effects: dict[str, Any], rates: dict[str, Any]
) -> dict[str, Any]:
    """Return both batch sizes' effects, seeds that never diverged, and the rate that did best within the steps."""
    has_classes = evidence["val_accuracy"].null_count() < len(evidence)
    score = pl.col("val_accuracy") if has_classes else -pl.col("val_loss").fill_nan(math.inf)
    means = evidence.group_by("arm", "batch_size", "rate").agg(
        pl.when(pl.col("diverged")).then(-math.inf if not has_classes else 0.0).otherwise(score).mean().alias("score")
    )
    best = means.sort("score", descending=True).group_by("arm", "batch_size", maintain_order=True).first()
    return {
        "log10_factor": effects,
        "largest_rate_tolerated": rates,
        "never_diverged": int(tolerated["censored"].sum()),
        "best_rate_on_the_ladder": best.sort("batch_size", "arm").select("arm", "batch_size", "rate").to_dicts(),
    }


CLAIM = Claim(
    id="higher-learning-rates",
    kind="benefit",
    statement="Batch normalization allows larger learning rates.",
    protocol="plain SGD; rates in steps of about 3 from the arms' smaller best rate up to where every run has diverged "
    "(batch loss not finite, or above 100 times that of knowing nothing), the same number of steps at each; at the "
    f"usual batch size and again at about {SMALL_BATCH}",
    metric="log10 of the largest rate up to which a seed's run does not diverge, batch minus none",
    expected="larger stable rates with batch norm; De and Smith find that they pay at large batches only: at small "
    "ones the best rates of both arms are alike and far below the largest stable one",
    source="Ioffe and Szegedy 2015, section 3.3; De and Smith 2020, arXiv:2002.10444",
    measure=measure,
    judge=judge,
    draw=draw,
    not_about="what a rate is good for: which arm scores higher at it, or where either does best, does not count; nor "
    "running statistics, since divergence is seen in the loss of training mode; nor the rates that tuning chose: the "
    "ladder goes on in both directions until all runs have diverged, and none has",
)
