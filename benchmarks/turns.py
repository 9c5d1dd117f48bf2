"""Processes that take turns: each gets ready, then waits for its turn, works, and answers in lines of JSON.

A process that waits costs nothing, so engines with environments of their own can alternate round by round: what slows
the machine for some minutes slows all of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Record = dict[str, Any]


class Worker:
    """A process that was started and described itself in its first line, once it had warmed up."""

    def __init__(self, command: Sequence[str]) -> None:
        self.command = command
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.description = self.answer()

    def begin(self) -> None:
        """Give the process its turn."""
        assert self._process.stdin is not None
        print("go", file=self._process.stdin, flush=True)

    def answer(self) -> Record:
        """Wait for the next line and return it."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"A benchmark ended early, with status {self._process.wait()}: {' '.join(self.command)}")
        answer: Record = json.loads(line)
        return answer

    def end(self) -> None:
        """Wait until the process, which has had all its turns, has gone."""
        self._process.communicate()


def take_turns(engines: Mapping[str, Sequence[Worker]], num_rounds: int) -> dict[str, list[Record]]:
    """Return by engine and round the wall seconds and the CPU seconds of a turn.

    The processes of one engine work at once; the engines one after the other, in an order balanced over rounds.
    """
    from normlab.train.turns import turn_order  # not at the top: the rivals' environment has no normlab

    records: dict[str, list[Record]] = {name: [] for name in engines}
    for number in range(num_rounds):
        for name in turn_order(list(engines), number):
            start = time.perf_counter()
            for worker in engines[name]:
                worker.begin()
            cpu = [worker.answer()["cpu_seconds"] for worker in engines[name]]
            records[name].append({"seconds": time.perf_counter() - start, "cpu_seconds": sum(cpu)})
            print(f"  round {number + 1}: {name}: {records[name][-1]['seconds']:.1f} s", file=sys.stderr)
    return records


def await_turn() -> float:
    """In a worker: wait for the turn, and return the CPU seconds that the process has used by then."""
    if not sys.stdin.readline():
        sys.exit("The benchmark that gives the turns has ended.")
    return time.process_time()


def finish_turn(begun: float) -> None:
    """In a worker: say that the turn, which began at these CPU seconds, is over."""
    say({"cpu_seconds": time.process_time() - begun})


def say(record: Record) -> None:
    """In a worker: print one line of JSON."""
    print(json.dumps(record), flush=True)


def work(turn: Callable[[], object], num_rounds: int) -> None:
    """In a worker: do the same in every turn."""
    for _ in range(num_rounds):
        begun = await_turn()
        turn()
        finish_turn(begun)
