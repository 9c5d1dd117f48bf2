"""False verdicts and power of studies on real trainings, by mode, data set and metric, with 95 % binomial intervals.

`python benchmarks/calibration.py [--quick] [--studies N] [--pool DIR] [--data wine,digits]` trains a pool of studies
(see `pool.py`) and judges each by the functions that studies call: the choice of rates, interim analyses, comparisons.
An arm that is equal to its baseline in distribution must be called different at most at the nominal rate; arms with
fewer units show the power. `--candidates` also judges by the rule that was in use before. Prints a table;
`--out FILE` keeps all numbers as JSON with machine and versions.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pool
import shifts
from scipy.stats import beta
from shifts import BASELINE

from normlab.stats.verdict import Judged
from normlab.study.cells import Chunk
from normlab.study.looks import Looks
from normlab.study.metrics import with_outcomes
from normlab.study.provenance import machine, versions
from normlab.study.rates import Choice, best_rates, choose_rates, possible_rates, rates_beyond
from normlab.study.seeds import FIRST_LOOK, MAX_SEEDS
from normlab.study.summary import Evidence, Rate, at_main_rates
from normlab.study.target import set_target
from normlab.train.devices import prepare

TASK, MARGIN, SEEDS = "classification", 0.005, 10
FIXED_RATE = 0.3
MODES = ("fixed", "tuned", "auto")
METRICS = ("test_accuracy", "test_loss", "epochs_to_target")
QUICK_STUDIES, STUDIES = 20, 200
# Power needs fewer studies than a small rate of false verdicts.
MOST_POWER_STUDIES = 100
# The first is that of studies; the other takes no notice of the chance in the choice, and was in use before.
RULES = ("every pair chooses among the possible rates", "one rate for all pairs")


def main() -> None:
    """Read the command line, train what is missing, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_STUDIES} studies per data set: minutes")
    parser.add_argument("--studies", type=int, help=f"per data set; default {STUDIES}")
    parser.add_argument("--data", default=",".join(pool.SETTINGS), help="data sets, separated by commas")
    parser.add_argument("--pool", type=Path, help="keep the trainings here, and use those that are here")
    parser.add_argument("--candidates", action="store_true", help="also judge by the rule that was in use before")
    parser.add_argument("--out", type=Path, help="write all numbers to this file")
    options = parser.parse_args()
    num_studies = options.studies or (QUICK_STUDIES if options.quick else STUDIES)
    prepare(num_cpu_devices=1)
    with tempfile.TemporaryDirectory() as folder:
        kept = options.pool or Path(folder)
        rows = []
        for data in options.data.split(","):
            arms = list(pool.SETTINGS[data].units)
            pool.train(data, min(num_studies, MOST_POWER_STUDIES), kept, arms)
            pool.train(data, num_studies, kept, arms[:2])
            for rule in RULES if options.candidates else RULES[:1]:
                rows += calibrated(data, num_studies, kept, rule)
        agreements = [end_to_end(data, kept) for data in options.data.split(",")]
    print("Called different, with the 95 % interval; of these worse; called equivalent.")
    for row in rows:
        setting = f"{row['data']:8}{row['mode']:7}{row['arm']:8}{row['metric']:18}{row['studies']:4} studies"
        interval = f"{row['share']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
        print(f"{setting}  {interval}  {row['worse']:4}  {row['equivalent']:4}  {row['rule']}")
    for agreement in agreements:
        print(f"A study from end to end on {agreement['data']}, and the same one from the pool: {agreement}")
    if options.out:
        content = {"machine": machine(), "versions": versions(), "rows": rows, "end_to_end": agreements}
        options.out.write_text(json.dumps(content, indent=1) + "\n")


def calibrated(data: str, num_studies: int, folder: Path, rule: str) -> list[dict[str, Any]]:
    """Return a row per mode, arm and metric: how often the arm was called better or worse than its baseline."""
    verdicts: dict[tuple[str, str, str], list[str]] = {}
    extra: list[float] = []
    modes = MODES if rule == RULES[0] else ("tuned",)
    for study in range(num_studies):
        path = pool.path_of(folder, data, study)
        for arm in list(pool.SETTINGS[data].units)[1 : 2 if study >= MOST_POWER_STUDIES else None]:
            epochs, runs = pool.tables(path, (BASELINE, arm))
            for mode in modes:
                found, num_extra = judged(mode, data, epochs, runs, arm, rule)
                for metric, verdict in found.items():
                    verdicts.setdefault((mode, arm, metric), []).append(verdict)
                if mode == "tuned" and arm == "b":
                    extra.append(num_extra)
    return [
        {
            "rule": rule,
            "data": data,
            "mode": mode,
            "arm": "equal" if arm == "b" else arm,
            "metric": metric,
            "studies": len(found),
            **_share("different", sum(one in ("better", "worse") for one in found), len(found)),
            "worse": found.count("worse"),
            "equivalent": found.count("equivalent"),
            "extra_runs_per_arm": float(np.mean(extra)) if mode == "tuned" and extra else None,
        }
        for (mode, arm, metric), found in verdicts.items()
    ]


