"""Running statistics: which layers of a model keep them, and a pass in which nothing but them is as in training."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras

from normlab.norms.moving import MovingStatistics

STATISTICS = ("moving_mean", "moving_variance", "moving_deviation", "moving_square")
"""What layers keep for an evaluation, by the name of the variable."""


@dataclass(frozen=True)
class RunningStatistics:
    """The running statistics of one layer.

    Attributes:
        layer: A `keras.layers.BatchNormalization` or a `MovingStatistics`.
        variables: By name in `STATISTICS`, the variable that training moves.
        steps: The layer's count of training steps, where it has one.
        is_in_loop: Whether the layer is called inside a loop over time, where all calls of a pass count as one.
    """

    layer: keras.layers.Layer
    variables: Mapping[str, keras.Variable]
    steps: keras.Variable | None
    is_in_loop: bool

    @property
    def momentum(self) -> float:
        """The share of a value that stays when it moves."""
        return float(self.layer.momentum)

    @property
    def freezes(self) -> bool:
        """Whether the statistics stand still from some step on, when training normalizes by them too."""
        return hasattr(self.layer, "freeze_step")

    def num_calls(self, calls: Mapping[int, int]) -> int:
        """Return how often a pass moves the statistics, from what `measuring` counts."""
        return min(calls[id(self.layer)], 1) if self.is_in_loop else calls[id(self.layer)]

    def moves_after(self, num_steps: int) -> bool:
        """Return whether training still moves the statistics after so many steps."""
        return not self.freezes or num_steps < self.layer.freeze_step


def running_statistics(model: keras.Model) -> list[RunningStatistics]:
    """Return the running statistics that a training pass through a model may move, at any depth of the model.

    They are those of `keras.layers.BatchNormalization`, of `normlab.norms.moving.MovingStatistics`, and of what derives
    from them. A layer with `trainable = False` trains with the statistics that it has, so it is left out.
    """
    layers = list(model._flatten_layers())
    # A norm in a recurrence (`normlab.models.over_time`) says where its values are stored.
    over_time = {id(layer.norm): layer.stored_statistics() for layer in layers if hasattr(layer, "stored_statistics")}
    found = []
    for layer in layers:
        if isinstance(layer, keras.layers.BatchNormalization | MovingStatistics) and layer.trainable:
            stored = over_time.get(id(layer), {})
            own = {name: getattr(layer, name, None) for name in (*STATISTICS, "step")}
            kept = {name: stored.get(id(variable), variable) for name, variable in own.items() if variable is not None}
            steps = kept.pop("step", None)
            found.append(RunningStatistics(layer, kept, steps, id(layer) in over_time))
    return found


@contextmanager
def measuring(model: keras.Model) -> Iterator[Counter[int]]:
    """Let a pass in training mode move running statistics and do nothing else that training does.

    While the block runs, every layer without running statistics inside is called in evaluation mode, whatever mode the
    pass is in: no unit is dropped (`Dropout`, `SpatialDropout`, the dropout of recurrent and attention layers), no
    noise is added, no image is augmented, at any depth of the model. Layers that keep running statistics normalize by
    the batch and move them, unless they are called with `training=False`; those that disturb their output
    (`NoisyBatchNormalization`) do not. Left as it is: what a layer of the user's own that holds such a norm computes
    in its own `call`.

    Keras has no such mode, so the layers' `call` is replaced meanwhile.

    Yields:
        How often each layer with running statistics was called in training mode, by `id`.
    """
    calls: Counter[int] = Counter()
    norms = {id(found.layer) for found in running_statistics(model)}

    def counted(layer: keras.layers.Layer) -> Callable[..., Any]:
        normalize = getattr(layer, "normalized", layer.call)

        def call(*args: Any, **kwargs: Any) -> Any:
            calls[id(layer)] += bool(kwargs.get("training"))
            return normalize(*args, **kwargs)

        return call

    def evaluating(layer: keras.layers.Layer) -> Callable[..., Any]:
        evaluate = layer.call

        def call(*args: Any, **kwargs: Any) -> Any:
            return evaluate(*args, **{**kwargs, "training": False})

        return call

    replaced: list[keras.layers.Layer] = []
    try:
        for layer in model._flatten_layers():
            if id(layer) in norms:
                call = counted(layer)
            elif _takes_training(layer) and norms.isdisjoint(map(id, layer._flatten_layers())):
                call = evaluating(layer)
            else:
                continue
            object.__setattr__(layer, "call", call)
            replaced.append(layer)
        yield calls
    finally:
        for layer in replaced:
            object.__delattr__(layer, "call")


def _takes_training(layer: keras.layers.Layer) -> bool:
    return "training" in inspect.signature(layer.call).parameters
