"""What a norm keeps over the steps of a sequence: counts, generators, initial values, and the initial scale."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from normlab.models.over_time import Kept, OverTime
from normlab.models.recurrent import recurrent
from normlab.norms import NORMS
from normlab.norms.precise import recompute

STEPS, UNITS = 3, 4
X = np.random.default_rng(0).normal(size=(STEPS, 6, UNITS)).astype(np.float32)


def built(norm: str, statistics: str = "shared", gamma: float = 1.0, **options: Any) -> OverTime:
    layer = OverTime(NORMS[norm].with_options(**options)(name="place"), statistics, gamma)
    layer.build((STEPS, None, UNITS))
    return layer


def train(layer: OverTime, x: np.ndarray = X) -> list[np.ndarray]:
    """Go through one batch of sequences as the recurrent layer does, without its loop; return every step's output."""
    begun, generators, outputs, moved = layer.statistics_of_steps(), layer.generator_states(), [], []
    for t in range(STEPS):
        y, kept = layer.at_step(x[t], Kept([value[t] for value in begun], generators), True)
        generators = kept.generators
        outputs.append(np.asarray(y))
        moved.append(kept.statistics)
    layer.keep(Kept([np.stack(values) for values in zip(*moved, strict=True)], generators))
    return outputs


def value(layer: OverTime, name: str) -> np.ndarray:
    return next(np.asarray(v.value) for v in layer.variables if v.name == name)


@pytest.mark.parametrize("norm", ["batch-renorm", "frozen", "power"])
def test_a_count_of_steps_counts_batches_however_long_the_sequences(norm: str) -> None:
    shared, per_step = built(norm), built(norm, "per-step")
    for _ in range(2):
        train(shared)
        train(per_step)
    assert value(shared, "step") == 2
    assert value(per_step, "step_per_step").tolist() == [2] * STEPS


@pytest.mark.parametrize("statistics", ["shared", "per-step"])
def test_a_norm_that_is_not_trained_keeps_its_bits(statistics: str) -> None:
    layer = built("batch", statistics)
    train(layer)
    layer.trainable = False
    before = [np.asarray(v.value) for v in layer.variables]
    train(layer, X + 1)
    assert all(np.array_equal(a, v.value) for a, v in zip(before, layer.variables, strict=True))


def test_parameters_come_from_the_scope_around_the_recurrence() -> None:
    """Trained or not: `stateless_call` of a whole model gives values that the variables themselves don't have."""
    for trainable in (True, False):
        layer = built("layer")
        layer.trainable = trainable
        with keras.StatelessScope([(v, 3 * np.ones(UNITS)) for v in layer.variables]):
            outputs = train(layer)
        np.testing.assert_allclose(outputs, 3 * np.array(train(layer)) + 3, atol=1e-5)


@pytest.mark.parametrize("norm", list(NORMS))
def test_statistics_per_step_begin_as_the_norms_own(norm: str) -> None:
    if norm in ("frn", "instance"):  # neither can stand on (batch, units)
        return
    layer = built(norm, "per-step")
    own = [v for v in layer.norm.weights if not v.trainable]
    per_step = [v for v in layer.variables if v.name.endswith("_per_step")]
    assert [v.name for v in per_step] == [f"{v.name}_per_step" for v in own]
    for stacked, single in zip(per_step, own, strict=True):
        assert stacked.path == f"{single.path}_per_step"
        assert not stacked.trainable
        assert stacked.dtype == single.dtype
        assert np.array_equal(stacked.value, np.stack([single.value] * STEPS))


def test_statistics_per_step_differ_between_steps_and_shared_ones_are_their_mean() -> None:
    shared, per_step = built("batch"), built("batch", "per-step")
    train(shared)
    train(per_step)
    for name in ("moving_mean", "moving_variance"):
        steps = value(per_step, f"{name}_per_step")
        assert steps.shape == (STEPS, UNITS)
        assert np.abs(steps[1:] - steps[0]).min() > 1e-6
        np.testing.assert_allclose(value(shared, name), steps.mean(0), atol=1e-6)


@pytest.mark.parametrize("statistics", ["shared", "per-step"])
def test_noise_differs_between_steps_and_batches(statistics: str) -> None:
    layer = built("noisy", statistics)
    same = np.stack([X[0]] * STEPS)
    outputs = train(layer, same) + train(layer, same)
    assert len({output.tobytes() for output in outputs}) == 2 * STEPS


@pytest.mark.parametrize("norm", list(NORMS))
def test_gamma_is_the_initial_scale_and_is_trained(norm: str) -> None:
    if norm in ("frn", "instance"):
        return
    layer, usual = built(norm, gamma=0.1), built(norm)
    scales = [v for v in layer.trainable_variables if v.name in ("gamma", "scale")]
    # All norms of the table have a scale but those of weights, which stand elsewhere, and two others.
    assert len(scales) == (norm not in ("none", "center-only", "weight", "weight-standardization"))
    for variable in scales:
        assert np.array_equal(variable.value, np.full(UNITS, 0.1, np.float32))
    for variable, other in zip(layer.variables, usual.variables, strict=True):
        is_scale = any(variable is scale for scale in scales)
        assert is_scale or np.array_equal(variable.value, other.value) or variable.name == "seed_generator_state"


def test_a_norm_with_its_scale_at_a_tenth_puts_out_a_tenth() -> None:
    tenth, usual = (train(built("layer", gamma=gamma)) for gamma in (0.1, 1.0))
    np.testing.assert_allclose(tenth, 0.1 * np.array(usual), atol=1e-6)


@pytest.mark.parametrize("norm", ["precise", "batch-renorm"])
@pytest.mark.parametrize("statistics", ["shared", "per-step", "sequence"])
def test_recomputed_statistics_are_those_of_the_steps(norm: str, statistics: str) -> None:
    """What `normlab.norms.precise` sets from one batch: moments per step, their mean over time, or pooled moments."""
    options = {"units": 2, "cell": "simple", "where": "input", "statistics": statistics}
    model = recurrent(NORMS[norm], (STEPS, UNITS), 2, **options)
    x = X.swapaxes(0, 1)
    recompute(model, [x])
    products = x.astype(np.float64) @ np.asarray(model.get_layer("rnn").products["input_product"].kernel.value)
    if statistics == "sequence":
        products = products.reshape(-1, 1, products.shape[-1])
    layer = model.get_layer("rnn").norms["input_norm"]
    second = "moving_variance" if norm == "precise" else "moving_deviation"
    moments = {"moving_mean": products.mean(0), second: products.var(0)}
    if norm == "batch-renorm":
        moments[second] = np.sqrt(moments[second] + 1e-3)
    for name, expected in moments.items():
        if statistics == "per-step":
            np.testing.assert_allclose(value(layer, f"{name}_per_step"), expected, atol=1e-5)
        else:
            np.testing.assert_allclose(value(layer, name), expected.mean(0), atol=1e-5)


def test_pooled_moments_leave_differences_between_steps() -> None:
    layer = built("batch", "sequence")
    y = np.asarray(layer.over_sequence(X + 10 * np.arange(STEPS)[:, None, None], True))
    np.testing.assert_allclose(y.mean((0, 1)), 0, atol=1e-5)
    assert (np.diff(y.mean(1), axis=0) > 1).all()
