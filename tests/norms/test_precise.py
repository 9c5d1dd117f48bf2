"""Precise statistics: those of the training set, to which running ones tend while the weights stand still."""

from __future__ import annotations

import keras
import numpy as np
import pytest

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
    model.add(NORMS["ghost"](name="ghost"))
    model.add(keras.layers.Dropout(0.5))
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
    with pytest.raises(InputError, match="must have a batch norm"):
        recompute(model, [_data(32)])


def test_refusals() -> None:
    with pytest.raises(InputError, match="at least one batch"):
        recompute(_model("precise"), [])
    with pytest.raises(InputError, match="must have a batch norm"):
        recompute(_model("layer"), [_data(32)])
