"""Networks with batch norm evaluated with other statistics than the running ones, for all runs of a program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from normlab.claims.final_error import final_error

if TYPE_CHECKING:
    from normlab.claims.bench import Bench
    from normlab.claims.trained import Trained
    from normlab.train.loop import RunState
    from normlab.train.population import PartName, Population


def with_precise_statistics(bench: Bench, program: Population, trained: Trained, part: PartName = "test") -> np.ndarray:
    """Return the error on a part of the data, (runs,), with statistics recomputed over the training part.

    They are recomputed as in studies: `normlab.train.recompute.recomputed_state`.
    """
    losses, accuracies = zip(
        *(program.evaluate(program.recomputed(state), size, part) for state, size in groups(program, trained)),
        strict=True,
    )
    return final_error(bench, np.concatenate(losses), np.concatenate(accuracies), trained.diverged)


def with_batch_statistics(bench: Bench, program: Population, trained: Trained) -> np.ndarray:
    """Return the test error, (runs,), where every test batch is normalized by its own moments, and nothing is dropped.

    The test samples stand in random order in batches of the size of training; the last batch is filled from the
    beginning, and what fills it does not count.
    """
    import jax
    import jax.numpy as jnp

    from normlab import seeding
    from normlab.norms.running import measuring
    from normlab.train.loop import scaled

    trainer = program.trainer
    x, y = program.data.test
    order = seeding.generator(bench.seeds[0], "claims", "test batches").permutation(len(y))
    filled = np.resize(order, -(-len(y) // trainer.batch_size) * trainer.batch_size)
    counts = (np.arange(len(filled)) < len(y)).astype(np.float32)
    shape = (-1, trainer.batch_size)

    def test(trainable: list[Any], non_trainable: list[Any], inputs: jax.Array, targets: jax.Array) -> Any:
        def one(batch: tuple[jax.Array, jax.Array]) -> Any:
            chosen, counted = batch
            with measuring(trainer.model):
                outputs, _ = trainer.model.stateless_call(
                    trainable, non_trainable, scaled(inputs[chosen], trainer.divisor), training=True
                )
            losses, hits = trainer.objective.per_sample(outputs, targets[chosen])
            return (losses * counted).sum(), (hits * counted).sum()

        loss, hits = jax.lax.map(one, (jnp.asarray(filled).reshape(shape), jnp.asarray(counts).reshape(shape)))
        return loss.sum() / len(targets), hits.sum() / len(targets)

    every_run = jax.jit(jax.vmap(test, in_axes=(0, 0, None, None)))
    parts = []
    for state, size in groups(program, trained):
        loss, accuracy = every_run(state.trainable, state.non_trainable, x, y)
        parts.append((np.asarray(loss)[:size], np.asarray(accuracy)[:size]))
    loss, accuracy = (np.concatenate(part) for part in zip(*parts, strict=True))
    return final_error(bench, loss, accuracy, trained.diverged)


def groups(program: Population, trained: Trained) -> list[tuple[RunState, int]]:
    """Return the final state of each group of runs, with the number of runs in it that are not padding."""
    left = len(trained.diverged)
    found = []
    for state in trained.states:
        found.append((state, min(left, program.capacity)))
        left -= program.capacity
    return found
