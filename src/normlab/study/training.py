"""Training of one chunk: all arms take turns, epoch by epoch, on the same seeds and orders; records come out.

Training can be left at any pause and taken up again: `Underway` is all that it needs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from normlab.study.cells import Chunk
from normlab.study.design import Study
from normlab.study.laboratory import Laboratory
from normlab.study.rows import EPOCH_SCHEMA, RUN_SCHEMA, epoch_rows, frame, run_rows

if TYPE_CHECKING:
    from normlab.data import Dataset
    from normlab.train.epochs import EpochRecord, EpochUnderWay
    from normlab.train.loop import RunState
    from normlab.train.population import Population

# Between two pauses about this long is trained; a pause looks at the clock, and takes no time otherwise.
PAUSE_SECONDS = 2.0
# Before the speed is known; then at most so many times the batches of the stretch before.
FIRST_STRETCH, LARGEST_GROWTH = 8, 16
EMPTY_SHA256 = hashlib.sha256().hexdigest()


@dataclass
class Underway:
    """A chunk between its first step and its last.

    Attributes:
        states: Of all runs, by arm.
        records: Of the epochs that an arm has finished, by arm.
        turn: The arm whose turn it is, or comes next.
        epoch: Of that arm, where it is in the middle of one.
        initial: By arm and seed, the hash of the initial values that all arms share.
        orders: By arm and seed, the hash over the orders of samples, and draws of augmentation, of finished epochs.
    """

    states: dict[str, RunState]
    records: dict[str, list[EpochRecord]]
    turn: str
    epoch: EpochUnderWay | None
    initial: dict[str, dict[int, str]]
    orders: dict[str, dict[int, str]]


def ignore_state(arm: str, epoch: int, state: RunState) -> None:
    """Look at no state."""


def go_on(now: Underway) -> None:
    """Pause for nothing."""


def begin_chunk(laboratory: Laboratory, chunk: Chunk) -> Underway:
    """Return a chunk before its first step."""
    seeds = [cell.seed for cell in chunk.cells]
    states = {
        arm: population.start(seeds, [cell.rates[arm] for cell in chunk.cells])
        for arm, population in laboratory.populations.items()
    }
    initial = _initial_hashes(laboratory, states, seeds)
    orders = {arm: dict.fromkeys(seeds, EMPTY_SHA256) for arm in states}
    return Underway(states, {arm: [] for arm in states}, next(iter(states)), None, initial, orders)


def train_chunk(
    laboratory: Laboratory,
    study: Study,
    dataset: Dataset,
    chunk: Chunk,
    after_epoch: Callable[[str, int], None],
    observe: Callable[[str, int, RunState], None] = ignore_state,
    begun: Underway | None = None,
    pause: Callable[[Underway], None] = go_on,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Train every cell of a chunk in every arm and return the records of its epochs and of its runs.

    Arms take turns epoch by epoch, in an order balanced over rounds, and every turn starts warm: whatever slows the
    machine for a while slows all of them, and times can be compared round by round.

    Args:
        laboratory: The programs.
        study: The study.
        dataset: Its data.
        chunk: The cells.
        after_epoch: Called with the arm's name and the epoch, from 1, when all runs of that arm have finished it.
        observe: Called with the arm's name, the epoch and the state of all its runs, at epoch 0 before the first step
            and after every epoch; no time that it takes is recorded.
        begun: Where training was left; results are then those of a training that was never left, to the bit.
        pause: Called every few seconds with all that is needed to go on from there.
    """
    now = begun or begin_chunk(laboratory, chunk)
    if begun is None:
        for arm, state in now.states.items():
            observe(arm, 0, state)
    stretches = dict.fromkeys(laboratory.populations, FIRST_STRETCH)
    turns = _turns(list(laboratory.populations), chunk, study.epochs)
    done = sum(len(records) for records in now.records.values())
    drawn: dict[int, list[np.ndarray]] = {}
    drawn_for = 0
    for position in range(done, len(turns)):
        epoch, arm = turns[position]
        now.turn, population = arm, laboratory.populations[arm]
        if epoch != drawn_for:
            drawn = {cell.seed: _drawn(study, dataset, cell.seed, epoch - 1) for cell in chunk.cells}
            drawn_for = epoch
        under_way = now.epoch = _begun_epoch(population, now.epoch, _by_run(chunk, drawn))
        now.states[arm] = population.warm_up(now.states[arm], under_way)
        while under_way.done < under_way.num_batches:
            stretches[arm] = _advance(population, now, arm, under_way, stretches[arm])
            pause(now)
        now.states[arm], record = population.finish(now.states[arm], under_way, len(chunk.cells))
        now.records[arm].append(record)
        now.epoch = None
        for seed, arrays in drawn.items():
            now.orders[arm][seed] = _chained(now.orders[arm][seed], arrays)
        after_epoch(arm, epoch)
        observe(arm, epoch, now.states[arm])
        now.turn = turns[min(position + 1, len(turns) - 1)][1]
        pause(now)
    return _recorded(laboratory, study, dataset, chunk, now)


