"""Activations: against NumPy, and laws of percentiles, saturation, dead units and effective rank."""

from __future__ import annotations

import re

import jax
import keras
import numpy as np
import pytest

from normlab.probes import activations
from normlab.probes.activations import SLOPES, activation_of, effective_rank, percentiles, singular_values
from normlab.probes.alone import alone
from tests.probes.networks import BATCH, drawn, measured, plain, recurrent, samples


def test_every_quantity_is_that_of_numpy() -> None:
    model = plain("sigmoid")
    x, y = samples(BATCH, 4)
    found = measured(activations, model, x, y)
    where = activations.layers(alone(model)[0], x)
    assert where["mean"] == ("first", "norm", "activation", "head")
    assert where["saturated"] == ("activation",)
    assert "dead" not in where
    assert {name: value.shape for name, value in found.items()} == {q: (len(names),) for q, names in where.items()}
    kernel, bias, gamma, beta, head, head_bias = (np.asarray(v.value, np.float64) for v in model.trainable_variables)
    h = x @ kernel + bias
    normed = (h - h.mean(axis=0)) / np.sqrt(h.var(axis=0) + 1e-3) * gamma + beta
    active = 1 / (1 + np.exp(-normed))
    for place, values in enumerate((h, normed, active, active @ head + head_bias)):
        assert found["mean"][place] == pytest.approx(values.mean(), rel=1e-5, abs=1e-6)
        assert found["variance"][place] == pytest.approx(values.var(), rel=1e-5)
        for percent in (15, 50, 85):
            expected = np.percentile(values, percent)
            assert found[f"percentile_{percent}"][place] == pytest.approx(expected, rel=1e-4, abs=1e-6)
        sigma = np.linalg.svd(values, compute_uv=False)
        p = sigma / sigma.sum()
        assert found["effective_rank"][place] == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-4)
    slope = active * (1 - active)
    assert found["saturated"][0] == pytest.approx((slope < 0.1 * 0.25).mean())


@pytest.mark.parametrize("activation", SLOPES)
def test_slopes_are_the_derivatives_of_kerass_activations(activation: str) -> None:
    function = getattr(keras.activations, activation)
    z = np.linspace(-4.05, 4.05, 28, dtype=np.float32)
    slopes = jax.vmap(jax.grad(function))(z)
    largest = max(float(slopes.max()), float(jax.grad(function)(0.0)))
    np.testing.assert_allclose(SLOPES[activation](function(z)), slopes / largest, atol=1e-5)


@pytest.mark.parametrize(("scale", "expected"), [(0.01, 0.0), (1e4, 1.0)])
def test_small_inputs_saturate_nothing_and_huge_ones_everything(scale: float, expected: float) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(6, activation="tanh", use_bias=False)])
    x, y = samples(BATCH, 4)
    assert measured(activations, model, scale * x, y)["saturated"] == [expected]


def test_a_unit_is_dead_when_no_sample_and_no_place_turns_it_on() -> None:
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((6, 6, 1)), layers.Conv2D(4, 3, name="conv"), layers.ReLU(), layers.Flatten(), layers.Dense(3)]
    )
    x, y = samples(BATCH, 6, 6, 1)
    assert measured(activations, model, x, y)["dead"] == [0.0]
    model.get_layer("conv").bias.assign([0.0, -1e3, 0.0, -1e3])
    assert measured(activations, model, x, y)["dead"] == [0.5]


def test_the_activation_of_a_layer_is_known_where_keras_knows_it() -> None:
    layers = keras.layers
    cases = {
        "relu": [layers.ReLU(), layers.Activation("relu"), layers.Dense(2, activation="relu")],
        "tanh": [layers.TimeDistributed(layers.Dense(2, activation="tanh")), layers.Conv1D(2, 2, activation="tanh")],
        None: [layers.ReLU(negative_slope=0.1), layers.LSTM(2), layers.Bidirectional(layers.LSTM(2)), layers.Flatten()],
    }
    for expected, found in cases.items():
        assert [activation_of(layer) for layer in found] == [expected] * len(found)
    tensor = keras.ops.sigmoid(keras.Input((3,)))
    assert activation_of(tensor._keras_history.operation) == "sigmoid"
    where = activations.layers(alone(recurrent())[0], samples(2, 5, 4)[0])
    assert where["saturated"] == ("distributed",)


