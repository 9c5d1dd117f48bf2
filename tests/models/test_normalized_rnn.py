"""The recurrent layer against Keras's own without norms, and against a slow NumPy recurrence with batch norm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from normlab.errors import InputError
from normlab.models.cells import CELLS
from normlab.models.normalized_rnn import NormalizedRNN
from normlab.models.recurrent import RECURRENT_CELLS, recurrent
from normlab.norms import NORMS, check_model

BATCH, STEPS, FEATURES, UNITS = 6, 4, 3, 5
X = np.random.default_rng(0).normal(size=(BATCH, STEPS, FEATURES)).astype(np.float32)
MOMENTUM, EPSILON = 0.9, 1e-3
KERAS_LAYERS: dict[str, Any] = {
    "simple": keras.layers.SimpleRNN,
    "gru": keras.layers.GRU,
    "lstm": keras.layers.LSTM,
}


def rnn_of(norm: str, cell: str, **options: Any) -> Any:
    return recurrent(NORMS[norm], (STEPS, FEATURES), 2, cell=cell, units=UNITS, **options).get_layer("rnn")


def values_of(layer: Any) -> dict[str, np.ndarray]:
    return {v.path.removeprefix("recurrent/rnn/"): np.asarray(v.value, np.float64) for v in layer.variables}


@pytest.mark.parametrize("cell", list(CELLS))
def test_without_a_norm_it_is_keras_own_layer(cell: str) -> None:
    rnn, own = rnn_of("none", cell), KERAS_LAYERS[cell](UNITS)
    own.build(X.shape)
    begun = values_of(rnn)["bias"]
    own_bias = next(v.value for v in own.variables if v.name == "bias")
    assert np.array_equal(begun, np.asarray(own_bias).reshape(-1, begun.size)[0])
    for variable in rnn.trainable_variables:
        variable.assign(np.random.default_rng(1).normal(size=variable.shape))
    kernel, hidden, bias = (values_of(rnn)[name] for name in ("input/kernel", "hidden/kernel", "bias"))
    own.set_weights([kernel, hidden, np.stack([bias, np.zeros_like(bias)]) if cell == "gru" else bias])
    np.testing.assert_allclose(rnn(X), own(X), atol=1e-5)


CASES = [(cell, statistics, "both") for cell in CELLS for statistics in ("shared", "per-step")]
CASES += [("lstm", "shared", "input"), ("gru", "per-step", "hidden"), ("gru", "sequence", "input")]


@pytest.mark.parametrize(("cell", "statistics", "where"), CASES)
def test_batch_norm_in_the_recurrence_equals_a_slow_reference(cell: str, statistics: str, where: str) -> None:
    rnn = _filled(NORMS["batch"].with_options(momentum=MOMENTUM), cell, statistics, where)
    places = {"input": ("input",), "hidden": ("hidden", "cell"), "both": ("input", "hidden", "cell")}[where]
    before = values_of(rnn)
    for training in (True, False):
        with keras.StatelessScope([(v, v.value) for v in rnn.variables]) as scope:
            output = rnn(X, training=training)
        after = {
            v.path.removeprefix("recurrent/rnn/"): np.asarray(scope.get_current_value(v))
            for v in rnn.non_trainable_variables
        }
        expected, seen = _reference(before, cell, statistics, places, training)
        np.testing.assert_allclose(output, expected, atol=2e-5)
        _require_moved(after, before, seen if training else {}, statistics)


@pytest.mark.parametrize("statistics", ["shared", "per-step"])
def test_layer_norm_in_the_recurrence_is_its_formula(statistics: str) -> None:
    """A norm that keeps nothing, by another cell: h = tanh(LN(W x) + b + LN(U h))."""
    rnn = _filled(NORMS["layer"], "simple", statistics, "both")
    w, h = values_of(rnn), np.zeros((BATCH, UNITS))

    def normed(z: np.ndarray, place: str) -> np.ndarray:
        z = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + EPSILON)
        return w[f"norm_{place}/gamma"] * z + w[f"norm_{place}/beta"]

    for t in range(STEPS):
        h = np.tanh(normed(X[:, t] @ w["input/kernel"], "input") + w["bias"] + normed(h @ w["hidden/kernel"], "hidden"))
    np.testing.assert_allclose(rnn(X, training=True), h, atol=2e-5)


def test_a_norm_of_weights_acts_on_both_products() -> None:
    rnn = _filled(NORMS["weight"], "simple", "shared", "both")
    w, h = values_of(rnn), np.zeros((BATCH, UNITS))
    kernels = {
        place: w[f"{place}/gain"] * w[f"{place}/kernel"] / np.linalg.norm(w[f"{place}/kernel"], axis=0)
        for place in ("input", "hidden")
    }
    for t in range(STEPS):
        h = np.tanh(X[:, t] @ kernels["input"] + w["bias"] + h @ kernels["hidden"])
    np.testing.assert_allclose(rnn(X), h, atol=2e-5)


# Keras turns a scalar variable into an array in a way that NumPy will drop.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.parametrize(
    ("norm", "cell", "statistics", "where"),
    [
        ("batch", "lstm", "per-step", "both"),
        ("batch-renorm", "gru", "shared", "input"),
        ("weight", "simple", "shared", "both"),
        ("noisy", "gru", "per-step", "hidden"),
    ],
)
def test_save_and_load(norm: str, cell: str, statistics: str, where: str, tmp_path: Path) -> None:
    options = {"units": UNITS, "statistics": statistics, "where": where, "gamma": 0.1, "cell": cell}
    model = recurrent(NORMS[norm], (STEPS, FEATURES), 2, **options)
    for variable in model.trainable_variables:
        variable.assign(np.random.default_rng(1).normal(size=variable.shape))
    model(X, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")  # in safe mode
    assert loaded.get_layer("rnn").get_config() == model.get_layer("rnn").get_config()
    # Keras leaves the name of a loaded model out of its paths.
    assert [v.path for v in loaded.variables] == [v.path.removeprefix("recurrent/") for v in model.variables]
    assert np.array_equal(loaded(X), model(X))
    for before, after in zip(model.variables, loaded.variables, strict=True):
        # Keras stores no state of random generators.
        assert np.array_equal(before, after) or before.name == "seed_generator_state"


@pytest.mark.parametrize(("norm", "message"), [("instance", "instance norm needs spatial axes"), ("group", "one chan")])
def test_a_model_is_checked_inside_the_recurrence(norm: str, message: str) -> None:
    chosen = NORMS[norm].with_options(**({"groups": UNITS} if norm == "group" else {}))
    dense = [keras.layers.Dense(UNITS, use_bias=False, name=name) for name in ("input", "hidden")]
    layers = [keras.Input((STEPS, FEATURES)), NormalizedRNN("simple", UNITS, *dense, None, chosen(name="deep"))]
    with pytest.raises(InputError, match=message):
        check_model(chosen, keras.Sequential(layers), BATCH)


def test_batches_of_one_are_refused_inside_the_recurrence() -> None:
    model = recurrent(NORMS["batch"], (STEPS, FEATURES), 2, units=UNITS)
    assert check_model(NORMS["batch"], model, 2) is None
    with pytest.raises(InputError, match="at least two samples in every training batch"):
        check_model(NORMS["batch"], model, 1)


def test_a_norm_inside_the_recurrence_can_not_pool_over_the_sequence() -> None:
    dense = [keras.layers.Dense(UNITS, use_bias=False, name=name) for name in ("input", "hidden")]
    with pytest.raises(InputError, match=r"statistics = sequence pools .* set where = input, or"):
        NormalizedRNN("simple", UNITS, *dense, hidden_norm=NORMS["batch"](), statistics="sequence")


def test_cells_have_one_list_of_names() -> None:
    assert tuple(CELLS) == RECURRENT_CELLS
    with pytest.raises(InputError, match="cell must be a known name, got 'gur'"):
        NormalizedRNN("gur", UNITS, keras.layers.Dense(UNITS), keras.layers.Dense(UNITS))


def _filled(norm: Any, cell: str, statistics: str, where: str) -> Any:
    """Return the layer with random values everywhere; variances are positive."""
    options = {"cell": cell, "units": UNITS, "statistics": statistics, "where": where}
    rnn = recurrent(norm, (STEPS, FEATURES), 2, **options).get_layer("rnn")
    draw = np.random.default_rng(2)
    for v in rnn.variables:
        v.assign(draw.uniform(0.3, 3, v.shape) if "variance" in v.name else draw.normal(size=v.shape))
    return rnn


def _reference(
    w: dict[str, np.ndarray], cell: str, statistics: str, places: tuple[str, ...], training: bool
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the last hidden state, and by statistic the batch's values at every step."""
    seen: dict[str, Any] = {}

    def normed(z: np.ndarray, place: str, t: int) -> np.ndarray:
        if place not in places:
            return z
        name = f"norm_{place}"
        kept = [w[f"{name}/moving_{m}"] for m in ("mean", "variance")]
        if statistics == "per-step":
            kept = [w[f"{name}/moving_{m}_per_step"][t] for m in ("mean", "variance")]
        pooled = z if statistics != "sequence" else (X.astype(np.float64) @ w["input/kernel"]).reshape(-1, z.shape[1])
        moments = pooled.mean(0), pooled.var(0)
        mean, variance = moments if training else kept
        seen.setdefault(f"{name}/moving_mean", []).append(moments[0])
        seen.setdefault(f"{name}/moving_variance", []).append(moments[1])
        return w[f"{name}/gamma"] * (z - mean) / np.sqrt(variance + EPSILON) + w[f"{name}/beta"]

    def sigmoid(z: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-z))

    h = c = np.zeros((BATCH, UNITS))
    for t in range(STEPS):
        a = normed(X[:, t].astype(np.float64) @ w["input/kernel"], "input", t) + w["bias"]
        b = normed(h @ w["hidden/kernel"], "hidden", t)
        gate = [slice(k * UNITS, (k + 1) * UNITS) for k in range(4)]
        if cell == "simple":
            h = np.tanh(a + b)
        elif cell == "gru":
            z, r = sigmoid((a + b)[:, gate[0]]), sigmoid((a + b)[:, gate[1]])
            h = z * h + (1 - z) * np.tanh(a[:, gate[2]] + r * b[:, gate[2]])
        else:
            i, f, g, o = ((a + b)[:, k] for k in gate)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(normed(c, "cell", t))
    return h, {name: np.stack(values) for name, values in seen.items()}


def _require_moved(
    after: dict[str, np.ndarray], before: dict[str, np.ndarray], seen: dict[str, Any], statistics: str
) -> None:
    """Assert that the statistics kept moved towards what was seen, and that no other value did."""
    expected = {name: before[name] for name in after}
    for name, values in seen.items():
        kept = f"{name}_per_step" if statistics == "per-step" else name
        target = values if statistics == "per-step" else values.mean(0)
        expected[kept] = MOMENTUM * before[kept] + (1 - MOMENTUM) * target
    for name, value in expected.items():
        np.testing.assert_allclose(after[name], value, atol=2e-5)
