"""The frame of norms of weights: a layer around a Dense or convolution that replaces its kernel at every call."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from normlab.errors import InputError
from normlab.norms.moments import at_least_float32
from normlab.norms.options import require_option

# The axes of the kernel that number the units; all others are summed over.
UNIT_AXES = {
    "Dense": (-1,),
    "Conv1D": (-1,),
    "Conv2D": (-1,),
    "Conv3D": (-1,),
    "DepthwiseConv1D": (-2, -1),
    "DepthwiseConv2D": (-2, -1),
}
# The draw that fixes the initial gain: any will do, and the same in every arm and run.
GAIN_SEED = 0


class KernelNorm(keras.layers.Wrapper):  # type: ignore[misc]
    """A layer whose kernel is gain times a normalized kernel, one gain per unit.

    The layer has the name of the one it wraps, and variables have the paths that they would have without it, so that
    two networks share the initial values of a kernel whether or not it is wrapped.

    The initial gain is the same for all units: the root mean square, over the units, of the norms of a kernel drawn
    from the layer's own initializer. So the wrapped layer starts at the scale that its initializer asks for. (The
    papers start at 1, or at the scale of a first batch.)

    A subclass gives `normalized`.

    Args:
        layer: A Dense, Conv1D to 3D, DepthwiseConv1D or 2D that is not built yet.
        epsilon: Added to a sum of squares, so that a kernel of zeros stays finite.
        **kwargs: Of every Keras layer; name, dtype and trainable default to the wrapped layer's.

    Raises:
        InputError: For another or a built layer, or one with an activity regularizer.
    """

    def __init__(self, layer: keras.layers.Layer, epsilon: float, **kwargs: Any) -> None:
        _require_kernel(layer)
        require_option("epsilon", epsilon)
        own = {"name": layer.name, "dtype": layer.dtype_policy, "trainable": layer.trainable}
        super().__init__(layer, **{**own, **kwargs})
        self.epsilon = epsilon
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Build the wrapped layer under its own path, then the gain, of the shape of its units."""
        parent = "/".join(self.path.split("/")[:-1])
        with keras.name_scope(self.layer.name, caller=self.layer, override_parent=parent):
            super().build(input_shape)
        shape = tuple(self.layer.kernel.shape)
        self.gain = self.add_weight(
            shape=tuple(shape[axis] for axis in UNIT_AXES[type(self.layer).__name__]),
            name="gain",
            initializer=keras.initializers.Constant(self._initial_gain(shape)),
            autocast=False,
        )

    def match_kernel(self) -> None:
        """Set each unit's gain such that its weights are as near as can be to those of the wrapped layer's own kernel.

        That is gain = (n v) / (n n) per unit, with v the kernel and n what `normalized` makes of it; a unit of zeros
        keeps its gain. With weight normalization the weights are then v, with weight standardization v - mean.
        """
        kernel = at_least_float32(ops.convert_to_tensor(self.layer.kernel))
        axes = self._summed_axes(kernel.shape)
        direction = self.normalized(kernel, axes)
        squares, along = ops.sum(ops.square(direction), axes), ops.sum(direction * kernel, axes)
        has_direction = squares > 0
        gain = ops.convert_to_tensor(self.gain)
        self.gain.assign(ops.where(has_direction, along / ops.where(has_direction, squares, 1.0), gain))

    def normalized(self, kernel: Any, axes: list[int]) -> Any:
        """Return the kernel with its part along `axes` brought to norm 1."""
        raise NotImplementedError

    def call(self, inputs: Any) -> Any:
        """Return what the wrapped layer gives with the normalized kernel."""
        kernel = at_least_float32(ops.convert_to_tensor(self.layer.kernel))
        effective = self.normalized(kernel, self._summed_axes(kernel.shape)) * ops.cast(self.gain, kernel.dtype)
        mapping = [(v, effective if v is self.layer.kernel else v) for v in self.layer.variables]
        with keras.StatelessScope(mapping):
            return self.layer(inputs)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the wrapped layer's output shape."""
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the layer; the wrapped one is built again by this layer, under its own path."""
        config = {**super().get_config(), "epsilon": self.epsilon}
        config["layer"] = {key: value for key, value in config["layer"].items() if key != "build_config"}
        return config

    def _summed_axes(self, shape: tuple[int, ...]) -> list[int]:
        units = {axis % len(shape) for axis in UNIT_AXES[type(self.layer).__name__]}
        return [axis for axis in range(len(shape)) if axis not in units]

    def _initial_gain(self, shape: tuple[int, ...]) -> float:
        given = getattr(self.layer, "kernel_initializer", None) or self.layer.depthwise_initializer
        config = given.get_config() if isinstance(given, keras.initializers.Initializer) else {}  # or a function
        seeded = type(given).from_config({**config, "seed": GAIN_SEED}) if "seed" in config else given
        kernel = seeded(shape, dtype="float32")
        squares = ops.sum(ops.square(kernel), self._summed_axes(shape))
        return float(ops.sqrt(ops.mean(squares)))


def _require_kernel(layer: keras.layers.Layer) -> None:
    kind = type(layer).__name__
    if kind not in UNIT_AXES:
        raise InputError(
            "a norm of weights must wrap a layer with a kernel", kind, f"wrap one of {', '.join(UNIT_AXES)}"
        )
    if layer.built:
        raise InputError("a norm of weights must wrap a layer before it is built", layer.name, "wrap it when created")
    if layer.activity_regularizer is not None:
        action = "move it to a keras.layers.ActivityRegularization after it"
        raise InputError("a wrapped layer must have no activity regularizer", layer.name, action)
