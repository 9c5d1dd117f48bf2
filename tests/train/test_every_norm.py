"""Every norm of the table inside the engine: a run in a population against the same run alone."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from normlab.norms import NORMS, Norm
from normlab.train.blueprint import blueprint
from normlab.train.order import epoch_order
from tests.train.setting import leaves, population, small_digits

DIGITS = small_digits(16 * 3 + 6)
SEEDS = [0, 1, 2]


def _tiny(norm: Norm) -> keras.Model:
    """Return a Dense over the rows and a norm that sees them as positions, which every norm of the table can serve."""
    return keras.Sequential(
        [
            keras.Input((8, 8)),
            norm.wrap(keras.layers.Dense(8, name="rows")),
            norm(name="norm"),
            keras.layers.Activation("relu"),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(10),
        ]
    )


@pytest.mark.parametrize("name", NORMS)
def test_a_run_in_a_population_equals_the_run_alone(name: str) -> None:
    plan = blueprint(lambda: _tiny(NORMS[name]))
    ends = []
    for seeds, layout in ((SEEDS, "vmap"), (SEEDS[-1:], "map")):
        trained = population(plan, DIGITS, len(seeds), layout=layout, num_devices=1)
        state = trained.start(seeds, [0.1] * len(seeds))
        state, record = trained.train(state, [epoch_order(seed, 0, len(DIGITS.train)) for seed in seeds])
        ends.append((leaves(state, len(seeds) - 1), record.loss[-1], record.val_loss[-1]))
    (many, *losses), (alone, *lone_losses) = ends
    for together, single in zip(many, alone, strict=True):
        np.testing.assert_allclose(together, single, rtol=1e-3, atol=1e-5)
    assert losses == pytest.approx(lone_losses, rel=1e-4)
    assert np.isfinite(losses).all()
