"""The convolutional network: its layers, its counts by hand, every norm in it, and that it learns."""

from __future__ import annotations

import itertools
import re
from typing import Any

import keras
import numpy as np
import pytest

from normlab.errors import InputError
from normlab.models.convnet import check_convnet, convnet
from normlab.norms import NORMS
from normlab.train.blueprint import Blueprint, shared_paths
from tests.models.table import Classroom, count, plan, unfilled

SMALL: dict[str, Any] = {"widths": (16, 32), "convs_per_stage": 1}


@pytest.fixture(scope="module")
def plans() -> dict[str, Blueprint]:
    return {name: plan(convnet, norm, **SMALL) for name, norm in NORMS.items()}


@pytest.fixture(scope="module")
def classroom() -> Classroom:
    return Classroom()


LAYERS: dict[str, tuple[str, dict[str, Any], tuple[int, ...], str]] = {
    "none": (
        "none",
        {},
        (8, 8),
        "channel stage_0_conv_0 stage_0_norm_0 stage_0_activation_0 stage_0_conv_1 stage_0_norm_1 stage_0_activation_1 "
        "stage_1_pool stage_1_conv_0 stage_1_norm_0 stage_1_activation_0 stage_1_conv_1 stage_1_norm_1 "
        "stage_1_activation_1 mean_over_space head",
    ),
    "after, with channels": (
        "batch",
        {"placement": "after", "convs_per_stage": 1},
        (8, 8, 3),
        "stage_0_conv_0 stage_0_activation_0 stage_0_norm_0 stage_1_pool stage_1_conv_0 stage_1_activation_0 "
        "stage_1_norm_0 mean_over_space head",
    ),
}


@pytest.mark.parametrize("case", LAYERS)
def test_layers_stand_in_the_order_asked_for(case: str) -> None:
    norm, options, shape, names = LAYERS[case]
    model = unfilled(convnet, NORMS[norm], shape, 3, **{"widths": (4, 8), **options})
    assert [layer.name for layer in model.layers] == names.split()
    assert model.output_shape == (None, 3)


# Shape of the images, and the sides of the feature maps of three stages.
SIDES = {
    (32, 32, 3): [(32, 32), (16, 16), (8, 8)],
    (28, 28): [(28, 28), (14, 14), (7, 7)],
    (8, 8): [(8, 8), (4, 4), (2, 2)],
    (7, 9, 2): [(7, 9), (3, 4), (3, 4)],
    (3, 8): [(3, 8), (3, 8), (3, 8)],
    (1, 1, 4): [(1, 1), (1, 1), (1, 1)],
}


@pytest.mark.parametrize("shape", SIDES, ids=str)
def test_pooling_stops_before_a_side_falls_below_two(shape: tuple[int, ...]) -> None:
    model = unfilled(convnet, NORMS["batch"], shape, 5, widths=(2, 4, 6), convs_per_stage=1)
    assert [model.get_layer(f"stage_{stage}_conv_0").output.shape[1:3] for stage in range(3)] == SIDES[shape]
    assert model.output_shape == (None, 5)


def test_the_numbers_of_parameters_are_those_counted_by_hand() -> None:
    channels = [3, 32, 32, 64, 64, 128, 128]
    kernels = sum(9 * before * after for before, after in itertools.pairwise(channels))
    units, head = sum(channels[1:]), 128 * 10 + 10
    expected = {
        "none": kernels + units + head,
        "batch": kernels + 2 * units + head,
        "layer": kernels + 3 * units + head,
    }
    for name, trained in expected.items():
        model = unfilled(convnet, NORMS[name], (32, 32, 3), 10)
        assert count(model.trainable_variables) == trained
        assert count(model.non_trainable_variables) == (2 * units if name == "batch" else 0)


BIASES = [
    *(("before", name, name not in ("batch", "instance")) for name in ("none", "batch", "instance", "layer", "frn")),
    *(("after", name, True) for name in ("none", "batch")),
]


@pytest.mark.parametrize(("placement", "name", "has_bias"), BIASES)
def test_a_convolution_has_no_bias_exactly_where_the_norm_would_cancel_it(
    placement: str, name: str, has_bias: bool
) -> None:
    model = unfilled(convnet, NORMS[name], (8, 8), 3, widths=(4, 8), placement=placement)
    paths = {v.path for v in model.variables}
    convs = [f"stage_{stage}_conv_{number}" for stage in range(2) for number in range(2)]
    assert all(any(path.endswith(f"{conv}/kernel") for path in paths) for conv in convs)
    assert [any(path.endswith(f"{conv}/bias") for path in paths) for conv in convs] == [has_bias] * 4
    assert any(path.endswith("head/bias") for path in paths)


