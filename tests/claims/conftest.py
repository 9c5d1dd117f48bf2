"""Benches as small as can be: digits, or a drawn target of five columns; one hidden layer of 16 units, two seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from normlab.claims.bench import Bench
from normlab.data import Dataset, load
from normlab.data.dataset import Part

if TYPE_CHECKING:
    from tests.claims.planted import PlantedBench


@pytest.fixture(scope="session")
def tiny(_devices: None) -> Bench:
    """Return the bench that tests of claims share; what it has compiled it keeps."""
    bench = Bench(load("digits"), "mlp", {"widths": (16,)}, "quick")
    bench.seeds, bench.tuning_seeds, bench.epochs = [0, 1], [1_000_000], 1
    return bench


@pytest.fixture
def trainings(tiny: Bench, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int | None]]:
    """Return what fills with (number of runs, epochs) whenever the shared bench trains; it keeps no grid meanwhile."""
    noted: list[tuple[int, int | None]] = []
    train = tiny.train

    def noting(program: Any, seeds: Sequence[int], rates: Any, epochs: int | None = None, **named: Any) -> Any:
        noted.append((len(seeds), epochs))
        return train(program, seeds, rates, epochs, **named)

    monkeypatch.setattr(tiny, "train", noting)
    monkeypatch.setattr(tiny, "_grids", {})
    return noted


@pytest.fixture(scope="session")
def planted(_devices: None) -> PlantedBench:
    """Return the bench of planted networks that tests of claims share; what it has compiled and tuned it keeps."""
    from tests.claims import planted

    return planted.PlantedBench(
        {
            planted.SENSITIVE: planted.plain,
            planted.INSENSITIVE: planted.insensitive,
            planted.LOW: planted.low,
            planted.SETTLED: planted.lagging(0.5),
            planted.LAGGING: planted.lagging(0.9999),
        }
    )


def drawn_data(num_training: int) -> Dataset:
    """Return a linear target without noise over five columns."""
    rng = np.random.default_rng(0)

    def part(count: int) -> Part:
        x = rng.normal(size=(count, 5)).astype(np.float32)
        return Part(x, ((x[:, 0] - x[:, 1]) / np.sqrt(2)).astype(np.float32))

    parts = part(num_training), part(64), part(64)
    return Dataset("drawn", "regression", *parts, classes=(), divisor=1.0, description=("drawn",))


@pytest.fixture(scope="session")
def regression(_devices: None) -> Bench:
    """Return the bench of a regression that tests of claims share."""
    bench = Bench(drawn_data(256), "mlp", {"widths": (16,)}, "quick")
    bench.seeds, bench.tuning_seeds, bench.epochs = [0, 1], [1_000_000], 2
    return bench
