"""The claim that batch norm does not suit self-attention: a transformer encoder with it and with other norms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from normlab.claims.claim import Claim
from normlab.claims.drawing import Drawing
from normlab.claims.evaluations import with_batch_statistics
from normlab.claims.finding import Finding, decide, numbers
from normlab.claims.lag import lag_effects, lag_numbers, lag_words, over_choices
from normlab.claims.sequences import no_sequence, sequence_program, train_tuned

if TYPE_CHECKING:
    from normlab.claims.bench import Bench, Budget, Observe
    from normlab.train.loop import RunState
    from normlab.train.population import Population

# Every norm costs the compiling of a transformer, some 5 s.
NORMS: dict[Budget, tuple[str, ...]] = {
    "quick": ("batch", "layer", "dyt"),
    "full": ("batch", "layer", "rms", "dyt"),
}
# The network where the bench's is another: one block over the rows of an image, or the steps of a sequence.
NETWORK = {"patch": 0, "dim": 16, "depth": 1, "heads": 2}
# A point of accuracy: less is no reason to choose between norms.
MARGIN = 0.01
# Runs whose statistics are followed, and training batches that they are compared on.
FOLLOWED_RUNS = 2
FOLLOWED_BATCHES = 8
# Quantities of `normlab.probes.statistics_gap`: how far the mean of a batch lies from the running one, and how far the
# mean over all these batches does, which is what has not been caught up with.
GAPS = {"fluctuation": "mean_batch_to_running", "lag": "mean_precise_to_running"}


def measure(bench: Bench) -> pl.DataFrame:
    """Train every norm at its own best rate, and follow batch norm's statistics over the epochs.

    Returns:
        One row per norm, choice (0: the best rate; then others that could have been chosen), seed, quantity and epoch:
        norm, choice, rate, seed, quantity, epoch, value. Quantities: `running` and `settled`, the score on the test
        data with running and with recomputed statistics (the same where the norm keeps none); of batch norm also
        `own_score`, with the test batch's own, and of its first seeds, after every epoch and as the mean over its
        layers, `fluctuation`, ‖μ_batch - μ_run‖ / ‖μ_run‖ (the mean over batches), and `lag`, the same of the mean over
        all those batches.
    """
    rows: list[tuple[str, int, float, int, str, int | None, float]] = []
    network: dict[str, Any] = dict(bench.network) if bench.model == "transformer" else NETWORK
    for norm in NORMS[bench.budget]:
        program = sequence_program(bench, norm, "transformer", **network)
        tuned = train_tuned(bench, program, observe=_follow(program) if norm == "batch" else None)
        for choice, one in enumerate(tuned):
            found = {"running": one.running, "settled": one.settled}
            if norm == "batch" and not choice:
                found["own_score"] = 1 - with_batch_statistics(bench, program, one.trained)
            rows += [
                (norm, choice, one.rate, seed, quantity, None, float(value))
                for quantity, values in found.items()
                for seed, value in zip(bench.seeds, values, strict=True)
            ]
        for epoch, runs in enumerate(tuned[0].trained.observed[0] if norm == "batch" else []):
            for seed, gaps in zip(bench.seeds, runs, strict=False):
                rows += [(norm, 0, tuned[0].rate, seed, name, epoch, gap) for name, gap in gaps.items()]
    names = ("norm", "choice", "rate", "seed", "quantity", "epoch", "value")
    kinds = (pl.String, pl.Int64, pl.Float64, pl.Int64, pl.String, pl.Int64, pl.Float64)
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")


def judge(evidence: pl.DataFrame) -> Finding:
    """Return the verdict on the settled test score, batch minus layer norm, seed by seed.

    Supported if it is lower; refuted if it is higher, or equivalent within the margin. What the lag of the running
    statistics costs is reported beside it.
    """
    scores = {norm: _choices(evidence, norm) for norm in _norms(evidence)}
    # "Better" is what the claim says: the score is lower.
    effect = over_choices(scores["batch"], scores["layer"], margin=MARGIN, higher_is_better=False)
    decision = decide(effect)
    [lag] = lag_effects(
        [_values(evidence, "batch", "running")],
        [_values(evidence, "batch", "settled")],
        margin=MARGIN,
        higher_is_better=True,
    )
    others = {
        norm: over_choices(scores[norm], scores["layer"], margin=MARGIN, higher_is_better=True)
        for norm in scores
        if norm not in ("batch", "layer")
    }
    gaps = {name: _by_epoch(evidence, name) for name in GAPS}
    own = float(_values(evidence, "batch", "own_score").mean())
    reached = ", ".join(f"{other.value:.3f} with {norm}" for norm, other in others.items())
    answer = (
        f"A transformer encoder's test score is {effect.value:.3f} with batch norm and recomputed statistics "
        f"({own:.3f} with the test batch's own), {effect.baseline_value:.3f} with layer norm, {reached}. "
        f"{decision.reason} As deployed, {lag_words(lag)}. At the end of training the means of a batch differ by "
        f"{gaps['fluctuation'][-1]:.0%} of their length from the running means; by {gaps['lag'][-1]:.0%} even when "
        f"averaged over {FOLLOWED_BATCHES} batches."
    )
    return Finding(
        decision.verdict,
        **numbers(effect),
        answer=answer,
        would_change=f"A score above layer norm's, or less than {MARGIN:g} from it (equivalence), would refute it.",
        p_value=decision.p_value,
        details={
            "scores": {norm: float(values[0].mean()) for norm, values in scores.items()},
            "rates": {norm: _rates(evidence, norm) for norm in scores},
            "lag": lag_numbers(lag),
            "score_with_own_statistics": own,
            "minus_layer": {norm: numbers(other) for norm, other in others.items()},
            **{f"{name}_by_epoch": values for name, values in gaps.items()},
        },
    )


def draw(evidence: pl.DataFrame) -> Drawing:
    """Return the median test score by norm, with quartiles, and layer norm's as the reference."""
    rows = []
    for norm in _norms(evidence):
        low, middle, high = np.quantile(_values(evidence, norm, "settled"), [0.25, 0.5, 0.75])
        rows.append({"series": norm, "x": norm, "y": float(middle), "low": float(low), "high": float(high)})
    return Drawing(
        "points",
        "Test score of a transformer encoder",
        "norm",
        "test score",
        rows,
        "Median over the seeds, from the lower to the upper quartile; each norm at its own best rate. The score is the "
        "accuracy, without classes 1 - loss; batch norm's with recomputed statistics. The rule is layer norm's median.",
        reference=float(np.median(_values(evidence, "layer", "settled"))),
    )


