"""Planted records: runs and epochs with known scores, as training would have left them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from normlab.study.training import EPOCH_SCHEMA, RUN_SCHEMA

STEPS_PER_EPOCH = 10


def planted(
    curves: Mapping[str, Sequence[Sequence[float]]],
    *,
    rate: float = 0.1,
    stage: str = "report",
    losses: Mapping[str, Sequence[float]] | None = None,
    seconds: Mapping[str, float] | None = None,
    diverged: Mapping[str, Sequence[bool]] | None = None,
    task: str = "classification",
    recomputed: Mapping[str, Sequence[tuple[float, float]]] | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return epochs and runs of arms whose validation scores per seed and epoch are given.

    The test score is the last validation score; the test loss is `losses`, else 1 - score. `recomputed` holds, by arm
    and seed, loss and accuracy with recomputed statistics, on the validation part as on the test part.
    """
    epochs, runs = [], []
    is_classification = task == "classification"
    for arm, by_seed in curves.items():
        for seed, scores in enumerate(by_seed):
            key = {"run": f"{stage}/{arm}/{rate}/{seed}", "stage": stage, "chunk": 0, "arm": arm, "seed": seed}
            key |= {"rate": rate, "batch_size": 8}
            has_diverged = bool(diverged and diverged[arm][seed])
            rows = [
                {
                    **key,
                    "epoch": epoch,
                    "step": epoch * STEPS_PER_EPOCH,
                    "loss": 1 - score,
                    "accuracy": score if is_classification else None,
                    "val_loss": 1 - score if is_classification else score,
                    "val_accuracy": score if is_classification else None,
                    # The first epoch of a chunk warms up: a hundred times slower here.
                    "seconds": (seconds or {}).get(arm, 1.0) * (100 if epoch == 1 else 1 + 0.001 * epoch),
                    "diverged": has_diverged,
                }
                for epoch, score in enumerate(scores, start=1)
            ]
            epochs += rows
            loss = losses[arm][seed] if losses else (1 - scores[-1] if is_classification else scores[-1])
            last = {
                "epochs": len(scores),
                "test_loss": loss,
                "test_accuracy": scores[-1] if is_classification else None,
                "diverged_step": 1 if has_diverged else None,
                "initial_hash": str(seed),
                "order_hash": str(seed),
                "final_hash": str(seed),
            }
            second = recomputed[arm][seed] if recomputed and arm in recomputed else (None, None)
            scores_again = [second[0], second[1] if is_classification else None]
            for part in ("val", "test"):
                last |= dict(zip((f"{part}_loss_recomputed", f"{part}_accuracy_recomputed"), scores_again, strict=True))
            runs.append(rows[-1] | last)
    return (
        pl.DataFrame([{k: row[k] for k in EPOCH_SCHEMA} for row in epochs], schema=EPOCH_SCHEMA),
        pl.DataFrame([{k: row[k] for k in RUN_SCHEMA} for row in runs], schema=RUN_SCHEMA),
    )