def _turns(arms: list[str], chunk: Chunk, num_epochs: int) -> list[tuple[int, str]]:
    """Return the epoch, from 1, and the arm of every turn of a chunk, in order."""
    from normlab.train.turns import round_number, turn_order

    rounds = range(1, num_epochs + 1)
    return [(epoch, arm) for epoch in rounds for arm in turn_order(arms, round_number(chunk.number, epoch, num_epochs))]


def _begun_epoch(population: Population, begun: EpochUnderWay | None, arrays: list[list[np.ndarray]]) -> EpochUnderWay:
    """Return an arm's epoch before its first batch, or where it was left, with its orders on the devices."""
    orders, *draws = arrays
    fresh = population.begin(orders, draws[0] if draws else None)
    return fresh if begun is None else replace(begun, placed=fresh.placed, num_batches=fresh.num_batches)


def _advance(population: Population, now: Underway, arm: str, epoch: EpochUnderWay, num_batches: int) -> int:
    """Train an arm on the next batches; return how many take about `PAUSE_SECONDS`."""
    done, seconds = epoch.done, epoch.seconds
    now.states[arm] = population.advance(now.states[arm], epoch, num_batches)
    taken = max((epoch.seconds - seconds) * population.capacity, 1e-6)
    fitting = int((epoch.done - done) * PAUSE_SECONDS / taken)
    return max(1, min(fitting, LARGEST_GROWTH * num_batches))


def _drawn(study: Study, dataset: Dataset, seed: int, epoch: int) -> list[np.ndarray]:
    """Return the order of one seed's samples in an epoch, from 0, and the draws of augmentation where there is one."""
    from normlab.train.augment import epoch_draws
    from normlab.train.order import epoch_order

    num_samples = len(dataset.train)
    order = epoch_order(seed, epoch, num_samples)
    return [order] if study.augment == "none" else [order, epoch_draws(seed, epoch, num_samples, dataset.input_shape)]


def _by_run(chunk: Chunk, drawn: Mapping[int, list[np.ndarray]]) -> list[list[np.ndarray]]:
    """Return the orders of all runs of a chunk, then their draws where there are any."""
    kinds = len(drawn[chunk.cells[0].seed])
    return [[drawn[cell.seed][kind] for cell in chunk.cells] for kind in range(kinds)]


def _chained(before: str, arrays: list[np.ndarray]) -> str:
    """Return the hash over what was seen before and what is seen now."""
    return hashlib.sha256(bytes.fromhex(before) + b"".join(array.tobytes() for array in arrays)).hexdigest()


def _initial_hashes(
    laboratory: Laboratory, states: Mapping[str, RunState], seeds: list[int]
) -> dict[str, dict[int, str]]:
    """Return, by arm and seed, the hash of the values on the devices that all arms share, before the first step."""
    from normlab.train.digests import shared_digest

    hashes: dict[str, dict[int, str]] = {}
    for arm, population in laboratory.populations.items():
        trainable = [np.asarray(values) for values in states[arm].trainable]
        digests = (shared_digest(population.plan, laboratory.shared_paths, trainable, run) for run in range(len(seeds)))
        hashes[arm] = dict(zip(seeds, digests, strict=True))
    return hashes


def _recorded(
    laboratory: Laboratory, study: Study, dataset: Dataset, chunk: Chunk, now: Underway
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Test all runs of a chunk whose epochs are finished, and return its records."""
    from normlab.train.digests import state_digests

    num_runs = len(chunk.cells)
    tested, recomputed, hashes = {}, {}, {}
    for arm, population in laboratory.populations.items():
        tested[arm] = population.test(now.states[arm], num_runs)
        if chunk.stage != "tuning" and arm in laboratory.statistics:
            settled = population.recomputed(now.states[arm])
            recomputed[arm] = {
                "val": population.evaluate(settled, num_runs, "validation"),
                "test": population.test(settled, num_runs),
            }
        final = state_digests(now.states[arm], num_runs)
        hashes[arm] = [
            {"initial_hash": now.initial[arm][cell.seed], "order_hash": now.orders[arm][cell.seed], "final_hash": own}
            for cell, own in zip(chunk.cells, final, strict=True)
        ]
    epochs = epoch_rows(study, dataset, chunk, now.records)
    runs = run_rows(epochs, tested, hashes, dataset.task == "classification", recomputed)
    return frame(epochs, EPOCH_SCHEMA), frame(runs, RUN_SCHEMA)
