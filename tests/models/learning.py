"""What a small network learns on real digits, for every norm that suits it: one compiled program each."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from normlab.norms import NORMS, Norm, check_model
from normlab.train.blueprint import blueprint
from normlab.train.initial import InitialValues
from normlab.train.loop import RunState, Trainer, evaluate
from normlab.train.objective import objective_for
from normlab.train.optimizers import OPTIMIZERS, initial_state
from normlab.train.order import epoch_order
from tests.train.setting import BATCH_SIZE, small_digits, train_epoch

NUM_TRAIN, EPOCHS, RATE = 40 * BATCH_SIZE, 5, 0.01
# With Keras's 0.99, a seventh of a moving statistic would still be its initial value after these 200 steps.
MOMENTUM = 0.9


class Learned(NamedTuple):
    """Accuracy on validation digits in evaluation mode, and by path whether a parameter is finite and has moved."""

    accuracy: float
    moved: dict[str, bool]


def learned(norm: str, build: Callable[[Norm], Any]) -> Learned:
    """Check the norm's places in the network, and train it with Adam for 5 epochs of 640 digits in batches of 16."""
    import jax

    values, digits = _shared()
    options = {"momentum": MOMENTUM} if "momentum" in NORMS[norm].options else {}
    chosen = NORMS[norm].with_options(**options)
    plan = blueprint(lambda: build(chosen))
    model = plan.model
    check_model(chosen, model, BATCH_SIZE)
    optimizer = OPTIMIZERS["adam"].build()
    optimizer.build(model.trainable_variables)
    trainer = Trainer(
        model, optimizer, objective_for(digits.task, digits.num_outputs, model), BATCH_SIZE, digits.divisor
    )
    drawn = [values.stacked(plan, part, [0]) for part in (model.trainable_variables, model.non_trainable_variables)]
    start = RunState(*([a[0] for a in part] for part in (*drawn, initial_state(optimizer, [RATE]))), 0, 0)

    def run(state: RunState, orders: Any, train: Any, validation: Any) -> Any:
        def epoch(number: Any, state: RunState) -> RunState:
            return train_epoch(trainer, state, *train, orders[number], NUM_TRAIN // BATCH_SIZE)[0]

        state = jax.lax.fori_loop(0, EPOCHS, epoch, state)
        return state.trainable, evaluate(trainer, state, *validation)

    orders = np.stack([epoch_order(0, epoch, NUM_TRAIN) for epoch in range(EPOCHS)])
    arguments = (start, orders, (digits.train.x, digits.train.y), (digits.validation.x, digits.validation.y))
    trained, totals = jax.jit(run)(*arguments)
    paths = [plan.paths[id(variable)] for variable in model.trainable_variables]
    pairs = zip(paths, start.trainable, map(np.asarray, trained), strict=True)
    moved = {path: bool(np.isfinite(after).all() and (before != after).any()) for path, before, after in pairs}
    return Learned(float(totals.hits), moved)


@functools.cache
def _shared() -> tuple[InitialValues, Any]:
    return InitialValues(), small_digits(NUM_TRAIN)
