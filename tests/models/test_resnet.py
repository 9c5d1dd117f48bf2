"""The residual network: the paper's counts, its formula, every norm in it, and that it learns."""

from __future__ import annotations

import itertools
import re
from typing import Any

import keras
import numpy as np
import pytest

from normlab.errors import InputError
from normlab.models.resnet import check_resnet, resnet
from normlab.norms import NORMS
from normlab.train.blueprint import Blueprint, shared_paths
from tests.models.table import Classroom, count, plan, unfilled

CONVS = ["stem_conv"] + [f"stage_{stage}_block_0_conv_{number}" for stage in range(3) for number in range(2)]


@pytest.fixture(scope="module")
def plans() -> dict[str, Blueprint]:
    return {name: plan(resnet, norm, width=8) for name, norm in NORMS.items()}


@pytest.fixture(scope="module")
def classroom() -> Classroom:
    return Classroom()


def by_hand(depth: int, width: int, per_unit: int) -> int:
    """Return the number of trained values on images of three channels with ten classes.

    Kernels of 3x3, and `per_unit` values (biases, gammas, betas) per channel of every convolution; the head.
    """
    n = (depth - 2) // 6
    inner = [width * 2**stage for stage in range(3)]
    kernels = 3 * width + 2 * n * width**2
    for before, after in itertools.pairwise(inner):
        kernels += before * after + (2 * n - 1) * after**2
    units = width + 2 * n * sum(inner)
    return 9 * kernels + per_unit * units + 10 * inner[-1] + 10


@pytest.mark.parametrize(("depth", "width"), [(8, 16), (14, 4), (20, 16)])
def test_the_numbers_of_parameters_are_those_counted_by_hand(depth: int, width: int) -> None:
    for norm, per_unit in {"none": 1, "batch": 2, "layer": 3}.items():
        model = unfilled(resnet, NORMS[norm], (32, 32, 3), 10, depth=depth, width=width)
        assert count(model.trainable_variables) == by_hand(depth, width, per_unit)
    convs = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(convs) + 1 == depth


def test_resnet_20_has_the_papers_number_of_parameters() -> None:
    """Table 6 of He et al. 2016: 0.27 million."""
    model = unfilled(resnet, NORMS["batch"], (32, 32, 3), 10, depth=20)
    assert round(count(model.trainable_variables) / 1e6, 2) == 0.27


# Shape of the images, and the sides of the feature maps of the stages.
SIDES = {
    (32, 32, 3): [(32, 32), (16, 16), (8, 8)],
    (28, 28): [(28, 28), (14, 14), (7, 7)],
    (8, 8): [(8, 8), (4, 4), (2, 2)],
    (7, 9, 2): [(7, 9), (4, 5), (2, 3)],
    (3, 8): [(3, 8), (3, 8), (3, 8)],
    (1, 1, 4): [(1, 1), (1, 1), (1, 1)],
}


@pytest.mark.parametrize("shape", SIDES, ids=str)
def test_strides_stop_before_a_side_falls_below_two(shape: tuple[int, ...]) -> None:
    model = unfilled(resnet, NORMS["batch"], shape, 5, width=2)
    assert [model.get_layer(f"stage_{stage}_block_0_add").output.shape[1:3] for stage in range(3)] == SIDES[shape]
    assert model.output_shape == (None, 5)


