"""Planted networks: arms whose difference is known, in place of those without and with batch norm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import keras
import numpy as np
import polars as pl
import pytest

from normlab.claims.bench import Bench
from normlab.claims.finding import Finding
from normlab.data import Dataset
from normlab.data.dataset import Part

COLUMNS, CLASSES = 6, 3
# Names of norms that the planted arms go by: one that is sensitive, one that is not, and one that differs in level.
SENSITIVE, INSENSITIVE, LOW = "none", "batch", "layer"
# And two whose running statistics alone differ.
SETTLED, LAGGING = "rms", "dyt"


def planted_data(num_training: int = 256) -> Dataset:
    """Return columns, of which any half tells a good part of the class, and all tell it well."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(CLASSES, COLUMNS))

    def part(count: int) -> Part:
        y = rng.integers(CLASSES, size=count)
        return Part((centres[y] + rng.normal(size=(count, COLUMNS))).astype(np.float32), y.astype(np.int32))

    parts = part(num_training), part(400), part(400)
    names = tuple(str(name) for name in range(CLASSES))
    return Dataset("planted", "classification", *parts, classes=names, divisor=1.0, description=("planted",))


class PlantedBench(Bench):
    """A bench whose network with a norm of some name is that of `arms`; twelve seeds, eight epochs."""

    def __init__(self, arms: Mapping[str, Callable[[Dataset], keras.Model]]) -> None:
        super().__init__(planted_data(), "mlp", {"widths": (4,)}, "quick")
        self.arms = dict(arms)
        self.seeds, self.tuning_seeds, self.epochs = list(range(12)), [1_000_000, 1_000_001], 8
        self._layouts = {"mlp": "vmap"}  # nothing to measure

    def build(self, norm: Any, model: str | None = None, **options: Any) -> keras.Model:
        return self.arms[norm if isinstance(norm, str) else norm.name](self.dataset)

    def possible_rates(self, norm: Any, *given: Any, **named: Any) -> tuple[float, ...]:
        """Return one rate for the two networks whose running statistics alone differ, so that they train alike."""
        return (0.1,) if norm in (SETTLED, LAGGING) else super().possible_rates(norm, *given, **named)


def plain(dataset: Dataset, columns: int = COLUMNS, gain: float = 1.0, layers: tuple[Any, ...] = ()) -> keras.Model:
    """Return a network of two hidden layers that sees some of the columns; its outputs are multiplied by `gain`."""
    return keras.Sequential(
        [
            keras.Input(dataset.input_shape),
            Seen(columns),
            keras.layers.Dense(8, activation="tanh", name="hidden_0"),
            keras.layers.Dense(8, activation="tanh", name="hidden_1"),
            *layers,
            keras.layers.Dense(dataset.num_outputs, name="head"),
            keras.layers.Rescaling(gain),
        ]
    )


def low(dataset: Dataset) -> keras.Model:
    """Return `plain` that sees half of the columns: it differs in level."""
    return plain(dataset, columns=COLUMNS // 2)


def insensitive(dataset: Dataset) -> keras.Model:
    """Return a network that classifies as well from the start, whatever its trainable weights are."""
    x = np.c_[dataset.train.x, np.ones(len(dataset.train))]
    weights = np.linalg.lstsq(x, 5.0 * np.eye(CLASSES)[dataset.train.y], rcond=None)[0]
    inputs = keras.Input(dataset.input_shape)
    known = Known(weights[:-1], weights[-1])(inputs)
    outputs = known + 0.0 * keras.layers.Dense(CLASSES, name="head")(inputs)
    return keras.Model(inputs, outputs)


def lagging(momentum: float) -> Callable[[Dataset], keras.Model]:
    """Return what builds `plain` with batch norm whose running statistics follow with this momentum."""
    return lambda dataset: plain(
        dataset,
        layers=(keras.layers.Rescaling(10.0, 30.0), keras.layers.BatchNormalization(momentum=momentum, name="norm")),
    )


class Seen(keras.layers.Layer):
    """Sets all but the first columns to zero."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.columns = columns

    def call(self, inputs: Any) -> Any:
        return inputs * np.array([float(index < self.columns) for index in range(COLUMNS)], np.float32)


class Known(keras.layers.Layer):
    """Multiplies by a matrix and adds a vector, neither of which trains."""

    def __init__(self, matrix: np.ndarray, vector: np.ndarray) -> None:
        super().__init__()
        self.matrix, self.vector = matrix.astype(np.float32), vector.astype(np.float32)

    def call(self, inputs: Any) -> Any:
        return keras.ops.matmul(inputs, self.matrix) + self.vector


def measured(claim: ModuleType, bench: PlantedBench, *arms: str) -> pl.DataFrame:
    """Return the evidence of these arms in place of none and batch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claim, "ARMS", arms)
        return claim.measure(bench)


def judged(claim: ModuleType, evidence: pl.DataFrame, none: str, batch: str) -> Finding:
    """Return the finding where these planted arms stand for the networks without and with batch norm."""
    named = {none: "none", batch: "batch"}
    chosen = evidence.filter(pl.col("arm").is_in(list(named)))
    return claim.judge(chosen.with_columns(pl.col("arm").replace(named)))
