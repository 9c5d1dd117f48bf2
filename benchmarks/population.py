"""Times normlab's own engine on the benchmarked networks and prints one line of JSON per network.

`python benchmarks/population.py --pair notebook --runs 10 --epochs 4 [--data-dir DIR]`: both arms of a pair take turns
epoch by epoch, as in a study. Seconds are per epoch and run, validation included; compiling is listed apart.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any

from normlab.compare import prepare_training
from normlab.study.cells import report_cells
from normlab.study.design import Study, make_study
from normlab.study.laboratory import build_plans, named_model, set_up
from normlab.study.provenance import versions


def main() -> None:
    """Read the command line, train both arms, print their records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pair", choices=("notebook", "small"), required=True)
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args()
    for record in measure(options.pair, options.runs, options.epochs, options.data_dir):
        print(json.dumps(record))


def study_of(pair: str, runs: int, data_dir: Path | None) -> Study:
    """Return the study whose arms are the pair's networks."""
    if pair == "notebook":
        from normlab.replicate.notebook import notebook_study

        return notebook_study(runs, 10, data_dir)
    network = {"widths": (64, 32), "initializer": "glorot_uniform"}
    return make_study({"data": "digits", "network": network, "rates": 1e-3, "seeds": runs})


def measure(pair: str, runs: int, epochs: int, data_dir: Path | None) -> list[dict[str, Any]]:
    """Train `runs` runs of both arms for some epochs, taking turns; return a record per arm."""
    study = study_of(pair, runs, data_dir)
    dataset = prepare_training(study)
    from normlab.train.order import epoch_order
    from normlab.train.turns import turn_order

    laboratory = set_up(study, dataset, build_plans(study, dataset, named_model(study, dataset)))
    seeds = [cell.seed for cell in report_cells(study, None)]
    groups = [seeds[i : i + laboratory.chunk_runs] for i in range(0, len(seeds), laboratory.chunk_runs)]
    seconds: dict[str, list[float]] = {arm: [] for arm in laboratory.populations}
    records: dict[str, Any] = {}
    for group in groups:
        states = {arm: p.start(group, [1e-3] * len(group)) for arm, p in laboratory.populations.items()}
        for epoch in range(epochs):
            for arm in turn_order(list(laboratory.populations), epoch):
                population = laboratory.populations[arm]
                start, compiling = time.perf_counter(), population.compile_seconds
                orders = [epoch_order(seed, epoch, len(dataset.train)) for seed in group]
                states[arm], records[arm] = population.train(states[arm], orders)
                spent = time.perf_counter() - start - (population.compile_seconds - compiling)
                seconds[arm].append(spent / population.capacity)
    names = dict(zip(laboratory.populations, (f"{pair}-none", f"{pair}-batch"), strict=True))
    shared = {
        "engine": "normlab",
        "versions": versions(),
        "setting": f"{runs} runs, {laboratory.layout}, chunks of {laboratory.chunk_runs}",
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    return [
        {
            **shared,
            "network": names[arm],
            "seconds_per_epoch_and_run": [s for i, s in enumerate(seconds[arm]) if i % epochs],
            "first_epoch_seconds": seconds[arm][0],
            "compile_seconds": population.compile_seconds,
            "final": {
                name: float(getattr(records[arm], name).mean())
                for name in ("loss", "accuracy", "val_loss", "val_accuracy")
            },
        }
        for arm, population in laboratory.populations.items()
    ]


if __name__ == "__main__":
    main()
