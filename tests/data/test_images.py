"""Images in arrays: which axis holds the channels, and what pixel values are divided by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from normlab.data import load
from normlab.data.images import channels_of, narrowed, pixel_scale
from normlab.errors import InputError

LABELS = np.arange(60) % 3
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (60, 4, 4))
PIXELS[:2] = [[[0]], [[255]]]

SHAPES = {
    (3, 8, 8): "first",
    (1, 28, 28): "first",
    (4, 32, 24): "first",
    (2, 32, 32): "first",
    (3, 4, 4): "first",
    (8, 8, 3): "last",
    (28, 28, 1): "last",
    (32, 24, 4): "last",
    (4, 4, 3): "last",
    (4, 4, 1): "last",
    (8, 8, 16): "last",
    (64, 8, 8): "last",
    (1, 8, 3): "first",
    (8, 1, 3): "last",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_channels_are_where_one_reading_is_plausible(shape: tuple[int, ...]) -> None:
    assert channels_of(shape) == SHAPES[shape]


@pytest.mark.parametrize("shape", [(3, 8, 3), (3, 3, 3), (3, 5, 2)])
def test_both_readings_are_named_where_both_are_plausible(shape: tuple[int, ...]) -> None:
    first, middle, last = shape
    readings = rf"{first} channels of {middle} x {last} pixels, or {last} channels of {first} x {middle}"
    with pytest.raises(InputError, match=rf"{readings}; say which .* channels='first' or channels='last'"):
        channels_of(shape)


def test_images_with_their_channels_first_are_transposed() -> None:
    x = RNG.integers(0, 256, (60, 3, 6, 5), dtype=np.uint8)
    moved, given = load((x, LABELS)), load((np.moveaxis(x, 1, -1), LABELS))
    assert moved.input_shape == (6, 5, 3)
    assert moved.hashes == given.hashes
    assert moved.notes[0] == moved.layout
    assert "(3, 6, 5) are images with their channels first: transposed to (6, 5, 3)" in moved.layout
    assert given.layout == ""


@pytest.mark.parametrize("said", ["first", "last"])
def test_the_user_can_say_where_the_channels_are(said: str) -> None:
    x = RNG.random((60, 3, 5, 2))
    dataset = load({"x": x, "y": LABELS, "channels": said})
    assert dataset.input_shape == ((5, 2, 3) if said == "first" else (3, 5, 2))
    wanted = np.moveaxis(x, 1, -1) if said == "first" else x
    assert np.isin(dataset.train.x, wanted.astype(np.float32)).all()


SAID: dict[str, tuple[Any, str]] = {
    "unknown": ({"x": np.ones((60, 3, 5, 2)), "channels": "middle"}, r"channels must be known, got 'middle'"),
    "number": ({"x": np.ones((60, 3, 5, 2)), "channels": [1, 2]}, r"channels must be known, got '\[1, 2\]'"),
    "of a table": ({"x": np.ones((60, 3)), "channels": "last"}, r"left out unless x has four axes"),
}


@pytest.mark.parametrize("case", SAID)
def test_wrong_words_on_channels_are_refused(case: str) -> None:
    arrays, message = SAID[case]
    with pytest.raises(InputError, match=message):
        load({**arrays, "y": LABELS})


SCALES: dict[str, tuple[np.ndarray, float, str]] = {
    "uint8": (PIXELS.astype(np.uint8), 255.0, "uint8"),
    "float64": (PIXELS.astype(np.float64), 255.0, "uint8"),
    "int64": (PIXELS, 255.0, "uint8"),
    "interpolated": (np.clip(PIXELS + 0.25, 0, 255), 255.0, "float32"),
    "dim": (PIXELS // 10, 25.0, "uint8"),
    "grey values 0 to 16": ((PIXELS // 16 + (PIXELS == 255)).astype(float), 16.0, "uint8"),
    "16 bits": (PIXELS * 257, 65535.0, "uint16"),
    "16 bits as floats": (PIXELS * 257.0, 65535.0, "uint16"),
    "12 bits": (PIXELS * 16, 4080.0, "uint16"),
    "unit": (PIXELS / 255, 1.0, "float32"),
    "minus one to one": (PIXELS / 127.5 - 1, 1.0, "float32"),
    "black and white": ((PIXELS > 99).astype(np.uint8), 1.0, "uint8"),
    "booleans": (PIXELS > 99, 1.0, "uint8"),
    "measured": (PIXELS / 10 + 0.01, 1.0, "float32"),
    "negative": (PIXELS - 128, 1.0, "float32"),
    "beyond 16 bits": (PIXELS * 1000, 1.0, "float32"),
}


@pytest.mark.parametrize("case", SCALES)
def test_pixel_values_are_brought_to_the_unit_scale(case: str) -> None:
    x, divisor, stored = SCALES[case]
    dataset = load((x, LABELS))
    assert dataset.divisor == divisor
    assert dataset.train.x.dtype.name == stored
    assert dataset.scaling in dataset.notes
    assert (f"divided by {divisor:g}" in dataset.scaling) == (divisor != 1)
    together = np.concatenate([part.x for part in dataset.parts.values()])
    np.testing.assert_allclose(np.sort(together, axis=None), np.sort(x.astype(np.float32), axis=None))
    if divisor > 1:
        assert dataset.train.x.max() / dataset.divisor <= 1


@pytest.mark.parametrize("x", [PIXELS - 128.0, PIXELS * 1000])
def test_values_far_from_one_are_a_caution(x: np.ndarray) -> None:
    assert "a norm may diverge" in load((x, LABELS)).scaling
    assert "diverge" not in load((PIXELS / 255, LABELS)).scaling


@pytest.mark.parametrize(
    ("x", "is_table"),
    [
        (PIXELS.reshape(60, 16).astype(np.uint8), False),
        (PIXELS.reshape(60, 16).astype(float), True),
        (np.uint8(PIXELS.reshape(60, 16) > 99), True),
        (PIXELS.reshape(60, 16).astype(np.uint8) // 20, True),
    ],
    ids=["pixels in a row", "floats", "bits", "small counts"],
)
def test_two_dimensions_are_a_table_unless_they_are_bytes_to_255(x: np.ndarray, is_table: bool) -> None:
    dataset = load((x, LABELS))
    assert bool(dataset.columns) is is_table
    assert (dataset.stored is not None) is is_table
    assert dataset.divisor == (1.0 if is_table else 255.0)


def test_parts_are_stored_in_one_type() -> None:
    parts = {"train": PIXELS.astype(float), "test": PIXELS + 0.5}
    assert {values.dtype.name for values in narrowed(parts).values()} == {"float32"}
    assert narrowed({"train": PIXELS, "test": PIXELS * 2})["train"].dtype == np.uint16


def test_the_largest_value_alone_does_not_make_pixels() -> None:
    assert pixel_scale(np.array([0.0, 128.0])).divisor == 255
    assert pixel_scale(np.array([0.0, 127.5])).divisor == 255
    assert pixel_scale(np.array([0.5, 127.0])).divisor == 1
    assert pixel_scale(np.array([0.5, 300.0])).divisor == 1
    assert pixel_scale(np.array([-0.5, 255.0])).divisor == 1
