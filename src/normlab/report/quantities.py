"""How quantities are written: accuracies in per cent, their differences in points, times in a fitting unit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from normlab.report.markup import MINUS

Kind = Literal["share", "plain", "epochs", "steps", "seconds", "count", "bytes"]

MISSING = "\N{EN DASH}"

KINDS: dict[str, Kind] = {
    "accuracy": "share",
    "val_accuracy": "share",
    "test_accuracy": "share",
    "loss": "plain",
    "val_loss": "plain",
    "test_loss": "plain",
    "epochs_to_target": "epochs",
    "steps_to_target": "steps",
    "seconds": "seconds",
    "seconds_per_step": "seconds",
    "seconds_per_epoch": "seconds",
    "num_parameters": "count",
    "num_buffers": "count",
    "bytes_per_run": "bytes",
}

LABELS: dict[str, str] = {
    "accuracy": "training accuracy",
    "val_accuracy": "validation accuracy",
    "test_accuracy": "test accuracy",
    "loss": "training loss",
    "val_loss": "validation loss",
    "test_loss": "test loss",
    "epochs_to_target": "epochs to the target",
    "steps_to_target": "steps to the target",
    "seconds_per_step": "seconds per step",
    "seconds_per_epoch": "seconds per epoch",
    "num_parameters": "parameters",
    "num_buffers": "buffers",
    "bytes_per_run": "bytes per run",
}

# Unit and how many of the base unit it holds, the largest first.
_TIMES = (("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))
_BYTES = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("bytes", 1.0))


@dataclass(frozen=True)
class Scale:
    """A unit, how many of it one base unit is, and the decimals; `decimals` of None means scientific notation."""

    unit: str
    factor: float
    decimals: int | None

    def number(self, value: float | None, *, signed: bool = False) -> str:
        """Return the value without its unit; a dash if there is none. The sign + is written only if `signed`."""
        if value is None or math.isnan(value):
            return MISSING
        if math.isinf(value):
            return "\N{INFINITY}" if value > 0 else f"{MINUS}\N{INFINITY}"
        scaled = value * self.factor
        size = f"{abs(scaled):.2e}" if self.decimals is None else f"{abs(scaled):,.{self.decimals}f}"
        is_zero = not any(digit in "123456789" for digit in size)
        sign = "" if is_zero else MINUS if scaled < 0 else "+" if signed else ""
        return sign + size.replace(",", "\N{THIN SPACE}")

    def quantity(self, value: float | None, *, signed: bool = False) -> str:
        """Return the value with its unit."""
        number = self.number(value, signed=signed)
        return number if number == MISSING or not self.unit else f"{number} {self.unit}"


def kind_of(metric: str) -> Kind:
    """Return what kind of quantity a metric is; an unknown one is a plain number."""
    return KINDS.get(metric, "plain")


def label_of(metric: str) -> str:
    """Return the metric's name in words."""
    return LABELS.get(metric, metric.replace("_", " "))


def value_scale(metric: str, values: Sequence[float | None]) -> Scale:
    """Return one scale in which all of `values` of this metric can be read side by side."""
    kind = kind_of(metric)
    if kind == "share":
        return Scale("%", 100.0, 2)
    return _scale(kind, values)


def difference_scale(metric: str, values: Sequence[float | None]) -> Scale:
    """Return one scale for differences of this metric: accuracies differ by points, of which 100 are the whole."""
    kind = kind_of(metric)
    if kind == "share":
        return Scale("points", 100.0, 2)
    return _scale(kind, values)


def shown(metric: str, value: float | None) -> str:
    """Return one value of a metric with its unit, such as `97.31 %` or `4.20 s`."""
    return value_scale(metric, [value]).quantity(value)


def shown_p(p_value: float | None) -> str:
    """Return a p-value with two significant digits, `<0.0001` below that, a dash if there is none."""
    if p_value is None:
        return MISSING
    if p_value < 1e-4:
        return "<0.0001"
    return f"{p_value:.2g}" if p_value < 0.0995 else f"{p_value:.2f}"


def shown_rate(rate: float | str) -> str:
    """Return a learning rate, or the word that stands for one: `tuned`, `grid`."""
    return rate if isinstance(rate, str) else f"{rate:.4g}"


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """Return a count with its noun: `1 pair`, `10 pairs`."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def listed(items: Sequence[str]) -> str:
    """Return items as a phrase: `a`, `a and b`, `a, b and c`."""
    return items[0] if len(items) == 1 else " and ".join([", ".join(items[:-1]), items[-1]]) if items else "none"


def per_arm(values: Mapping[str, str]) -> str:
    """Return what each arm has as a phrase: `0.1 for none and 0.3 for batch`, or `0.1 for every arm`."""
    distinct = list(dict.fromkeys(values.values()))
    if len(distinct) == 1:
        return f"{distinct[0]} for every arm"
    return listed([f"{value} for {arm}" for arm, value in values.items()])


def _scale(kind: Kind, values: Sequence[float | None]) -> Scale:
    sizes = [abs(value) for value in values if value is not None and math.isfinite(value)]
    largest = max(sizes, default=0.0)
    if kind == "epochs":
        return Scale("epochs", 1.0, 1)
    if kind == "steps":
        return Scale("steps", 1.0, 0)
    if kind == "count":
        return Scale("", 1.0, 0)
    if kind in ("seconds", "bytes"):
        units = _TIMES if kind == "seconds" else _BYTES
        fallback = ("s", 1.0) if kind == "seconds" else units[-1]
        unit, size = next(((unit, size) for unit, size in units if largest >= size), fallback)
        return Scale(unit, 1 / size, _decimals(largest / size))
    if largest != 0.0 and not 1e-5 <= largest < 1e7:
        return Scale("", 1.0, None)
    return Scale("", 1.0, _decimals(largest))


def _decimals(largest: float) -> int:
    """Decimals that give the largest number three significant digits."""
    if largest == 0.0:
        return 2
    return min(max(2 - math.floor(math.log10(largest)), 0), 7)
