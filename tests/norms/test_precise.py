"""Precise statistics: those of the training set, to which running ones tend while the weights stand still."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from normlab.errors import InputError
from normlab.norms import NORMS
from normlab.norms.precise import precise_statistics, recompute


def _model(norm: str, num_norms: int = 1) -> keras.Model:
    keras.utils.set_random_seed(0)
    layers: list[keras.layers.Layer] = [keras.Input((5,))]
    for number in range(num_norms):
        layers += [keras.layers.Dense(7, use_bias=False), NORMS[norm](name=f"norm_{number}")]
    return keras.Sequential(layers)


def _data(count: int) -> np.ndarray:
    draw = np.random.default_rng(0)
    return (draw.normal(size=(count, 5)) * [1, 2, 3, 4, 5] + [5, 4, 3, 2, 1]).astype(np.float32)


@pytest.mark.parametrize(("norm", "size"), [("precise", 20), ("precise", 32), ("batch", 100), ("noisy", 100)])
def test_moments_of_all_samples_from_batches_of_any_size(norm: str, size: int) -> None:
    """100 samples in batches of 32 leave 4: every batch counts by its samples."""
    model, x = _model(norm), _data(100)
    recompute(model, np.split(x, range(size, 100, size)))
    before = np.asarray(model.layers[0](x), np.float64)
    np.testing.assert_allclose(model.layers[1].moving_mean, before.mean(0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.layers[1].moving_variance, before.var(0), rtol=1e-4)


def test_a_model_with_several_inputs_takes_them_by_name() -> None:
    left, right = keras.Input((5,), name="left"), keras.Input((5,), name="right")
    model = keras.Model({"left": left, "right": right}, NORMS["batch"]()(left + right))
    x = _data(100)
    recompute(model, [{"left": part, "right": 2 * part} for part in np.split(x, [32, 64])])
    mean, variance = model.non_trainable_variables
    np.testing.assert_allclose(mean, 3 * x.mean(0), rtol=1e-4)
    np.testing.assert_allclose(variance, 9 * x.var(0), rtol=1e-3)


def test_running_statistics_reach_the_precise_ones_when_weights_stand_still() -> None:
    model, batch = _model("precise", num_norms=2), _data(32)
    precise = precise_statistics(
        model, [v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables], [batch]
    )
    distances = []
    for _ in range(3):
        for _ in range(200):
            model(batch, training=True)
        pairs = zip(model.non_trainable_variables, precise, strict=True)
        distances.append(max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in pairs))
    # Each 200 steps leave 0.99^200 = 0.134 of the distance.
    np.testing.assert_allclose(np.divide(distances[1:], distances[:-1]), 0.99**200, rtol=0.02)


def test_running_statistics_of_many_batches_come_near() -> None:
    """The running variance is that within batches, smaller by one part in the batch size."""
    model, x = _model("precise"), _data(2000)
    batches = np.split(x, 50)
    for _ in range(20):
        for batch in batches:
            model(batch, training=True)
    layer = model.layers[1]
    running = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
    recompute(model, batches)
    deviation = np.sqrt(np.asarray(layer.moving_variance))
    assert np.abs(running[0] - np.asarray(layer.moving_mean)).max() < 0.05 * deviation.max()
    np.testing.assert_allclose(running[1] / np.asarray(layer.moving_variance), 1 - 1 / 40, atol=0.05)
    assert (running[1] / np.asarray(layer.moving_variance)).mean() < 1


@pytest.mark.parametrize("is_nested", [False, True])
def test_a_layer_called_twice_in_a_pass_gets_the_mean_over_its_calls(is_nested: bool) -> None:
    norm, x = NORMS["precise"](name="shared"), _data(60)
    inputs = keras.Input((5,))
    shared = keras.Sequential([keras.Input((5,)), norm]) if is_nested else norm
    model = keras.Model(inputs, keras.layers.Add()([shared(inputs), shared(3 * inputs)]))
    shared(keras.Input((5,)))  # a call that is not of this model
    recompute(model, np.split(x, [40]))
    # The calls within a pass count as 0.99 to 1.
    np.testing.assert_allclose(norm.moving_mean, 2 * x.mean(0), rtol=0.01)
    within = np.square(x).mean(0) - np.square(x.mean(0))
    between = sum(len(part) / 60 * np.square(part.mean(0) - x.mean(0)) for part in np.split(x, [40]))
    np.testing.assert_allclose(norm.moving_variance, 5 * (within - between) + 4 * between, rtol=0.02)


def test_nothing_else_changes() -> None:
    model = _model("precise", num_norms=2)
    model.add(keras.layers.Dropout(0.5))
    model.add(NORMS["batch-renorm"](name="norm_count"))
    kept = {v.path: np.asarray(v) for v in model.variables if "norm_" not in v.path or "moving" not in v.path}
    recompute(model, [_data(32)])
    for variable in model.variables:
        if variable.path in kept:
            assert np.array_equal(kept[variable.path], variable)


def test_a_batch_norm_that_is_frozen_keeps_its_statistics() -> None:
    model = _model("precise", num_norms=2)
    frozen = model.layers[1]
    frozen.trainable = False
    kept = np.asarray(frozen.moving_mean), np.asarray(frozen.moving_variance)
    recompute(model, [_data(32)])
    assert np.array_equal(frozen.moving_mean, kept[0])
    assert np.array_equal(frozen.moving_variance, kept[1])
    assert not np.allclose(model.layers[3].moving_mean, 0, atol=1e-3)
    model.layers[3].trainable = False
    with pytest.raises(InputError, match="must have a norm that keeps running statistics"):
        recompute(model, [_data(32)])


# By norm: its statistics from the mean, the variance and the mean square of all samples.
KEPT = {
    "batch-renorm": {
        "moving_mean": lambda mean, _variance: mean,
        "moving_deviation": lambda _mean, variance: np.sqrt(variance + 1e-3),
    },
    "center-only": {"moving_mean": lambda mean, _variance: mean},
    "frozen": {"moving_mean": lambda mean, _variance: mean, "moving_variance": lambda _mean, variance: variance},
    "power": {"moving_square": lambda mean, variance: variance + mean**2},
    "scale-only": {"moving_variance": lambda _mean, variance: variance},
}


@pytest.mark.parametrize("norm", KEPT)
def test_every_kin_of_batch_norm_gets_what_it_keeps(norm: str) -> None:
    """After some steps, when a correction by moving statistics would show; in batches where that leaves no variance."""
    model, x = _model(norm), _data(100)
    for _ in range(3):
        model(x, training=True)
    recompute(model, [x] if norm == "scale-only" else np.split(x, [40, 70]))
    before = np.asarray(model.layers[0](x), np.float64)
    for name, expected in KEPT[norm].items():
        value = expected(before.mean(0), before.var(0))
        np.testing.assert_allclose(getattr(model.layers[1], name), value, rtol=1e-4, atol=1e-5)


def test_renorm_and_power_norm_pass_by_the_batchs_own_moments_late_in_training_too() -> None:
    """A second norm sees the first one's output: it must not depend on the first one's moving statistics."""
    for norm in ("batch-renorm", "power"):
        model, x = _model(norm, num_norms=2), _data(100)
        recompute(model, [x])
        expected = [np.asarray(v) for v in model.layers[3].non_trainable_variables[:-1]]
        first = model.layers[1]
        for variable in first.non_trainable_variables:
            variable.assign(1000 * np.ones(variable.shape))  # the count of steps too
        recompute(model, [x])
        for variable, value in zip(model.layers[3].non_trainable_variables, expected, strict=False):
            np.testing.assert_allclose(variable, value, rtol=1e-5)


def test_a_ghost_batch_counts_by_its_moments() -> None:
    model, x = _model("ghost"), _data(32)
    recompute(model, [x])
    ghosts = np.asarray(model.layers[0](x), np.float64).reshape(4, 8, 7)
    np.testing.assert_allclose(model.layers[1].moving_mean, ghosts.mean((0, 1)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.layers[1].moving_variance, ghosts.var(1).mean(0), rtol=1e-4)


def test_statistics_that_are_frozen_by_their_step_stay() -> None:
    model, x = _model("frozen"), _data(32)
    norm = model.layers[1]
    norm.step.assign(norm.freeze_step)
    norm.moving_mean.assign(np.full(7, 2.0))
    recompute(model, [x])
    np.testing.assert_allclose(norm.moving_mean, 2.0, rtol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, 1.0, rtol=1e-5)


class Settled(layers.Layer):
    """A layer of the user's own that always evaluates its norm."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = layers.BatchNormalization()

    def build(self, shape) -> None:
        self.norm.build(shape)

    def call(self, x):
        return self.norm(x, training=False)


