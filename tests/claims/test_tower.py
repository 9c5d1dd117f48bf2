"""Deep networks as data of one program: they compute what an ordinary network of that depth and activation does."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from normlab.claims.bench import Bench
from normlab.claims.tower import GAINS, SHIFTS, Runs, tower
from normlab.norms import NORMS
from normlab.probes import gradients
from normlab.probes.inside import survey
from normlab.train.blueprint import blueprint
from normlab.train.population import Population

MOST, WIDTH = 4, 6
CASES = [("none", 3, "relu"), ("batch", 3, "tanh"), ("batch", MOST, "sigmoid")]


def _programs(bench: Bench, norm: str, depth: int, activation: str) -> tuple[Population, Population]:
    plain = blueprint(lambda: bench.build(norm, widths=(WIDTH,) * depth, activation=activation))
    plans = (tower(bench, NORMS[norm], MOST, WIDTH), plain)
    return tuple(bench.population(plan, runs=1, batch_size=16) for plan in plans)  # type: ignore[return-value]


def _copied(program: Population, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return variables of the ordinary network by path, from those of the tower."""
    found = {}
    for variable in program.plan.model.variables:
        path = program.plan.paths[id(variable)]
        layer, name = path.split("/")[-2:]
        kind, _, number = layer.partition("_")
        if kind == "hidden":
            found[path] = values[f"first/{name}"] if number == "0" else values[f"hidden/{name}"][int(number) - 1]
        else:
            found[path] = values[f"head/{name}"] if kind == "head" else values[f"hidden/{name}"][int(number)]
    return found


@pytest.mark.parametrize(("norm", "depth", "activation"), CASES)
def test_a_tower_is_the_ordinary_network(tiny: Bench, norm: str, depth: int, activation: str) -> None:
    deep, plain = _programs(tiny, norm, depth, activation)
    rng = np.random.default_rng(0)
    state = Runs([depth], [activation])(deep, deep.start([0], [0.1]))
    model, paths = deep.plan.model, deep.plan.paths
    # Gammas, biases and running statistics of their own show where each of them goes.
    trainable = [np.asarray(value)[0] + 0.1 * rng.random(value.shape[1:], np.float32) for value in state.trainable]
    other = [np.asarray(value)[0] for value in state.non_trainable]
    other = [value + rng.random(value.shape, np.float32) if value.ndim else value for value in other]
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    values = {paths[id(v)]: value for v, value in zip(variables, [*trainable, *other], strict=True)}
    copied = _copied(plain, values)
    of_plain = [
        [jnp.asarray(copied[plain.plan.paths[id(v)]]) for v in part]
        for part in (plain.plan.model.trainable_variables, plain.plan.model.non_trainable_variables)
    ]
    x, y = (jnp.asarray(part) for part in (tiny.dataset.train.x[:16], tiny.dataset.train.y[:16]))
    for training in (True, False):
        seen, after = model.stateless_call(trainable, other, x, training=training)
        expected, expected_after = plain.plan.model.stateless_call(*of_plain, x, training=training)
        np.testing.assert_allclose(seen, expected, rtol=1e-4, atol=1e-5)
    after_by_path = {paths[id(v)]: value for v, value in zip(model.non_trainable_variables, after, strict=True)}
    copied_after = _copied(plain, {**values, **after_by_path})
    for variable, value in zip(plain.plan.model.non_trainable_variables, expected_after, strict=True):
        np.testing.assert_allclose(copied_after[plain.plan.paths[id(variable)]], value, rtol=1e-4)

    runs = (
        (deep, state._replace(trainable=trainable, non_trainable=other)),
        (plain, state._replace(trainable=of_plain[0], non_trainable=of_plain[1])),
    )
    by_outputs = [gradients.gradients(program.trainer, one, x, y)[1] for program, one in runs]
    names = [[output.name for output in survey(program.trainer, x)] for program, _ in runs]
    through = by_outputs[0][names[0].index(SHIFTS)]
    for layer in range(depth):
        one = by_outputs[1][names[1].index(f"activation_{layer}")]
        np.testing.assert_allclose(through[:, layer], one, rtol=1e-3, atol=1e-7)
    assert not np.asarray(through[:, depth:]).any()


def test_runs_start_alike_in_both_arms_with_their_own_gain_and_depth(tiny: Bench) -> None:
    kernels = {}
    for norm in ("none", "batch"):
        program = tiny.population(tower(tiny, NORMS[norm], MOST, WIDTH), runs=3, batch_size=16)
        drawn = program.start([5, 5, 6], [0.1] * 3)
        state = Runs([2, 4, 4], ["tanh", "relu", "tanh"], [1.0, 1.0, 2.0])(program, drawn)
        model, paths = program.plan.model, program.plan.paths
        values = {
            paths[id(v)]: np.asarray(value)
            for v, value in zip(
                [*model.trainable_variables, *model.non_trainable_variables],
                [*state.trainable, *state.non_trainable],
                strict=True,
            )
        }
        assert values["hidden/depth"].tolist() == [2, 4, 4]
        assert values["hidden/activation"].tolist() == [1, 2, 1]
        kernels[norm] = values["hidden/kernel"]
        np.testing.assert_allclose(kernels[norm][1], kernels[norm][0] * GAINS["relu"] ** 0.5, rtol=1e-6)
        assert not np.array_equal(kernels[norm][2], 2 * kernels[norm][0])
    np.testing.assert_array_equal(kernels["none"], kernels["batch"])
    # Variance 1 / width, to within 3.5 deviations of the estimate over 108 weights.
    assert kernels["none"][0].std() == pytest.approx(WIDTH**-0.5, rel=0.25)
