"""Precise batch normalization: statistics for evaluation that are computed over the training set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

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


def recompute(model: keras.Model, batches: Iterable[Any]) -> None:
    """Replace the moving statistics of every batch norm of a model by those over `batches`; see `precise_statistics`.

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

    Each batch passes through the model in training mode, so that every layer normalizes by that batch's moments, with
    the weights standing still. With batch k of n_k samples, its moments mean_k and variance_k, and shares
    w_k = n_k / sum(n):

        mean = sum_k w_k mean_k
        variance = sum_k w_k (variance_k + mean_k^2) - mean^2

    For a layer whose input the statistics of others do not change, these are the moments of all samples together.
    Batch norms are `keras.layers.BatchNormalization` and its subclasses; other variables keep their values.

    Args:
        model: A built Keras model.
        trainable: Values of `model.trainable_variables`, in that order.
        non_trainable: Values of `model.non_trainable_variables`, in that order.
        batches: Inputs of the model; the batch size should be that of training.

    Raises:
        InputError: If there is no batch, or the model has no batch norm.
    """
    positions = {id(variable): index for index, variable in enumerate(model.non_trainable_variables)}
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    places = [
        (layer.momentum, positions[id(layer.moving_mean)], positions[id(layer.moving_variance)]) for layer in layers
    ]
    if not places:
        raise InputError("the model must have a batch norm", model.name, "recompute only models with batch norm")
    # From zero, one step of a moving value leaves (1 - momentum) times the batch's value.
    moved = {index for _, *pair in places for index in pair}
    start = [ops.zeros_like(value) if index in moved else value for index, value in enumerate(non_trainable)]
    total = 0
    sums: list[tuple[Any, Any]] = [(0.0, 0.0)] * len(places)
    for batch in batches:
        _, after = model.stateless_call(trainable, start, batch, training=True)
        count = batch.shape[0]
        total += count
        for number, (momentum, at_mean, at_variance) in enumerate(places):
            mean, variance = after[at_mean] / (1 - momentum), after[at_variance] / (1 - momentum)
            first, second = sums[number]
            sums[number] = (first + count * mean, second + count * (variance + mean * mean))
    if not total:
        raise InputError("batches must hold at least one batch", "none", "pass batches of the training set")
    replaced = list(non_trainable)
    for (_, at_mean, at_variance), (first, second) in zip(places, sums, strict=True):
        mean = first / total
        replaced[at_mean] = mean
        replaced[at_variance] = ops.maximum(second / total - mean * mean, 0.0)  # rounding may leave -1e-9
    return replaced