def _follow(program: Population) -> Observe:
    """Return what measures the gaps of the first runs after each epoch; before the first the running means are zero."""
    import jax

    from normlab.probes import statistics_gap

    trainer = program.trainer
    x, y = (part[: FOLLOWED_BATCHES * trainer.batch_size] for part in program.data.train)
    measure_run = jax.jit(lambda one: statistics_gap.measure(trainer, one, x, y))

    def observe(_: Population, state: RunState, epoch: int) -> list[dict[str, float]]:
        if not epoch:
            return []
        found = []
        for run in range(FOLLOWED_RUNS):
            measured = measure_run(jax.tree.map(lambda values, run=run: np.asarray(values)[run], state))
            found.append({name: float(np.mean(measured[quantity])) for name, quantity in GAPS.items()})
        return found

    return observe


def _norms(evidence: pl.DataFrame) -> list[str]:
    return evidence["norm"].unique(maintain_order=True).to_list()


def _rows(evidence: pl.DataFrame, norm: str, quantity: str) -> pl.DataFrame:
    return evidence.filter((pl.col("norm") == norm) & (pl.col("quantity") == quantity)).sort("choice", "seed")


def _choices(evidence: pl.DataFrame, norm: str) -> list[np.ndarray]:
    """Return the settled scores, (seeds,), at every rate that could have been chosen, the best one first."""
    rows = _rows(evidence, norm, "settled")
    return [part["value"].to_numpy() for part in rows.partition_by("choice")]


def _values(evidence: pl.DataFrame, norm: str, quantity: str) -> np.ndarray:
    """Return the values at the best rate."""
    return _rows(evidence, norm, quantity).filter(pl.col("choice") == 0)["value"].to_numpy()


def _rates(evidence: pl.DataFrame, norm: str) -> list[float]:
    return _rows(evidence, norm, "settled")["rate"].unique(maintain_order=True).to_list()


def _by_epoch(evidence: pl.DataFrame, quantity: str) -> list[float]:
    """Return the mean over the runs followed, after each epoch."""
    own = evidence.filter(pl.col("quantity") == quantity)
    return own.group_by("epoch").agg(pl.col("value").mean()).sort("epoch")["value"].to_list()


CLAIM = Claim(
    id="attention",
    kind="limit",
    statement="Batch normalization does not suit self-attention.",
    protocol="a transformer encoder over the rows of an image (one block of width 16, unless the network asked about "
    "is a transformer), with batch norm, layer norm, dynamic tanh and, with the full budget, RMS norm; evaluated with "
    "statistics recomputed over the training part; Adam, every norm at its own best rate and at others that could have "
    "been chosen, same seeds",
    metric="test accuracy (without classes, 1 - test loss) with recomputed statistics, batch minus layer norm; running "
    "minus recomputed statistics beside it",
    expected="lower on language, where statistics of batches fluctuate widely in training (Shen et al.); on images "
    "batch norm put in layer norm's place made training crash often, and came level with further care (Yao et al.). "
    "One block over a few rows of images of one size is a mild case",
    source="Shen et al. 2020, arXiv:2003.07845; Yao et al. 2021, Leveraging Batch Normalization for Vision "
    "Transformers, ICCV Workshops; dynamic tanh: Zhu et al. 2025, arXiv:2503.10622",
    measure=measure,
    judge=judge,
    draw=draw,
    not_about="how far running statistics lag behind after a short training: scores are compared with recomputed ones, "
    "and the lag is reported by itself",
    applies=no_sequence,
)
