"""Companions: against the formula of batch norm and a loop over batches, exactly zero for norms of samples."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from normlab.errors import InputError
from normlab.norms import NORMS
from normlab.probes import companions
from normlab.probes.alone import alone
from normlab.train.loop import scaled
from tests.probes.networks import BATCH, drawn, measured, plain, samples

SINGLE = ("none", "layer", "group")
COUPLING = ("batch", "ghost", "scale-only")


def _network(norm: str) -> keras.Model:
    chosen = NORMS[norm].with_options(groups=2) if norm == "group" else NORMS[norm]
    chosen = chosen.with_options(ghost_batch_size=4) if norm == "ghost" else chosen
    wrapped = chosen.wrap(keras.layers.Dense(6, name="first"))
    layers = [keras.Input((4,)), wrapped, chosen(name="norm"), keras.layers.Activation("tanh"), keras.layers.Dense(3)]
    return drawn(keras.Sequential(layers))


@pytest.mark.parametrize("norm", SINGLE)
def test_nothing_leaks_where_samples_stand_alone(norm: str) -> None:
    x, y = samples(3 * BATCH, 4)
    found = measured(companions, _network(norm), x, y)
    assert found["leak"] == 0.0
    assert found["own"] > 0.1
    assert found["relative_spread"] < 1e-6


@pytest.mark.parametrize("norm", COUPLING)
def test_samples_leak_where_the_norm_couples_them(norm: str) -> None:
    assert NORMS[norm].couples_samples
    x, y = samples(3 * BATCH, 4)
    found = measured(companions, _network(norm), x, y)
    assert found["leak"] > 0.01
    assert found["relative_spread"] > 0.01


def test_the_leak_is_that_of_batch_norms_formula() -> None:
    """∂y_i/∂x_j = γ/s (1[i = j] - 1/n - x̂_i x̂_j/n), per unit."""
    epsilon, gamma = 1e-3, np.array([0.5, 1.0, 2.0])
    model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization(epsilon=epsilon)])
    model.layers[0].gamma.assign(gamma)
    x, y = samples(2 * BATCH, 3)
    found = measured(companions, model, 10 * x, y, divisor=10.0)
    batch = x[:BATCH].astype(np.float64)
    s = np.sqrt(batch.var(axis=0) + epsilon)
    x_hat = (batch - batch.mean(axis=0)) / s
    jacobian = gamma / s * (np.eye(BATCH)[:, :, None] - 1 / BATCH - x_hat[:, None] * x_hat / BATCH)
    squares = (jacobian[: companions.NUM_LEAKING] ** 2).sum(axis=2)
    own = np.diagonal(squares)
    assert found["own"] == pytest.approx(np.sqrt(own.mean()), rel=1e-4)
    assert found["leak"] == pytest.approx(np.sqrt((squares.sum(axis=1) - own).mean()), rel=1e-4)


def test_outputs_return_to_their_samples_whatever_the_order() -> None:
    model = plain()
    trainer, state = alone(model, batch_size=BATCH)
    x, _ = samples(2 * BATCH, 4)
    order = np.random.default_rng(1).permutation(len(x))
    outputs_in = jax.jit(lambda order: companions.outputs_in(trainer, state, scaled(jnp.asarray(x), 1.0), order))
    found = np.asarray(outputs_in(order))
    for batch in np.split(order, 2):
        expected, _ = model.stateless_call(state.trainable, state.non_trainable, x[batch], training=True)
        np.testing.assert_allclose(found[batch], expected, rtol=1e-4, atol=1e-6)


def test_the_spread_is_the_deviation_over_companies() -> None:
    """Of y = x - mean over the batch: the variance of a mean of n - 1 drawn companions, for samples without end."""
    model = keras.Sequential([keras.Input((1,)), NORMS["center-only"](name="norm")])
    rng = np.random.default_rng(7)
    x = rng.normal(size=(64 * BATCH, 1)).astype(np.float32)
    found = measured(companions, model, x, np.zeros(len(x), np.int32))
    # y_i = x_i (1 - 1/n) - the sum of n - 1 others / n.
    variance = (BATCH - 1) / BATCH**2 * x.var()
    assert found["spread"] == pytest.approx(np.sqrt(variance), rel=0.05)
    between = x.var() * (1 - 1 / BATCH) ** 2 + variance / companions.NUM_COMPANIES
    assert found["relative_spread"] == pytest.approx(np.sqrt(variance / between), rel=0.05)


def test_fewer_than_two_batches_are_refused() -> None:
    trainer, _ = alone(plain(), batch_size=BATCH)
    with pytest.raises(InputError, match="at least two batches, 16 samples, got 15 samples; give more"):
        companions.layers(trainer, samples(2 * BATCH - 1, 4)[0])


def test_integers_have_a_spread_and_no_derivatives() -> None:
    layers = [keras.Input((3,), dtype="int32"), keras.layers.Embedding(9, 4), keras.layers.Flatten()]
    model = drawn(keras.Sequential([*layers, NORMS["batch"](name="norm"), keras.layers.Dense(2)]))
    x = np.random.default_rng(3).integers(0, 9, (2 * BATCH, 3)).astype(np.int32)
    trainer, _ = alone(model, batch_size=BATCH, divisor=None)
    assert list(companions.layers(trainer, x)) == ["spread", "relative_spread"]
    found = measured(companions, model, x, np.zeros(len(x), np.int32), divisor=None)
    assert found["spread"] > 0
    assert np.isnan(found["leak"])
    assert np.isnan(found["own"])