def test_a_norm_that_is_called_in_evaluation_mode_keeps_its_statistics() -> None:
    settled, moving = Settled(), layers.BatchNormalization()
    recompute(keras.Sequential([keras.Input((5,)), settled, moving]), [_data(32)])
    assert np.array_equal(settled.norm.moving_mean, np.zeros(5))
    assert np.array_equal(settled.norm.moving_variance, np.ones(5))
    np.testing.assert_allclose(moving.moving_mean, _data(32).mean(0) / np.sqrt(1.001), rtol=1e-4)


class Noisy(layers.Layer):
    """A layer of the user's own made of others, with noise of its own; it hands `training` on by Keras's context."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = layers.Dropout(0.5)

    def build(self, shape) -> None:
        self.drop.build(shape)

    def call(self, x, training=None):
        return self.drop(x) + 7.0 if training else self.drop(x)


STOCHASTIC = {
    "dropout": lambda: layers.Dropout(0.5),
    "gaussian noise": lambda: layers.GaussianNoise(1.0),
    "spatial dropout": lambda: keras.Sequential(
        [layers.Reshape((1, 5)), layers.SpatialDropout1D(0.5), layers.Flatten()]
    ),
    "nested": lambda: keras.Sequential([layers.Dense(5), keras.Sequential([layers.AlphaDropout(0.5)])]),
    "a layer of layers": Noisy,
    "recurrent": lambda: keras.Sequential([layers.Reshape((5, 1)), layers.LSTM(5, dropout=0.5)]),
    "attention": lambda: _attention(),
    "noisy batch norm": lambda: NORMS["noisy"](),
}


def _attention() -> keras.Model:
    inputs = keras.Input((5,))
    rows = layers.Reshape((5, 1))(inputs)
    return keras.Model(inputs, layers.Flatten()(layers.MultiHeadAttention(1, 2, dropout=0.5)(rows, rows)))


@pytest.mark.parametrize("name", STOCHASTIC)
def test_nothing_is_dropped_and_no_noise_is_added(name: str) -> None:
    """The norm behind the layer gets the moments of what that layer gives in evaluation mode."""
    keras.utils.set_random_seed(0)
    stochastic, norm, x = STOCHASTIC[name](), layers.BatchNormalization(), _data(64)
    model = keras.Sequential([keras.Input((5,)), stochastic, norm])
    calls = [layer.call for layer in model._flatten_layers()]
    recompute(model, [x])
    before = np.asarray(stochastic(x, training=False), np.float64)
    np.testing.assert_allclose(norm.moving_mean, before.mean(0), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, before.var(0), rtol=1e-3, atol=1e-5)
    assert calls == [layer.call for layer in model._flatten_layers()]  # as if nothing had been
    assert not np.allclose(stochastic(x, training=True), before, rtol=1e-3)


def test_refusals() -> None:
    with pytest.raises(InputError, match="at least one batch"):
        recompute(_model("precise"), [])
    with pytest.raises(InputError, match="must have a norm that keeps running statistics"):
        recompute(_model("layer"), [_data(32)])
