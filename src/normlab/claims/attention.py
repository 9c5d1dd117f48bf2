"""The claim that batch norm does not suit self-attention: a transformer encoder with it and with other norms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from normlab.claims.claim import Claim
from normlab.claims.drawing import Drawing
from normlab.claims.evaluations import with_batch_statistics
from normlab.claims.finding import Finding, decide, numbers
from normlab.claims.sequences import no_sequence, sequence_program, train_tuned
from normlab.stats.effect import paired_effect

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
        One row per norm, seed, quantity and epoch: norm, seed, quantity, epoch, value. Quantities: `score` on the test
        data and `rate`; of batch norm also `own_score`, with the test batch's own statistics, and of its first seeds,
        after every epoch and as the mean over its layers, `fluctuation`, ‖μ_batch - μ_run‖ / ‖μ_run‖ (the mean over
        batches), and `lag`, the same of the mean over all those batches.
    """
    rows: list[tuple[str, int, str, int | None, float]] = []
    network: dict[str, Any] = dict(bench.network) if bench.model == "transformer" else NETWORK
    for norm in NORMS[bench.budget]:
        program = sequence_program(bench, norm, "transformer", **network)
        tuned = train_tuned(bench, program, observe=_follow(program) if norm == "batch" else None)
        found = {"score": tuned.score, "rate": np.full(len(bench.seeds), tuned.rate)}
        if norm == "batch":
            found["own_score"] = 1 - with_batch_statistics(bench, program, tuned.trained)
        for quantity, values in found.items():
            rows += [(norm, seed, quantity, None, float(v)) for seed, v in zip(bench.seeds, values, strict=True)]
        for epoch, runs in enumerate(tuned.trained.observed[0] if norm == "batch" else []):
            for seed, gaps in zip(bench.seeds, runs, strict=False):
                rows += [(norm, seed, name, epoch, gap) for name, gap in gaps.items()]
    schema = {"norm": pl.String, "seed": pl.Int64, "quantity": pl.String, "epoch": pl.Int64, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def judge(evidence: pl.DataFrame) -> Finding:
    """Return the verdict on the test score, batch minus layer norm, seed by seed.

    Supported if it is lower; refuted if it is higher, or equivalent within the margin.
    """
    scores = {norm: _values(evidence, norm, "score") for norm in _norms(evidence)}
    # "Better" is what the claim says: the score is lower.
    effect = paired_effect(scores["batch"], scores["layer"], margin=MARGIN, higher_is_better=False)
    decision = decide(effect)
    others = {
        norm: paired_effect(scores[norm], scores["layer"], margin=MARGIN, higher_is_better=True)
        for norm in scores
        if norm not in ("batch", "layer")
    }
    gaps = {name: _by_epoch(evidence, name) for name in GAPS}
    own = float(_values(evidence, "batch", "own_score").mean())
    reached = ", ".join(f"{other.value:.3f} with {norm}" for norm, other in others.items())
    answer = (
        f"A transformer encoder's test score is {effect.value:.3f} with batch norm ({own:.3f} with the test batch's "
        f"own statistics), {effect.baseline_value:.3f} with layer norm, {reached}. {decision.reason} At the end of "
        f"training the means of a batch differ by {gaps['fluctuation'][-1]:.0%} of their length from the running means "
        f"that evaluation uses; by {gaps['lag'][-1]:.0%} even when averaged over {FOLLOWED_BATCHES} batches."
    )
    return Finding(
        decision.verdict,
        **numbers(effect),
        answer=answer,
        would_change=f"A score above layer norm's, or less than {MARGIN:g} from it (equivalence), would refute it.",
        p_value=decision.p_value,
        details={
            "scores": {norm: float(values.mean()) for norm, values in scores.items()},
            "rates": {norm: float(_values(evidence, norm, "rate")[0]) for norm in scores},
            "score_with_own_statistics": own,
            "minus_layer": {norm: numbers(other) for norm, other in others.items()},
            **{f"{name}_by_epoch": values for name, values in gaps.items()},
        },
    )


def draw(evidence: pl.DataFrame) -> Drawing:
    """Return the median test score by norm, with quartiles, and layer norm's as the reference."""
    rows = []
    for norm in _norms(evidence):
        low, middle, high = np.quantile(_values(evidence, norm, "score"), [0.25, 0.5, 0.75])
        rows.append({"series": norm, "x": norm, "y": float(middle), "low": float(low), "high": float(high)})
    return Drawing(
        "points",
        "Test score of a transformer encoder",
        "norm",
        "test score",
        rows,
        "Median over the seeds, from the lower to the upper quartile; each norm at its own best rate. The score is the "
        "accuracy, without classes 1 - loss. The rule is layer norm's median.",
        reference=float(np.median(_values(evidence, "layer", "score"))),
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


def _values(evidence: pl.DataFrame, norm: str, quantity: str) -> np.ndarray:
    chosen = (pl.col("norm") == norm) & (pl.col("quantity") == quantity)
    return evidence.filter(chosen).sort("seed")["value"].to_numpy()


def _by_epoch(evidence: pl.DataFrame, quantity: str) -> list[float]:
    """Return the mean over the runs followed, after each epoch."""
    own = evidence.filter(pl.col("quantity") == quantity)
    return own.group_by("epoch").agg(pl.col("value").mean()).sort("epoch")["value"].to_list()


CLAIM = Claim(
    id="attention",
    kind="limit",
    own_network=True,
    statement="Batch normalization does not suit self-attention.",
    protocol="a transformer encoder over the rows of an image (one block of width 16, unless the network asked about "
    "is a transformer), with batch norm, layer norm, dynamic tanh and, with the full budget, RMS norm; Adam, every "
    "norm at its own best rate, same seeds",
    metric="test accuracy (without classes, 1 - test loss), batch minus layer norm",
    expected="lower on language, where statistics of batches fluctuate widely in training (Shen et al.); on images "
    "batch norm put in layer norm's place made training crash often, and came level with further care (Yao et al.). "
    "One block over a few rows of images of one size is a mild case",
    source="Shen et al. 2020, arXiv:2003.07845; Yao et al. 2021, Leveraging Batch Normalization for Vision "
    "Transformers, ICCV Workshops; dynamic tanh: Zhu et al. 2025, arXiv:2503.10622",
    measure=measure,
    judge=judge,
    draw=draw,
    applies=no_sequence,
)
