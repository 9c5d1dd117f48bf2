"""The proof of a fold: right folds pass, also where float32 is coarse, wrong ones fail, and inputs are the user's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from normlab.errors import InputError
from normlab.surgery import fold, foldplan
from normlab.surgery.affine import Affine, affine_of
from tests.command import command, refused
from tests.surgery.networks import Conv1D, Dense, L, nested, samples, sequential, trained

# Keras warns so when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")


def _with_large_means() -> keras.Model:
    """A norm whose mean cancels a bias: float32 keeps two digits of what is left."""
    norm = L.BatchNormalization(name="norm")
    model = trained(keras.Sequential([keras.Input((3,)), Dense(3, name="dense"), norm]))
    norm.moving_mean.assign([1e5] * 3)
    model.get_layer("dense").bias.assign([1e5] * 3)
    return model


def _without_epsilon(norm: keras.layers.BatchNormalization) -> Affine:
    right = affine_of(norm)
    factor = np.sqrt(1 + norm.epsilon / np.asarray(norm.moving_variance))
    return Affine(right.scale * factor, right.shift)


def _one_gamma_off(norm: keras.layers.BatchNormalization) -> Affine:
    right = affine_of(norm)
    scale = right.scale.copy()
    scale[int(np.abs(scale).argmin())] *= 1 + 1e-3
    return Affine(scale, right.shift)


def _one_mean_off(norm: keras.layers.BatchNormalization) -> Affine:
    right = affine_of(norm)
    shift = right.shift.copy()
    shift[0] += 1e-3 * np.abs(right.scale[0])
    return Affine(right.scale, shift)


def test_a_fold_passes_that_is_as_exact_as_the_model_itself() -> None:
    folded = fold(_with_large_means())
    assert folded.num_folded == 1
    found = folded.differences[0]
    assert found.relative > 1e-4
    assert found.own_error is not None
    assert found.folded_error is not None
    assert found.folded_error < found.own_error
    assert found.own_error == pytest.approx(found.relative, rel=0.1)


@pytest.mark.parametrize("wrong", [_without_epsilon, _one_gamma_off, _one_mean_off])
@pytest.mark.parametrize("build", [lambda: trained(sequential()), lambda: trained(nested()), _with_large_means])
def test_a_wrong_fold_fails(
    build: Callable[[], keras.Model],
    wrong: Callable[[keras.layers.BatchNormalization], Affine],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(foldplan, "affine_of", wrong)
    with pytest.raises(InputError, match=r"a folded layer must give every channel to 1e-06"):
        fold(build())


def test_a_fold_that_loses_precision_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The formula is right, but the folded weights are kept with three digits."""

    def coarse(layer: keras.layers.Layer, old: keras.layers.Layer, weights: object) -> None:
        assign(layer, old, weights)
        layer.kernel.assign(np.asarray(layer.kernel).astype("float16"))

    from normlab.surgery import folding
    from normlab.surgery.affine import assign

    monkeypatch.setattr(folding, "assign", coarse)
    with pytest.raises(InputError, match=r"change no tensor by more than 0\.0001 .* from float64, where the model"):
        fold(trained(sequential()))


class _Float32Alone(keras.layers.Layer):
    """A layer of the user's own that raises in any other type."""

    def call(self, x: object) -> object:
        if keras.backend.standardize_dtype(x.dtype) != "float32":
            raise TypeError("float32 alone")
        return x * 2


def test_a_model_that_does_not_run_in_float64_is_proven_without() -> None:
    layers = [Dense(4, name="dense"), L.BatchNormalization(name="norm"), _Float32Alone(), Dense(2, name="head")]
    folded = fold(trained(keras.Sequential([keras.Input((3,)), *layers])))
    assert folded.num_folded == 1
    assert (folded.differences[0].own_error, folded.differences[0].folded_error) == (None, None)
    assert " - " in str(folded)


def _positive() -> keras.Model:
    """Valid for positive inputs alone, with a norm in a nested model that gets their logarithms."""
    inner = keras.Input((5,))
    logs = L.BatchNormalization(name="norm")(Dense(6, name="dense")(keras.ops.log(inner)))
    inputs = keras.Input((5,))
    return trained(keras.Model(inputs, Dense(2)(keras.Model(inner, logs, name="inner")(inputs))))


def test_data_are_what_the_proof_runs_on_in_nested_models_too() -> None:
    x = np.random.default_rng(0).uniform(0.5, 3, (20, 5))
    assert [(row.inputs, row.samples) for row in fold(_positive(), x).differences] == [
        ("data", 20),
        ("data, into inner", 20),
    ]
    for data in (None, -x):
        with pytest.raises(InputError, match=r"outputs are finite, .*; give other inputs with --data FILE"):
            fold(_positive(), data)


def _any_length(multiple: int) -> keras.Model:
    inputs = keras.Input((None, 3))
    x = keras.ops.reshape(inputs, (-1, multiple, 3))
    x = L.GlobalAveragePooling1D()(L.BatchNormalization(name="norm")(Conv1D(4, 3, name="conv")(x)))
    return trained(keras.Model(inputs, x))


@pytest.mark.parametrize("multiple", [7, 9, 11])
def test_random_input_has_a_length_that_the_model_accepts(multiple: int) -> None:
    folded = fold(_any_length(multiple))
    assert [row.inputs for row in folded.differences] == ["random"]


def test_what_the_model_raises_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _any_length(7).save("seven.keras")
    _any_length(8009).save("large.keras")
    np.savez("good.npz", x=np.ones((4, 21, 3), "float32"))
    np.savez("bad.npz", x=np.ones((4, 20, 3), "float32"))
    refused(command("fold", "large.keras", "--out", "a.keras"), "input that the model accepts", "8009", "--data FILE")
    bad = command("fold", "seven.keras", "--data", "bad.npz", "--out", "a.keras")
    refused(bad, "the proof runs the model", "data input of shape (4, 20, 3)", "--data FILE")
    assert not Path("a.keras").exists()
    good = command("fold", "seven.keras", "--data", "good.npz", "--out", "a.keras")
    assert good.status == 0, good.err
    assert "random" not in good.out


def test_indices_stay_within_tables_of_nested_models() -> None:
    tokens = keras.Input((6,))
    inner = keras.Model(tokens, L.Flatten()(L.Embedding(3, 4, embeddings_initializer="ones")(tokens)), name="inner")
    inputs = keras.Input((6,))
    x = L.BatchNormalization(name="norm")(Dense(4, name="dense")(inner(inputs)))
    from normlab.surgery.inputs import random_inputs

    drawn = random_inputs(keras.Model(inputs, Dense(2)(x)), seed=0)[0]
    assert set(np.unique(drawn)) == {0, 1, 2}


def test_large_models_are_compared_in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    from normlab.surgery import proof

    model = trained(sequential())
    data = samples(model)
    whole = fold(model, data).differences[0]
    monkeypatch.setattr(proof, "_MOST_VALUES", 60)
    parts = fold(model, data).differences[0]
    assert parts.samples == whole.samples == 16
    assert [parts.largest, parts.relative] == pytest.approx([whole.largest, whole.relative], rel=1)
