"""One graph before and after folding, compared tensor by tensor, with float64 as the reference for both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from normlab.errors import InputError
from normlab.surgery.running import Run

# Of a tensor's largest absolute value: less is right, whatever the model's own rounding.
TOLERANCE = 1e-4
# A folded model may be this many times as far from float64 as the model itself: both round, in a different order.
MOST_OWN_ERRORS = 4.0
# Of a channel's largest absolute value, in float64: a formula is right to far more digits, or it is wrong.
FORMULA_TOLERANCE = 1e-6
_SMALLEST = 1e-9


@dataclass(frozen=True)
class Difference:
    """Old model against new in evaluation mode, over the outputs and every place where a norm was folded.

    Attributes:
        inputs: What was fed: "random" or "data", and to which nested model.
        samples: How many.
        largest: The largest absolute difference.
        relative: The largest, over the tensors, of a tensor's largest difference by its largest absolute value.
        where: The layer where `relative` was found.
        own_error: How far the old model is from its float64 twin there, relative as well; None without a twin.
        folded_error: How far the new model is from that twin.
    """

    inputs: str
    samples: int
    largest: float
    relative: float
    where: str
    own_error: float | None
    folded_error: float | None


@dataclass
class Comparison:
    """One graph of a model as it was, folded, and in float64 as it was; filled batch by batch.

    Attributes:
        name: What it is fed, for the report.
        tensors: Names of the tensors that are compared: the outputs, then those at which a norm was folded.
        feed: Returns the graph's inputs from those of the whole model.
        old: Gives the tensors before folding.
        new: And after it.
        exact: Gives them in float64, then those at folded places as the new layers make them there, each from what goes
            into its place; None where the graph does not run in float64.
        channels: Of each folded place its axis of channels.
        offsets: Of each folded place the largest absolute bias, which a formula may round.
    """

    name: str
    tensors: list[str]
    feed: Run
    old: Run
    new: Run
    exact: Run | None
    channels: list[int]
    offsets: list[float]
    values_per_sample: Callable[[int], int]
    maxima: dict[str, np.ndarray] = field(default_factory=dict)
    formulas: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def add(self, batch: list[np.ndarray]) -> None:
        """Compare the graphs on a batch of their inputs."""
        old, new = self.old(batch), self.new(batch)
        for name, array in zip(self.tensors, old, strict=True):
            if not np.all(np.isfinite(array)):
                raise InputError(
                    "the proof needs inputs for which the model's outputs are finite",
                    f"{self.name} input, which gives others at {name}",
                    "give other inputs with --data FILE, from Python as data",
                )
        self._note("scale", old, [0.0] * len(old))
        self._note("difference", new, old)
        exact = self._exactly(batch)
        if exact is not None:
            self._note("own", old, exact[: len(old)])
            self._note("folded", new, exact[: len(old)])
            for place, (axis, made) in enumerate(zip(self.channels, exact[len(old) :], strict=True)):
                self._note_formula(place, axis, exact[len(old) - len(self.channels) + place], made)

    def _exactly(self, batch: list[np.ndarray]) -> list[np.ndarray] | None:
        try:
            return None if self.exact is None else self.exact(batch)
        except InputError:  # a layer of the user's own may run in float32 alone: the proof then goes without a twin
            self.exact = None
            return None

    def outcome(self, num_samples: int) -> Difference:
        """Return what was found.

        Raises:
            InputError: If a formula is wrong, or the folded model is too far from the old one.
        """
        self._require_formulas()
        scale = np.where(self.maxima["scale"] > 0, self.maxima["scale"], 1.0)
        relative = self.maxima["difference"] / scale
        if self.exact is not None:
            own, folded = self.maxima["own"] / scale, self.maxima["folded"] / scale
            is_right = (relative <= TOLERANCE) | (folded <= MOST_OWN_ERRORS * own)
        else:
            is_right = relative <= TOLERANCE
        worst = int(np.where(is_right, relative, np.inf).argmax())  # what is not a number counts as wrong
        errors = None if self.exact is None else (float(own[worst]), float(folded[worst]))
        if not is_right.all():
            worst = int(np.where(is_right, -1.0, np.nan_to_num(relative, nan=np.inf)).argmax())
            received = f"{relative[worst]:.1e} at {self.tensors[worst]} on {self.name} input"
            if self.exact is not None:
                received += f", {folded[worst]:.1e} from float64, where the model itself is {own[worst]:.1e} from it"
            raise InputError(
                f"folding must change no tensor by more than {TOLERANCE:g} of its largest value, or be at most "
                f"{MOST_OWN_ERRORS:g} times as far from float64 as the model is itself",
                received,
                "keep the model unfolded: float32 cannot hold what its norms' statistics cancel",
            )
        own_error, folded_error = errors or (None, None)
        largest = float(self.maxima["difference"].max())
        return Difference(
            self.name, num_samples, largest, float(relative[worst]), self.tensors[worst], own_error, folded_error
        )

    def _note(self, what: str, found: Sequence[np.ndarray], expected: Sequence[Any]) -> None:
        largest = np.array(
            [np.abs(np.subtract(a, b, dtype="float64")).max(initial=0.0) for a, b in zip(found, expected, strict=True)]
        )
        self.maxima[what] = np.maximum(self.maxima.get(what, 0.0), largest)

    def _note_formula(self, place: int, axis: int, was: np.ndarray, made: np.ndarray) -> None:
        others = tuple(other for other in range(was.ndim) if other != axis % was.ndim)
        found = np.abs(was - made).max(axis=others), np.abs(was).max(axis=others)
        before = self.formulas.get(place, (0.0, 0.0))
        self.formulas[place] = (np.maximum(before[0], found[0]), np.maximum(before[1], found[1]))

    def _require_formulas(self) -> None:
        for place, (difference, scale) in self.formulas.items():
            allowed = FORMULA_TOLERANCE * scale + _SMALLEST * (scale.max(initial=0.0) + self.offsets[place])
            if not np.all(difference <= allowed):
                worst = int((difference / np.where(scale > 0, scale, 1.0)).argmax())
                raise InputError(
                    f"a folded layer must give every channel to {FORMULA_TOLERANCE:g} of its largest value in float64",
                    f"a difference of {difference[worst]:.1e} in channel {worst} of "
                    f"{self.tensors[len(self.tensors) - len(self.channels) + place]}, of at most {scale[worst]:.1e}",
                    "keep the model unfolded, and report this as a fault of normlab",
                )
