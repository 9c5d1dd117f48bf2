"""A norm inside a recurrence: what it keeps is carried from step to step by hand, and stored once per batch."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops

Shape = tuple[int | None, ...]
# What norms call the factor per unit that they train: Keras's RMSNormalization has `scale`, all others `gamma`.
SCALES = ("gamma", "scale")


class Kept(NamedTuple):
    """What a norm keeps besides its parameters: statistics, and the states of its random generators."""

    statistics: list[Any]
    generators: list[Any]


class OverTime(keras.layers.Layer):  # type: ignore[misc]
    """A norm that is applied at every step of a sequence; its parameters are shared over time.

    The body of a loop may assign no variables. So the values of all that the norm keeps go into the loop as arguments
    (`statistics_of_steps`, `generator_states`), `at_step` maps them to new ones, and `keep` assigns the outcome. That
    serves any Keras layer, whatever it keeps.

    There are three kinds of `statistics`:

    - `shared`: training normalizes every step by the moments of the batch at that step; evaluation uses one set of
      moving statistics at all steps. Every step starts from the same values v and gives v_t, and afterwards they are
      v + mean over t of (v_t - v): a moving value follows the mean over time of the batch's values, and a count of
      steps counts training steps. Training and evaluation differ where the moments change over time: the mean of the
      variances leaves out the variance of the means.
    - `per-step` (Cooijmans et al. 2017, arXiv:1603.09025): every step has moving statistics of its own too, weights of
      shape (num_steps, ...) called `<name>_per_step`; those of the norm itself stay as they began.
    - `sequence` (the sequence-wise normalization of Laurent et al. 2016, arXiv:1510.01378): training normalizes all
      steps by one set of moments, pooled over batch and steps, and evaluation by their moving averages. Only
      `over_sequence` can do so: the input of all steps must be known before the first.

    The layer has the name of the norm, and the norm's variables the paths that they would have without it.

    Args:
        norm: A layer that is not built yet, called on (batch, units).
        statistics: `shared`, `per-step` or `sequence`.
        gamma: Initial value of the norm's gamma or scale, above 0; 1 leaves the norm's own. Norms without: no effect.
        **kwargs: Of every Keras layer.
    """

    def __init__(self, norm: keras.layers.Layer, statistics: str, gamma: float, **kwargs: Any) -> None:
        super().__init__(**{"name": norm.name, "dtype": norm.dtype_policy, **kwargs})
        self.norm = norm
        self.statistics = statistics
        self.gamma = gamma

    def build(self, input_shape: Shape) -> None:
        """Build the norm under its own path, and the statistics per step; `input_shape` is (steps, batch, units)."""
        self.num_steps, *at_step = input_shape
        parent = "/".join(self.path.split("/")[:-1])
        with keras.name_scope(self.norm.name, caller=self.norm, override_parent=parent):
            self.norm.build(tuple(at_step))
        if self.gamma != 1:
            for variable in self.norm.trainable_variables:
                if variable.name in SCALES:
                    variable.assign(ops.full(variable.shape, self.gamma, dtype=variable.dtype))
        self._kept = _statistics(self.norm)
        weights = {id(variable) for variable in self.norm.weights}
        self._generators = [v for v in self.norm.variables if id(v) not in weights]
        self._per_step = [
            self.add_weight(
                shape=(self.num_steps, *variable.shape),
                name=f"{variable.name}_per_step",
                initializer=PerStep(self.norm, at_step[-1], index),
                dtype=variable.dtype,
                trainable=False,
                autocast=False,
            )
            for index, variable in enumerate(self._kept if self.statistics == "per-step" else [])
        ]

    def stored_statistics(self) -> dict[int, keras.Variable]:
        """Return, by `id` of each statistic of the norm, the variable that training moves in its place."""
        moved = self._per_step if self.statistics == "per-step" else self._kept
        return {id(variable): place for variable, place in zip(self._kept, moved, strict=True)}

    def statistics_of_steps(self) -> list[Any]:
        """Return the statistics with which every step begins, each of shape (num_steps, ...)."""
        if self.statistics == "per-step":
            return [ops.convert_to_tensor(variable) for variable in self._per_step]
        return [ops.broadcast_to(variable, (self.num_steps, *variable.shape)) for variable in self._kept]

    def generator_states(self) -> list[Any]:
        """Return the states with which the first step begins; every later one begins with those that it is given."""
        return [ops.convert_to_tensor(variable) for variable in self._generators]

    def at_step(self, x: Any, kept: Kept, training: bool | None) -> tuple[Any, Kept]:
        """Return the normalized x, (batch, units), and what is kept afterwards; nothing is assigned."""
        values = [*zip(self._kept, kept.statistics, strict=True), *zip(self._generators, kept.generators, strict=True)]
        # The scope hides values that an outer one gives, so it must get all of them, the parameters' too.
        given = {id(variable) for variable, _ in values}
        parameters = [(variable, variable) for variable in self.norm.variables if id(variable) not in given]
        with keras.StatelessScope([*parameters, *values]) as scope:
            y = self.norm(x, training=training)
        return y, Kept(*([scope.get_current_value(v) for v in part] for part in (self._kept, self._generators)))

    def over_sequence(self, x: Any, training: bool | None) -> Any:
        """Return x, (num_steps, batch, units), normalized over all steps and samples together; moves the statistics."""
        together = ops.reshape(x, (-1, x.shape[-1]))
        return ops.reshape(self.norm(together, training=training), ops.shape(x))

    def keep(self, kept: Kept) -> None:
        """Assign the statistics after every step, each of shape (num_steps, ...), and the last generator states."""
        for variable, value in zip(self._generators, kept.generators, strict=True):
            variable.assign(value)
        if self.statistics == "per-step":
            for variable, value in zip(self._per_step, kept.statistics, strict=True):
                variable.assign(value)
            return
        for variable, values in zip(self._kept, kept.statistics, strict=True):
            if keras.backend.is_float_dtype(variable.dtype):
                # Exact where a statistic stands still, unlike the mean of the values themselves.
                variable.assign(variable + ops.mean(values - variable, axis=0))
            else:
                variable.assign(values[-1])  # a count, the same at every step


class PerStep(keras.initializers.Initializer):  # type: ignore[misc]
    """The initial value of a norm's statistic, once for every time step.

    Args:
        norm: The norm; a new one like it is built to look its initial values up.
        units: Of its input.
        index: Of the statistic among the norm's.
    """

    def __init__(self, norm: keras.layers.Layer, units: int | None, index: int) -> None:
        self.norm = norm
        self.units = units
        self.index = index

    def __call__(self, shape: Shape, dtype: Any = None) -> Any:
        """Return the values of shape (num_steps, ...)."""
        fresh = type(self.norm).from_config(self.norm.get_config())
        fresh.build((None, self.units))
        return ops.broadcast_to(ops.cast(_statistics(fresh)[self.index], dtype), shape)

    def get_config(self) -> dict[str, Any]:
        """Return what tells two of them apart."""
        return {"norm": self.norm.get_config(), "units": self.units, "index": self.index}


def _statistics(norm: keras.layers.Layer) -> list[Any]:
    """Return the weights that training moves without a gradient; a norm that is not trained has the same ones."""
    return [variable for variable in norm.weights if not variable.trainable]
