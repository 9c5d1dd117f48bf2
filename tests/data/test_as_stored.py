"""Inputs handed over as stored: their type, what is said of them, and what does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.data import load
from normlab.data.as_stored import are_whole, as_stored, channels_first
from normlab.errors import InputError

RNG = np.random.default_rng(0)
LABELS = np.arange(60) % 3
IDS = RNG.integers(0, 50, (60, 6))


def _rows(x: np.ndarray) -> list[list[float]]:
    return sorted(np.reshape(x, (len(x), -1)).astype(float).tolist())


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "int64", "uint64", "float32", "float64"])
def test_whole_numbers_become_int32_whatever_holds_them(dtype: str) -> None:
    loaded = load((IDS.astype(dtype), LABELS))
    found = as_stored(loaded, "Why", integers=True)
    assert are_whole(loaded)
    assert {part.x.dtype.name for part in found.parts.values()} == {"int32"}
    assert _rows(np.concatenate([part.x for part in found.parts.values()])) == _rows(IDS)
    assert found.divisor is None
    assert found.notes[-1] == "Why: inputs are handed over as stored, whole numbers from 0 to 49."


def test_what_is_said_of_scaling_is_taken_back() -> None:
    pixels = RNG.integers(0, 256, (60, 2, 2), dtype=np.uint8)
    for x in (IDS, pixels, pixels / 255):
        loaded = load((x, LABELS))
        found = as_stored(loaded, "Why", integers=False)
        assert loaded.scaling in (*loaded.description, *loaded.notes)
        assert loaded.scaling not in (*found.description, *found.notes)
        assert (found.divisor, found.stored) == (1.0, None)
        assert found.train.y is loaded.train.y


@pytest.mark.parametrize("name", ["wine", "digits"])
def test_named_data_have_their_values_as_stored_too(name: str) -> None:
    found = as_stored(load(name), "Why", integers=False)
    together = np.concatenate([part.x for part in found.parts.values()])
    assert together.max() == pytest.approx({"wine": 1680.0, "digits": 16.0}[name])
    assert together.min() >= 0
    assert not any("standardized" in line or "divided" in line for line in found.description)


def test_columns_of_a_table_as_stored_keep_their_one_hot_neighbours(tmp_path) -> None:  # type: ignore[no-untyped-def]
    rows = "".join(f"{row + 0.5},{'pq'[row % 2]},{row % 3}\n" for row in range(60))
    (tmp_path / "t.csv").write_text("a,b,y\n" + rows)
    loaded = load(tmp_path / "t.csv", target="y")
    found = as_stored(loaded, "Why", integers=False)
    together = np.concatenate([part.x for part in found.parts.values()])
    assert loaded.columns == ("a", "b=p", "b=q")
    assert sorted(together[:, 0].tolist()) == [row + 0.5 for row in range(60)]
    np.testing.assert_array_equal(together[:, 1], together[:, 0] % 2 == 0.5)
    assert not any("standardized" in line for line in found.description)


def test_channels_go_back_to_where_they_came() -> None:
    x = RNG.integers(0, 256, (60, 3, 6, 5), dtype=np.uint8)
    found = channels_first(load((x, LABELS)), "Stays.")
    assert found.input_shape == (3, 6, 5)
    assert _rows(np.concatenate([part.x for part in found.parts.values()])) == _rows(x)
    assert found.notes[0] == "Stays."
    assert not any("transposed" in note for note in found.notes)


WRONG = {
    "a fraction": (IDS + 0.5, True, r"whole numbers that int32 holds, got \d+\.5 at \(0, 0\) of the train part"),
    "beyond int32": (IDS + 2**40, True, r"whole numbers that int32 holds, got 10995"),
    "beyond float32": (IDS * 1e38, False, r"must be finite as float32, got .*e\+39"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_refused(case: str) -> None:
    x, integers, message = WRONG[case]
    loaded = load((x, LABELS))
    assert are_whole(loaded) is False
    with pytest.raises(InputError, match=message):
        as_stored(loaded, "Why", integers=integers)
