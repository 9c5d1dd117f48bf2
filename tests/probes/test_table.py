"""The table of probes: what they return, a population against a loop over runs, and rows."""

from __future__ import annotations

import math
import subprocess
import sys
from functools import cache

import jax
import numpy as np
import pytest

from normlab.probes import PROBES, Row, rows
from normlab.probes.alone import alone
from tests.probes.networks import BATCH, measured, plain, samples, shared

PER_RUN = [name for name, probe in PROBES.items() if probe.per == "run"]
NUM_RUNS = 3


@cache
def _runs():
    """Three runs of a network, each with its own weights, running statistics and rate, stacked as a population is."""
    model = plain("relu")
    trainer, state = alone(model, batch_size=BATCH)
    rng = np.random.default_rng(11)
    stacked = jax.tree.map(lambda leaf: np.stack([np.asarray(leaf)] * NUM_RUNS), state)
    varied = stacked._replace(
        trainable=[leaf + 0.2 * rng.normal(size=leaf.shape).astype(np.float32) for leaf in stacked.trainable],
        non_trainable=[rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32) for leaf in stacked.non_trainable],
        optimizer=[leaf if leaf.dtype == np.int32 else np.float32([0.02, 0.1, 0.3]) for leaf in stacked.optimizer],
    )
    return trainer, varied, *samples(2 * BATCH, 4)


@pytest.mark.parametrize("name", PER_RUN)
def test_many_runs_at_once_equal_a_loop_over_runs(name: str) -> None:
    trainer, state, x, y = _runs()
    functions = PROBES[name].load()
    alone_ = jax.jit(lambda run, x, y: functions.measure(trainer, run, x, y))
    together = jax.jit(jax.vmap(lambda run, x, y: functions.measure(trainer, run, x, y), in_axes=(0, None, None)))
    many = together(state, x, y)
    for run in range(NUM_RUNS):
        single = alone_(jax.tree.map(lambda leaf, run=run: leaf[run], state), x, y)
        assert many.keys() == single.keys()
        for quantity in single:
            # What is left of an iteration that has converged is rounding.
            atol = 1e-3 if quantity == "residual" else 1e-5
            np.testing.assert_allclose(many[quantity][run], single[quantity], rtol=2e-3, atol=atol, err_msg=quantity)
    differing = [q for q in many if not np.allclose(many[q][0], many[q][1], rtol=1e-3)]
    assert differing, "the runs are alike: nothing was tested"


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_returns_what_the_table_and_its_layers_say(name: str) -> None:
    trainer, state, x, y = _runs()
    functions = PROBES[name].load()
    where = functions.layers(trainer, x)
    assert set(where) <= set(PROBES[name].quantities)
    one = jax.tree.map(lambda leaf: leaf[0], state)
    if PROBES[name].per == "run":
        found = jax.eval_shape(lambda run: functions.measure(trainer, run, x, y), one)
    else:
        found = functions.measure(trainer, one, x, y)
    shapes = {quantity: () if names is None else (len(names),) for quantity, names in where.items()}
    assert {quantity: value.shape for quantity, value in found.items()} == shapes
    assert all(len(set(names)) == len(names) for names in where.values() if names)


def test_together_the_probes_know_every_quantity_of_the_table() -> None:
    """One network has no bounded activation and no mean square; the table must list no name that nothing returns."""
    trainer, _, x, _ = _runs()
    seen = {(name, quantity) for name in PROBES for quantity in PROBES[name].load().layers(trainer, x)}
    listed = {(name, quantity) for name, probe in PROBES.items() for quantity in probe.quantities}
    rest = {("activations", "saturated"), *(pair for pair in listed if pair[1].startswith("square_"))}
    assert listed - seen == rest


def test_rows_hold_every_value_once_and_in_order() -> None:
    model = shared()
    trainer, _ = alone(model)
    x, y = samples(BATCH, 4)
    functions = PROBES["gradients"].load()
    found = measured(functions, model, x, y)
    table = rows("r7", 3, "gradients", functions.layers(trainer, x), found, {"twice": "dense:0"})
    assert [(row.quantity, row.layer) for row in table] == [
        ("parameter_gradient", "dense:0"),
        ("parameter_gradient", "head"),
        ("output_gradient", "dense:0"),
        ("output_gradient", "between"),
        ("output_gradient", "dense:0#2"),
        ("output_gradient", "head"),
    ]
    assert table[0][:3] == ("r7", 3, "gradients")
    assert [row.value for row in table[2:]] == [float(value) for value in found["output_gradient"]]


def test_rows_of_the_whole_network_have_no_layer_and_keep_what_is_not_finite() -> None:
    table = rows(0, 1, "curvature", {"eigenvalue": None, "residual": None}, {"eigenvalue": math.inf, "residual": 0.5})
    assert table == [
        Row(0, 1, "curvature", None, "eigenvalue", math.inf),
        Row(0, 1, "curvature", None, "residual", 0.5),
    ]
    with pytest.raises(ValueError, match="shorter"):
        rows(0, 1, "gradients", {"output_gradient": ("a", "b")}, {"output_gradient": [1.0]})


def test_the_table_is_read_without_jax_and_keras() -> None:
    code = "import sys; from normlab.probes import PROBES; print(len(PROBES), {'jax', 'keras'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.stdout.strip() == f"{len(PROBES)} set()", ended.stderr


def test_measuring_leaves_the_model_as_it_is() -> None:
    model = plain()
    before = [np.array(np.asarray(v.value)) for v in model.variables]
    trainer, state = alone(model, batch_size=BATCH)
    x, y = samples(2 * BATCH, 4)
    for probe in PROBES.values():
        if probe.per == "arm":
            probe.load().measure(trainer, state, x, y)
        else:  # a trace is enough: an assignment would leave a tracer behind
            jax.eval_shape(lambda s, p=probe: p.load().measure(trainer, s, x, y), state)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(np.asarray(variable.value), value)
