"""Running, batch and precise statistics: against NumPy for every norm that keeps them, and recomputed."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from normlab.errors import InputError
from normlab.norms import NORMS
from normlab.norms.precise import recompute
from normlab.probes import statistics_gap
from normlab.probes.alone import alone
from tests.probes.networks import BATCH, drawn, measured, plain, samples

# What each keeps beside its parameters, in the order of its variables.
KEPT = {
    "batch": ("mean", "variance"),
    "ghost": ("mean", "variance"),
    "batch-renorm": ("mean", "deviation"),
    "scale-only": ("variance",),
    "center-only": ("mean",),
    "frozen": ("mean", "variance"),
    "precise": ("mean", "variance"),
    "noisy": ("mean", "variance"),
    "power": ("square",),
}
WITHOUT = ("none", "layer", "group", "weight")


def _one(norm: str) -> keras.Model:
    """Return Dense, a norm, Dense; what the norm keeps is drawn, about 1."""
    wrapped = NORMS[norm].wrap(keras.layers.Dense(4, name="first"))
    model = drawn(
        keras.Sequential([keras.Input((3,)), wrapped, NORMS[norm](name="norm"), keras.layers.Dense(3, name="head")])
    )
    rng = np.random.default_rng(5)
    for variable in model.get_layer("norm").non_trainable_variables:
        if "moving" in variable.path:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


def _gap(value: np.ndarray, reference: np.ndarray) -> float:
    return float(np.linalg.norm(value - reference) / np.linalg.norm(reference))


@pytest.mark.parametrize("norm", KEPT)
def test_gaps_are_those_of_numpy(norm: str) -> None:
    model = _one(norm)
    x, y = samples(3 * BATCH + 2, 3)
    found = measured(statistics_gap, model, x, y)
    layer, first = model.get_layer("norm"), model.get_layer("first")
    inputs = x[: 3 * BATCH] @ np.asarray(first.kernel, np.float64) + np.asarray(first.bias, np.float64)
    batches = inputs.reshape(3, BATCH, 4)
    expected = {}
    for kept in KEPT[norm]:
        running = np.asarray(getattr(layer, f"moving_{kept}").value, np.float64)
        moment = {"deviation": "variance"}.get(kept, kept)
        if kept == "deviation":
            running = running**2 - layer.epsilon
        statistic = {"mean": np.mean, "variance": np.var, "square": lambda z, axis: (z**2).mean(axis)}[moment]
        each, all_samples = [statistic(batch, axis=0) for batch in batches], statistic(inputs, axis=0)
        expected[f"{moment}_batch_to_running"] = np.mean([_gap(one, running) for one in each])
        expected[f"{moment}_precise_to_running"] = _gap(all_samples, running)
        expected[f"{moment}_batch_to_precise"] = np.mean([_gap(one, all_samples) for one in each])
    assert {quantity: value.shape for quantity, value in found.items()} == dict.fromkeys(expected, (1,))
    for quantity, value in expected.items():
        assert found[quantity][0] == pytest.approx(value, rel=1e-4)


def test_every_norm_that_differs_in_evaluation_is_covered() -> None:
    assert {name for name, norm in NORMS.items() if norm.differs_in_evaluation} == set(KEPT)


def test_after_recomputing_over_the_same_batches_nothing_is_between_precise_and_running() -> None:
    model = plain()
    x, y = samples(4 * BATCH, 4)
    before = measured(statistics_gap, model, x, y)
    assert before["mean_precise_to_running"] == [np.inf]  # no step yet: the running mean is zero
    assert before["variance_precise_to_running"][0] > 0.1
    recompute(model, list(x.reshape(4, BATCH, 4)))
    after = measured(statistics_gap, model, x, y)
    for moment in ("mean", "variance"):
        assert after[f"{moment}_precise_to_running"][0] < 1e-5
        assert after[f"{moment}_batch_to_running"][0] == pytest.approx(after[f"{moment}_batch_to_precise"][0], rel=1e-3)


def test_one_batch_is_its_own_precise_statistic() -> None:
    x, y = samples(BATCH - 3, 4)
    found = measured(statistics_gap, plain(), x, y)
    for moment in ("mean", "variance"):
        assert found[f"{moment}_batch_to_precise"][0] < 1e-6


def test_channels_first_and_masked_steps_are_read_as_the_layer_reads_them() -> None:
    layers = keras.layers
    first = keras.Sequential([keras.Input((3, 5, 5)), layers.BatchNormalization(axis=1, name="norm"), layers.Flatten()])
    masked = keras.Sequential(
        [keras.Input((5, 3)), layers.Masking(), layers.BatchNormalization(name="norm"), layers.GlobalAveragePooling1D()]
    )
    x, y = samples(BATCH, 3, 5, 5)
    _is_two_moments(first, x, y, x.mean((0, 2, 3)), x.var((0, 2, 3)))
    x, y = samples(BATCH, 5, 3)
    x[:, 3:] = 0.0  # masked
    _is_two_moments(masked, x, y, x[:, :3].mean((0, 1)), x[:, :3].var((0, 1)))


def _is_two_moments(model: keras.Model, x: np.ndarray, y: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> None:
    running = np.array([0.5, 1.0, 2.0])
    norm = model.get_layer("norm")
    norm.moving_mean.assign(running)
    norm.moving_variance.assign(running)
    found = measured(statistics_gap, model, x, y)
    assert found["mean_batch_to_running"][0] == pytest.approx(_gap(mean, running), rel=1e-4)
    assert found["variance_batch_to_running"][0] == pytest.approx(_gap(variance, running), rel=1e-4)


@pytest.mark.parametrize("norm", WITHOUT)
def test_a_network_without_running_statistics_is_refused(norm: str) -> None:
    trainer, _ = alone(_one(norm))
    message = r"needs a layer with running statistics \(moving_mean.*got the model sequential.* with Dense"
    with pytest.raises(InputError, match=message.replace("Dense", "" if norm == "weight" else "Dense")):
        statistics_gap.layers(trainer, samples(BATCH, 3)[0])
