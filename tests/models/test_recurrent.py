"""The recurrent network: its layers, names that arms share, refusals, and that it learns with every norm."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import keras
import numpy as np
import pytest

from normlab.errors import InputError
from normlab.models.recurrent import check_recurrent, recurrent
from normlab.models.transformer import check_transformer, transformer
from normlab.norms import NORMS, Norm
from normlab.train.blueprint import blueprint, shared_paths
from tests.models.learning import learned

REFUSED = {"instance": "instance norm needs spatial axes", "frn": "frn norm needs spatial axes"}
KERNELS = {"recurrent/rnn/input/kernel", "recurrent/rnn/hidden/kernel", "recurrent/rnn/bias"}
HEAD = {"recurrent/head/kernel", "recurrent/head/bias"}


@pytest.mark.parametrize(
    ("where", "cell", "places"),
    [
        ("both", "gru", ["norm_hidden", "norm_input"]),
        ("both", "lstm", ["norm_cell", "norm_hidden", "norm_input"]),
        ("input", "lstm", ["norm_input"]),
        ("hidden", "lstm", ["norm_cell", "norm_hidden"]),
        ("hidden", "simple", ["norm_hidden"]),
    ],
)
def test_the_norm_stands_where_asked_for(where: str, cell: str, places: list[str]) -> None:
    model = blueprint(lambda: recurrent(NORMS["batch"], (8, 8), 3, units=4, where=where, cell=cell)).model
    norms = [x for x in model._flatten_layers() if isinstance(x, keras.layers.BatchNormalization)]
    assert sorted(x.name for x in norms) == places
    gates = {"simple": 1, "gru": 3, "lstm": 4}[cell]
    assert {x.name: x.gamma.shape[0] for x in norms} == {p: 4 if p == "norm_cell" else 4 * gates for p in places}


@pytest.mark.parametrize(
    ("where", "places"), [("input", ["input"]), ("hidden", ["hidden"]), ("both", ["input", "hidden"])]
)
def test_a_norm_of_weights_acts_where_asked_for(where: str, places: list[str]) -> None:
    model = blueprint(lambda: recurrent(NORMS["weight"], (8, 8), 3, units=8, where=where)).model
    assert [v.path for v in model.variables if v.name == "gain"] == [f"recurrent/rnn/{p}/gain" for p in places]


def test_an_image_is_read_row_by_row_with_its_channels_side_by_side() -> None:
    plain, image = (recurrent(NORMS["none"], shape, 2, units=4) for shape in ((3, 8), (3, 4, 2)))
    image.set_weights([np.asarray(v.value) for v in plain.variables])
    x = np.random.default_rng(0).normal(size=(5, 3, 4, 2)).astype(np.float32)
    np.testing.assert_allclose(image(x), plain(x.reshape(5, 3, 8)), atol=1e-6)


@pytest.mark.parametrize("norm", [name for name in NORMS if name not in REFUSED])
@pytest.mark.parametrize(
    "options",
    [{}, {"cell": "lstm", "statistics": "per-step", "gamma": 0.1}, {"statistics": "sequence", "where": "input"}],
)
def test_arms_share_all_that_is_no_norm(norm: str, options: dict[str, Any]) -> None:
    plans = [blueprint(lambda n=n: recurrent(NORMS[n], (8, 8), 3, units=8, **options)) for n in ("none", norm)]
    assert set(shared_paths(plans)) == KERNELS | HEAD
    names = {"gamma", "beta", "scale", "slope", "gain", "v"}
    assert {path.split("/")[-1] for path in set(plans[1].describe()) - KERNELS - HEAD} <= names


def test_initial_scales_tell_arms_apart() -> None:
    plans = [blueprint(lambda g=g: recurrent(NORMS["batch"], (8, 8), 3, units=4, gamma=g)) for g in (0.1, 0.1, 0.2, 1)]
    scales = {"recurrent/rnn/norm_input/gamma", "recurrent/rnn/norm_hidden/gamma"}
    assert scales <= set(shared_paths(plans[:2]))
    for other in plans[2:]:
        assert set(shared_paths([plans[0], other])) == set(plans[0].describe()) - scales


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"cell": "grru"}, r"cell must be a known name, got 'grru'; choose one of simple, gru, lstm"),
    ({"units": 0}, r"units must be a whole number from 1 to 10,000, got 0"),
    ({"units": 10**9}, r"units must be a whole number from 1 to 10,000, got 1000000000; give one up to 10,000"),
    ({"units": 2.5}, r"units must be a whole number from 1 to 10,000, got 2\.5"),
    ({"where": "before"}, r"where must be a known name, got 'before'; choose one of input, hidden, both"),
    ({"statistics": "own"}, r"statistics must be a known name, got 'own'; choose one of shared, per-step, sequence"),
    ({"statistics": "sequence"}, r"the norm must stand on the input's product, got .*; set where = input"),
    ({"gamma": 0}, r"gamma must be a finite number above 0, got 0; give such as 0\.1 or 1"),
    ({"gamma": float("nan")}, r"gamma must be a finite number above 0, got nan"),
    ({"gamma": True}, r"gamma must be a finite number above 0, got True"),
    ({"initializer": "he"}, r"initializer must be a known name, got 'he'"),
    ({"hidden_initializer": "identity"}, r"hidden_initializer must be a known name, got 'identity'"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    for refuse in (check_recurrent, lambda **given: recurrent(NORMS["none"], (8, 8), 2, **given)):
        with pytest.raises(InputError, match=message):
            refuse(**options)


@pytest.mark.parametrize(
    ("norm", "shape", "options", "message"),
    [
        ("none", (8,), {}, r"must get sequences.*got samples of shape \(8,\); choose data .* or the network mlp"),
        ("none", (4, 4, 4, 1), {}, r"got samples of shape \(4, 4, 4, 1\)"),
        ("instance", (8, 8), {}, r"instance norm needs spatial axes: .* got the shape \(192,\)"),
        ("frn", (8, 8), {}, r"frn norm needs spatial axes"),
        ("group", (8, 8), {"units": 5, "cell": "simple"}, r"groups must divide .*got 4 groups and 5 channels"),
        ("group", (8, 8), {"units": 4, "cell": "simple"}, r"more than one value in every group"),
        ("group", (8, 8), {"units": 4, "cell": "lstm"}, r"more than one value in every group"),
        ("layer", (8, 8), {"units": 1, "cell": "lstm"}, r"layer norm needs at least two features"),
    ],
)
def test_what_can_not_serve_is_refused(norm: str, shape: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        recurrent(NORMS[norm], shape, 2, **options)


@pytest.mark.parametrize(("build", "check"), [(recurrent, check_recurrent), (transformer, check_transformer)])
def test_options_and_their_check_agree(build: Any, check: Any) -> None:
    def options(function: Any) -> dict[str, Any]:
        parameters = inspect.signature(function).parameters.values()
        return {p.name: (p.default, p.annotation) for p in parameters if p.kind is p.KEYWORD_ONLY}

    assert options(build) == options(check)
    assert len(inspect.signature(check).parameters) == len(options(check))
    assert check() is None


def test_options_are_checked_without_keras() -> None:
    code = """