def judged(
    mode: str, data: str, epochs: pl.DataFrame, runs: pl.DataFrame, arm: str, rule: str
) -> tuple[dict[str, str], float]:
    """Return a study's verdicts by metric, and the runs per arm beyond those at the chosen rates."""
    uninformed = math.log({"wine": 3, "digits": 10}[data])
    arms = [BASELINE, arm]
    chosen = None if mode == "fixed" else _tuned(data, runs)
    rates = [FIXED_RATE] if chosen is None else possible_rates(chosen)
    first = {name: FIXED_RATE if chosen is None else chosen[name].rate for name in arms}
    is_fresh = pl.col("stage") == "report"
    fresh = _reported(runs.filter(is_fresh & (pl.col("rate").is_in(rates) if rule == RULES[0] else _at(first))), first)
    looks = None
    if mode == "auto":
        looks = Looks(arms, len(rates), "test_accuracy", MARGIN, MAX_SEEDS, FIRST_LOOK, uninformed)
        fresh = _looked(looks, fresh)
    else:
        fresh = fresh.filter(pl.col("seed") < _first_seed(fresh) + SEEDS)
    parts = [fresh] if chosen is None else [fresh, runs.filter(pl.col("stage") == "tuning")]
    known = pl.concat(parts)
    target_runs = known if chosen is None else parts[1].filter(_at(first))
    target = set_target(target_runs, TASK, None)
    outcomes = with_outcomes(known, epochs, target.value, uninformed)
    answers: Mapping[str, Judged] | None = looks.answers() if looks else None
    main: Rate = FIXED_RATE if chosen is None else "tuned"
    evidence = Evidence(epochs, outcomes, arms, TASK, MARGIN, 1, chosen, main, answers)
    rows = {row["metric"]: str(row["verdict"]) for row in at_main_rates(evidence)}
    return {metric: rows[metric] for metric in METRICS}, (len(rates) - 1) * SEEDS


def end_to_end(data: str, folder: Path) -> dict[str, Any]:
    """Run the pool's first study as a user would, with its search and its files, and compare rates and verdicts."""
    from normlab.compare import compare

    dataset, source = pool.load_part(data, 0), Path(shifts.__file__)
    arms = [{"norm": f"{source}:{name}", "name": name} for name in (BASELINE, "b")]
    with tempfile.TemporaryDirectory() as out:
        result = compare(
            pool.source(data),
            lambda norm: pool.network(dataset, norm),
            arms,
            epochs=pool.EPOCHS,
            batch_size=pool.BATCH_SIZE,
            out=Path(out) / "study",
        )
        possible = {arm: tuple(rates) for arm, rates in result.records.summary["rates"]["possible"].items()}
        real = {metric: result.verdict(metric, "b") for metric in METRICS}
    epochs, runs = pool.tables(pool.path_of(folder, data, 0), (BASELINE, "b"))
    chosen = _tuned(data, runs)
    pooled, _ = judged("tuned", data, epochs, runs, "b", RULES[0])
    same_rates = possible == {arm: one.rates for arm, one in chosen.items()}
    return {"data": data, "same_rates": same_rates, "same_verdicts": real == pooled, "verdicts": real}


def _tuned(data: str, runs: pl.DataFrame) -> dict[str, Choice]:
    """Search the grid, and beyond it, as a study does."""
    tuning, grid = runs.filter(pl.col("stage") == "tuning"), list(pool.GRID)
    while True:
        chosen = choose_rates(tuning.filter(pl.col("rate").is_in(grid)), TASK)
        beyond = rates_beyond(pool.GRID, grid, best_rates(chosen).values())
        added = [rate for rate in beyond if rate in pool.SETTINGS[data].beyond]
        if not added:
            return chosen
        grid += added


def _at(rates: Mapping[str, float]) -> pl.Expr:
    """Return whether a run is at its arm's rate."""
    return pl.any_horizontal((pl.col("arm") == arm) & (pl.col("rate") == rate) for arm, rate in rates.items())


def _reported(fresh: pl.DataFrame, rates: Mapping[str, float]) -> pl.DataFrame:
    """Return fresh runs with the stage that a study trains them in: the report at an arm's rate, else alternative."""
    return fresh.with_columns(stage=pl.when(_at(rates)).then(pl.lit("report")).otherwise(pl.lit("alternative")))


def _looked(looks: Looks, fresh: pl.DataFrame) -> pl.DataFrame:
    """Take in the pairs ten by ten, as a study does, and return the runs of those that it trained."""
    numbered = fresh.with_columns(chunk=((pl.col("seed") - _first_seed(fresh)) // FIRST_LOOK).cast(pl.Int32))
    for number in range(MAX_SEEDS // FIRST_LOOK):
        goes_on = [looks.after(Chunk(stage, number, ()), numbered) for stage in ("report", "alternative")]
        if not goes_on[-1]:
            return numbered.filter(pl.col("chunk") <= number)
    return numbered


def _first_seed(runs: pl.DataFrame) -> int:
    return int(runs["seed"].to_numpy().min())


def _share(name: str, hits: int, trials: int) -> dict[str, float | int]:
    """Return hits and their share with its 95 % interval by Clopper and Pearson 1934."""
    low = float(beta.ppf(0.025, hits, trials - hits + 1)) if hits else 0.0
    high = float(beta.ppf(0.975, hits + 1, trials - hits)) if hits < trials else 1.0
    return {name: hits, "share": hits / trials, "low": low, "high": high}


if __name__ == "__main__":
    main()
