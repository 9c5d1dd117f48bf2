"""How many runs make a chunk: enough to fill the devices, few enough to fit into memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from normlab.errors import InputError
from normlab.study.cells import report_cells, tuning_cells
from normlab.study.design import Study
from normlab.study.memory import largest_chunk, parameter_bytes, process_bytes, state_bytes, working_bytes
from normlab.study.seeds import FIRST_LOOK

if TYPE_CHECKING:
    from normlab.train.blueprint import Blueprint

# A checkpoint holds all runs of a chunk, so it is kept small; and it must fit into memory many times over.
MOST_CHUNK_RUNS = 64
FEWEST_CHUNK_RUNS = 8
CHUNK_BYTES = 2**30


def chunk_size(study: Study, plans: Mapping[str, Blueprint], num_devices: int, memory_bytes: int | None = None) -> int:
    """Return how many runs of an arm train side by side: a multiple of the devices that leaves the fewest idle places.

    Both stages use the same size, so that each arm's program is compiled once. Where seeds are "auto", the report
    counts with the pairs before the first look: a chunk of the whole budget would leave nothing to stop.

    Raises:
        InputError: If one run per device does not fit into the memory given, by the estimate.
    """
    largest = max(state_bytes(study, plan) + parameter_bytes(plan) for plan in plans.values())
    most = max(num_devices, min(MOST_CHUNK_RUNS, CHUNK_BYTES // largest))
    stages = [len(tuning_cells(study))] if study.tuned else []
    stages.append(FIRST_LOOK if study.seeds == "auto" else len(report_cells(study, None if not study.tuned else {})))
    fewest = min(FEWEST_CHUNK_RUNS, max(stages))
    if memory_bytes is not None:
        most = min(most, _fitting_runs(study, plans, num_devices, memory_bytes))
        fewest = min(fewest, most)
    rounded = {-(-size // num_devices) * num_devices for size in range(fewest, max(most, fewest) + 1)}
    sizes = sorted((size for size in rounded if size <= most), reverse=True) or [num_devices]
    return min(sizes, key=lambda size: sum(-(-cells // size) * size for cells in stages))


def _fitting_runs(study: Study, plans: Mapping[str, Blueprint], num_devices: int, memory_bytes: int) -> int:
    """Return how many runs of an arm fit into memory beside what the process holds already."""
    import jax

    from normlab.train.convolutions import convolves_on_cpu

    on_cpu = jax.devices()[0].platform == "cpu"
    budget = memory_bytes - process_bytes() if on_cpu else memory_bytes * num_devices
    mapped = all(convolves_on_cpu(plan.model) for plan in plans.values())
    fitting = largest_chunk(study, plans, budget, num_devices if mapped else None)
    if fitting < num_devices:
        one = sum(state_bytes(study, plan) for plan in plans.values())
        one += max(working_bytes(study, plan) for plan in plans.values())
        used = process_bytes() if on_cpu else 0
        needed = used + num_devices * one
        raise InputError(
            f"--max-memory must hold one run of every arm on each of {num_devices} devices",
            f"{memory_bytes / 2**20:,.0f} MiB where about {needed / 2**20:,.0f} MiB are needed",
            "give more, or choose a smaller network or batch size",
        )
    return fitting
