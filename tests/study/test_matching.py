"""Which inputs a model of the user's own is given: scaled, or as stored; and what its one output means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from normlab.data import Dataset, load
from normlab.errors import InputError
from normlab.study.intake import intake_of
from normlab.study.matching import matched
from normlab.train.blueprint import blueprint

L = keras.layers
RNG = np.random.default_rng(0)
LABELS = np.arange(60) % 2
IDS = RNG.integers(0, 20, (60, 6))
IMAGES = RNG.integers(0, 256, (60, 4, 4, 3), dtype=np.uint8)
MIXED = np.stack([RNG.integers(0, 7, 60), RNG.integers(0, 5, 60), RNG.uniform(0, 30, 60)], axis=1)


class _Tokens(L.Layer):  # type: ignore[misc]
    """Tokens and their positions, as in Keras's example of a transformer."""

    def __init__(self, num_tokens: int = 20, length: int = 6) -> None:
        super().__init__()
        self.tokens, self.positions = L.Embedding(num_tokens, 4), L.Embedding(length, 4)

    def call(self, x: Any) -> Any:
        return self.tokens(x) + self.positions(keras.ops.arange(keras.ops.shape(x)[-1]))


class _Patches(L.Layer):  # type: ignore[misc]
    """Pixels projected, with their positions: the table is not given the inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.project, self.positions = L.Dense(4), L.Embedding(16, 4)

    def call(self, x: Any) -> Any:
        return self.project(x) + self.positions(keras.ops.arange(16))


class _Scaled(L.Layer):  # type: ignore[misc]
    """A layer of the user's own with a layer inside that scales."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.dense = L.Rescaling(1 / 255), L.Dense(4)

    def call(self, x: Any) -> Any:
        return self.dense(self.scale(x))


def _graph(shape: tuple[int | None, ...], *stages: Callable[[Any], Any], dtype: str | None = None) -> keras.Model:
    x = inputs = keras.Input(shape, dtype=dtype)
    for stage in stages:
        x = stage(x)
    return keras.Model(inputs, L.Dense(2)(L.Flatten()(x)))


def _row(shape: tuple[int | None, ...], *stages: Any, dtype: str | None = None) -> keras.Model:
    return keras.Sequential([keras.Input(shape, dtype=dtype), *stages, L.Flatten(), L.Dense(2)])


def _nested(*stages: Any) -> keras.Model:
    return keras.Sequential([keras.Input((4, 4, 3)), *stages])


def _adapted(x: np.ndarray) -> keras.Layer:
    layer = L.Normalization()
    layer.adapt(x)
    return layer


def _columns(inputs: Any) -> Any:
    bins = L.Discretization(bin_boundaries=[10.0, 20.0])(inputs[:, 2:3])
    found = (
        L.Embedding(7, 4)(inputs[:, 0:1]),
        L.CategoryEncoding(5, output_mode="one_hot")(keras.ops.cast(inputs[:, 1:2], "int32")),
        L.Embedding(3, 2)(bins),
    )
    return L.Concatenate()([L.Flatten()(one) for one in found])


