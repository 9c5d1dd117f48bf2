"""The network of claims: a function of the user's own in place of a named model, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from normlab.claims import covariate_shift
from normlab.claims.bench import Bench
from normlab.claims.fit import watched
from normlab.claims.table import CLAIMS
from normlab.data import load
from tests.command import command, refused

OWN = """
import keras

def network(norm):
    dense = keras.layers.Dense
    first = norm.wrap(dense(16, use_bias=not norm.cancels_bias))
    return keras.Sequential(
        [keras.Input((8, 8)), keras.layers.Flatten(), first, norm(), keras.layers.ReLU(), dense(10)]
    )

def whole():
    return network(keras.layers.BatchNormalization)

def unused(norm):
    return keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(10)])

def narrow(norm):
    return keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), norm(), keras.layers.Dense(3)])
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(OWN)
    return path


def test_claims_about_a_network_of_the_users_own(file: Path, tmp_path: Path) -> None:
    model, out = f"{file}:network", tmp_path / "out"
    ended = command("claims", "memory", "--model", model, "--out", out)
    assert ended.status == 0, ended.err
    content = json.loads((out / "claims.json").read_text())
    assert (content["model"], content["network"]) == (model, {})
    (card,) = content["claims"]
    assert card["verdict"] == "conditional"  # on training: once folded, there is no cost
    # Batch norm in place of the first bias: gamma, beta and two running statistics of 16 units each.
    own, plain = (card["details"]["variables_bytes"][arm] for arm in ("batch", "none"))
    assert own - plain == 4 * (4 * 16 - 16)
    assert "mine.py:network<" in (out / "claims.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("_devices")
def test_arms_of_the_users_own_network_are_paired_and_train(file: Path) -> None:
    bench = Bench(load("digits"), f"{file}:network", None, "quick")
    bench.seeds, bench.tuning_seeds, bench.epochs = [0, 1], [1_000_000], 2
    starts = {}
    for arm in ("none", "batch"):
        program = bench.program(arm, layout="map")
        state = program.start(bench.seeds, [0.1, 0.1])
        paths = [program.plan.paths[id(v)] for v in program.plan.model.trainable_variables]
        starts[arm] = dict(zip(paths, map(np.asarray, state.trainable), strict=True))
    kernels = [path for path in starts["none"] if path.endswith("kernel")]
    assert len(kernels) == 2
    for path in kernels:
        np.testing.assert_array_equal(starts["none"][path], starts["batch"][path])
    trained = watched(bench, "batch", 0.1)
    assert (trained.loss[1] < trained.loss[0]).all()
    assert covariate_shift.CLAIM.applies(bench) == ""
    # Claims that bring a network of their own still can.
    assert bench.build("layer", "recurrent", units=4).name == "recurrent"


PREPARES = """
import keras

def network(norm):
    inputs = keras.Input((8, 8))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 16)(inputs))
    return keras.Model(inputs, keras.layers.Dense(10)(norm()(keras.layers.Dense(8)(x))))
"""


@pytest.mark.usefixtures("_devices")
def test_a_network_that_prepares_its_inputs_gets_them_as_stored_and_claims_own_networks_scaled(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PREPARES)
    digits = load("digits")
    bench = Bench(digits, f"{tmp_path / 'mine.py'}:network", None, "quick")
    assert bench.dataset.divisor == 1.0
    assert bench.program("none", runs=1, layout="map").trainer.divisor == 1.0
    assert "itself (Rescaling)" in bench.dataset.notes[-1]
    other = bench.with_scaled_inputs
    assert other.dataset is digits
    assert other.program("none", model="mlp", widths=(4,), runs=1, layout="map").trainer.divisor == 16.0
    assert bench.with_scaled_inputs is other
    plain = Bench(digits, "mlp", None, "quick")
    assert plain.with_scaled_inputs is plain


def test_claims_with_a_network_of_their_own_are_marked() -> None:
    """Those whose source builds a network other than the bench's."""
    marked = {name for name, claim in CLAIMS.items() if claim.own_network}
    assert marked == {"attention", "gradient-flow", "output-moments", "recurrent", "redundant-bias"}


WRONG = {
    "takes nothing": ("whole", (), "a function that takes a norm", "which takes nothing", "normlab run"),
    "uses no norm": ("unused", (), "must use the norm that it is given", "BatchNormalization", "call norm()"),
    "other outputs": ("narrow", (), "output shape must be (10,)", "(3,)", "change its output layer"),
    "options": ("network", ("--network", "widths=8"), "must be the whole network", "widths", "leave them out"),
    "no such function": ("nope", (), "must hold a function of that name", "nope", "network"),
}


@pytest.mark.parametrize("case", WRONG)
def test_refusals_leave_nothing(case: str, file: Path, tmp_path: Path) -> None:
    function, more, rule, received, action = WRONG[case]
    ended = command("claims", "memory", "--model", f"{file}:{function}", "--out", tmp_path / "out", *more)
    refused(ended, rule, received, action)
    assert not (tmp_path / "out").exists()


def test_a_saved_model_is_refused(tmp_path: Path) -> None:
    ended = command("claims", "--model", tmp_path / "mine.keras", "--out", tmp_path / "out")
    refused(ended, "a function that takes a norm", "mine.keras", "normlab run")
