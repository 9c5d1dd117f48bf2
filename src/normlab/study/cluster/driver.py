"""The engine whose chunks are tasks of a Ray cluster; workers hand back records, and the study writes them here."""

from __future__ import annotations

import json
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from normlab.errors import InputError
from normlab.study.cells import Chunk
from normlab.study.cluster.parcels import makings, packed_chunk, packed_dataset, packed_study, unpacked_tables
from normlab.study.cluster.worker import Board, normlab_chunk
from normlab.study.engine import EngineWarning, Finished, OutOfTimeError, Work, engine_record
from normlab.study.memory import OutOfMemoryError

# Chunks given out beyond those on record, per worker that the cluster has room for: one trains, one waits.
AHEAD = 2
# A chunk whose worker was lost is given out again, so many times.
MOST_LOSSES = 3
POLL_SECONDS = 0.5


class RayEngine:
    """Has chunks trained by workers with as many devices as this process has; see `Engine`.

    A worker has no checkpoints: a chunk that it leaves is begun anew.

    Raises:
        InputError: If no machine of the cluster has as many devices.
    """

    def __init__(self, work: Work) -> None:
        import ray

        self.work = work
        self._needs = _needs(work)
        self._require_room()
        about, arrays = packed_dataset(work.dataset)
        engine = engine_record(work.laboratory)
        setting = {
            "study": packed_study(work.study),
            "dataset": about,
            "engine": engine,
            "memory_bytes": work.limits.memory_bytes,
            "platform": _platform(),
            "makings": makings(
                work.study, {arm: population.plan for arm, population in work.laboratory.populations.items()}
            ),
        }
        self._setting = json.dumps(setting, sort_keys=True)
        self._arrays = ray.put(arrays)
        self._task = ray.remote(normlab_chunk).options(**self._needs, max_retries=0)
        self._board: Any = ray.remote(Board).options(num_cpus=0, max_restarts=-1, max_task_retries=-1).remote()
        self._under_way: dict[Any, Chunk] = {}  # by Ray's reference to what the worker will hand back
        self._answers: dict[str, dict[str, Any]] = {}
        self._losses: Counter[str] = Counter()
        self._told: set[tuple[str, str, int]] = set()
        self._seconds: Counter[str] = Counter()

    def train(self, chunks: Sequence[Chunk]) -> Iterator[Finished]:
        """Give chunks out, a few ahead, and give each back as it comes; where looks may end the stage, in order."""
        waiting = list(reversed(chunks))
        left = {chunk.name: chunk for chunk in chunks}
        in_order = self.work.study.seeds == "auto"
        try:
            while left:
                ready = [name for name in left if name in self._answers]
                if ready and (not in_order or ready[0] == next(iter(left))):
                    yield self._finished(left.pop(ready[0]), self._answers.pop(ready[0]))
                    continue
                ahead = len(left) - len(waiting)
                while waiting and ahead < AHEAD * self._slots():
                    self._give_out(waiting.pop())
                    ahead += 1
                self._gather()
        finally:
            self.cancel()

    def timing(self) -> dict[str, float]:
        """Return seconds spent on compiling and on probes, by the driver and all workers."""
        here = Counter({"compile_seconds": self.work.laboratory.compile_seconds})
        return dict(here + self._seconds)

    def cancel(self) -> None:
        """Stop the workers that train chunks of this engine, and forget what they would hand back."""
        import ray

        for reference in self._under_way:
            ray.cancel(reference, force=True)
        self._under_way.clear()
        self._answers.clear()

    def _give_out(self, chunk: Chunk) -> None:
        reference = self._task.remote(self._setting, [self._arrays], packed_chunk(chunk), self._board)
        self._under_way[reference] = chunk

    def _gather(self) -> None:
        """Wait a moment for any chunk to come back, and tell what was heard of the others.

        Raises:
            OutOfTimeError: If the deadline has passed.
            KeyboardInterrupt: If Ctrl-C was pressed.
        """
        import ray

        if self.work.is_asked_to_stop():
            raise KeyboardInterrupt
        deadline = self.work.deadline
        left = POLL_SECONDS if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise OutOfTimeError
        done, _ = ray.wait(list(self._under_way), num_returns=1, timeout=min(POLL_SECONDS, left))
        for name, arm, epoch in self._news():
            for chunk in self._under_way.values():
                if chunk.name == name:
                    self._tell(chunk, arm, epoch)
        for reference in done:
            self._take(reference)

    def _news(self) -> list[tuple[str, str, int]]:
        """Return what workers told since the last time; nothing while the board can't be reached."""
        import ray

        try:
            return list(ray.get(self._board.taken.remote(), timeout=POLL_SECONDS))
        except (ray.exceptions.GetTimeoutError, ray.exceptions.RayActorError):
            return []

    def _take(self, reference: Any) -> None:
        """Take what a worker handed back; give the chunk out again where the worker was lost."""
        import ray

        chunk = self._under_way.pop(reference)
        try:
            self._answers[chunk.name] = ray.get(reference)
        except ray.exceptions.OutOfMemoryError as error:
            raise OutOfMemoryError(f"{chunk.name}, trained as {len(chunk.cells)} runs at once,") from error
        except (
            ray.exceptions.WorkerCrashedError,
            ray.exceptions.NodeDiedError,
            ray.exceptions.ObjectLostError,
        ) as error:
            self._losses[chunk.name] += 1
            if self._losses[chunk.name] > MOST_LOSSES:
                received = f"{self._losses[chunk.name]} workers lost with {chunk.name}"
                action = "see why in Ray's logs, then run again to go on"
                raise InputError("a worker must live as long as its chunk", received, action) from error
            warnings.warn(f"the worker that trained {chunk.name} was lost; it is trained again", EngineWarning, 2)
            self._give_out(chunk)

    def _finished(self, chunk: Chunk, answer: dict[str, Any]) -> Finished:
        if "lacking" in answer:
            raise OutOfMemoryError(answer["lacking"])
        if "refused" in answer:
            rule, received, action = answer["refused"]
            raise InputError(rule, f"{received} (in a worker)", action)
        self._seconds.update(answer["timing"])
        for epoch in range(1, self.work.study.epochs + 1):
            for arm in self.work.laboratory.populations:
                self._tell(chunk, arm, epoch)
        return Finished(chunk, unpacked_tables(answer["tables"]), answer["seconds"])

    def _tell(self, chunk: Chunk, arm: str, epoch: int) -> None:
        """Tell of an epoch once, though a chunk that is trained again comes by it again."""
        if (chunk.name, arm, epoch) not in self._told:
            self._told.add((chunk.name, arm, epoch))
            self.work.told(chunk, arm, epoch)

    def _slots(self) -> int:
        """Return how many chunks the cluster can train at once, at this moment; it may be short of all its machines."""
        kind, needed = self._scarce()
        return max(1, sum(number // needed for number in _resources(kind)))

    def _require_room(self) -> None:
        kind, needed = self._scarce()
        most = max(_resources(kind), default=0)
        if most < needed:
            raise InputError(
                f"a machine of the cluster must have a {kind} for each device that this process trains on",
                f"{most} where {needed} are needed",
                "begin the study where there are no more, for example under taskset",
            )

    def _scarce(self) -> tuple[str, int]:
        """Return the resource that a worker takes one of for each device, and how many those are."""
        kind = "GPU" if self._needs["num_gpus"] else "CPU"
        return kind, self.work.laboratory.num_devices


def _resources(kind: str) -> list[int]:
    """Return how many of a resource each machine of the cluster has."""
    import ray

    return [int(node["Resources"].get(kind, 0)) for node in ray.nodes() if node["Alive"]]


def _platform() -> str:
    import jax

    return str(jax.devices()[0].platform)


def _needs(work: Work) -> dict[str, int]:
    """Return what a worker takes of its machine."""
    number = work.laboratory.num_devices
    return {"num_cpus": number, "num_gpus": 0} if _platform() == "cpu" else {"num_cpus": 1, "num_gpus": number}
