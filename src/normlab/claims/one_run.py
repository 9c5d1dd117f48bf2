"""One run of a population as a Keras model of its own, for what works on models, such as folding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

    from normlab.claims.bench import Bench
    from normlab.norms import Norm
    from normlab.train.loop import RunState


def model_of(bench: Bench, norm: str | Norm, state: RunState, run: int = 0) -> keras.Model:
    """Return a new network of the bench with the variables of one run; `state` is that of a program of this norm."""
    model = bench.build(norm)
    for variables, values in (
        (model.trainable_variables, state.trainable),
        (model.non_trainable_variables, state.non_trainable),
    ):
        for variable, stacked in zip(variables, values, strict=True):
            variable.assign(np.asarray(stacked)[run])
    return model
