"""Benches as small as can be: digits, or a drawn target of five columns; one hidden layer of 16 units, two seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from normlab.claims import search
from normlab.claims.bench import Bench, as_norm
from normlab.claims.trained import Trained
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


class Scripted:
    """A bench that trains nothing: a run's errors are a function of its program, seed, rate and order.

    It stands in for `Bench` where a claim's `measure` only has to ask for the right runs and put their errors in the
    right places. `error` gives the test error with running and with settled statistics; validation has the latter.
    """

    def __init__(self, error: Callable[[SimpleNamespace, int, float, Any], tuple[float, float]]) -> None:
        self.error = error
        self.dataset = drawn_classes()
        self.model, self.network, self.budget = "mlp", {}, "quick"
        self.seeds, self.tuning_seeds = [0, 1, 2], [1_000_000, 1_000_001]
        self.epochs, self.batch_size = 2, 32
        self.data = SimpleNamespace(
            mesh=SimpleNamespace(devices=np.array([SimpleNamespace(platform="cpu")])), train=(np.zeros(0), np.zeros(0))
        )
        self.trained: list[dict[str, Any]] = []
        self.observed: list[list[Any]] = []

    def program(self, norm: Any, **named: Any) -> SimpleNamespace:
        objective = SimpleNamespace(uninformed_loss=2.0)
        return SimpleNamespace(norm=as_norm(norm).name, trainer=SimpleNamespace(objective=objective), **named)

    def train(
        self, program: Any, seeds: Sequence[int], rates: Sequence[float], epochs: int | None = None, **named: Any
    ) -> Trained:
        self.trained.append({"program": program, "seeds": seeds, "rates": rates, "epochs": epochs, **named})
        order = named.get("order")
        orders = order if isinstance(order, list) else [order] * len(seeds)
        cells = zip(seeds, rates, orders, strict=True)
        running, settled = np.array([self.error(program, *cell) for cell in cells]).T
        unknown, fine = np.zeros((1, len(seeds))), np.zeros(len(seeds), bool)
        tested = running if named.get("test", True) else np.full(len(seeds), np.nan)
        found = Trained(
            unknown, unknown, settled[None], 1 - settled[None], fine, tested, 1 - tested, np.zeros(1), self.observed
        )
        object.__setattr__(found, "settled", settled)
        return found

    def possible_rates(self, norm: Any, **named: Any) -> list[float]:
        program = self.program(norm, **named)
        return sorted((0.01, 0.1), key=lambda rate: self.error(program, self.tuning_seeds[0], rate, None)[1])


def drawn_classes() -> Dataset:
    """Return 96 training samples of two classes, as sequences of two steps."""
    rng = np.random.default_rng(0)
    parts = (Part(rng.normal(size=(n, 2, 3)).astype(np.float32), rng.integers(2, size=n)) for n in (96, 8, 8))
    return Dataset("drawn", "classification", *parts, classes=("a", "b"), divisor=1.0, description=("drawn",))


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Scripted]:
    """Return what makes a `Scripted` bench for a claim's module, whose settled errors are then those of the script."""

    def made(module: ModuleType, error: Callable[..., tuple[float, float]]) -> Scripted:
        if hasattr(module, "settled_error"):
            monkeypatch.setattr(module, "settled_error", lambda _bench, _program, trained: trained.settled)
        if hasattr(module, "with_batch_statistics"):
            monkeypatch.setattr(module, "with_batch_statistics", lambda *_: np.full(3, 0.99))
        monkeypatch.setattr(search, "with_settled_validation", lambda _program, trained: trained)
        return Scripted(error)

    return made