import sys
from normlab.models.recurrent import check_recurrent
from normlab.models.transformer import check_transformer
check_recurrent()
check_transformer()
print([name for name in ("keras", "jax") if name in sys.modules])
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("norm", [name for name in NORMS if name not in REFUSED])
def test_it_learns_digits_with_every_norm_that_suits_it(norm: str) -> None:
    """An untrained network is right in a tenth of all cases. A norm that ignores its input leaves it there."""
    outcome = learned(norm, lambda chosen: recurrent(chosen, (8, 8), 10, units=24))
    assert all(outcome.moved.values()), outcome.moved
    assert outcome.accuracy > 0.75


class Two(keras.layers.Layer):
    """A norm of one's own that is made of others."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = [keras.layers.LayerNormalization(name="first"), keras.layers.BatchNormalization(name="second")]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        for layer in self.inner:
            layer.build(input_shape)

    def call(self, x: Any, training: bool | None = None) -> Any:
        return self.inner[1](self.inner[0](x), training=training)


@pytest.mark.parametrize("statistics", ["shared", "per-step"])
def test_a_norm_of_ones_own_is_carried_through_time(statistics: str) -> None:
    norm = Norm(name="two", build=Two, cancels_bias=True, formula="y", source="here", couples_samples=True)
    model = recurrent(norm, (5, 8), 2, units=4, cell="simple", statistics=statistics)
    model(np.random.default_rng(0).normal(size=(6, 5, 8)).astype(np.float32), training=True)
    moved = {v.path.removeprefix("recurrent/rnn/"): v.value for v in model.non_trainable_variables}
    start = "norm_input/moving_variance_per_step" if statistics == "per-step" else "norm_input/second/moving_variance"
    assert moved[start].shape == ((5, 4) if statistics == "per-step" else (4,))
    assert (np.abs(np.asarray(moved[start]) - 1) > 1e-5).all()


def test_it_learns_digits_as_cooijmans_et_al_set_it_up() -> None:
    options = {"cell": "lstm", "statistics": "per-step", "gamma": 0.1, "units": 24}
    assert learned("batch", lambda chosen: recurrent(chosen, (8, 8), 10, **options)).accuracy > 0.75


def test_every_norm_is_tried_or_refused() -> None:
    for norm, message in REFUSED.items():
        with pytest.raises(InputError, match=message):
            recurrent(NORMS[norm], (8, 8), 10)
