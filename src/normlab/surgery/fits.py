"""Whether a norm can serve at a place of a network: it is built there and must let its input through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from normlab.errors import InputError
from normlab.norms import check

if TYPE_CHECKING:
    from normlab.norms import Norm

# Enough samples that no norm of a few channels gives equal outputs by chance; small, since one place costs two calls.
_NUM_SAMPLES = 32
_LARGEST_SPATIAL_SIZE = 4


def require_fit(norm: Norm, place: str, shape: Sequence[int | None]) -> None:
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
    check(norm, tuple(shape)[1:])
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
        reason = str(error).strip().splitlines()[0]
        raise InputError("a norm must suit its input", f"{at_place} ({reason})", "choose another norm") from error
    if np.array_equal(outputs[0], outputs[1]):
        raise InputError(
            "a norm's output must depend on its input",
            f"{at_place}, where it is constant: every group it normalizes over holds one value",
            "choose another norm, such as layer",
        )