# By case: inputs, model, dtype handed over, divisor, and what the note says; "" where inputs are scaled.
CASES: dict[str, tuple[np.ndarray, Callable[[], keras.Model], str, float | None, str]] = {
    "integer Input, Embedding": (
        IDS,
        lambda: _graph((6,), L.Embedding(20, 4), dtype="int64"),
        "int32",
        None,
        "looks its inputs up (Embedding)",
    ),
    "float Input, Embedding": (IDS.astype(float), lambda: _row((6,), L.Embedding(20, 4)), "int32", None, "(Embedding)"),
    "uint8, Embedding": (IDS.astype(np.uint8), lambda: _row((6,), L.Embedding(20, 4)), "int32", None, "(Embedding)"),
    "any length": (IDS, lambda: _row((None,), L.Embedding(20, 4), L.LSTM(4)), "int32", None, "(Embedding)"),
    "integer Input alone": (
        IDS,
        lambda: _graph((6,), lambda x: keras.ops.cast(x, "float32"), dtype="int64"),
        "int32",
        None,
        "takes integers (Input of int64)",
    ),
    "categories": (
        IDS,
        lambda: _row((6,), L.CategoryEncoding(20, output_mode="multi_hot")),
        "int32",
        None,
        "(CategoryEncoding)",
    ),
    "one-hot operation": (
        IDS,
        lambda: _graph((6,), lambda x: keras.ops.one_hot(keras.ops.cast(x, "int32"), 20)),
        "int32",
        None,
        "(OneHot)",
    ),
    "tokens in a layer of layers": (IDS, lambda: _graph((6,), _Tokens()), "int32", None, "(Embedding)"),
    "Rescaling": (IMAGES, lambda: _row((4, 4, 3), L.Rescaling(1 / 255)), "uint8", 1.0, "itself (Rescaling)"),
    "Rescaling of floats": (
        IMAGES.astype(float),
        lambda: _row((4, 4, 3), L.Rescaling(1 / 255)),
        "uint8",
        1.0,
        "itself (Rescaling)",
    ),
    "after augmentation, nested": (
        IMAGES,
        lambda: _graph((4, 4, 3), _nested(L.RandomFlip("horizontal"), L.RandomRotation(0.1)), L.Rescaling(1 / 255)),
        "uint8",
        1.0,
        "itself (Rescaling)",
    ),
    "nested twice": (
        IMAGES,
        lambda: _graph((4, 4, 3), _nested(_nested(L.Rescaling(1 / 255), L.Conv2D(2, 3)))),
        "uint8",
        1.0,
        "itself (Rescaling)",
    ),
    "brightness of pixels": (
        IMAGES,
        lambda: _row((4, 4, 3), L.RandomBrightness(0.2), L.Conv2D(2, 3)),
        "uint8",
        1.0,
        "RandomBrightness of value_range [0, 255]",
    ),
    "division": (IMAGES, lambda: _graph((4, 4, 3), lambda x: x / 255.0), "uint8", 1.0, "itself (division)"),
    "inside a layer": (IMAGES, lambda: _graph((4, 4, 3), _Scaled()), "uint8", 1.0, "itself (Rescaling)"),
    "Normalization": (MIXED, lambda: _row((3,), _adapted(MIXED), L.Dense(4)), "float32", 1.0, "itself (Normalization)"),
    "Normalization without data": (
        MIXED,
        lambda: _row((3,), L.Normalization(), L.Dense(4)),
        "float32",
        1.0,
        "(Normalization, which was not adapted)",
    ),
    "columns by columns": (
        MIXED,
        lambda: _graph((3,), _columns),
        "float32",
        1.0,
        "itself (Discretization) and looks its inputs up (Embedding, CategoryEncoding)",
    ),
    "nothing of the kind": (IMAGES, lambda: _row((4, 4, 3), L.Conv2D(2, 3)), "uint8", 255.0, ""),
    "a norm first": (MIXED, lambda: _row((3,), L.BatchNormalization(), L.Dense(4)), "float32", 1.0, ""),
    "Rescaling behind weights": (IMAGES, lambda: _row((4, 4, 3), L.Conv2D(2, 3), L.Rescaling(2.0)), "uint8", 255.0, ""),
    "augmentation alone": (IMAGES, lambda: _row((4, 4, 3), L.RandomFlip(), L.Conv2D(2, 3)), "uint8", 255.0, ""),
    "positions of pixels": (IMAGES, lambda: _graph((4, 4, 3), L.Reshape((16, 3)), _Patches()), "uint8", 255.0, ""),
    "brightness of the unit scale": (
        IMAGES,
        lambda: _row((4, 4, 3), L.RandomBrightness(0.2, value_range=(0, 1)), L.Conv2D(2, 3)),
        "uint8",
        255.0,
        "",
    ),
}


def _matched(dataset: Dataset, build: Callable[[], keras.Model]) -> Dataset:
    return matched(dataset, {"none": blueprint(build).model})


@pytest.mark.parametrize("case", CASES)
def test_a_model_gets_its_inputs_as_it_takes_them(case: str) -> None:
    x, build, dtype, divisor, note = CASES[case]
    dataset = load((x, LABELS))
    found = _matched(dataset, build)
    assert (found.train.x.dtype.name, found.divisor) == (dtype, divisor)
    if not note:
        assert found is dataset
        return
    assert note in found.notes[-1]
    assert "inputs are handed over as stored" in found.notes[-1]
    together = np.concatenate([part.x for part in found.parts.values()]).reshape(len(x), -1)
    given = x.astype(np.float32).reshape(len(x), -1)
    assert sorted(together.astype(np.float32).tolist()) == sorted(given.tolist())


