"""What the pairs of a study show beside its metrics: divergences pair by pair, and how many runs pairing saves."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import polars as pl

from normlab.stats.bootstrap import FEWEST_PAIRS as FEWEST_FOR_INTERVAL
from normlab.stats.mcnemar import mcnemar
from normlab.stats.multiplicity import benjamini_hochberg
from normlab.stats.pairing import pairing
from normlab.study.metrics import METRICS, pairs
from normlab.study.summary import Evidence, selections

# Fewer pairs show nothing of how arms vary together.
FEWEST_PAIRS = 3
_SAVINGS_BOUNDS = (
    "correlation_low",
    "correlation_high",
    "ratio_low",
    "ratio_high",
    "saved_low",
    "saved_high",
)


def divergences(evidence: Evidence) -> list[dict[str, Any]]:
    """Return McNemar's comparison of an arm's divergences with its baseline's, wherever a run of either diverged.

    At each arm's own best rate, or the first rate given, and at each shared rate of a grid. All of it is exploratory:
    `p_adjusted` is Benjamini and Hochberg's over all rows.
    """
    main, shared = selections(evidence)
    baseline = evidence.arms[0]
    rows = []
    for rate, runs in [*main, *shared]:
        for arm in evidence.arms[1:]:
            own, other = (runs.filter(pl.col("arm") == name).select("seed", "diverged") for name in (arm, baseline))
            both = own.join(other, on="seed", suffix="_baseline")
            if both["diverged"].any() or both["diverged_baseline"].any():
                found = mcnemar(both["diverged"].to_numpy(), both["diverged_baseline"].to_numpy())
                row = {"arm": arm, "baseline": baseline, "rate": rate, "pairs": len(both), **asdict(found)}
                rows.append(_without_bounds(row, len(both), "low", "high"))
    adjusted = benjamini_hochberg([row["p_value"] for row in rows])
    return [
        {**row, "p_adjusted": float(p), "correction": "benjamini-hochberg"}
        for row, p in zip(rows, adjusted, strict=True)
    ]


def savings(evidence: Evidence) -> list[dict[str, Any]]:
    """Return per arm what pairing with the baseline saves in the primary metric, where its question is asked.

    `saved` is 1 - Var(a - b) / (Var a + Var b), the share of an unpaired study's runs that a paired one of the same
    precision does without; negative where pairing costs runs, null where no arm varies. No row for fewer than three
    pairs.
    """
    metric, baseline = evidence.primary_metric, evidence.arms[0]
    rows = []
    for rate, runs in selections(evidence)[0]:
        for arm in evidence.arms[1:]:
            values = pairs(runs, metric, arm, baseline)
            if values[0].size < FEWEST_PAIRS:
                continue
            found = pairing(*values)
            ratio = found.variance_ratio
            row = {
                "metric": metric,
                "label": METRICS[metric].label,
                "arm": arm,
                "baseline": baseline,
                "rate": rate,
                **asdict(found),
                "saved": None if ratio is None else 1 - ratio,
                "saved_low": 1 - found.ratio_high,
                "saved_high": 1 - found.ratio_low,
            }
            rows.append(_without_bounds(row, found.pairs, *_SAVINGS_BOUNDS))
    return rows


def _without_bounds(row: dict[str, Any], num_pairs: int, *bounds: str) -> dict[str, Any]:
    """Return the row without the bounds of its intervals where there are too few pairs for any."""
    return row if num_pairs >= FEWEST_FOR_INTERVAL else {**row, **dict.fromkeys(bounds)}
