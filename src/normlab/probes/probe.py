"""What a probe is: what it measures, what that costs, how it is called, and its result as rows of a long table."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from normlab.train.loop import RunState, Trainer

# By quantity, the names of the layers that have it, in order; None where it is one of the whole network.
Layers = dict[str, tuple[str, ...] | None]
# By quantity, an array of shape (layers of that quantity,), or a scalar for the whole network.
Measured = dict[str, Any]


class Functions(NamedTuple):
    """The two functions of a probe.

    Attributes:
        layers: (trainer, x) -> what it measures where. Reads shapes alone; raises `InputError` where the model has
            nothing to measure.
        measure: (trainer, state, x, y) -> the values, for one run; its arrays are in the order of `layers`.
    """

    layers: Callable[[Trainer, Any], Layers]
    measure: Callable[[Trainer, RunState, Any, Any], Measured]


@dataclass(frozen=True)
class Probe:
    """A named measurement inside a network.

    Attributes:
        measures: In one line.
        quantities: All names that a result may have.
        main: The quantity that a report shows.
        applies_to: Which layers or networks have them.
        cost: In forward passes, or in gradients (one forward and one backward pass each).
        per: `run`: a pure function of arrays, to be compiled, and vectorized over runs. `arm`: the same for all runs of
            an arm, and called outside `jit`.
        module: Of `normlab.probes`, with the functions `layers` and `measure`.
    """

    measures: str
    quantities: tuple[str, ...]
    main: str
    applies_to: str
    cost: str
    per: Literal["run", "arm"]
    module: str

    def load(self) -> Functions:
        """Import the module, which takes seconds, and return its functions."""
        found = importlib.import_module(f"normlab.probes.{self.module}")
        return Functions(found.layers, found.measure)


class Row(NamedTuple):
    """One value; `layer` is None where it is one of the whole network."""

    run: str | int
    epoch: int
    probe: str
    layer: str | None
    quantity: str
    value: float


def rows(
    run: str | int,
    epoch: int,
    probe: str,
    layers: Layers,
    measured: Mapping[str, Any],
    names: Mapping[str, str] | None = None,
) -> list[Row]:
    """Return a probe's result for one run as rows, in the order of `layers`. What is not finite stays as it is.

    Args:
        run: Of the result.
        epoch: After which it was measured.
        probe: Its name in `PROBES`.
        layers: What the probe's `layers` returned.
        measured: What its `measure` returned, for this run.
        names: Automatic names of layers to canonical ones, as `Blueprint.names`: rows of two arms then agree.
    """
    found = []
    for quantity, places in layers.items():
        values = np.asarray(measured[quantity], dtype=np.float64)
        if places is None:
            found.append(Row(run, epoch, probe, None, quantity, float(values)))
            continue
        for layer, value in zip(places, values, strict=True):
            found.append(Row(run, epoch, probe, _canonical(layer, names or {}), quantity, float(value)))
    return found


def _canonical(layer: str, names: Mapping[str, str]) -> str:
    """Return a layer's path with automatic names replaced, the marks of a call and an output kept."""
    parts = []
    for part in layer.split("/"):
        end = min((at for at in (part.find("#"), part.find("[")) if at >= 0), default=len(part))
        parts.append(names.get(part[:end], part[:end]) + part[end:])
    return "/".join(parts)
