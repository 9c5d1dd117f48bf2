"""Every norm against its NumPy reference, forward and backward, and the checks that all norms share."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from normlab.norms import NORMS, fixes_mean_over_space
from tests.norms.reference import Given
from tests.norms.table import (
    CASES,
    SILENT,
    UNITS,
    UNUSUAL,
    call,
    inputs,
    layer_at,
    mask_for,
    norm_of,
    places,
    starting_values,
)

ROOT = Path(__file__).resolve().parents[2]
# Rounding of float32 in sums over some hundred terms, relative to the largest entry.
FLOAT32 = 2e-5
MASKED = [name for name, kind in places() if kind == "sequence" and CASES[name].masks]


class Outcome(NamedTuple):
    """What a layer gives on one input: outputs, moved statistics by name, gradients of sum(c * trained)."""

    trained: np.ndarray
    evaluated: np.ndarray
    moved: dict[str, np.ndarray]
    to_input: np.ndarray
    to_weights: dict[str, np.ndarray]


class Subject:
    """A case's layer with values, compiled once for all that is asked of it."""

    def __init__(self, name: str, kind: str) -> None:
        self.case = CASES[name]
        self.norm = norm_of(self.case)
        self.x = inputs(kind)
        self.mask = mask_for(kind)
        self.layer = layer_at(self.norm)
        self.layer.build(self.x.shape)
        for variable, value in zip(self.layer.variables, starting_values(self.case, self.layer), strict=True):
            variable.assign(value)
        self.c = np.random.default_rng(4).normal(size=self.x.shape).astype(np.float32)
        self._program = jax.jit(self._outcome)

    def __call__(self, x: Any) -> Outcome:
        trained, evaluated, moved, to_input, to_weights = jax.tree.map(np.asarray, self._program(x))
        names = [
            [v.name for v in part] for part in (self.layer.non_trainable_variables, self.layer.trainable_variables)
        ]
        moved_by_name = dict(zip(names[0], moved, strict=True))
        return Outcome(trained, evaluated, moved_by_name, to_input, dict(zip(names[1], to_weights, strict=True)))

    def given(self, training: bool) -> Given:
        values = {v.name: np.asarray(v.value, np.float64) for v in self.layer.variables}
        x = self.x.astype(np.float64)
        return Given(x, values, self.norm.options, training, self.mask, at=x)

    def _outcome(self, x: Any) -> Any:
        fixed = [v.value for v in self.layer.non_trainable_variables]

        def run(weights: Any, x: Any, training: bool) -> Any:
            mapping = zip(self.layer.variables, self._in_order(weights, fixed), strict=True)
            with keras.StatelessScope(list(mapping)) as scope:
                y = call(self.layer, x, training, self.mask)
            return y, [scope.get_current_value(v) for v in self.layer.non_trainable_variables]

        def loss(weights: Any, x: Any) -> Any:
            y, moved = run(weights, x, True)
            return jnp.sum(self.c * y), (y, moved)

        weights = [v.value for v in self.layer.trainable_variables]
        (to_weights, to_input), (trained, moved) = jax.grad(loss, argnums=(0, 1), has_aux=True)(weights, x)
        return trained, run(weights, x, False)[0], moved, to_input, to_weights

    def _in_order(self, trainable: Any, fixed: Any) -> list[Any]:
        values = {id(v): value for v, value in zip(self.layer.trainable_variables, trainable, strict=True)}
        values |= {id(v): value for v, value in zip(self.layer.non_trainable_variables, fixed, strict=True)}
        return [values[id(v)] for v in self.layer.variables]


@functools.cache
def subject(name: str, kind: str) -> Subject:
    return Subject(name, kind)


@functools.cache
def outcome(name: str, kind: str) -> Outcome:
    tested = subject(name, kind)
    return tested(tested.x)


def test_the_table_holds_every_norm() -> None:
    assert {case.norm for case in CASES.values()} == set(NORMS)
    assert {name for name, _ in places()} == set(CASES)


@pytest.mark.parametrize(("name", "kind"), places())
def test_forward_equals_the_reference(name: str, kind: str) -> None:
    tested, got = subject(name, kind), outcome(name, kind)
    trained, moved = tested.case.reference(tested.given(training=True))
    evaluated, _ = tested.case.reference(tested.given(training=False))
    _assert_close(got.trained, trained)
    _assert_close(got.evaluated, evaluated)
    for statistic, value in moved.items():
        _assert_close(got.moved[statistic], value)
    still = set(got.moved) - set(moved) - {"seed_generator_state"}
    for statistic in still:
        assert np.array_equal(got.moved[statistic], tested.given(True).w[statistic].astype(np.float32))


@pytest.mark.parametrize(("name", "kind"), places())
def test_backward_equals_finite_differences_of_the_reference(name: str, kind: str) -> None:
    tested, got = subject(name, kind), outcome(name, kind)
    given = tested.given(training=True)

    def loss(x: np.ndarray, w: Any) -> float:
        y, _ = tested.case.reference(Given(x, w, given.options, True, given.mask, at=given.x))
        return float((tested.c * y).sum())

    _assert_close(got.to_input, _differences(lambda x: loss(x, given.w), given.x), 10 * FLOAT32)
    for weight, gradient in got.to_weights.items():
        expected = _differences(lambda value, weight=weight: loss(given.x, {**given.w, weight: value}), given.w[weight])
        _assert_close(gradient, expected, 10 * FLOAT32)


