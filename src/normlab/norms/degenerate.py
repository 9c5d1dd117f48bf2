"""Uses in which a norm would give the same output whatever the input: refused before training, with the reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from normlab.errors import InputError

if TYPE_CHECKING:
    import keras

    from normlab.norms.norm import Norm, Shape


def check(norm: Norm, sample_shape: Sequence[int | None], batch_size: int | None = None) -> None:
    """Raise `InputError` where a norm can't serve.

    Args:
        norm: The norm with its options.
        sample_shape: Shape of one sample where the norm stands, without the batch axis, channels last. An axis of
            unknown length is None and counts as longer than one.
        batch_size: Samples of a training batch; None where unknown. Call again for a shorter last batch.

    Raises:
        InputError: With the rule that is broken, the shape or size received, and what to do.
    """
    for rule in norm.rules:
        rule(norm, tuple(sample_shape), batch_size)


def check_model(norm: Norm, model: keras.Model, batch_size: int | None = None) -> None:
    """Raise `InputError` where a norm can't serve at one of its places in a built model, nested models included."""
    if not norm.rules:
        return
    kind = type(norm())
    for layer in model._flatten_layers(include_self=False):
        if type(layer) is kind and layer.built:
            built = layer.get_build_config() or {"input_shape": layer.input.shape}
            check(norm, tuple(built["input_shape"])[1:], batch_size)


def needs_several_samples(norm: Norm) -> bool:
    """Return whether a training batch of one sample is a degenerate use of the norm, wherever it stands."""
    return several_samples in norm.rules or several_samples_per_ghost in norm.rules


def fixes_mean_over_space(norm: Norm, channels: int) -> bool:
    """Return whether the mean over space of the norm's output is beta in every sample, whatever the input.

    So it is where a norm subtracts the mean over space of each channel. A mean over space must then not follow
    directly: nothing of the input would pass.
    """
    if several_positions in norm.rules:
        return norm.cancels_bias
    return spread_in_groups in norm.rules and not norm.replaces_activation and norm.options["groups"] == channels


def several_samples(norm: Norm, shape: Shape, batch_size: int | None) -> None:
    """Moments over the batch need more than one sample."""
    if batch_size == 1:
        outcome = "its moments are those of the sample alone" if _positions(shape) > 1 else "it ignores the input"
        raise InputError(
            f"{norm.name} norm needs at least two samples in every training batch: over one, {outcome}",
            "a batch of one",
            "choose a batch size that leaves no batch of one, or a norm that treats samples apart, such as layer",
        )


def several_samples_per_ghost(norm: Norm, shape: Shape, batch_size: int | None) -> None:
    """Every ghost batch needs more than one sample, the last one too."""
    several_samples(norm, shape, batch_size)
    size = int(norm.options["ghost_batch_size"])
    if batch_size is not None and batch_size % size == 1:
        raise InputError(
            f"{norm.name} norm needs at least two samples in every ghost batch",
            f"a batch of {batch_size} in ghost batches of {size}, the last of one sample",
            "choose another ghost_batch_size or batch size; the last batch of an epoch may be a short one",
        )


def groups_divide(norm: Norm, shape: Shape, _: int | None) -> None:
    """The groups must be equally large."""
    require_groups(int(norm.options["groups"]), shape[-1] or 0, f"the norm {norm.name}")


def spread_in_groups(norm: Norm, shape: Shape, batch_size: int | None) -> None:
    """A group needs more than one value per sample: several channels, or several positions."""
    groups_divide(norm, shape, batch_size)
    groups = int(norm.options["groups"])
    if shape[-1] == groups and _positions(shape) == 1:
        raise InputError(
            f"{norm.name} norm needs more than one value in every group: over one, its variance is zero",
            f"{groups} groups of one channel without spatial axes (shape {shape})",
            "choose fewer groups",
        )


def several_positions(norm: Norm, shape: Shape, _: int | None) -> None:
    """Moments over space need more than one position."""
    if _positions(shape) == 1:
        raise InputError(
            f"{norm.name} norm needs spatial axes: over one position it keeps at most the sign of its input",
            f"the shape {shape}",
            "use it after a convolution, or choose another norm, such as layer",
        )


def several_features(norm: Norm, shape: Shape, _: int | None) -> None:
    """Moments over the features need more than one feature."""
    if shape[-1] == 1:
        raise InputError(
            f"{norm.name} norm needs at least two features: over one it keeps at most the sign of its input",
            f"the shape {shape}",
            "choose a wider layer or another norm",
        )


def require_groups(groups: int, channels: int, who: str) -> None:
    """Raise `InputError` unless `groups` divides the number of channels, naming the nearest number that does."""
    if channels % groups or not channels:
        divisors = [count for count in range(1, channels + 1) if channels % count == 0] or [1]
        nearest = min(divisors, key=lambda count: abs(count - groups))
        received = f"{groups} groups and {channels} channels in {who}"
        raise InputError("groups must divide the number of channels", received, f"try {nearest}")


def _positions(shape: Shape) -> int:
    """Return the number of spatial (or temporal) positions; unknown lengths count as two."""
    return math.prod(2 if length is None else length for length in shape[:-1])
