"""The one rule for text in cells."""

from __future__ import annotations

import polars as pl
import pytest

from normlab.data.cells import MISSING_WORDS, clean


def test_spaces_are_removed_and_empty_cells_are_missing() -> None:
    cleaned = clean(pl.Series(["yes", " yes", "no ", "", "  ", None, "\tyes\u00a0"]))
    assert cleaned.text.to_list() == ["yes", "yes", "no", None, None, None, "yes"]
    assert not cleaned.words


@pytest.mark.parametrize("word", MISSING_WORDS)
def test_words_for_missing_values_in_any_case(word: str) -> None:
    cleaned = clean(pl.Series(["x", word, word.upper(), f" {word.title()} ", "xna", "no"]))
    assert cleaned.text.to_list() == ["x", None, None, None, "xna", "no"]
    assert cleaned.words.total() == 3
    assert cleaned.text.dtype == pl.String


def test_minus_beside_plus_is_a_value() -> None:
    cleaned = clean(pl.Series(["+", "-", " -", "?"]))
    assert cleaned.text.to_list() == ["+", "-", "-", None]
    assert cleaned.words == {"?": 1}