def test_the_network_is_its_formula() -> None:
    """The whole net in training mode against NumPy, for sides that round up when halved."""
    rng = np.random.default_rng(0)
    model = unfilled(resnet, NORMS["batch"], (7, 8, 3), 4, width=2)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    value = {v.path: np.asarray(v.value, np.float64) for v in model.trainable_variables}

    def normed_conv(x: np.ndarray, stride: int, conv: str) -> np.ndarray:
        kernel, norm = value[f"{conv}/kernel"], conv.replace("conv", "norm")
        sides = [-(-side // stride) for side in x.shape[1:3]]
        total = [max((out - 1) * stride + 3 - side, 0) for out, side in zip(sides, x.shape[1:3], strict=True)]
        padded = np.pad(x, ((0, 0), *((pad // 2, pad - pad // 2) for pad in total), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::stride, ::stride]
        z = np.einsum("nhwcij,ijco->nhwo", windows, kernel)
        z = (z - z.mean((0, 1, 2))) / np.sqrt(z.var((0, 1, 2)) + 1e-3)
        return value[f"{norm}/gamma"] * z + value[f"{norm}/beta"]

    x = rng.normal(size=(5, 7, 8, 3))
    h = np.maximum(normed_conv(x, 1, "stem_conv"), 0)
    for stage in range(3):
        stride = 1 if stage == 0 else 2
        name = f"stage_{stage}_block_0"
        inner = np.maximum(normed_conv(h, stride, f"{name}_conv_0"), 0)
        inner = normed_conv(inner, 1, f"{name}_conv_1")
        shortcut = np.zeros_like(inner)
        shortcut[..., : h.shape[-1]] = h[:, ::stride, ::stride]
        h = np.maximum(shortcut + inner, 0)
    expected = h.mean((1, 2)) @ value["head/kernel"] + value["head/bias"]
    np.testing.assert_allclose(np.asarray(model(x.astype(np.float32), training=True)), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["none", "batch", "instance", "layer", "weight", "frn"])
def test_a_convolution_has_no_bias_exactly_where_the_norm_would_cancel_it(
    name: str, plans: dict[str, Blueprint]
) -> None:
    paths = {v.path for v in plans[name].model.variables}
    assert {f"{conv}/kernel" for conv in CONVS} < paths
    assert [f"{conv}/bias" in paths for conv in CONVS] == [name not in ("batch", "instance")] * len(CONVS)
    assert "head/bias" in paths


def test_all_norms_share_every_kernel(plans: dict[str, Blueprint]) -> None:
    assert shared_paths(list(plans.values())) == sorted(["head/bias", *(f"{x}/kernel" for x in ["head", *CONVS])])
    without = [layer.name for layer in plans["none"].model.layers]
    assert all([layer.name for layer in built.model.layers] == without for built in plans.values())


@pytest.mark.parametrize("name", list(NORMS))
def test_a_norm_that_contains_the_activation_takes_its_place(name: str, plans: dict[str, Blueprint]) -> None:
    replaced = keras.layers.Identity if name in ("frn", "evo-s0") else keras.layers.Activation
    model = plans[name].model
    inside = ["stem_activation", *(f"stage_{stage}_block_0_activation_0" for stage in range(3))]
    assert {type(model.get_layer(layer)) for layer in inside} == {replaced}
    after_addition = [f"stage_{stage}_block_0_activation_1" for stage in range(3)]
    assert {type(model.get_layer(layer)) for layer in after_addition} == {keras.layers.Activation}


# They suit all norms: every one passes 0.85. Guessing reaches 0.1.
RATE, EPOCHS, ACCURACY = 0.01, 4, 0.75
# One norm of each kind of place: identity, over the batch, over space, on the kernels, in place of the activation, with
# random numbers of its own. The others learn in convnet, behind the same convolutions, in every run of the tests.
SHORT = ("none", "batch", "instance", "weight", "frn", "noisy")


@pytest.mark.parametrize(
    "name", [name if name in SHORT else pytest.param(name, marks=pytest.mark.torture) for name in NORMS]
)
def test_it_learns_digits_with_every_norm(name: str, plans: dict[str, Blueprint], classroom: Classroom) -> None:
    run = classroom.trained(plans[name], RATE, EPOCHS)
    assert run.finite
    assert run.accuracy >= ACCURACY


NEEDS = "resnet needs images, each of shape (height, width) or (height, width, channels), got the shape"
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"depth": 9}, "depth must be 6n + 2, such as 8, 14, 20, got 9; try 8."),
    ({"depth": 2}, "depth must be 6n + 2, such as 8, 14, 20, got 2; try 8."),
    ({"depth": 18}, "depth must be 6n + 2, such as 8, 14, 20, got 18; try 20."),
    ({"depth": 1208}, "depth must be a whole number from 1 to 1,202, got 1208"),
    ({"depth": 8.0}, "depth must be a whole number from 1 to 1,202, got 8.0"),
    ({"width": 0}, "width must be a whole number from 1 to 1,024, got 0"),
    ({"activation": "rleu"}, "activation must be a known name, got 'rleu'; choose one of relu"),
    ({"initializer": "he"}, "initializer must be a known name, got 'he'"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    for refusing in (lambda: check_resnet(**options), lambda: resnet(NORMS["none"], (8, 8), 2, **options)):
        with pytest.raises(InputError, match=re.escape(message)):
            refusing()


UNFIT: list[tuple[str, dict[str, Any], tuple[int, ...], str]] = [
    ("none", {}, (30,), f"{NEEDS} (30,); choose mlp."),
    ("none", {}, (4, 8, 8, 3), f"{NEEDS} (4, 8, 8, 3); give images, or choose mlp."),
    ("group", {"width": 6}, (8, 8), "groups must divide the number of channels"),
    ("instance", {}, (1, 1, 3), "instance norm needs spatial axes"),
    ("frn", {}, (1, 1, 3), "frn norm needs spatial axes"),
    ("layer", {"width": 1}, (8, 8), "layer norm needs at least two features"),
]


@pytest.mark.parametrize(("norm", "options", "shape", "message"), UNFIT)
def test_what_cant_serve_is_refused(norm: str, options: dict[str, Any], shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        resnet(NORMS[norm], shape, 2, **options)
