"""Folding: the same function with fewer layers, on every network of the table."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from normlab.errors import InputError
from normlab.surgery import Folded, fold
from normlab.surgery.comparison import TOLERANCE
from normlab.surgery.copying import arrays_of
from normlab.surgery.graph import calls
from tests.surgery.networks import NETWORKS, Conv2D, Dense, L, outputs, samples, sequential, trained


@pytest.fixture(scope="module", params=NETWORKS)
def case(request: pytest.FixtureRequest) -> tuple[str, keras.Model, Folded]:
    model = trained(NETWORKS[request.param].build())
    return request.param, model, fold(model, [array[:11] for array in samples(model)])


def test_the_folded_model_computes_the_same(case: tuple[str, keras.Model, Folded]) -> None:
    name, model, folded = case
    tolerance = 5e-3 if name == "half" else 1e-4  # here the two are compared in float16
    inputs = samples(model, seed=8)
    for expected, found in zip(outputs(model, inputs), outputs(folded.model, inputs), strict=True):
        assert np.ptp(expected) > 0
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def test_every_norm_is_folded_or_stays_for_its_reason(case: tuple[str, keras.Model, Folded]) -> None:
    name, _, folded = case
    wanted = NETWORKS[name]
    assert {row.norm: row.into for row in folded.folds if row.into} == wanted.folded
    reasons = {row.norm: row.reason for row in folded.folds if not row.into}
    assert reasons.keys() == wanted.stays.keys()
    assert all(word in reasons[norm] for norm, word in wanted.stays.items()), reasons


def test_folded_norms_and_their_numbers_are_gone(case: tuple[str, keras.Model, Folded]) -> None:
    name, model, folded = case
    left = {variable.path.split("/")[-2] for variable in folded.model.variables}
    assert not left & {norm.split("/")[-1] for norm in NETWORKS[name].folded}
    kept = sum(row.parameters for row in folded.folds if row.into)
    new_biases = folded.model.count_params() - (model.count_params() - kept)
    assert 0 <= new_biases <= kept


def test_random_and_real_input_are_in_the_proof(case: tuple[str, keras.Model, Folded]) -> None:
    _, _, folded = case
    names = [row.inputs for row in folded.differences]
    assert names[:1] == ["data"]
    assert [row.samples for row in folded.differences[:1]] == [11]
    assert all(0 <= row.relative <= 1e-4 for row in folded.differences)
    assert f"{folded.differences[0].largest:.1e}" in str(folded)


def test_nested_models_are_proven_on_their_own() -> None:
    folded = fold(trained(NETWORKS["nested"].build()))
    assert [row.inputs for row in folded.differences] == ["random", "random, into trunk/block"]


def test_the_old_model_stays_as_it_was() -> None:
    model = trained(sequential())
    before = arrays_of(model)
    names = [call.layer.name for call in calls(model)]
    fold(model)
    assert names == [call.layer.name for call in calls(model)]
    assert all(np.array_equal(a, b) for a, b in zip(before, arrays_of(model), strict=True))
    np.asarray(model.get_layer("second").output.shape)  # a second call of a layer would make its output ambiguous


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")  # Keras, when it saves
def test_a_folded_model_can_be_saved_and_folded_again(tmp_path: Path) -> None:
    folded = fold(trained(NETWORKS["nested"].build())).model
    folded.save(tmp_path / "folded.keras")
    loaded = keras.saving.load_model(tmp_path / "folded.keras")
    inputs = samples(folded)
    for expected, found in zip(outputs(folded, inputs), outputs(loaded, inputs), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert [row.norm for row in fold(loaded).folds if row.into] == []
    assert loaded.output.keys() == {"scores", "embedding"}


def test_training_mode_is_not_folded_away() -> None:
    inner = keras.Sequential([keras.Input((3,)), Dense(3), L.BatchNormalization(name="inner")], name="model")
    inputs = keras.Input((3,))
    own = L.BatchNormalization(name="own")(Dense(3)(inputs), training=True)
    folded = fold(trained(keras.Model(inputs, inner(own, training=True))))
    assert folded.num_folded == 0
    assert all("training=True" in row.reason for row in folded.folds)


def test_a_norm_that_shifts_nothing_folds_before_padding() -> None:
    layers = [L.BatchNormalization(center=False), Conv2D(2, 3, padding="same")]
    model = trained(keras.Sequential([keras.Input((4, 4, 2)), *layers]))
    layers[0].moving_mean.assign([0.0, 0.0])
    assert fold(model).num_folded == 1


def test_what_float32_cannot_hold_is_the_models_own_error() -> None:
    """A mean that cancels a large bias: the model itself is further from float64 than its folded twin."""
    norm = L.BatchNormalization()
    model = trained(keras.Sequential([keras.Input((3,)), Dense(3), norm]))
    norm.moving_mean.assign([1e5] * 3)
    model.layers[0].bias.assign([1e5] * 3)
    worst = max(fold(model).differences, key=lambda one: one.relative)
    assert worst.relative > TOLERANCE
    assert worst.own_error is not None
    assert worst.folded_error is not None
    assert worst.own_error > TOLERANCE > worst.folded_error


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.zeros((4, 6)), r"got \[\(4, 6\)\]; give arrays of shapes \[\(None, 5\)\]"),
        (np.zeros((0, 5)), "shapes"),
        ([np.zeros((4, 5)), np.zeros((4, 5))], "shapes"),
        (np.full((4, 5), np.nan, "float32"), "finite"),
    ],
)
def test_data_that_does_not_fit_is_refused(data: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        fold(sequential(), data)
