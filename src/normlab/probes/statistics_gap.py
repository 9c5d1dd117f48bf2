"""The gap between running, batch and precise statistics, in every layer that keeps running ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import keras

from normlab.errors import InputError
from normlab.norms.moments import at_least_float32, axes_but_last, entry_weights, moments_over
from normlab.norms.running import measuring
from normlab.probes.inside import Output, pass_through, survey

if TYPE_CHECKING:
    from normlab.probes.probe import Layers, Measured
    from normlab.train.loop import RunState, Trainer

# What a layer keeps, by attribute: the moment it stands for, and that moment from the kept value and epsilon.
RUNNING: dict[str, tuple[str, Callable[[jax.Array, float], jax.Array]]] = {
    "moving_mean": ("mean", lambda value, _: value),
    "moving_variance": ("variance", lambda value, _: value),
    "moving_deviation": ("variance", lambda value, epsilon: value**2 - epsilon),
    "moving_square": ("square", lambda value, _: value),
}
# Which statistic is set beside which.
PAIRS = ("batch_to_running", "precise_to_running", "batch_to_precise")


def layers(trainer: Trainer, x: Any) -> Layers:
    """Return the layers by quantity.

    Raises:
        InputError: If no layer keeps running statistics.
    """
    found = survey(trainer, x)
    by_moment: dict[str, list[str]] = {}
    for output in found:
        for attribute, (moment, _) in RUNNING.items():
            if _is_kept(output, attribute):
                by_moment.setdefault(moment, []).append(output.name)
    if not by_moment:
        kinds = ", ".join(sorted({type(output.layer).__name__ for output in found}))
        raise InputError(
            f"statistics-gap needs a layer with running statistics ({', '.join(RUNNING)})",
            f"the model {trainer.model.name} with {kinds}",
            "measure a network with batch norm or its kin",
        )
    return {f"{moment}_{pair}": tuple(names) for moment, names in by_moment.items() for pair in PAIRS}


def measure(trainer: Trainer, state: RunState, x: jax.Array, y: jax.Array) -> Measured:  # noqa: ARG001
    """Compare per layer the running statistics with those of batches and of all batches together.

    x is cut into batches of the trainer's size (what is left over is not used; fewer samples than that are one batch).
    Each passes normalized by the batch, with nothing dropped and no noise, as recomputed statistics are taken
    (`normlab.norms.precise`). For a layer's input, with m_b a moment per unit over batch b, m_run the running one,
    and m_precise the one of all batches together (the mean of m_b; for the variance that of v_b + m_b² minus the
    squared mean):

        mean_batch_to_running       mean over b of ‖m_b - m_run‖ / ‖m_run‖
        mean_precise_to_running     ‖m_precise - m_run‖ / ‖m_run‖
        mean_batch_to_precise       mean over b of ‖m_b - m_precise‖ / ‖m_precise‖

    and the same for `variance`, and for `square` (power norm's mean of x²), each of shape (layers that keep it,). A
    running mean of zeros, as before the first step, gives infinity. Masked entries count for nothing.

    Cost: one forward pass over x.

    Source: Shen et al. 2020, arXiv:2003.07845 (batch to running); Wu and Johnson 2021, arXiv:2105.07576 (precise).

    Args:
        trainer: What is fixed while a run trains.
        state: Of one run.
        x: Inputs as stored, (samples, ...); with one batch, precise and batch statistics are the same.
        y: Not used.

    Raises:
        InputError: As `layers`.
    """
    size = min(trainer.batch_size, len(x))
    whole = len(x) // size
    wanted = layers(trainer, x[:size])
    seen = jax.lax.map(
        lambda batch: batch_statistics(trainer, state, batch), x[: whole * size].reshape(whole, size, *x.shape[1:])
    )
    running = _running(trainer, state, x[:size])
    gaps: dict[str, list[jax.Array]] = {quantity: [] for quantity in wanted}
    for name, moments in seen.items():
        precise = _precise(moments)
        for moment, own in running[name].items():
            each = jax.vmap(_gap, in_axes=(0, None))
            gaps[f"{moment}_batch_to_running"].append(each(moments[moment], own).mean())
            gaps[f"{moment}_precise_to_running"].append(_gap(precise[moment], own))
            gaps[f"{moment}_batch_to_precise"].append(each(moments[moment], precise[moment]).mean())
    return {quantity: jnp.stack(values) for quantity, values in gaps.items()}


def batch_statistics(trainer: Trainer, state: RunState, x: jax.Array) -> dict[str, dict[str, jax.Array]]:
    """Return mean, variance and mean square per unit, (units,), of the input of each layer with running statistics."""
    with measuring(trainer.model):
        inside = pass_through(trainer, state.trainable, state.non_trainable, x).inside
    return {output.name: _moments(output) for output in inside if any(_is_kept(output, name) for name in RUNNING)}


def _moments(output: Output) -> dict[str, jax.Array]:
    inputs = at_least_float32(output.inputs)
    units_last = jnp.moveaxis(inputs, getattr(output.layer, "axis", -1), -1)
    mean, variance = moments_over(units_last, entry_weights(units_last, output.mask), axes_but_last(units_last))
    mean, variance = mean.reshape(-1), variance.reshape(-1)
    return {"mean": mean, "variance": variance, "square": variance + mean**2}


def _precise(moments: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Return the moments over all batches from those of each, (batches, units)."""
    mean, variance = moments["mean"].mean(axis=0), moments["variance"].mean(axis=0)
    # The variance of the batches' means, rather than a difference of squares, which rounding may make negative.
    variance = variance + moments["mean"].var(axis=0)
    return {"mean": mean, "variance": variance, "square": moments["square"].mean(axis=0)}


def _running(trainer: Trainer, state: RunState, x: Any) -> dict[str, dict[str, jax.Array]]:
    values = {id(v): at for v, at in zip(trainer.model.non_trainable_variables, state.non_trainable, strict=True)}
    return {
        output.name: {
            moment: at_least_float32(convert(values[id(getattr(output.layer, attribute))], _epsilon(output.layer)))
            for attribute, (moment, convert) in RUNNING.items()
            if _is_kept(output, attribute)
        }
        for output in survey(trainer, x)
        if any(_is_kept(output, attribute) for attribute in RUNNING)
    }


def _is_kept(output: Output, attribute: str) -> bool:
    return isinstance(getattr(output.layer, attribute, None), keras.Variable)


def _epsilon(layer: keras.Operation) -> float:
    return getattr(layer, "epsilon", 0.0)


def _gap(value: jax.Array, reference: jax.Array) -> jax.Array:
    return jnp.linalg.norm(value - reference) / jnp.linalg.norm(reference)
