"""A made-up study to export: two arms, one with a name that no path may hold, two seeds, two epochs, a probe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from normlab.export.material import Material

ARMS = ("none", "../../A: b\N{GREEK SMALL LETTER GAMMA}")
BEGAN = "2026-01-02T03:04:05+00:00"


def _keys(arm: str, seed: int) -> dict[str, Any]:
    run = f"report/{arm}/0.1/{seed}"
    return {"run": run, "stage": "report", "chunk": 0, "arm": arm, "seed": seed, "rate": 0.1, "batch_size": 32}


def make_material(folder: Path) -> Material:
    """Return a finished study that lies nowhere."""
    rng = np.random.default_rng(0)
    epochs, runs, probes = [], [], []
    for arm in ARMS:
        for seed in (0, 1):
            keys = _keys(arm, seed)
            for epoch in (2, 1):  # rows need not be in order
                figures = {"loss": rng.uniform(), "accuracy": None, "val_loss": rng.uniform(), "val_accuracy": None}
                epochs.append({**keys, "epoch": epoch, "step": 4 * epoch, **figures, "seconds": 0.5, "diverged": False})
            last = {"epochs": 2, "step": 8, "test_loss": rng.uniform(), "test_accuracy": None, "seconds": 1.0}
            hashes = {f"{name}_hash": f"{name}{seed}" for name in ("initial", "order", "final")}
            outcomes = {"epochs_to_target": float("inf"), "steps_to_target": float("inf")}
            runs.append({**keys, **last, "diverged": seed == 1, "diverged_step": None, **hashes, **outcomes})
            for layer in ("dense", None):
                for epoch in (0, 1, 2):
                    row = {"epoch": epoch, "probe": "gradients", "layer": layer, "quantity": "norm (l2)"}
                    value = float("inf") if epoch == 0 else rng.uniform()
                    probes.append({"run": keys["run"], **row, "value": value})
    comparison = {"metric": "test_loss", "rate": 0.1, "arm": ARMS[1], "verdict": "undecided"}
    summary = {"primary": {"metric": "test_loss", "rate": 0.1}, "comparisons": [comparison]}
    settings = {"model": "mlp", "optimizer": "sgd", "schedule": "constant", "epochs": 2}
    study = {
        "identity_sha256": "i" * 64,
        "code_sha256": "c" * 64,
        "normlab": "0.1.0",
        "started": BEGAN,
        "study": settings,
        "data": {"name": "made-up", "hashes": {"train.x": "d" * 64}},
        "versions": {"python": "3"},
        "devices": ["cpu"],
    }
    tables = (pl.DataFrame(rows, infer_schema_length=None) for rows in (epochs, runs, probes))
    return Material(folder, study, summary, *tables, (), True)
