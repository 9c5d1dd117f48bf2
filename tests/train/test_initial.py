"""Initial values: the same bits in every arm, another draw for every seed, from each variable's own initializer."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from normlab.errors import InputError
from normlab.models import mlp
from normlab.norms import NORMS, own_norm
from normlab.train.blueprint import blueprint, shared_paths
from normlab.train.digests import shared_digest
from normlab.train.initial import InitialValues

ARMS = {
    "none": {},
    "batch": {},
    "batch with input norm": {"input_norm": True},
    "batch after": {"placement": "after"},
}


def _plan(arm: str):
    return blueprint(lambda: mlp(NORMS[arm.split()[0]], (8, 8), 10, widths=(40, 20), **ARMS[arm]))


def _values(plan, values: InitialValues, seed: int) -> dict[str, np.ndarray]:
    variables = plan.model.trainable_variables
    return {plan.paths[id(v)]: a[0] for v, a in zip(variables, values.stacked(plan, variables, [seed]), strict=True)}


@pytest.mark.parametrize("arm", list(ARMS)[1:])
def test_shared_parameters_begin_bit_for_bit_equal(arm: str) -> None:
    plans = [_plan("none"), _plan(arm)]
    shared = shared_paths(plans)
    assert {"mlp/hidden_0/kernel", "mlp/hidden_1/kernel", "mlp/head/kernel", "mlp/head/bias"} <= set(shared)
    one, other = (_values(plan, InitialValues(), 3) for plan in plans)
    for path in shared:
        assert one[path].tobytes() == other[path].tobytes()
    digests = set()
    for plan in plans:
        variables = plan.model.trainable_variables
        digests.add(shared_digest(plan, shared, InitialValues().stacked(plan, variables, [9, 3]), 1))
    assert len(digests) == 1


def test_seeds_and_variables_differ() -> None:
    plan, values = _plan("batch"), InitialValues()
    kernels = {seed: _values(plan, values, seed)["mlp/hidden_0/kernel"] for seed in (0, 1)}
    assert not np.array_equal(kernels[0], kernels[1])
    assert np.array_equal(kernels[0], _values(plan, InitialValues(), 0)["mlp/hidden_0/kernel"])
    stacked = values.stacked(plan, plan.model.trainable_variables, [0, 1])
    assert shared_digest(plan, shared_paths([plan]), stacked, 0) != shared_digest(
        plan, shared_paths([plan]), stacked, 1
    )


@pytest.mark.parametrize(
    ("initializer", "variance"), [("he_normal", 2 / 64), ("glorot_uniform", 2 / (64 + 400)), ("lecun_normal", 1 / 64)]
)
def test_values_follow_the_variables_own_initializer(initializer: str, variance: float) -> None:
    plan = blueprint(lambda: mlp(NORMS["none"], (64,), 10, widths=(400,), initializer=initializer))
    kernel = _values(plan, InitialValues(), 0)["mlp/hidden_0/kernel"]
    # The variance of 25,600 draws has a relative standard deviation below sqrt(2 / 25600) = 0.9 %.
    assert kernel.var() == pytest.approx(variance, rel=0.04)
    assert abs(kernel.mean()) < 4 * np.sqrt(variance / kernel.size)


def test_an_initializer_that_differs_is_not_shared() -> None:
    plans = [blueprint(lambda i=i: mlp(NORMS["none"], (8,), 3, initializer=i)) for i in ("he_normal", "glorot_uniform")]
    biases = ["mlp/hidden_0/bias", "mlp/hidden_1/bias"]
    assert shared_paths(plans) == ["mlp/head/bias", "mlp/head/kernel", *biases]


def test_automatic_names_are_numbered_from_zero_in_every_model() -> None:
    def build(norm):
        layers = keras.layers
        return keras.Sequential([keras.Input((8,)), layers.Dense(6), norm(), layers.ReLU(), layers.Dense(3)])

    plans = [blueprint(lambda name=name: build(NORMS[name])) for name in ("none", "batch", "batch")]
    paths = [set(plan.describe()) for plan in plans]
    assert paths[1] == paths[2]
    assert paths[0] < paths[1]
    assert len(shared_paths(plans)) == 4


def test_special_values_keep_their_initializer() -> None:
    plan = blueprint(
        lambda: keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(3, bias_initializer=keras.initializers.Constant(0.5))]
        )
    )
    bias = next(value for path, value in _values(plan, InitialValues(), 0).items() if path.endswith("bias"))
    assert bias.tolist() == [0.5] * 3


def test_a_dropout_layers_generator_is_seeded_per_run() -> None:
    plan = blueprint(lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(2)]))
    states = InitialValues().stacked(plan, plan.model.non_trainable_variables, [0, 1, 0])[0]
    assert np.array_equal(states[0], states[2])
    assert not np.array_equal(states[0], states[1])


def test_moving_variance_begins_at_one_as_keras_begins_it() -> None:
    plan = _plan("batch")
    stacked = InitialValues().stacked(plan, plan.model.non_trainable_variables, [0, 1])
    found = {
        v.path.split("/")[-1]: set(a.ravel().tolist())
        for v, a in zip(plan.model.non_trainable_variables, stacked, strict=True)
    }
    assert found == {"moving_mean": {0.0}, "moving_variance": {1.0}}


def test_values_that_the_model_was_given_are_kept() -> None:
    def build() -> keras.Model:
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)])
        model.layers[0].set_weights([np.full((4, 3), 7.0), np.zeros(3)])
        return model

    values = _values(blueprint(build), InitialValues(), 5)
    assert set(values["sequential:0/dense:0/kernel"].ravel().tolist()) == {7.0}
    assert values["sequential:0/dense:1/kernel"].std() > 0.1


def test_given_values_are_shared_only_if_they_are_equal() -> None:
    def build(value: float) -> keras.Model:
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="hidden")], name="net")
        model.layers[0].set_weights([np.full((4, 3), value), np.zeros(3)])
        return model

    plans = [blueprint(lambda value=value: build(value)) for value in (7.0, 7.0, 8.0)]
    assert shared_paths(plans[:2]) == ["net/hidden/bias", "net/hidden/kernel"]
    assert shared_paths(plans) == ["net/hidden/bias"]


def test_dropout_draws_the_same_in_every_build_of_a_model() -> None:
    def build() -> keras.Model:
        return keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(2)])

    plans = [blueprint(build) for _ in range(2)]
    states = [InitialValues().stacked(plan, plan.model.non_trainable_variables, [0])[0] for plan in plans]
    assert np.array_equal(*states)
    assert plans[0].digest() == plans[1].digest()


def test_the_digest_tells_networks_apart_that_have_the_same_source() -> None:
    def maker(width: int):
        return lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(width), keras.layers.Dense(2)])

    digests = [blueprint(maker(width)).digest() for width in (3, 3, 5)]
    assert digests[0] == digests[1] != digests[2]


def test_a_random_initializer_without_a_seed_is_refused() -> None:
    generator = np.random.default_rng(0)

    def draw(shape, dtype=None):
        return generator.normal(size=shape).astype("float32")

    plan = blueprint(lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, kernel_initializer=draw)]))
    with pytest.raises(InputError, match=r"random initializer must take a seed.*got draw at .*kernel"):
        InitialValues().stacked(plan, plan.model.trainable_variables, [0])


def test_the_digest_tells_a_changed_norm_of_the_users_own_apart(tmp_path: Path) -> None:
    digests = []
    for factor in (2.0, 2.0, 3.0):
        file = tmp_path / "mine.py"
        file.write_text(
            "import keras\n\nclass Mine(keras.layers.Layer):\n"
            f"    def call(self, x):\n        return scaled(x)\n\ndef scaled(x):\n    return x * {factor}\n"
        )
        norm = own_norm(f"{file}:Mine")
        digests.append(blueprint(lambda norm=norm: mlp(norm, (6,), 3, widths=(4,))).digest())
    assert digests[0] == digests[1] != digests[2]
