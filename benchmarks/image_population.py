"""Trains several runs of a network for images with normlab's engine, one epoch a turn; see `turns.py`.

`python benchmarks/image_population.py --network convnet --runs 2 --steps 100 --rounds 3 [--data-dir DIR]`. An epoch's
time includes its validation, and the drawing of its order; a first epoch of one step, and what is compiled for it, are
done before the first turn.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from images import BATCH_SIZE, LEARNING_RATE, first_images
from turns import say, work

from normlab.study.design import make_study
from normlab.study.laboratory import build_plans, named_model, set_up
from normlab.study.provenance import versions
from normlab.train.devices import prepare


def main() -> None:
    """Read the command line, train, an epoch a turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=("convnet", "resnet"), required=True)
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True, help="batches of an epoch")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args()
    train(options.network, options.runs, options.steps, options.rounds, options.data_dir)


def train(network: str, num_runs: int, num_steps: int, num_rounds: int, data_dir: Path | None) -> None:
    """Train the arm with batch norm of a study of so many pairs, as a study trains it."""
    study = make_study(
        {
            "data": "cifar10",
            "model": network,
            "optimizer": "momentum",
            "rates": LEARNING_RATE,
            "seeds": num_runs,
            "batch_size": BATCH_SIZE,
        }
    )
    prepare()
    from normlab.train.order import epoch_order

    dataset = first_images(data_dir, num_steps)
    laboratory = set_up(study, dataset, build_plans(study, dataset, named_model(study, dataset)))
    population = laboratory.populations["batch"]
    seeds = study.report_seeds
    epoch = 0
    state = population.start(seeds, [LEARNING_RATE] * num_runs)

    def turn(num_batches: int | None = None) -> None:
        nonlocal state, epoch
        orders = [epoch_order(seed, epoch, len(dataset.train)) for seed in seeds]
        state, _ = population.train(state, orders, num_batches)
        epoch += 1

    start = time.perf_counter()
    turn(1)
    say(
        {
            "num_parameters": population.plan.model.count_params(),
            "first_epoch_seconds": time.perf_counter() - start,
            "compile_seconds": population.compile_seconds,
            "versions": versions(),
            "setting": f"{num_runs} runs in one program on {population.data.mesh.size} devices, {laboratory.layout}",
        }
    )
    work(turn, num_rounds)


if __name__ == "__main__":
    main()
