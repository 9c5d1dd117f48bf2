"""How far a study has come, for whoever watches."""

from __future__ import annotations

from dataclasses import dataclass

from normlab.study.cells import Stage


@dataclass(frozen=True)
class Progress:
    """How far a study has come: counts of runs, and of runs times epochs; `at_most` where it may end earlier."""

    stage: Stage
    arm: str
    epoch: int
    runs_done: int
    runs_total: int
    run_epochs_done: int
    run_epochs_total: int
    at_most: bool = False


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in a study: what was complete is in its folder."""

    def __init__(self, runs_done: int, runs_total: int, at_most: bool = False) -> None:
        self.runs_done, self.runs_total = runs_done, runs_total
        super().__init__(complete_runs(runs_done, runs_total, at_most))


class StoppedError(Exception):
    """The study's time was up: what was complete is in its folder, and a checkpoint of what was not."""

    def __init__(self, runs_done: int, runs_total: int, at_most: bool = False) -> None:
        self.runs_done, self.runs_total = runs_done, runs_total
        super().__init__(complete_runs(runs_done, runs_total, at_most))


def complete_runs(done: int, total: int, at_most: bool) -> str:
    """Say how many runs are complete, and how the study goes on."""
    counted = f"{done} of {'at most ' if at_most else ''}{total} runs are complete"
    return f"{counted}; run the same again with the same --out to go on"


def ignore_note(sentence: str) -> None:
    """Say nothing."""


def ignore_progress(progress: Progress) -> None:
    """Watch nothing."""
