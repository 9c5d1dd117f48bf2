"""The claim that batch norm copes with every batch size; small batches are where it is said not to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from normlab.claims.claim import Claim
from normlab.claims.conditions import together
from normlab.claims.drawing import Drawing, quartiles
from normlab.claims.evaluations import with_batch_statistics
from normlab.claims.finding import Finding, decision_of, numbers
from normlab.claims.lag import lag_effects, lag_numbers, lag_words, over_choices
from normlab.claims.search import search
from normlab.claims.settled import running_error, settled_error
from normlab.stats.verdict import Judged
from normlab.stats.verdict import judge as judge_effects

if TYPE_CHECKING:
    from normlab.claims.bench import Bench, Budget
    from normlab.claims.trained import Trained
    from normlab.train.population import Population

SIZES: dict[Budget, tuple[int, ...]] = {"quick": (2, 8, 32, 128), "full": (2, 4, 8, 32, 128, 512)}
# Samples that a run sees at most, so that batches of two end in time: a step of two costs nearly one of 128.
SAMPLES: dict[Budget, int] = {"quick": 8192, "full": 32_768}
# Two seeds times seven rates about fill the program that then trains the seeds.
TUNING_SEEDS: dict[Budget, int] = {"quick": 2, "full": 3}
# The default margin of a study: half a point of accuracy (or of a standardized target's variance).
MARGIN = 0.005
STATISTICS = ("running", "recomputed", "batch")


def measure(bench: Bench) -> pl.DataFrame:
    """Train both arms at every batch size, each at its own best rate, on equally many samples in whole batches.

    Returns:
        One row per arm, size, choice (0: the best rate; then others that could have been chosen), seed and way of
        evaluating: arm, batch_size, choice, rate, seed, statistics, error. Statistics: `running`; `recomputed` over the
        training part (without a norm the same); with batch norm, at the best rate, `batch`, the test batch's own.
    """
    sizes, samples, epochs = plan(bench)
    frames = []
    for size in sizes:
        for arm in ("none", "batch"):
            program = bench.program(arm, runs=_side_by_side(bench), batch_size=size, samples=samples)
            for choice, (rate, trained) in enumerate(_tuned(bench, program, samples, epochs)):
                errors = {
                    "running": running_error(bench, trained),
                    "recomputed": settled_error(bench, program, trained),
                }
                if arm == "batch" and not choice:
                    errors["batch"] = with_batch_statistics(bench, program, trained)
                for statistics, error in errors.items():
                    columns = {"arm": arm, "batch_size": size, "choice": choice, "rate": rate, "seed": bench.seeds}
                    frames.append(pl.DataFrame({**columns, "statistics": statistics, "error": error}))
    return pl.concat(frames)


def plan(bench: Bench) -> tuple[list[int], int, int]:
    """Return the batch sizes, the samples of an epoch and the number of epochs.

    An epoch takes as many samples as the largest size divides, so that no size has a shorter last batch.
    """
    count = len(bench.dataset.train)
    most = SAMPLES[bench.budget]
    sizes = [size for size in SIZES[bench.budget] if 2 * size <= count]
    samples = min(count, most) // sizes[-1] * sizes[-1]
    return sizes, samples, max(1, min(bench.epochs, round(most / samples)))


def judge(evidence: pl.DataFrame) -> Finding:
    """Judge the test error with recomputed statistics, batch minus none, at every size, with Holm's correction.

    Batch norm copes with a size if its error is lower or equivalent there, and fails if it is higher. Supported: it
    copes with every size; refuted: it fails at one and is not shown to cope with any; conditional: it copes with one
    and fails at another. What the lag of the running statistics costs is reported beside it, by size.
    """
    sizes = sorted(evidence["batch_size"].unique())
    effects = [
        over_choices(
            _choices(evidence, "batch", size), _choices(evidence, "none", size), margin=MARGIN, higher_is_better=False
        )
        for size in sizes
    ]
    judged = dict(zip(sizes, judge_effects(effects, correction="holm"), strict=True))
    running, recomputed = ([_errors(evidence, "batch", size, kind) for size in sizes] for kind in STATISTICS[:2])
    lags = dict(zip(sizes, lag_effects(running, recomputed, margin=MARGIN, higher_is_better=False), strict=True))
    copes = [size for size, one in judged.items() if one.verdict in ("better", "equivalent")]
    fails = [size for size, one in judged.items() if one.verdict == "worse"]
    decisions = {f"batch size {size}": decision_of(one, equivalent="supported") for size, one in judged.items()}
    found = together(decisions, one_refutes=True)
    sentences = [_sentence(size, judged[size], lags[size]) for size in dict.fromkeys((sizes[0], sizes[-1]))]
    open_sizes = [size for size in sizes if size not in copes + fails]
    conditions = f"on the batch size: it copes with {_listed(copes)}, fails at {_listed(fails)}"
    return Finding(
        found.verdict,
        **numbers(effects[0]),
        answer=" ".join(sentences) + found.open,
        conditions=conditions + (f"; undecided at {_listed(open_sizes)}" if open_sizes else "")
        if found.verdict == "conditional"
        else "",
        would_change="An error above that of the network without a norm at one batch size speaks against it; one lower "
        "or equivalent at every size would support it.",
        p_value=found.p_value,
        details={
            str(size): {
                "batch_minus_none": numbers(judged[size].effect),
                "verdict": judged[size].verdict,
                "lag": lag_numbers(lags[size]),
                "own_statistics_error": float(_errors(evidence, "batch", size, "batch").mean()),
            }
            for size in sizes
        },
    )


def draw(evidence: pl.DataFrame) -> Drawing:
    """Return mean test error over batch size, a line per arm and way of evaluating, with quartiles."""
    names = {
        "running": "batch, running statistics",
        "recomputed": "batch, recomputed",
        "batch": "batch, the batch's own",
    }
    rows = (
        evidence.filter(pl.col("choice") == 0)
        .with_columns(
            pl.when(pl.col("arm") == "none")
            .then(pl.lit("none"))
            .otherwise(pl.col("statistics").replace_strict(names))
            .alias("series")
        )
        .group_by("series", "batch_size")
        .agg(quartiles("error"))
        .sort("series", "batch_size")
        .select("series", pl.col("batch_size").alias("x"), "y", "low", "high")
    )
    return Drawing(
        "lines",
        "Test error over batch size",
        "batch size",
        "test error",
        rows.to_dicts(),
        "Median over the seeds, band from the lower to the upper quartile; every arm at its own best rate for that "
        "size, all after equally many samples. The networks with batch norm are evaluated three ways.",
        log_x=True,
        log_y=False,
    )


def _tuned(bench: Bench, program: Population, samples: int, epochs: int) -> list[tuple[float, Trained]]:
    """Train the grid with the first tuning seeds; return rate and runs of every possible choice, the best one first."""
    from normlab.train.optimizers import OPTIMIZERS
    from normlab.train.order import epoch_order

    def whole_batches(seed: int, epoch: int, count: int) -> np.ndarray:
        return epoch_order(seed, epoch, count)[:samples]

    tuning_seeds = bench.tuning_seeds[: TUNING_SEEDS[bench.budget]]

    rates = search(bench, program, OPTIMIZERS["sgd"].grid, tuning_seeds, epochs, order=whole_batches)
    return [
        (rate, bench.train(program, bench.seeds, [rate] * len(bench.seeds), epochs, order=whole_batches))
        for rate in rates
    ]


def _side_by_side(bench: Bench) -> int:
    """Return the runs of a program: one program serves the choice of the rate and what follows."""
    from normlab.train.optimizers import OPTIMIZERS

    cells = len(OPTIMIZERS["sgd"].grid) * len(bench.tuning_seeds[: TUNING_SEEDS[bench.budget]])
    return max(len(bench.seeds), cells)


def _rows(evidence: pl.DataFrame, arm: str, size: int, statistics: str) -> pl.DataFrame:
    chosen = (pl.col("arm") == arm) & (pl.col("batch_size") == size) & (pl.col("statistics") == statistics)
    return evidence.filter(chosen).sort("choice", "seed")


def _choices(evidence: pl.DataFrame, arm: str, size: int) -> list[np.ndarray]:
    """Return the settled errors, (seeds,), at every rate that could have been chosen, the best one first."""
    return [part["error"].to_numpy() for part in _rows(evidence, arm, size, "recomputed").partition_by("choice")]


def _errors(evidence: pl.DataFrame, arm: str, size: int, statistics: str) -> np.ndarray:
    """Return the errors at the best rate."""
    return _rows(evidence, arm, size, statistics).filter(pl.col("choice") == 0)["error"].to_numpy()


def _sentence(size: int, judged: Judged, lag: Judged) -> str:
    effect = judged.effect
    return (
        f"At batch size {size} the test error is {effect.value:.3f} with batch norm and recomputed statistics, and "
        f"{effect.baseline_value:.3f} without: {judged.verdict}; {lag_words(lag)}."
    )


def _listed(sizes: list[int]) -> str:
    return ", ".join(map(str, sizes))


CLAIM = Claim(
    id="batch-size",
    kind="benefit",
    statement="Batch normalization copes with different batch sizes, small ones too.",
    protocol="batches of 2 ... 512, equally many samples seen, the rate tuned anew for every size and arm, same "
    "seeds; evaluated with running statistics, with statistics recomputed over the training set, and with the test "
    "batch's own",
    metric="test error at each batch size with recomputed statistics, batch minus none (the effect shown is that at "
    "the smallest); and, with batch norm, running minus recomputed statistics",
    expected="no harm at usual sizes and a fast-growing error below, some of it mended by better statistics: with "
    "batches of 2 on ImageNet, a ResNet-50 with group norm has a 10.6 points lower error",
    source="Wu and He 2018, arXiv:1803.08494; Wu and Johnson 2021, arXiv:2105.07576, section 3; Singh and Shrivastava "
    "2019, arXiv:1904.06031",
    measure=measure,
    judge=judge,
    draw=draw,
    not_about="how far running statistics lag behind, as after few steps of large batches: errors are compared with "
    "recomputed ones, and the lag is reported by itself",
)