def test_the_network_is_its_formula() -> None:
    """One stage without a norm, and one pooled, against convolutions and maxima written out in NumPy."""
    rng = np.random.default_rng(0)
    model = unfilled(convnet, NORMS["none"], (6, 7, 2), 3, widths=(3, 4), convs_per_stage=1)
    for variable in model.variables:
        variable.assign(rng.normal(size=variable.shape))
    value = {v.path.removeprefix("convnet/"): np.asarray(v.value, np.float64) for v in model.variables}

    def conv(x: np.ndarray, name: str) -> np.ndarray:
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
        return np.einsum("nhwcij,ijco->nhwo", windows, value[f"{name}/kernel"]) + value[f"{name}/bias"]

    x = rng.normal(size=(5, 6, 7, 2))
    first = np.maximum(conv(x, "stage_0_conv_0"), 0)
    pooled = np.stack([[[image[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max((0, 1)) for j in range(3)] for i in range(3)]
                       for image in first])  # fmt: skip
    second = np.maximum(conv(pooled, "stage_1_conv_0"), 0)
    expected = second.mean((1, 2)) @ value["head/kernel"] + value["head/bias"]
    np.testing.assert_allclose(np.asarray(model(x.astype(np.float32))), expected, rtol=1e-4, atol=1e-4)


def test_kernels_are_drawn_by_the_initializer_asked_for() -> None:
    model = unfilled(convnet, NORMS["batch"], (8, 8), 3, widths=(4, 8), initializer="orthogonal")
    assert isinstance(model.get_layer("stage_1_conv_1").kernel_initializer, keras.initializers.Orthogonal)
    assert isinstance(model.get_layer("head").kernel_initializer, keras.initializers.GlorotUniform)


def test_all_norms_share_every_kernel(plans: dict[str, Blueprint]) -> None:
    kernels = [f"convnet/{layer}/kernel" for layer in ("head", "stage_0_conv_0", "stage_1_conv_0")]
    assert shared_paths(list(plans.values())) == sorted(["convnet/head/bias", *kernels])


@pytest.mark.parametrize("name", list(NORMS))
def test_a_norm_that_contains_the_activation_takes_its_place(name: str, plans: dict[str, Blueprint]) -> None:
    kinds = {type(plans[name].model.get_layer(f"stage_{stage}_activation_0")) for stage in (0, 1)}
    assert kinds == {keras.layers.Identity if name in ("frn", "evo-s0") else keras.layers.Activation}
    after = unfilled(convnet, NORMS["evo-s0"], (8, 8), 3, placement="after", **SMALL)
    assert type(after.get_layer("stage_0_activation_0")) is keras.layers.Activation


# They suit all norms: every one passes 0.8, instance norm last. Guessing reaches 0.1.
RATE, EPOCHS, ACCURACY = 0.005, 25, 0.75


@pytest.mark.parametrize("name", list(NORMS))
def test_it_learns_digits_with_every_norm(name: str, plans: dict[str, Blueprint], classroom: Classroom) -> None:
    run = classroom.trained(plans[name], RATE, EPOCHS)
    assert run.finite
    assert run.accuracy >= ACCURACY


NO_IMAGES = [
    ((30,), "convnet needs images, each of shape (height, width) or (height, width, channels), got the shape (30,); "
            "choose mlp."),
    ((4, 8, 8, 3), "convnet needs images, each of shape (height, width) or (height, width, channels), got the shape "
                   "(4, 8, 8, 3); give images, or choose mlp."),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "message"), NO_IMAGES)
def test_samples_that_are_no_images_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        convnet(NORMS["none"], shape, 2)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"widths": ()}, "widths must hold at least one width, each from 1 to 4,096, got []"),
    ({"widths": (8, 0)}, "widths must hold at least one width, each from 1 to 4,096, got [8, 0]"),
    ({"widths": (8, 4097)}, "each from 1 to 4,096, got [8, 4097]; give counts such as 32,64,128."),
    ({"widths": 8}, "widths must hold at least one width, each from 1 to 4,096, got 8"),
    ({"widths": (8, 1.5)}, "each from 1 to 4,096, got [8, 1.5]"),
    ({"convs_per_stage": 0}, "convs_per_stage must be a whole number from 1 to 100, got 0; give one up to 100."),
    ({"convs_per_stage": True}, "convs_per_stage must be a whole number from 1 to 100, got True"),
    ({"activation": "rleu"}, "activation must be a known name, got 'rleu'; choose one of relu"),
    ({"initializer": "he"}, "initializer must be a known name, got 'he'"),
    ({"placement": "in"}, "placement must be a known name, got 'in'; choose one of before, after"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    for refusing in (lambda: check_convnet(**options), lambda: convnet(NORMS["none"], (8, 8), 2, **options)):
        with pytest.raises(InputError, match=re.escape(message)):
            refusing()


UNFIT: list[tuple[str, dict[str, Any], dict[str, Any], tuple[int, ...], str]] = [
    ("group", {}, {"widths": (6,)}, (8, 8), "groups must divide the number of channels"),
    ("evo-s0", {"groups": 3}, {}, (8, 8), "groups must divide the number of channels"),
    ("instance", {}, {}, (1, 1, 3), "instance norm needs spatial axes"),
    ("frn", {}, {}, (1, 1, 3), "frn norm needs spatial axes"),
    ("layer", {}, {"widths": (1,)}, (8, 8), "layer norm needs at least two features"),
    ("instance", {}, {"placement": "after"}, (8, 8), "an activation must stand between instance norm and the mean"),
    ("instance", {}, {"activation": "linear"}, (8, 8), "an activation must stand between instance norm and the mean"),
    ("group", {"groups": 8}, {"widths": (8,), "placement": "after"}, (8, 8), "between group norm and the mean"),
]


@pytest.mark.parametrize(("norm", "norm_options", "options", "shape", "message"), UNFIT)
def test_a_norm_that_cant_serve_is_refused(
    norm: str, norm_options: dict[str, Any], options: dict[str, Any], shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        convnet(NORMS[norm].with_options(**norm_options), shape, 2, **options)
