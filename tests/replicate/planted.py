"""Planted values of a replication, and a planted bench: networks whose scores are a known function of the setting."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeVar

import numpy as np

from normlab.replicate.replication import Checked

Key = TypeVar("Key", bound=Hashable)


def planted(means: Mapping[Key, float], spread: float = 0.003) -> dict[Key, np.ndarray]:
    """Return the mean of every key plus noise of its own; shape (12,)."""
    rng = np.random.default_rng(0)
    return {key: mean + spread * rng.normal(size=12) for key, mean in means.items()}


def failing(figures: list[Checked]) -> set[int]:
    """Return the numbers of the figures that do not agree, counted from 0."""
    return {number for number, figure in enumerate(figures) if not figure.agrees}


class Trial(NamedTuple):
    """What one run is trained with."""

    norm: str
    options: Mapping[str, Any]
    batch_size: int
    rate: float
    epochs: int
    seed: int
    samples: int


class PlantedBench:
    """Stands for a bench: a run's test accuracy, test loss and divergence are functions of its `Trial`.

    Args:
        accuracy: Of a trial.
        loss: Of a trial; default: 1 - accuracy.
        diverges: Whether a trial does.
        possible: By norm, the rates that may be its best, the best first.
    """

    def __init__(
        self,
        accuracy: Callable[[Trial], float],
        loss: Callable[[Trial], float] | None = None,
        diverges: Callable[[Trial], bool] = lambda trial: False,
        possible: Mapping[str, tuple[float, ...]] | None = None,
    ) -> None:
        self.accuracy, self.loss, self.diverges = accuracy, loss or (lambda trial: 1 - accuracy(trial)), diverges
        self.possible = dict(possible or {})
        self.seeds, self.budget, self.batch_size, self.epochs = [3, 1, 2], "quick", 32, 8
        parts = {name: np.zeros(100) for name in ("train", "validation", "test")}
        self.dataset = SimpleNamespace(task="classification", classes=tuple("0123456789"), **parts)
        self.trials: list[Trial] = []

    def program(self, norm: Any, *, batch_size: int | None = None, **options: Any) -> Any:
        """Return what `train` needs to know of a program."""
        name = norm if isinstance(norm, str) else norm.name
        known = {} if isinstance(norm, str) else dict(norm.options)
        known |= {key: value for key, value in options.items() if key not in ("runs", "layout", "samples")}
        return SimpleNamespace(norm=name, options=known, batch_size=batch_size or self.batch_size, capacity=99)

    def possible_rates(self, norm: str, rates: Sequence[float] | None = None, **named: Any) -> tuple[float, ...]:
        """Return the planted rates that may be the best."""
        return self.possible[norm]

    def train(
        self, program: Any, seeds: Sequence[int], rates: Sequence[float], epochs: int | None = None, **named: Any
    ) -> Any:
        """Return the planted scores of one run per seed and rate."""
        order = named.get("order")
        count = len(order(0, 0, 100)) if order else 100
        trials = [
            Trial(program.norm, program.options, program.batch_size, rate, epochs or self.epochs, seed, count)
            for seed, rate in zip(seeds, rates, strict=True)
        ]
        self.trials += trials
        accuracy = np.array([self.accuracy(trial) for trial in trials])
        return SimpleNamespace(
            test_accuracy=accuracy,
            test_loss=np.array([self.loss(trial) for trial in trials]),
            accuracy=accuracy[None] / 2,
            diverged=np.array([self.diverges(trial) for trial in trials]),
            states=[None],
        )
