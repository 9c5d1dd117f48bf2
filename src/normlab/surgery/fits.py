"""Whether a norm can serve at the places of a network: it is built there and must let its input through."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from normlab.errors import InputError
from normlab.norms import check
from normlab.surgery.copying import cause

if TYPE_CHECKING:
    from normlab.norms import Norm

Shape = tuple[int | None, ...]
# The option that depends on the channels of a place; all others serve everywhere or nowhere.
GROUPS = "groups"
# Enough samples that no norm of a few channels gives equal outputs by chance; small, since one place costs two calls.
_NUM_SAMPLES = 32
_LARGEST_SPATIAL_SIZE = 4
# Of the places where a norm cannot serve, those that a message tells.
_MOST_PLACES = 3


def require_adaptable(norm: Norm) -> None:
    """Raise `InputError` unless a norm has an option that can differ from place to place."""
    if GROUPS not in norm.options:
        rule = "an option that adapts to each place must be a number of groups"
        raise InputError(rule, f"the norm {norm.name}, which has none", "leave out --per-layer")


def fitting_norms(
    norm: Norm, places: Sequence[tuple[str, Sequence[Shape]]], per_layer: bool = False
) -> list[tuple[Norm, str]]:
    """Return the norm of each place, which was built there, with a note where its options are not the ones wanted.

    Args:
        norm: The norm wanted.
        places: Of each the path of the layer that it replaces or follows, and its input shapes, batch axis first,
            channels last.
        per_layer: Whether a place gets the largest number of groups up to the one wanted that serves there.

    Raises:
        InputError: If the norm cannot serve at a place; the message names it, its channels, and for a norm with groups
            the numbers that serve there and those that serve at every place.
    """
    trial = _Trial(norm)
    if per_layer:
        return [_adapted(trial, path, shapes) for path, shapes in places]
    failures = [(path, shapes, error) for path, shapes in places if (error := trial.error(path, shapes))]
    if failures and GROUPS in norm.options:
        raise _advice(trial, places, failures)
    if failures:
        raise failures[0][2]
    return [(norm, "") for _ in places]


@dataclass
class _Trial:
    """A norm tried on shapes, each once per number of groups."""

    norm: Norm

    def __post_init__(self) -> None:
        self._found: dict[tuple[object, Shape], InputError | None] = {}

    def error(self, path: str, shapes: Sequence[Shape], groups: int | None = None) -> InputError | None:
        """Return why the norm cannot serve at a place, with another number of groups if one is given."""
        norm = self.norm if groups is None else self.norm.with_options(**{GROUPS: groups})
        for shape in shapes:
            key = (groups, tuple(shape))
            if key not in self._found:
                try:
                    require_fit(norm, path, shape)
                    self._found[key] = None
                except InputError as error:
                    self._found[key] = error
            if self._found[key]:
                return self._found[key]
        return None

    def serving(self, shapes: Sequence[Shape], most: float = math.inf) -> Iterator[int]:
        """Yield the numbers of groups that serve on all shapes, the largest first."""
        channels = math.gcd(*(shape[-1] or 0 for shape in shapes))
        for groups in range(int(min(channels, most)), 0, -1):
            if channels % groups == 0 and self.error("", shapes, groups) is None:
                yield groups


def _adapted(trial: _Trial, path: str, shapes: Sequence[Shape]) -> tuple[Norm, str]:
    wanted = int(trial.norm.options[GROUPS])
    if trial.error(path, shapes) is None:
        return trial.norm, ""
    groups = next(trial.serving(shapes, wanted), None)
    if groups is None:
        received = f"{path} with {_channels(shapes)}, where no number of groups up to {wanted} serves"
        raise InputError(f"the norm {trial.norm.name} must serve at every place", received, "choose another norm")
    return trial.norm.with_options(**{GROUPS: groups}), f"{groups} groups of {_channels(shapes)}"


def _advice(
    trial: _Trial,
    places: Sequence[tuple[str, Sequence[Shape]]],
    failures: Sequence[tuple[str, Sequence[Shape], InputError]],
) -> InputError:
    """Return the refusal of a number of groups, with numbers that serve where it does not, and everywhere."""
    serving = [(path, shapes, sorted(trial.serving(shapes))) for path, shapes, _ in failures]
    told = [
        f"{path} with {_channels(shapes)} ({_listed(numbers) or 'no number'} would serve)"
        for path, shapes, numbers in serving[:_MOST_PLACES]
    ]
    more = f" and {len(serving) - _MOST_PLACES} places more" if len(serving) > _MOST_PLACES else ""
    received = f"groups={trial.norm.options[GROUPS]} at {', '.join(told)}{more}"
    common = sorted(trial.serving([shape for _, shapes in places for shape in shapes]))
    if common:
        which = "serves at every place" if len(common) == 1 else "serve at every place"
        action = f"set groups={_listed(common)}, which {which}, or let swap adapt it with --per-layer"
    elif all(numbers for _, _, numbers in serving):
        action = "let swap adapt it with --per-layer: no number serves at every place"
    else:
        action = "choose another norm"
    return InputError(failures[0][2].rule, received, action)


def _listed(numbers: Sequence[int]) -> str:
    texts = [str(number) for number in numbers]
    return " or ".join(filter(None, (", ".join(texts[:-1]), *texts[-1:])))


def _channels(shapes: Sequence[Shape]) -> str:
    numbers = list(dict.fromkeys(shape[-1] for shape in shapes))
    return f"{' and '.join(map(str, numbers))} channel{'' if numbers == [1] else 's'}"


def require_fit(norm: Norm, place: str, shape: Shape) -> None:
    """Build a norm on an input shape and require that its output depends on its input.

    Group norm with one channel per group, and instance norm, give beta whatever the input where there are no spatial
    axes (or of size 1); so does layer norm over one channel.

    Args:
        norm: The norm.
        place: The layer it would replace or follow, for the message.
        shape: The input's shape there, batch axis first, channels last.

    Raises:
        InputError: If the norm cannot be built there, or its output is the same whatever the input.
    """
    channels = shape[-1]
    if channels is None:
        raise InputError("a norm needs a known number of channels", f"shape {tuple(shape)} at {place}", "fix that size")
    try:
        check(norm, tuple(shape)[1:])
    except InputError as error:
        raise InputError(error.rule, f"{error.received} at {place}", error.action) from None
    spatial = [min(size or _LARGEST_SPATIAL_SIZE, _LARGEST_SPATIAL_SIZE) for size in shape[1:-1]]
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, _NUM_SAMPLES, *spatial, channels)).astype("float32")
    layer = norm()
    at_place = f"{norm.name} on shape {tuple(shape)} at {place}"
    try:
        outputs = [np.asarray(layer(x, training=False)) for x in (first, second)]
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError("a norm must suit its input", f"{at_place} ({cause(error)})", "choose another norm") from error
    if np.array_equal(outputs[0], outputs[1]):
        raise InputError(
            "a norm's output must depend on its input",
            f"{at_place}, where it is constant: every group it normalizes over holds one value",
            "choose another norm, such as layer",
        )