@pytest.mark.parametrize("shape", [(30, 6), (6, 30), (6, 6)])
@pytest.mark.parametrize("rank", [1, 4, 6])
def test_effective_rank_of_equal_singular_values_is_their_number(shape: tuple[int, int], rank: int) -> None:
    rng = np.random.default_rng(rank)
    left, _ = np.linalg.qr(rng.normal(size=(shape[0], 6)))
    right, _ = np.linalg.qr(rng.normal(size=(shape[1], 6)))
    matrix = (left[:, :rank] @ right[:, :rank].T).astype(np.float32)
    for factor in (1.0, 1e-6, 1e6):
        assert float(effective_rank(factor * matrix)) == pytest.approx(rank, rel=1e-4)


def test_effective_rank_of_zeros_is_zero_and_of_a_drawn_matrix_below_its_rank() -> None:
    assert float(effective_rank(np.zeros((5, 3), np.float32))) == 0.0
    drawn_matrix = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    assert 1 < float(effective_rank(drawn_matrix)) < 5


SPECTRA = {
    "one value": np.array([1.0]),
    "few values": np.array([1.0, 0.5, 0.2, 0.1, 0.01]),
    "a decade in eight": 10.0 ** (-np.arange(40) / 8),
    "a decade in four": 10.0 ** (-np.arange(40) / 4),
    "one large and many small": np.array([1.0] + [1e-4] * 39),
}


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("shape", [(40, 90), (90, 40)])
def test_small_singular_values_count_as_in_float64(spectrum: str, shape: tuple[int, int]) -> None:
    sigma = SPECTRA[spectrum]
    rng = np.random.default_rng(1)
    left, right = (np.linalg.qr(rng.normal(size=(size, len(sigma))))[0] for size in shape)
    matrix = ((left * sigma) @ right.T).astype(np.float32)
    exact = np.linalg.svd(matrix.astype(np.float64), compute_uv=False)
    found = np.asarray(singular_values(matrix))
    np.testing.assert_allclose(found, np.sort(exact), atol=2e-5)
    p = exact / exact.sum()
    expected = np.exp(-(p * np.log(p)).sum())
    assert float(effective_rank(matrix)) == pytest.approx(expected, rel=2e-4)


@pytest.mark.parametrize("values", [[3.0], [-0.0, 0.0, -1.5, 2.0], [-2.0, -2.0, -1e-30, 1e30], list(range(-7, 94))])
def test_percentiles_are_numpys(values: list[float]) -> None:
    array = np.random.default_rng(0).permutation(np.array(values, np.float32))
    np.testing.assert_allclose(percentiles(array, (0, 15, 50, 85, 100)), np.percentile(array, (0, 15, 50, 85, 100)))
    assert np.isnan(percentiles(np.append(array, np.float32("nan")), (50,))).all()


@pytest.mark.parametrize("kept", [1, 2, 7, 60, 101, 260])
def test_percentiles_of_some_values_are_numpys_of_those(kept: int) -> None:
    rng = np.random.default_rng(kept)
    array, counts = rng.normal(size=(26, 10)).astype(np.float32), np.zeros(260, np.bool_)
    counts[rng.permutation(260)[:kept]] = True
    counts = counts.reshape(26, 10)
    array[~counts] = rng.choice([np.nan, np.inf, -np.inf, 0.0], 260 - kept)
    found = jax.jit(lambda a, c: percentiles(a, (0, 15, 50, 85, 100), c))(array, counts)
    np.testing.assert_allclose(found, np.percentile(array[counts], (0, 15, 50, 85, 100)), rtol=1e-5, atol=1e-6)
    array[tuple(np.argwhere(counts)[0])] = np.nan
    assert np.isnan(percentiles(array, (50,), counts)).all()
    assert np.isnan(percentiles(array, (50,), np.zeros_like(counts))).all()


