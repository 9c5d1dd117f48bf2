"""Precise batch normalization: statistics for evaluation that are computed over the training set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from normlab.errors import InputError


@keras.saving.register_keras_serializable(package="normlab")
class PreciseBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Batch norm that is to be evaluated with the statistics of the training set, set by `recompute`.

    Training is batch norm's. Until `recompute` is called, evaluation uses the moving statistics as batch norm does: a
    layer sees no training set by itself. It is a class of its own so that a study knows which layers to recompute.

    Shapes and arguments: as `keras.layers.BatchNormalization`.

    Source: Wu and Johnson 2021, "Rethinking 'Batch' in BatchNorm", arXiv:2105.07576, section 3.
    """


class Sums(NamedTuple):
    """Sums over the samples seen: their number, and per batch norm n_k mean_k and n_k (variance_k + mean_k^2)."""

    count: Any
    moments: list[tuple[Any, Any]]


class PreciseStatistics:
    """The statistics of a model's batch norms over batches: `start`, `add` each batch, `replaced`.

    Each batch passes through the model in training mode, so that every layer normalizes by that batch's moments, with
    the weights standing still. With batch k of n_k samples, its moments mean_k and variance_k, and shares
    w_k = n_k / sum(n):

        mean = sum_k w_k mean_k
        variance = sum_k w_k (variance_k + mean_k^2) - mean^2

    For a layer whose input the statistics of others do not change, these are the moments of all samples together. A
    layer that one pass calls several times gets mean_k and variance_k averaged over its calls, as its moving ones do.
    Batch norms are `keras.layers.BatchNormalization` and its subclasses at any depth, without those set to
    `trainable = False`, which train with their moving statistics; other variables keep their values.

    No method has side effects, so a Python loop and a traced one can both be made of them.

    Raises:
        InputError: If the model has no batch norm.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        positions = {id(variable): index for index, variable in enumerate(model.non_trainable_variables)}
        norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
        # The share of a moving value that stays in one pass.
        num_calls = _num_calls(model)
        self._places = [
            (
                layer.momentum ** max(num_calls[id(layer)], 1),
                positions[id(layer.moving_mean)],
                positions[id(layer.moving_variance)],
            )
            for layer in norms
            if layer.trainable
        ]
        if not self._places:
            raise InputError("the model must have a batch norm", model.name, "recompute only models with batch norm")

    def start(self, non_trainable: Sequence[Any]) -> Sums:
        """Return the sums over no sample."""
        zeros = [tuple(ops.zeros_like(non_trainable[index]) for index in pair) for _, *pair in self._places]
        return Sums(ops.zeros(()), zeros)  # type: ignore[arg-type]

    def add(self, sums: Sums, trainable: Sequence[Any], non_trainable: Sequence[Any], batch: Any) -> Sums:
        """Return the sums with one more batch of inputs."""
        # From zero, one pass leaves (1 - kept) times the batch's value, with kept = momentum^calls.
        moved = {index for _, *pair in self._places for index in pair}
        start = [ops.zeros_like(value) if index in moved else value for index, value in enumerate(non_trainable)]
        _, after = self.model.stateless_call(trainable, start, batch, training=True)
        count = keras.tree.flatten(batch)[0].shape[0]
        added = []
        for (kept, at_mean, at_variance), (first, second) in zip(self._places, sums.moments, strict=True):
            mean, variance = after[at_mean] / (1 - kept), after[at_variance] / (1 - kept)
            added.append((first + count * mean, second + count * (variance + mean * mean)))
        return Sums(sums.count + count, added)

    def replaced(self, sums: Sums, non_trainable: Sequence[Any]) -> list[Any]:
        """Return the non-trainable values with the statistics that the sums amount to."""
        values = list(non_trainable)
        for (_, at_mean, at_variance), (first, second) in zip(self._places, sums.moments, strict=True):
            mean = first / sums.count
            values[at_mean] = mean
            values[at_variance] = ops.maximum(second / sums.count - mean * mean, 0.0)  # rounding may leave -1e-9
        return values


def _num_calls(model: keras.Model) -> Counter[int]:
    """Return how often one pass calls each layer, by `id`; once where Keras does not know the graph."""
    graph = getattr(model, "_functional", model)  # a Sequential model keeps its graph apart
    if not isinstance(graph, keras.Function):
        return Counter(id(layer) for layer in model._flatten_layers())
    counts: Counter[int] = Counter()
    # Keras has no public way to walk a graph. A layer's own list of calls also has those of other models.
    nodes = [node for depth in graph._nodes_by_depth.values() for node in depth]
    for operation in (node.operation for node in nodes if not node.is_input):
        counts[id(operation)] += 1
        if isinstance(operation, keras.Model):
            counts += _num_calls(operation)
        elif isinstance(operation, keras.layers.Layer):
            counts.update(id(inner) for inner in operation._flatten_layers(include_self=False))
    return counts


def recompute(model: keras.Model, batches: Iterable[Any]) -> None:
    """Replace the moving statistics of every batch norm of a model by those over `batches`; see `PreciseStatistics`.

    Raises:
        InputError: If there is no batch, or the model has no batch norm.
    """
    values = precise_statistics(
        model, [v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables], batches
    )
    for variable, value in zip(model.non_trainable_variables, values, strict=True):
        variable.assign(value)


def precise_statistics(
    model: keras.Model, trainable: Sequence[Any], non_trainable: Sequence[Any], batches: Iterable[Any]
) -> list[Any]:
    """Return the non-trainable values with the moving statistics of batch norms replaced, without side effects.

    Args:
        model: A built Keras model.
        trainable: Values of `model.trainable_variables`, in that order.
        non_trainable: Values of `model.non_trainable_variables`, in that order.
        batches: Inputs of the model; the batch size should be that of training.

    Raises:
        InputError: If there is no batch, or the model has no batch norm.
    """
    statistics = PreciseStatistics(model)
    sums, found = statistics.start(non_trainable), False
    for batch in batches:
        sums, found = statistics.add(sums, trainable, non_trainable, batch), True
    if not found:
        raise InputError("batches must hold at least one batch", "none", "pass batches of the training set")
    return statistics.replaced(sums, non_trainable)
