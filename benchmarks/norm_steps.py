"""Times a training step of every norm in one network, all in one process and in turns; prints a line of JSON per norm.

`python benchmarks/norm_steps.py --network mlp --steps 50 --rounds 20 [--data-dir DIR]`: one run on one core, the loop
that a study trains with, without evaluations. A norm that can't serve in the network is listed with the reason.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from images import first_images

from normlab.errors import InputError
from normlab.norms import NORMS, check_model
from normlab.probes.step_time import step_times
from normlab.study.arm import Arm
from normlab.study.design import Study, make_study
from normlab.study.laboratory import named_model, trainer_of
from normlab.study.provenance import versions
from normlab.train.devices import prepare

if TYPE_CHECKING:
    from normlab.data import Dataset
    from normlab.train.initial import InitialValues

STUDIES = {
    "mlp": {"data": "mnist", "batch_size": 32, "rates": 1e-3},
    "convnet": {"data": "cifar10", "batch_size": 64, "rates": 1e-2, "optimizer": "momentum"},
}


def main() -> None:
    """Read the command line, time all norms, print their records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=STUDIES, required=True)
    parser.add_argument("--steps", type=int, required=True, help="steps of one call")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args()
    for record in measure(options.network, options.steps, options.rounds, options.data_dir):
        print(json.dumps(record))


def measure(network: str, num_steps: int, num_rounds: int, data_dir: Path | None) -> list[dict[str, Any]]:
    """Time every norm in the network; return a record per norm of the table."""
    study = make_study({"model": network, "arms": list(NORMS), **STUDIES[network]})
    prepare(num_cpu_devices=1)
    from normlab.data import load
    from normlab.train.initial import InitialValues

    dataset = first_images(data_dir, num_steps) if study.data == "cifar10" else load(study.data, data_dir=data_dir)
    values = InitialValues()
    steps: dict[str, Callable[[], Any]] = {}
    refused: dict[str, str] = {}
    for arm in study.arms:
        try:
            steps[arm.name] = training(study, dataset, arm, values, num_steps)
        except InputError as error:
            refused[arm.name] = str(error)
    times = step_times(steps, num_rounds)
    found: list[dict[str, Any]] = []
    for name in NORMS:
        record = {"network": network, "norm": name, "steps_per_call": num_steps, "versions": versions()}
        if name in times:
            record["first_seconds"] = times[name].first_seconds
            record["seconds_per_step"] = [seconds / num_steps for seconds in times[name].seconds]
        else:
            record["refused"] = refused[name]
        found.append(record)
    return found


def training(study: Study, dataset: Dataset, arm: Arm, values: InitialValues, num_steps: int) -> Callable[[], Any]:
    """Return a function that takes `num_steps` further steps of the arm's first run.

    Raises:
        InputError: If the norm can't serve in the network.
    """
    import jax
    import jax.numpy as jnp

    from normlab.train.loop import RunState, Totals, train_batches
    from normlab.train.optimizers import initial_state

    plan = named_model(study, dataset)(arm)
    check_model(arm.build_norm(), plan.model, study.batch_size)
    trainer = trainer_of(study, dataset, arm, plan)
    parts = (plan.model.trainable_variables, plan.model.non_trainable_variables)
    drawn = [[value[0] for value in values.stacked(plan, part, [0])] for part in parts]
    rates = initial_state(trainer.optimizer, [study.grid[0]])
    count = num_steps * study.batch_size
    state = RunState(drawn[0], drawn[1], [value[0] for value in rates], np.int32(0), np.int32(0))
    samples = jax.device_put((dataset.train.x[:count], dataset.train.y[:count], np.arange(count, dtype=np.int32)))

    def steps(state: RunState, x: Any, y: Any, order: Any) -> Any:
        nothing = Totals(jnp.float32(0), jnp.float32(0))
        return train_batches(trainer, (state, nothing), x, y, order, jnp.int32(0), jnp.int32(num_steps))

    program = jax.jit(steps, donate_argnums=0)

    def step() -> Any:
        nonlocal state
        state, totals = program(state, *samples)
        return state, totals

    return step


if __name__ == "__main__":
    main()