def _masked() -> keras.Model:
    layers = keras.layers
    return drawn(
        keras.Sequential(
            [
                keras.Input((6, 4)),
                layers.Masking(name="mask"),
                layers.Dense(5, activation="tanh", name="tanh"),
                layers.Dense(3, activation="relu", name="relu"),
                layers.LSTM(4, name="lstm"),
                layers.Dense(3, name="head"),
            ]
        )
    )


def test_padded_steps_count_for_nothing() -> None:
    model = _masked()
    rng = np.random.default_rng(4)
    kernel, bias = -rng.uniform(0, 0.9, (4, 5)), np.full(5, 3.0)  # what padding gives is saturated
    relu, relu_bias = rng.normal(size=(5, 3)), np.array([-4.9, -30.0, 3.0])
    relu[:, 0] = 1.0  # the first unit goes on where all its inputs are 1
    for layer, values in (("tanh", [kernel, bias]), ("relu", [relu, relu_bias])):
        model.get_layer(layer).set_weights(values)
    x, y = samples(BATCH, 6, 4)
    x = np.abs(x) + 0.5
    lengths = np.array([6, 5, 4, 3, 2, 1, 6, 3])
    counts = np.arange(6) < lengths[:, None]
    x[~counts] = 0.0
    found, where = measured(activations, model, x, y), activations.layers(alone(model)[0], x)
    first = np.tanh(x @ kernel + bias)
    outputs = {"mask": x, "tanh": first, "relu": np.maximum(first @ relu + relu_bias, 0.0)}
    for name, output in outputs.items():
        place, values = where["mean"].index(name), output[counts]  # (entries that count, units)
        assert found["mean"][place] == pytest.approx(values.mean(), rel=1e-4, abs=1e-6)
        assert found["variance"][place] == pytest.approx(values.var(), rel=1e-4)
        for percent in (15, 50, 85):
            expected = np.percentile(values, percent)
            assert found[f"percentile_{percent}"][place] == pytest.approx(expected, rel=1e-3, abs=1e-5)
        sigma = np.linalg.svd(values, compute_uv=False)
        p = sigma[sigma > 1e-9] / sigma.sum()
        assert found["effective_rank"][place] == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-3)
    is_saturated = 1 - first**2 < 0.1
    assert found["saturated"][0] == pytest.approx(is_saturated[counts].mean(), abs=1e-6)
    assert found["saturated"][0] != pytest.approx(is_saturated.mean(), abs=0.01)
    dead, whole = (outputs["relu"][counts] <= 0).all(axis=0), (outputs["relu"] <= 0).all(axis=(0, 1))
    assert found["dead"] == [pytest.approx(dead.mean())]
    assert dead.mean() != whole.mean()  # padding would have turned a unit on
    last = where["mean"].index("lstm")  # has no steps left
    assert np.isfinite(found["mean"][last])


def test_nothing_is_used_that_is_slow_on_busy_cores() -> None:
    """Measured: a decomposition, whose library starts threads of its own, and a sort of floats."""
    model = plain("relu")
    trainer, state = alone(model)
    x, y = samples(BATCH, 4)
    program = str(jax.make_jaxpr(lambda state, x, y: activations.measure(trainer, state, x, y))(state, x, y))
    assert " = svd[" not in program
    assert set(re.findall(r":(\w+)\[[^]]*\] = sort\[", program)) == {"i32"}


def test_batch_norm_gives_mean_beta_and_variance_gamma_squared() -> None:
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(5), keras.layers.BatchNormalization(epsilon=1e-6, name="norm")]
    )
    drawn(model)
    norm = model.get_layer("norm")
    norm.gamma.assign(np.full(5, 1.5))
    norm.beta.assign(np.full(5, -0.25))
    x, y = samples(64, 4)
    found = measured(activations, model, x, y)
    assert found["mean"][1] == pytest.approx(-0.25, abs=1e-5)
    assert found["variance"][1] == pytest.approx(1.5**2, rel=1e-4)
