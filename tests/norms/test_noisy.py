"""The noise of noisy batch norm: its moments, what it is shared by, and that it changes with every step and layer."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from normlab.norms import NORMS


def _outputs(steps: int, **options: float) -> np.ndarray:
    """Return outputs (steps, samples, units) for an input that batch norm turns into -1 and 1."""
    x = np.tile(np.array([[-1.0], [1.0]], np.float32), (500, 4))
    layer = NORMS["noisy"].with_options(epsilon=1e-7, **options)()
    return np.stack([np.asarray(layer(x, training=True)) for _ in range(steps)])


def test_unit_means_and_scales_are_redrawn_at_every_step() -> None:
    y = _outputs(200)
    means = y.mean(1)
    scales = (y[:, 1::2].mean(1) - y[:, ::2].mean(1)) / 2
    # 800 draws each. Over 1000 samples the jitter of the means averages out.
    for drawn, low, high in ((means, -0.5, 0.5), (scales, 1.0, 1.25)):
        width = high - low
        assert drawn.min() > low - 0.02
        assert drawn.max() < high + 0.02
        assert drawn.mean() == pytest.approx((low + high) / 2, abs=4 * width / np.sqrt(12 * drawn.size))
        assert drawn.std() == pytest.approx(width / np.sqrt(12), rel=0.1)
        assert abs(np.corrcoef(drawn[1:, 0], drawn[:-1, 0])[0, 1]) < 0.3  # from step to step
        assert abs(np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]) < 0.3  # from unit to unit


def test_samples_jitter_about_their_unit() -> None:
    y = _outputs(20)
    within = y[:, ::2].var(1)
    # A uniform of half range 0.1 and a normal of deviation 0.1, at an activation of size 1.
    assert within.mean() == pytest.approx(0.1**2 / 3 + 0.1**2, rel=0.1)


def test_evaluation_has_no_noise() -> None:
    x = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    layer = NORMS["noisy"]()
    assert np.array_equal(layer(x, training=False), NORMS["batch"]()(x, training=False))


def test_layers_differ_and_a_seed_repeats() -> None:
    from normlab.norms.layers import NoisyBatchNormalization

    x = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    one, same, other = (np.asarray(NoisyBatchNormalization(seed=seed)(x, training=True)) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    model = keras.Sequential([keras.Input((4,)), NORMS["noisy"](name="a"), NORMS["noisy"](name="b")])
    states = [v.path for v in model.non_trainable_variables if v.name == "seed_generator_state"]
    assert len(states) == 2
    assert len(set(states)) == 2  # initial states are drawn by path
