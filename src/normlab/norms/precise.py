"""Precise batch normalization: statistics for evaluation that are computed over the training set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from normlab.errors import InputError
from normlab.norms.running import RunningStatistics, measuring, running_statistics


@keras.saving.register_keras_serializable(package="normlab")
class PreciseBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Batch norm that is to be evaluated with the statistics of the training set, set by `recompute`.

    Training is batch norm's. Until `recompute` is called, evaluation uses the moving statistics as batch norm does: a
    layer sees no training set by itself. It is a class of its own so that a study knows which layers to recompute.

    Shapes and arguments: as `keras.layers.BatchNormalization`.

    Source: Wu and Johnson 2021, "Rethinking 'Batch' in BatchNorm", arXiv:2105.07576, section 3.
    """


class Sums(NamedTuple):
    """Sums over the samples that moved each layer: their number, and by name of the statistic what `_added` says."""

    counts: list[Any]
    moments: list[dict[str, Any]]


class PreciseStatistics:
    """The statistics of a model's norms over batches: `start`, `add` each batch, `replaced`.

    This is the one definition of precise, or recomputed, statistics. Each batch passes through the model with the
    weights standing still, so that every layer with running statistics normalizes by that batch's moments, and nothing
    else is as in training: no unit is dropped and no noise is added (`normlab.norms.running.measuring`). With batch k
    of n_k samples, its moments mean_k and variance_k, and shares w_k = n_k / sum(n):

        mean = sum_k w_k mean_k
        variance = sum_k w_k (variance_k + mean_k^2) - mean^2

    For a layer whose input the statistics of others do not change, these are the moments of all samples together. A
    layer that keeps a mean square, or a variance without a mean, gets sum_k w_k times the batch's; one that keeps a
    deviation gets that of the variance above. mean_k and variance_k are what the layer itself moves its statistics
    towards: averaged over ghost batches by ghost norm, over its calls by a layer that one pass calls several times.
    Batch renormalization and power norm pass as in their warm-up, by the batch's own moments.

    The layers are those of `normlab.norms.running.running_statistics`: batch norm and its kin at any depth. Not those
    set to `trainable = False`, called with `training=False`, or frozen (`FrozenBatchNormalization` from its step on),
    which train with the statistics that they have; those, and all other variables, keep their values.

    No method has side effects, so a Python loop and a traced one can both be made of them.

    Raises:
        InputError: If no layer of the model keeps running statistics.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.norms = running_statistics(model)
        self._positions = {id(variable): index for index, variable in enumerate(model.non_trainable_variables)}
        if not self.norms:
            rule = "the model must have a norm that keeps running statistics"
            raise InputError(rule, model.name, "recompute only models with batch norm or its kin")

    def start(self, non_trainable: Sequence[Any]) -> Sums:
        """Return the sums over no sample."""
        zeros = [
            {name: ops.zeros_like(non_trainable[self._at(variable)]) for name, variable in norm.variables.items()}
            for norm in self.norms
        ]
        return Sums([ops.zeros(()) for _ in self.norms], zeros)

    def add(self, sums: Sums, trainable: Sequence[Any], non_trainable: Sequence[Any], batch: Any) -> Sums:
        """Return the sums with one more batch of inputs."""
        start = self._before_a_pass(non_trainable)
        with measuring(self.model) as calls:
            _, after = self.model.stateless_call(trainable, start, batch, training=True)
        count = keras.tree.flatten(batch)[0].shape[0]
        counts, moments = [], []
        for norm, so_far, num_samples in zip(self.norms, sums.moments, sums.counts, strict=True):
            num_calls = norm.num_calls(calls)
            counts.append(num_samples + count * (num_calls > 0))
            # A pass leaves kept = momentum^calls of the value that it starts from, and 1 - kept of the batch's.
            kept = norm.momentum ** max(num_calls, 1)
            places = {name: self._at(variable) for name, variable in norm.variables.items()}
            seen = {name: (after[at] - kept * start[at]) / (1 - kept) for name, at in places.items()}
            added = _added(norm, seen)
            moments.append({name: so_far[name] + count * added[name] for name in so_far})
        return Sums(counts, moments)

    def replaced(self, sums: Sums, non_trainable: Sequence[Any]) -> list[Any]:
        """Return the non-trainable values with the statistics that the sums amount to."""
        values = list(non_trainable)
        for norm, moments, count in zip(self.norms, sums.moments, sums.counts, strict=True):
            found = _statistics(norm, {name: total / ops.maximum(count, 1) for name, total in moments.items()})
            for name, variable in norm.variables.items():
                at = self._at(variable)
                values[at] = ops.where(count > 0, found[name], values[at])
        return values

    def _before_a_pass(self, non_trainable: Sequence[Any]) -> list[Any]:
        """Return the values that every batch starts from: the layers' own, at a step that lies in any warm-up."""
        start = list(non_trainable)
        for norm in self.norms:
            if norm.steps is not None and not norm.freezes:
                at = self._at(norm.steps)
                start[at] = ops.full_like(start[at], -1)
        return start

    def _at(self, variable: keras.Variable) -> int:
        return self._positions[id(variable)]


def _added(norm: RunningStatistics, seen: Mapping[str, Any]) -> dict[str, Any]:
    """Return, by statistic, what may be averaged over batches: a variance about zero in place of one about the mean."""
    square = seen["moving_mean"] ** 2 if "moving_mean" in seen else 0.0
    added = dict(seen)
    if "moving_variance" in seen:
        added["moving_variance"] = seen["moving_variance"] + square
    if "moving_deviation" in seen:
        added["moving_deviation"] = seen["moving_deviation"] ** 2 - norm.layer.epsilon + square
    return added


def _statistics(norm: RunningStatistics, averages: Mapping[str, Any]) -> dict[str, Any]:
    """Return the statistics from the averages of `_added`."""
    square = averages["moving_mean"] ** 2 if "moving_mean" in averages else 0.0
    found = dict(averages)
    if "moving_variance" in averages:
        found["moving_variance"] = ops.maximum(averages["moving_variance"] - square, 0.0)  # rounding may leave -1e-9
    if "moving_deviation" in averages:
        variance = ops.maximum(averages["moving_deviation"] - square, 0.0)
        found["moving_deviation"] = ops.sqrt(variance + norm.layer.epsilon)
    return found


def recompute(model: keras.Model, batches: Iterable[Any]) -> None:
    """Replace the running statistics of every norm of a model by those over `batches`; see `PreciseStatistics`.

    Raises:
        InputError: If there is no batch, or no layer of the model keeps running statistics.
    """
    values = precise_statistics(
        model, [v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables], batches
    )
    for variable, value in zip(model.non_trainable_variables, values, strict=True):
        variable.assign(value)


def precise_statistics(
    model: keras.Model, trainable: Sequence[Any], non_trainable: Sequence[Any], batches: Iterable[Any]
) -> list[Any]:
    """Return the non-trainable values with the running statistics of norms replaced, without side effects.

    Args:
        model: A built Keras model.
        trainable: Values of `model.trainable_variables`, in that order.
        non_trainable: Values of `model.non_trainable_variables`, in that order.
        batches: Inputs of the model; the batch size should be that of training.

    Raises:
        InputError: If there is no batch, or no layer of the model keeps running statistics.
    """
    statistics = PreciseStatistics(model)
    sums, found = statistics.start(non_trainable), False
    for batch in batches:
        sums, found = statistics.add(sums, trainable, non_trainable, batch), True
    if not found:
        raise InputError("batches must hold at least one batch", "none", "pass batches of the training set")
    return statistics.replaced(sums, non_trainable)
