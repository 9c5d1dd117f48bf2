"""Times of equal arms: how often they are called different, and what a turn's position costs.

`python benchmarks/turn_order.py [--studies 100] [--arms 2 3] [--out results/turn-order]`, on an idle machine.

Each study trains a tiny network in arms that are equal but for their names, each with programs of its own, and judges
seconds per step as every study does. Then the same with a last arm that is wider, which must be found slower.
Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

HERE = Path(__file__).resolve().parent
SETTINGS: dict[str, Any] = {"data": "wine", "network": {"widths": [16]}, "rates": 0.1, "batch_size": 16}
WIDE = 512
EPOCHS, SEEDS = 31, 6

Record = dict[str, Any]


def main() -> None:
    """Measure equal arms, then arms of which one is slow; print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=100, help="of each number of arms")
    parser.add_argument("--slow-studies", type=int, default=20, help="with one slow arm, of each number of arms")
    parser.add_argument("--arms", type=int, nargs="+", default=[2, 3], help="numbers of arms")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "turn-order", help="without suffix")
    options = parser.parse_args()
    from normlab.study.provenance import machine

    found = []
    for num_arms in options.arms:
        for is_slow, number in ((False, options.studies), (True, options.slow_studies)):
            studies = [measure(num_arms, seed, is_slow) for seed in range(number)]
            if studies:
                found.append(summed_up(num_arms, is_slow, studies))
                print("\n".join(lines(found[-1:])), flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine(), "settings": {**SETTINGS, "epochs": EPOCHS, "seeds": SEEDS}, "records": found}
    options.out.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    page = ["# Times of equal arms", "", HEAD, RULE, *(line for one in found for line in lines([one]))]
    options.out.with_suffix(".md").write_text("\n".join(page) + "\n", encoding="utf-8")
    print(f"Written: {options.out}.json and .md")


def measure(num_arms: int, split_seed: int, is_slow: bool) -> Record:
    """Run one study; return its verdicts on seconds per step, and its times by round and position."""
    from normlab.compare import prepare_training
    from normlab.study.design import make_study
    from normlab.study.execute import execute
    from normlab.study.laboratory import named_model
    from normlab.study.store import Store

    arms: list[Record] = [{"norm": "batch", "name": f"arm {number}"} for number in range(num_arms)]
    if is_slow:
        arms[-1] |= {"widths": [WIDE]}
    settings = {**SETTINGS, "arms": arms, "epochs": EPOCHS, "seeds": SEEDS, "split_seed": split_seed}
    study = make_study(settings)
    dataset = prepare_training(study)
    with tempfile.TemporaryDirectory() as folder:
        summary = execute(study, dataset, named_model(study, dataset), Store(Path(folder) / "study"))
        epochs = pl.read_parquet(Path(folder) / "study" / "epochs.parquet")
    rows = [row for row in summary["comparisons"] if row["metric"] == "seconds_per_step"]
    return {
        "verdicts": [row["verdict"] for row in rows],
        "ratios": [row["value"] / row["baseline_value"] for row in rows],
        "seconds": _by_position(epochs, [arm["name"] for arm in arms]).tolist(),
    }


def _by_position(epochs: pl.DataFrame, arms: list[str]) -> np.ndarray:
    """Return the seconds of an epoch by round and position in it, the first epoch left out, shape (rounds, arms)."""
    from normlab.train.turns import round_number, turn_order

    seconds = {(row["arm"], row["epoch"]): row["seconds"] for row in epochs.iter_rows(named=True)}
    orders = ((epoch, turn_order(arms, round_number(0, epoch, EPOCHS))) for epoch in range(2, EPOCHS + 1))
    return np.array([[seconds[arm, epoch] for arm in order] for epoch, order in orders])


def summed_up(num_arms: int, is_slow: bool, studies: list[Record]) -> Record:
    """Return counts of verdicts, and each later position's time relative to the first with a bootstrap interval."""
    logs = np.log([one["seconds"] for one in studies])  # (studies, rounds, positions)
    relative = np.median(logs[:, :, 1:] - logs[:, :, :1], axis=1)
    draws = np.random.default_rng(0).integers(0, len(studies), (999, len(studies)))
    low, high = np.quantile(relative[draws].mean(axis=1), [0.025, 0.975], axis=0)
    positions = np.exp([relative.mean(axis=0), low, high])
    return {
        "arms": num_arms,
        "slow": is_slow,
        "studies": len(studies),
        "comparisons": dict(Counter(verdict for one in studies for verdict in one["verdicts"])),
        "false_studies": sum(bool({"better", "worse"} & set(one["verdicts"])) for one in studies),
        "found": sum(one["verdicts"][-1] == "worse" for one in studies),
        "ratio": float(np.median([one["ratios"][-1] for one in studies])),
        "positions": positions.T.tolist(),
        "seconds": [one["seconds"] for one in studies],
    }


HEAD = "| arms | studies | better | worse | equivalent | undecided | studies with one | position against the first |"
RULE = "|---|---|---|---|---|---|---|---|"


def lines(found: list[Record]) -> list[str]:
    """Return a row of the table for every record."""
    from statsmodels.stats.proportion import proportion_confint

    rows = []
    for one in found:
        counts = [str(one["comparisons"].get(name, 0)) for name in ("better", "worse", "equivalent", "undecided")]
        hits = one["found"] if one["slow"] else one["false_studies"]
        low, high = proportion_confint(hits, one["studies"], method="beta")
        places = ", ".join(f"{mean:.3f} ({a:.3f} to {b:.3f})" for mean, a, b in one["positions"])
        kind = f"{one['arms']}, the last one slow ({one['ratio']:.2f})" if one["slow"] else f"{one['arms']}, equal"
        share = f"{hits / one['studies']:.3f} ({low:.3f} to {high:.3f})"
        rows.append(f"| {kind} | {one['studies']} | {' | '.join(counts)} | {share} | {places} |")
    return rows


if __name__ == "__main__":
    main()