@pytest.mark.parametrize("name", MASKED)
def test_masked_entries_affect_no_other(name: str) -> None:
    tested = subject(name, "sequence")
    disturbed = np.where(tested.mask[..., None], tested.x, 1000.0).astype(np.float32)
    before, after = outcome(name, "sequence"), tested(disturbed)
    _assert_close(after.trained[tested.mask], before.trained[tested.mask].astype(np.float64))
    for statistic, value in before.moved.items():
        _assert_close(after.moved[statistic], value.astype(np.float64))


@pytest.mark.parametrize(("name", "kind"), places())
def test_constant_input_stays_finite(name: str, kind: str) -> None:
    tested = subject(name, kind)
    for constant in (0.0, 3.0):
        got = tested(np.full_like(tested.x, constant))
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(got))


# Keras turns a scalar variable into an array in a way that NumPy will drop.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.parametrize("name", list(CASES))
def test_save_and_load(name: str, tmp_path: Path) -> None:
    case, x = CASES[name], inputs("image")
    options = {option: {**UNUSUAL, **SILENT}[option] for option in NORMS[case.norm].options}
    norm = NORMS[case.norm].with_options(**options)
    model = keras.Sequential([keras.Input(x.shape[1:]), layer_at(norm), keras.layers.Flatten()])
    for variable, value in zip(model.variables, starting_values(case, model), strict=True):
        variable.assign(value)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")  # in safe mode
    assert type(loaded.layers[0]) is type(model.layers[0])
    config = loaded.layers[0].get_config()
    assert config == model.layers[0].get_config()
    assert {option: config[option] for option in options} == options
    for training in (False, True):
        assert np.array_equal(loaded(x, training=training), model(x, training=training))
    for before, after in zip(model.variables, loaded.variables, strict=True):
        # Moved alike. Keras stores no state of random generators.
        assert np.array_equal(before, after) or before.name == "seed_generator_state"


@pytest.mark.parametrize(("half", "tolerance"), [("float16", 4e-3), ("bfloat16", 3e-2)])
@pytest.mark.parametrize("name", list(CASES))
def test_half_precision(name: str, half: str, tolerance: float) -> None:
    """Inputs of some hundred, whose squares overflow float16: moments must be in float32."""
    usual = keras.config.dtype_policy()
    keras.config.set_dtype_policy(f"mixed_{half}")
    try:
        tested = Subject(name, "image")
    finally:
        keras.config.set_dtype_policy(usual)
    tested.x = (300 * tested.x).astype(jnp.dtype(half))
    got = tested(tested.x)
    assert got.trained.dtype == got.evaluated.dtype == tested.x.dtype
    trained, moved = tested.case.reference(tested.given(training=True))
    evaluated, _ = tested.case.reference(tested.given(training=False))
    _assert_close(got.trained, trained, tolerance)
    _assert_close(got.evaluated, evaluated, tolerance)
    for statistic, value in moved.items():
        _assert_close(got.moved[statistic], value, FLOAT32)


@pytest.mark.parametrize("name", list(NORMS))
def test_what_the_table_says_is_so(name: str) -> None:
    """All is measured on a fresh layer, as a network has it at its start."""
    norm, x = NORMS[name], inputs("image")
    model = keras.Sequential([keras.Input(x.shape[1:]), layer_at(norm)])
    c = np.random.default_rng(5).normal(size=x.shape[1:]).astype(np.float32)

    def loss(x: Any) -> Any:
        values = [v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables]
        return jnp.sum(c * model.stateless_call(*values, x, training=True)[0][0])

    gradient = np.asarray(jax.jit(jax.grad(loss))(x))
    scale = np.abs(gradient).max()
    assert (np.abs(gradient[1:]).max() > 1e-6 * scale) == norm.couples_samples
    # A bias per unit adds the same to every entry of that unit.
    assert (np.abs(gradient.sum((0, 1, 2))).max() < 1e-5 * scale) == norm.cancels_bias
    trained = np.asarray(model(x, training=True))
    differs = np.abs(trained - np.asarray(model(x, training=False))).max() > 1e-3
    assert bool(differs) == norm.differs_in_evaluation
    is_fixed = np.ptp(trained.mean((1, 2)), axis=0).max() < 1e-5
    assert is_fixed == fixes_mean_over_space(norm, UNITS)


def test_numpy_backend_agrees(tmp_path: Path) -> None:
    """All cases in one process of Keras's NumPy backend, which has no gradients."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.norms.numpy_backend", str(tmp_path / "out.npz")],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "numpy", "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "out.npz")
    assert set(found.files) == {f"{name}/{kind}/{mode}" for name, kind in places() for mode in ("train", "evaluate")}
    for name, kind in places():
        _assert_close(found[f"{name}/{kind}/train"], outcome(name, kind).trained.astype(np.float64))
        _assert_close(found[f"{name}/{kind}/evaluate"], outcome(name, kind).evaluated.astype(np.float64))


def _differences(f: Any, at: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Return central differences of a scalar function at every entry."""
    gradient = np.empty(at.shape)
    for index in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (f(up) - f(down)) / (2 * step)
    return gradient


def _assert_close(got: Any, expected: Any, tolerance: float = FLOAT32) -> None:
    """Assert agreement relative to the largest expected entry, and to 1 where all are small."""
    got, expected = np.asarray(got, np.float64), np.asarray(expected)
    assert np.isfinite(got).all()
    scale = max(np.abs(expected).max(initial=0), 1.0)
    assert np.abs(got - expected).max(initial=0) <= tolerance * scale
