"""The transformer encoder against a NumPy one, its names, refusals, and that it learns with every norm."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from scipy.special import erf, softmax

from normlab.errors import InputError
from normlab.models.transformer import check_transformer, transformer
from normlab.norms import NORMS
from normlab.train.blueprint import blueprint, shared_paths
from tests.models.learning import learned

REFUSED = ("instance",)
SMALL = {"dim": 16, "depth": 1}
X = np.random.default_rng(0).normal(size=(5, 4, 6, 2)).astype(np.float32)
REFERENCE_OPTIONS = {"dim": 6, "depth": 2, "heads": 3}


@pytest.mark.parametrize(("order", "patch"), [("pre", 2), ("post", 2), ("pre", 0)])
def test_the_network_is_its_formula(order: str, patch: int) -> None:
    model = transformer(NORMS["batch"], (4, 6, 2), 3, **REFERENCE_OPTIONS, patch=patch, order=order)
    draw = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(draw.normal(size=variable.shape))
    expected = _reference({v.path: np.asarray(v.value, np.float64) for v in model.variables}, order, patch)
    np.testing.assert_allclose(model(X, training=True), expected, atol=2e-4, rtol=1e-4)


def test_layers_stand_in_the_order_asked_for() -> None:
    blocks = {
        "pre": "norm_attention_0 attention_0 attention_0_sum norm_mlp_0 mlp_0_in mlp_0_gelu mlp_0_out mlp_0_sum "
        "norm_last",
        "post": "attention_0 attention_0_sum norm_attention_0 mlp_0_in mlp_0_gelu mlp_0_out mlp_0_sum norm_mlp_0",
    }
    for order, middle in blocks.items():
        model = blueprint(lambda o=order: transformer(NORMS["batch"], (8, 8), 3, **SMALL, order=o)).model
        start = ["input", "cut", "gather", "tokens", "embed", "positions"]
        assert [layer.name for layer in model.layers] == [*start, *middle.split(), "mean", "head"]
        assert model.output_shape == (None, 3)
        places = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
        assert {x.input.shape for x in places} == {(None, 4, 16)}


@pytest.mark.parametrize("order", ["pre", "post"])
@pytest.mark.parametrize(("norm", "is_cancelled"), [("batch", True), ("center-only", True), ("layer", False)])
def test_a_bias_is_left_out_exactly_where_the_norms_would_cancel_it(norm: str, is_cancelled: bool, order: str) -> None:
    usual = transformer(NORMS[norm], (8, 8), 3, **SMALL, order=order)
    assert usual.get_layer("mlp_0_out").use_bias != is_cancelled
    with_bias = transformer(dataclasses.replace(NORMS[norm], cancels_bias=False), (8, 8), 3, **SMALL, order=order)
    x = np.random.default_rng(0).normal(size=(7, 8, 8)).astype(np.float32)
    before = np.asarray(with_bias(x, training=True))
    with_bias.get_layer("mlp_0_out").bias.assign(np.random.default_rng(1).normal(size=16))
    change = np.abs(np.asarray(with_bias(x, training=True)) - before).max()
    assert (change < 1e-5 * np.abs(before).max()) == is_cancelled


@pytest.mark.parametrize("norm", [name for name in NORMS if name not in REFUSED])
def test_arms_share_all_that_is_no_norm(norm: str) -> None:
    arms = (("none", "pre"), (norm, "pre"), (norm, "post"))
    plans = [blueprint(lambda n=n, o=o: transformer(NORMS[n], (8, 8), 3, **SMALL, order=o)) for n, o in arms]
    shared, plain = set(shared_paths(plans)), set(plans[0].describe())
    assert plain - shared == ({"mlp_0_out/bias"} if NORMS[norm].cancels_bias else set())
    assert {"embed/kernel", "positions/positions", "attention_0/query/kernel", "mlp_0_in/kernel"} <= shared
    assert {path.split("/")[-1] for path in set(plans[1].describe()) - plain} <= {
        *("gamma", "beta", "scale", "slope", "gain", "v", "tau"),
    }


def test_a_norm_of_weights_acts_on_the_dense_layers_of_the_mlp_alone() -> None:
    model = blueprint(lambda: transformer(NORMS["weight"], (8, 8), 3, **SMALL)).model
    assert [v.path for v in model.variables if v.name == "gain"] == ["mlp_0_in/gain", "mlp_0_out/gain"]


def test_dropout_disturbs_training_alone() -> None:
    model, plain = (transformer(NORMS["none"], (8, 8), 3, **SMALL, dropout=dropout) for dropout in (0.5, 0.0))
    plain.set_weights([np.asarray(v.value) for v in model.trainable_variables])
    x = np.random.default_rng(0).normal(size=(2, 8, 8)).astype(np.float32)
    assert np.array_equal(model(x, training=False), plain(x))
    assert np.abs(np.asarray(model(x, training=True)) - np.asarray(plain(x))).max() > 0.01


# Keras turns a scalar variable into an array in a way that NumPy will drop.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
def test_save_and_load(tmp_path: Path) -> None:
    model = transformer(NORMS["batch-renorm"], (8, 8), 3, **SMALL, patch=2)
    x = np.random.default_rng(0).normal(size=(4, 8, 8)).astype(np.float32)
    model(x, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")  # in safe mode
    assert np.array_equal(loaded(x), model(x))
    assert [v.path for v in loaded.variables] == [v.path for v in model.variables]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"dim": 0}, r"dim must be a whole number from 1 to 10,000, got 0"),
    ({"depth": True}, r"depth must be a whole number from 1 to 10,000, got True"),
    ({"heads": 3}, r"heads must divide dim, got 3 heads and dim 64; try dim 63"),
    ({"dim": 2}, r"heads must divide dim, got 4 heads and dim 2; try dim 4"),
    ({"mlp_ratio": 0}, r"mlp_ratio must be a whole number from 1 to 10,000"),
    ({"patch": -1}, r"patch must be a whole number from 1 to 10,000, got -1"),
    ({"patch": False}, r"patch must be a whole number from 1 to 10,000, got False"),
    ({"order": "before"}, r"order must be a known name, got 'before'; choose one of pre, post"),
    ({"dropout": 1.0}, r"dropout must be at least 0 and below 1, got 1\.0"),
    ({"dropout": float("nan")}, r"dropout must be at least 0 and below 1, got nan"),
    ({"initializer": "he"}, r"initializer must be a known name, got 'he'"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    for refuse in (check_transformer, lambda **given: transformer(NORMS["none"], (8, 8), 2, **given)):
        with pytest.raises(InputError, match=message):
            refuse(**options)


@pytest.mark.parametrize(
    ("norm", "shape", "options", "message"),
    [
        ("none", (8,), {}, r"must get images .* got samples of shape \(8,\); choose data .* or the network mlp"),
        ("none", (8, 8), {"patch": 3}, r"patch must divide .*got patches of 3 and 8 x 8; try 8 or one of its divisors"),
        ("none", (10, 4, 1), {}, r"got patches of 4 and 10 x 4; try 2 or"),
        (
            "instance",
            (8, 8),
            {},
            r"mean over a sample's tokens must depend .* got instance norm, .*; choose a norm",
        ),
        ("instance", (8, 8), {"patch": 8}, r"instance norm needs spatial axes"),
        ("frn", (8, 8), {"patch": 8}, r"frn norm needs spatial axes"),
        ("group", (8, 8), {"dim": 4}, r"got group norm with 4 groups of one channel, .*; choose fewer groups"),
        ("group", (8, 8), {"dim": 6, "heads": 1}, r"groups must divide the number of channels, got 4 groups and 6"),
    ],
)
def test_what_can_not_serve_is_refused(norm: str, shape: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        transformer(NORMS[norm], shape, 2, **options)


@pytest.mark.parametrize("norm", [name for name in NORMS if not NORMS[name].couples_samples])
def test_a_norm_is_refused_exactly_if_it_leaves_nothing_to_the_mean_over_tokens(norm: str) -> None:
    """What the last norm gives, averaged over the tokens, must depend on the sample."""
    x = np.random.default_rng(0).normal(size=(6, 4, 16)).astype(np.float32)
    means = np.asarray(NORMS[norm]()(x, training=True)).mean(1)
    assert (np.abs(means - means[0]).max() < 1e-5) == (norm in REFUSED)


@pytest.mark.parametrize("norm", [name for name in NORMS if name not in REFUSED])
def test_it_learns_digits_with_every_norm_that_suits_it(norm: str) -> None:
    """An untrained network is right in a tenth of all cases. A norm that ignores its input leaves it there."""
    outcome = learned(norm, lambda chosen: transformer(chosen, (8, 8), 10, **SMALL))
    assert all(outcome.moved.values()), outcome.moved
    assert outcome.accuracy > 0.75


def _reference(w: dict[str, np.ndarray], order: str, patch: int) -> np.ndarray:
    """Return the logits of the network with batch norm in training, in float64."""
    images = X.astype(np.float64)
    if patch:
        corners = [(r, c) for r in range(0, 4, patch) for c in range(0, 6, patch)]
        tokens = np.stack([images[:, r : r + patch, c : c + patch].reshape(5, -1) for r, c in corners], 1)
    else:
        tokens = images.reshape(5, 4, 12)
    x = tokens @ w["embed/kernel"] + w["positions/positions"]

    def normed(z: np.ndarray, name: str) -> np.ndarray:
        centred = z - z.mean((0, 1))
        return w[f"{name}/gamma"] * centred / np.sqrt(z.var((0, 1)) + 1e-3) + w[f"{name}/beta"]

    def attention(z: np.ndarray, name: str) -> np.ndarray:
        q, k, v = (np.einsum("ntd,dhs->nhts", z, w[f"{name}/{part}/kernel"]) for part in ("query", "key", "value"))
        shares = softmax(q @ k.swapaxes(2, 3) / np.sqrt(q.shape[-1]), axis=-1)
        return np.einsum("nhts,hsd->ntd", shares @ v, w[f"{name}/attention_output/kernel"])

    def mlp(z: np.ndarray, name: str) -> np.ndarray:
        hidden = z @ w[f"{name}_in/kernel"] + w[f"{name}_in/bias"]
        return 0.5 * hidden * (1 + erf(hidden / np.sqrt(2))) @ w[f"{name}_out/kernel"]

    for number in range(2):
        for part, f in (("attention", attention), ("mlp", mlp)):
            name = f"{part}_{number}"
            x = x + f(normed(x, f"norm_{name}"), name) if order == "pre" else normed(x + f(x, name), f"norm_{name}")
    if order == "pre":
        x = normed(x, "norm_last")
    return x.mean(1) @ w["head/kernel"] + w["head/bias"]
