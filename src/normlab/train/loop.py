"""The training loop of one run: draw, differentiate, update, record. It knows nothing of other runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from normlab.train.augment import Augmentation, augmented
from normlab.train.convolutions import fast_in_loops
from normlab.train.optimizers import rate_position
from normlab.train.schedules import CONSTANT, Schedule

if TYPE_CHECKING:
    import keras

    from normlab.train.objective import Objective

# Samples per forward pass of an evaluation: bounds memory, and on a CPU more is not faster.
EVALUATION_BATCH = 1000


@dataclass(frozen=True)
class Trainer:
    """What is fixed while a run trains.

    Attributes:
        model: Keras model; used through `stateless_call` only.
        optimizer: Keras optimizer, built for the model's trainable variables.
        objective: Loss per sample and its bound.
        batch_size: Samples per step; the last step of an epoch takes what is left.
        divisor: Inputs are divided by it in float32, inside the program; None for integers, which stay as they are.
        schedule: Multiplies each run's learning rate, step by step.
        augmentation: What is done to training images; None for nothing.
        recomputes: Whether an evaluation is made with statistics over the training part; see `recompute`.
    """

    model: keras.Model
    optimizer: keras.optimizers.Optimizer
    objective: Objective
    batch_size: int
    divisor: float | None
    schedule: Schedule = CONSTANT
    augmentation: Augmentation | None = None
    recomputes: bool = False


class RunState(NamedTuple):
    """All that changes while a run trains."""

    trainable: list[Any]
    non_trainable: list[Any]
    optimizer: list[Any]
    step: Any  # steps taken so far, int32
    diverged_step: Any  # first step (from 1) whose plain loss was not finite or above the bound; 0 if none yet, int32


class Totals(NamedTuple):
    """Sums over samples."""

    loss: Any
    hits: Any


def train_batches(
    trainer: Trainer,
    carry: tuple[RunState, Totals],
    x: jax.Array,
    y: jax.Array,
    order: jax.Array,
    first: jax.Array,
    end: jax.Array,
    draws: jax.Array | None = None,
) -> tuple[RunState, Totals]:
    """Train one run on the full batches from `first` up to, without, `end` of an epoch.

    Both bounds are traced: however an epoch is cut into calls, every step is the same program, to the bit.

    Args:
        trainer: What is fixed.
        carry: The state before, and sums of loss and hits over the epoch's samples so far, as seen in training mode
            before each step.
        x: Training inputs as stored, (n, ...).
        y: Training targets, (n,).
        order: Permutation of the samples, (n,), int32.
        first: The first batch's position.
        end: The position after the last; at most n // batch_size.
        draws: What chance decides for each image in this epoch, `augment.epoch_draws`; only with augmentation.
    """
    size = trainer.batch_size
    whole = len(order) // size
    batches = order[: whole * size].reshape(whole, size)

    def one(position: jax.Array, carry: tuple[RunState, Totals]) -> tuple[RunState, Totals]:
        return train_batch(trainer, carry, x, y, batches[position], draws)

    return jax.lax.fori_loop(first, end, one, carry)


def train_rest(
    trainer: Trainer,
    carry: tuple[RunState, Totals],
    x: jax.Array,
    y: jax.Array,
    order: jax.Array,
    draws: jax.Array | None = None,
) -> tuple[RunState, Totals]:
    """Train one run on the last, short batch of an epoch, if there is one; see `train_batches`.

    It is a step of its own: padding would enter a norm's statistics.
    """
    rest = len(order) % trainer.batch_size
    return train_batch(trainer, carry, x, y, order[len(order) - rest :], draws) if rest else carry


def train_batch(
    trainer: Trainer,
    carry: tuple[RunState, Totals],
    x: jax.Array,
    y: jax.Array,
    chosen: jax.Array,
    draws: jax.Array | None = None,
) -> tuple[RunState, Totals]:
    """Take one step on the training samples `chosen`, (batch,), augmented as `draws` says; see `train_batches`."""
    if (trainer.augmentation is None) != (draws is None):
        raise ValueError("draws must come with an augmentation, and only then")
    inputs = x[chosen]
    if trainer.augmentation is not None and draws is not None:  # one comes with the other, see above
        inputs = augmented(trainer.augmentation, inputs, draws[chosen])
    return train_step(trainer, carry, inputs, y[chosen])


def train_step(trainer: Trainer, carry: tuple[RunState, Totals], x: jax.Array, y: jax.Array) -> tuple[RunState, Totals]:
    """Take one optimizer step on the batch (x, y) and add its losses and hits to the totals.

    The step descends the mean loss plus the model's penalties (weight decay as a regularizer), with smoothed labels
    where the objective smooths them; the totals leave penalties and smoothing out, as an evaluation does, so that
    training and test loss can be set side by side. So does the check for divergence: a large penalty is none.
    """
    state, totals = carry

    def mean_loss(trainable: list[Any]) -> tuple[jax.Array, tuple[list[Any], jax.Array, jax.Array]]:
        outputs, non_trainable, penalties = trainer.model.stateless_call(
            trainable, state.non_trainable, scaled(x, trainer.divisor), training=True, return_losses=True
        )
        losses, hits = trainer.objective.per_sample(outputs, y)
        descended = losses if trainer.objective.descended is None else trainer.objective.descended(outputs, y)
        return descended.mean() + sum(penalties), (non_trainable, losses.sum(), hits.sum())

    differentiated = fast_in_loops(trainer.model, jax.value_and_grad(mean_loss, has_aux=True))
    (_, (non_trainable, losses, hits)), gradients = differentiated(state.trainable)
    trainable, optimizer = _updated(trainer, state, gradients)
    step = state.step + 1
    bad = ~(losses / len(y) <= trainer.objective.divergence_bound)  # also true where the loss is not a number
    diverged_step = jnp.where((state.diverged_step == 0) & bad, step, state.diverged_step)
    after = RunState(trainable, non_trainable, optimizer, step, diverged_step)
    return after, Totals(totals.loss + losses, totals.hits + hits)


def evaluate(trainer: Trainer, state: RunState, x: jax.Array, y: jax.Array) -> Totals:
    """Return the mean loss and accuracy of one run on (x, y) in evaluation mode."""
    size = min(EVALUATION_BATCH, len(y))
    whole, rest = divmod(len(y), size)

    def sums(part: tuple[jax.Array, jax.Array]) -> Totals:
        outputs, _ = trainer.model.stateless_call(
            state.trainable, state.non_trainable, scaled(part[0], trainer.divisor), training=False
        )
        losses, hits = trainer.objective.per_sample(outputs, part[1])
        return Totals(losses.sum(), hits.sum())

    cut = whole * size
    slices = (x[:cut].reshape(whole, size, *x.shape[1:]), y[:cut].reshape(whole, size))
    totals = Totals(*(value.sum() for value in jax.lax.map(sums, slices)))
    if rest:
        totals = Totals(*(a + b for a, b in zip(totals, sums((x[cut:], y[cut:])), strict=True)))
    return Totals(totals.loss / len(y), totals.hits / len(y))


def scaled(x: jax.Array, divisor: float | None) -> jax.Array:
    """Return stored inputs as the network sees them: divided by the divisor in float32; without one, as they are."""
    return x if divisor is None else x.astype(jnp.float32) / divisor


def _updated(trainer: Trainer, state: RunState, gradients: list[Any]) -> tuple[list[Any], list[Any]]:
    """Return parameters and the optimizer's variables after one update at the step's learning rate.

    The run's own rate stays in the state: the schedule is a function of the step, and multiplies that rate anew.
    """
    if trainer.schedule.is_constant:
        return trainer.optimizer.stateless_apply(state.optimizer, gradients, state.trainable)
    position = rate_position(trainer.optimizer)
    own, now = state.optimizer[position], list(state.optimizer)
    now[position] = own * trainer.schedule.factor(state.step)
    trainable, optimizer = trainer.optimizer.stateless_apply(now, gradients, state.trainable)
    optimizer[position] = own
    return trainable, optimizer
