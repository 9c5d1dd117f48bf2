"""Swapping: norms change, everything else keeps its weights and its place."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from normlab.errors import InputError
from normlab.norms import NORMS, Norm
from normlab.surgery import swap
from normlab.surgery.copying import arrays_of
from normlab.surgery.graph import calls
from normlab.surgery.kinds import is_graph, norm_classes
from tests.surgery.networks import (
    NETWORKS,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    L,
    nested,
    outputs,
    residual,
    samples,
    sequential,
    shared,
    tokens,
    trained,
)


def _norm(layer: type[keras.layers.Layer], cancels_bias: bool = True, **options: object) -> Norm:
    def build(name: str | None = None) -> keras.layers.Layer:
        return layer(name=name, **options)

    return Norm(layer.__name__.lower(), build, cancels_bias, "", "")


LAYER = _norm(keras.layers.LayerNormalization)
RMS = _norm(keras.layers.RMSNormalization, cancels_bias=False)
INSTANCE = _norm(keras.layers.GroupNormalization, groups=-1)
GROUP_3 = _norm(keras.layers.GroupNormalization, groups=3)
CHANNELS_LAST = [name for name in NETWORKS if name != "consumers"]


def _leaves(model: keras.Model, prefix: str = "") -> dict[str, keras.layers.Layer]:
    """Layers by path, those of nested models in place of the models."""
    found = {}
    for layer in dict.fromkeys(call.layer for call in calls(model)):
        if is_graph(layer):
            found |= _leaves(layer, f"{prefix}{layer.name}/")
        elif isinstance(layer, keras.layers.Layer):
            found[f"{prefix}{layer.name}"] = layer
    return found


def _norm_paths(model: keras.Model) -> list[str]:
    return [path for path, layer in _leaves(model).items() if isinstance(layer, norm_classes())]


def _assert_same_weights(old: keras.Model, new: keras.Model) -> None:
    """Every layer of the old model besides its norms is in the new one, with equal weights."""
    replacements = _leaves(new)
    for path, layer in _leaves(old).items():
        if isinstance(layer, norm_classes()):
            continue
        found = arrays_of(replacements[path])
        assert len(found) == len(arrays_of(layer))
        assert all(np.array_equal(a, b) for a, b in zip(arrays_of(layer), found, strict=True))


@pytest.fixture(scope="module", params=CHANNELS_LAST)
def model(request: pytest.FixtureRequest) -> keras.Model:
    return trained(NETWORKS[request.param].build())


def test_every_norm_is_replaced_and_all_else_kept(model: keras.Model) -> None:
    swapped = swap(model, LAYER)
    _assert_same_weights(model, swapped.model)
    places = _norm_paths(model)
    assert _norm_paths(swapped.model) == places
    assert [row.layer for row in swapped.changes] == places
    new = _leaves(swapped.model)
    for row in swapped.changes:
        old_layer, new_layer = _leaves(model)[row.layer], new[row.layer]
        assert type(new_layer) is keras.layers.LayerNormalization
        assert (row.old, row.new) == ("BatchNormalization", "LayerNormalization")
        assert (row.parameters_before, row.parameters_after) == (old_layer.count_params(), new_layer.count_params())
        assert new_layer.compute_dtype == old_layer.compute_dtype
    assert swapped.model.count_params() == model.count_params() + sum(
        row.parameters_after - row.parameters_before for row in swapped.changes
    )


def test_there_and_back_is_the_same_function(model: keras.Model) -> None:
    """Norms start anew, so the model starts with new batch norms here."""
    start = swap(model, "batch").model
    back = swap(swap(start, LAYER).model, "batch").model
    inputs = samples(model)
    for expected, found in zip(outputs(start, inputs), outputs(back, inputs), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert back.count_params() == start.count_params()


def test_without_norms_the_rest_computes_what_it_would_with_identities(model: keras.Model) -> None:
    bare = swap(model, "none")
    assert _norm_paths(bare.model) == []
    _assert_same_weights(model, bare.model)
    assert [row.parameters_after for row in bare.changes] == [0] * len(_norm_paths(model))
    neutral = keras.models.clone_model(model, recursive=True)
    neutral.set_weights(arrays_of(model))
    for path in _norm_paths(neutral):
        _neutralize(_leaves(neutral)[path])
    inputs = samples(model)
    tolerance = 1e-2 if any(layer.compute_dtype == "float16" for layer in _leaves(model).values()) else 1e-5
    for expected, found in zip(outputs(neutral, inputs), outputs(bare.model, inputs), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def _neutralize(norm: keras.layers.BatchNormalization) -> None:
    """Make a batch norm the identity in evaluation mode."""
    values = {"gamma": 1.0, "beta": 0.0, "moving_mean": 0.0, "moving_variance": 1.0 - norm.epsilon}
    for variable in norm.weights:
        variable.assign(np.full(variable.shape, values[variable.name]))


def test_a_norm_of_the_same_class_with_other_settings_is_noted() -> None:
    assert [row.note for row in swap(sequential(), "batch").changes] == [
        "epsilon 0.5 is 0.001 now",
        "center False is True now; scale False is True now",
    ]


def test_a_norm_in_the_place_of_a_frozen_one_trains_and_the_table_says_so() -> None:
    model = sequential()
    norm = next(layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization))
    norm.trainable = False
    swapped = swap(model, "layer")
    assert swapped.model.get_layer(norm.name).trainable
    assert str(swapped).count("was frozen; trains") == 1


def _regularized(**more: object) -> keras.Model:
    norm = L.BatchNormalization(
        gamma_regularizer=keras.regularizers.L2(0.5),
        beta_constraint="non_neg",
        gamma_initializer=keras.initializers.Constant(0.25),
        name="norm",
        **more,
    )
    return keras.Sequential([keras.Input((3,)), Dense(4), norm, L.ReLU(), Dense(2, name="head")])


@pytest.mark.parametrize("norm", ["none", "layer", "weight"])
def test_lost_regularizers_constraints_and_initializers_are_named(norm: str) -> None:
    note = swap(_regularized(activity_regularizer=keras.regularizers.L1(0.5)), norm).changes[0].note
    assert sorted(note.split("; ")) == [
        "loses activity_regularizer L1(l1=0.5)",
        "loses beta_constraint NonNeg()",
        "loses gamma_initializer Constant(value=0.25)",
        "loses gamma_regularizer L2(l2=0.5)",
    ]
    assert "loses" not in str(swap(sequential(), norm))


def test_what_the_same_norm_loses_is_named() -> None:
    note = swap(_regularized(activity_regularizer="l1"), "batch").changes[0].note
    for setting in ("gamma_regularizer L2(l2=0.5)", "beta_constraint NonNeg()", "activity_regularizer L1("):
        assert setting in note
    assert "gamma_initializer Constant(value=0.25) is Ones() now" in note


def test_an_activity_regularizer_stays_behind_its_activation() -> None:
    dense = Dense(4, activation=L.ELU(name="elu"), activity_regularizer="l2", name="dense")
    model = trained(keras.Sequential([keras.Input((3,)), dense, Dense(2)]))
    swapped = swap(model, _norm(keras.layers.BatchNormalization, epsilon=0.0)).model
    inputs = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
    model(inputs), swapped(inputs)
    np.testing.assert_allclose(float(sum(swapped.losses)), float(sum(model.losses)), rtol=1e-5)
    assert float(sum(model.losses)) > 0


def test_a_missing_bias_is_noted_where_the_new_norm_does_not_stand_in_for_it() -> None:
    model = residual()
    note = "stem before it has no bias"
    assert [row.note for row in swap(model, "none").changes] == [note, "", "", ""]
    assert [row.note for row in swap(model, RMS).changes] == [note, "", "", ""]
    assert [row.note for row in swap(model, LAYER).changes] == [""] * 4


def test_shared_layers_stay_shared_and_names_of_outputs_stay() -> None:
    swapped = swap(shared(), LAYER).model
    assert len(_norm_paths(swapped)) == 3
    assert sorted(tensor.name for tensor in swapped.inputs) == ["left", "right"]
    bare = swap(nested(), "none").model
    assert bare.output_names == nested().output_names


def test_the_table_prints() -> None:
    text = str(swap(sequential(), LAYER))
    assert "first_norm" in text
    assert "LayerNormalization" in text
    assert str(swap(swap(sequential(), "none").model, "none")) == "no norm to change"


def test_the_model_is_trainable_and_its_class_and_frozen_layers_stay(tmp_path: Path) -> None:
    class Net(keras.Model):
        def extra(self) -> str:
            return "kept"

    plain = sequential()
    plain.get_layer("second").trainable = False
    model = Net(plain.inputs, plain.outputs)
    swapped = swap(model, LAYER).model
    assert swapped.extra() == "kept"
    assert [v.path for v in swapped.get_layer("second").trainable_variables] == []
    swapped.compile("sgd", "mse")
    swapped.fit(np.ones((4, 5)), np.ones((4, 2)), verbose=0)


# What a model without norms becomes: layer -> layers in its place.
def _fused() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((6,)),
            Dense(8, activation="relu", use_bias=False, name="a"),
            Dense(8, activation=L.ELU(alpha=0.5, name="elu"), name="b"),
            Dense(8, name="linear"),
            Dense(8, name="c"),
            L.Dropout(0.1),
            L.LeakyReLU(name="leaky"),
            Dense(3, activation="softmax", name="head"),
        ]
    )


def _branches() -> keras.Model:
    inputs = keras.Input((8, 8, 3))
    x = Conv2D(4, 3, padding="same", activation=lambda t: keras.ops.relu(t) * 2, name="stem")(inputs)
    y = keras.ops.relu(DepthwiseConv2D(3, padding="same", name="first")(x))
    y = Conv2D(4, 3, padding="same", name="second")(y)
    x = L.Activation("relu", name="after")(L.Add()([x, y]))
    x = L.GlobalAveragePooling2D()(x)
    head = Dense(4, activation="tanh", name="head_hidden")(x)
    return keras.Model(inputs, [Dense(2, name="head")(head), Dense(2, activation="tanh", name="aux")(x)])


def _parts() -> keras.Model:
    body = keras.Sequential([keras.Input((5,)), Dense(6, name="hidden")], name="body")
    head = keras.Sequential([keras.Input((6,)), Dense(6, activation="relu", name="top")], name="head")
    inputs = keras.Input((5,))
    return keras.Model(inputs, head(L.ReLU()(body(inputs))))


INSERTIONS = {
    "fused": (_fused, ["a", "b", "c"]),
    "branches": (_branches, ["stem", "first", "second", "head_hidden"]),
    "parts": (_parts, ["body/hidden"]),
}


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
@pytest.mark.parametrize("name", INSERTIONS)
def test_norms_are_inserted_before_activations_and_not_in_the_head(name: str) -> None:
    build, places = INSERTIONS[name]
    model = trained(build())
    swapped = swap(model, LAYER)
    assert sorted(row.layer for row in swapped.changes) == sorted(places)
    leaves = _leaves(swapped.model)
    for place in places:
        assert type(leaves[f"{place}_norm"]) is keras.layers.LayerNormalization
        assert leaves[place].activation is keras.activations.linear
    # With identities as norms, the function is unchanged: activations were split off, and weights kept.
    neutral = swap(model, _norm(keras.layers.BatchNormalization, epsilon=0.0)).model
    inputs = samples(model)
    for expected, found in zip(outputs(model, inputs), outputs(neutral, inputs), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_an_inserted_norm_stands_between_linear_map_and_activation() -> None:
    order = [layer.name for layer in swap(_fused(), "batch").model.layers]
    assert order[:6] == ["a", "a_norm", "a_activation", "b", "b_norm", "elu"]
    assert [order[6], order[7], order[8], order[10], order[11]] == ["linear", "c", "c_norm", "leaky", "head"]
    notes = {row.layer: row.note for row in swap(_fused(), "batch").changes}
    assert notes == {"a": "", "b": "cancels the bias of b", "c": "cancels the bias of c"}


@pytest.mark.parametrize("name", NORMS)
def test_every_norm_of_the_table_serves_in_a_convnet(name: str) -> None:
    stages = [[Conv2D(8, 3, name=f"conv_{n}"), L.BatchNormalization(name=f"norm_{n}"), L.ReLU()] for n in range(2)]
    model = keras.Sequential([keras.Input((8, 8, 2)), *stages[0], *stages[1], L.Flatten(), Dense(3)])
    swapped = swap(model, name)
    wrapped = ["conv_0", "conv_1"] if NORMS[name].wrapper else []
    assert [row.layer for row in swapped.changes] == ["norm_0", "norm_1", *wrapped]
    assert np.all(np.isfinite(outputs(swapped.model, samples(model))[0]))


class _Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.norm = keras.layers.BatchNormalization()

    def call(self, x: object) -> object:
        return self.norm(x)


@keras.saving.register_keras_serializable("test")
class _Stubborn(keras.layers.Layer):
    def __init__(self, size: object) -> None:
        super().__init__()

    def call(self, x: object) -> object:
        return x


def _one_channel() -> keras.Model:
    inputs = keras.Input((4, 4, 1))
    return keras.Model(inputs, L.BatchNormalization(name="single")(inputs))


@pytest.mark.parametrize(
    ("build", "norm", "words"),
    [
        (sequential, "no-such", r"norm must be a known name, got 'no-such'; choose one of none, batch"),
        (sequential, 3, "norm must be a name or a Norm, got int"),
        (lambda: 3, "batch", "needs a Keras model, got int"),
        (_Subclassed, "none", "got the subclassed model _Subclassed; build the model from keras.Input"),
        (lambda: keras.Sequential([Dense(3)]), "none", "known input shape"),
        (
            lambda: keras.Sequential([keras.Input((3,)), _Subclassed()]),
            "none",
            "BatchNormalization inside .*subclassed",
        ),
        (NETWORKS["consumers"].build, LAYER, "BatchNormalization inside wrapper of class TimeDistributed"),
        (sequential, INSTANCE, r"depend on its input, got .* on shape \(None, 8\) at first_norm"),
        (_one_channel, LAYER, r"depend on its input, got .* at single"),
        (residual, GROUP_3, r"suit its input, got groupnormalization on shape \(None, 6, 6, 4\) at stem_norm"),
        (lambda: keras.Sequential([keras.Input((3,)), Dense(2)]), "batch", "without such a place"),
        (
            lambda: keras.Sequential([keras.Input((3, 4)), L.BatchNormalization(axis=1, name="bn")]),
            LAYER,
            r"channels that come last, got bn with axis=1 on shape \(None, 3, 4\)",
        ),
        (
            lambda: keras.Sequential([keras.Input((3,)), L.BatchNormalization(), _Stubborn(np.float32)]),
            "none",
            "get_config, got .*_Stubborn",
        ),
        (sequential, _norm(keras.layers.Identity), "a layer of its own"),
    ],
)
def test_what_cannot_be_done_is_refused(build: object, norm: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        swap(build(), norm)


def test_group_norm_serves_where_there_are_spatial_axes() -> None:
    model = keras.Sequential([keras.Input((None, None, 4)), Conv2D(4, 3), L.BatchNormalization(), L.ReLU()])
    assert swap(model, INSTANCE).changes[0].new == "GroupNormalization"


def test_masks_and_lambdas_and_normalization_pass() -> None:
    swapped = swap(trained(tokens()), LAYER).model
    inputs = samples(swapped)
    padded = [np.where(np.arange(7) < 4, inputs[0], 0)]
    assert not np.allclose(outputs(swapped, inputs)[0], outputs(swapped, padded)[0])
    scale = keras.layers.Normalization()
    scale.adapt(np.random.default_rng(0).normal(3, 2, (50, 4)))
    model = keras.Sequential([keras.Input((4,)), scale, L.Lambda(lambda x: np.float32(2) * x), L.BatchNormalization()])
    x = [np.ones((2, 4), "float32")]
    np.testing.assert_allclose(outputs(swap(model, "batch").model, x)[0], outputs(model, x)[0], rtol=1e-6)