def test_an_unadapted_normalization_hands_values_on_as_keras_does() -> None:
    model = blueprint(lambda: _row((3,), L.Normalization(), L.Dense(4))).model
    layer = model.layers[0]
    np.testing.assert_array_equal(layer(MIXED[:2]), MIXED[:2].astype(np.float32))


def _looked_up(num_rows: int, **options: Any) -> Callable[[], keras.Model]:
    return lambda: _graph((6,), L.Embedding(num_rows, 4, name="words"), **options)


REFUSED: dict[str, tuple[np.ndarray, Callable[[], keras.Model], str]] = {
    "beyond the table": (
        IDS,
        _looked_up(19),
        r"layer words looks up .* from 0 to 18, got 19 in the \w+ part, for a table of 19 rows; give it at least 20",
    ),
    "negative": (IDS - 1, _looked_up(20), r"layer words .* got -1 in the \w+ part, .*; give indices from 0 on"),
    "beyond the table in a layer": (IDS, lambda: _graph((6,), _Tokens(18)), r"/embedding\w* looks up .* got 19 in"),
    "beyond the positions": (IDS, lambda: _graph((6,), _Tokens(20, 5)), r"from 0 to 4, got 5 in the train part"),
    "beyond the categories": (
        IDS,
        lambda: _row((6,), L.CategoryEncoding(19, output_mode="multi_hot", name="hot")),
        r"layer hot .* got 19 in .* for a table of 19 rows",
    ),
    "a fraction for integers": (IDS + 0.5, _looked_up(30, dtype="int32"), r"must be whole numbers .* got \d+\.5 at"),
    "a fraction for a table": (IDS + 0.5, _looked_up(30), r"layer words .* got a fraction, between"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_index_outside_its_table_is_refused_in_one_line(case: str) -> None:
    x, build, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as caught:
        _matched(load((x, LABELS)), build)
    assert "\n" not in str(caught.value)


def test_the_last_part_is_looked_at_too() -> None:
    parts = {"x_train": IDS[:40], "y_train": LABELS[:40], "x_test": np.where(IDS == 3, 77, IDS)[40:]}
    with pytest.raises(InputError, match=r"got 77 in the test part, for a table of 20 rows"):
        _matched(load({**parts, "y_test": LABELS[40:]}), _looked_up(20))


def test_all_arms_must_take_inputs_alike() -> None:
    models = {"none": _row((4, 4, 3), L.Conv2D(2, 3)), "batch": _row((4, 4, 3), L.Rescaling(1 / 255))}
    with pytest.raises(InputError, match=r"all arms .* got none leaves them .*; batch prepares its inputs itself"):
        matched(load((IMAGES, LABELS)), models)


def test_channels_stay_first_for_a_model_that_has_them_there() -> None:
    dataset = load((np.moveaxis(IMAGES, -1, 1), LABELS))
    found = _matched(dataset, lambda: _row((3, 4, 4), L.Permute((2, 3, 1)), L.Conv2D(2, 3)))
    assert found.input_shape == (3, 4, 4)
    assert found.divisor == 255.0
    assert "keep their channels first" in found.notes[0]
    assert _matched(dataset, lambda: _row((4, 4, 3), L.Conv2D(2, 3))) is dataset


@pytest.mark.parametrize(("activation", "kind"), [("sigmoid", "probability"), (None, "logit")])
def test_one_output_for_two_classes_is_told(activation: str | None, kind: str) -> None:
    dataset = load((MIXED, np.array(["no", "yes"])[LABELS]))
    model = keras.Sequential([keras.Input((3,)), L.Dense(1, activation=activation)])
    found = matched(dataset, {"none": model})
    assert f"{kind} of class yes, against no: the loss is binary cross-entropy" in found.notes[-1]
    assert found.train is dataset.train


def test_a_subclassed_model_asks_for_nothing() -> None:
    class Mine(keras.Model):  # type: ignore[misc]
        pass

    assert intake_of(Mine(), IDS) == ("float32", (), ())
