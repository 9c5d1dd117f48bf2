"""One rule for the text in a table's cells: spaces around it are removed, and which words stand for a missing value."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import polars as pl

# In lower case. What programs write for a value that is not there: R, pandas, SQL, SAS, spreadsheets.
MISSING_WORDS = (
    *("?", "-", "--", "---", "–", "—", ".", "na", "n/a", "n.a.", "<na>", "#na", "#n/a", "nan", "-nan", "nat"),
    *("none", "null", "(null)", "<null>", "nil", "\\n"),
    *("#null!", "#div/0!", "#value!", "#ref!", "#name?", "#num!", "1.#qnan", "-1.#ind"),
)


class Cleaned(NamedTuple):
    """Text with nulls where a value is missing, and how often each word stood for one."""

    text: pl.Series
    words: Counter[str]


def is_missing_word(cell: str) -> bool:
    """Whether a cell is empty or a word for a missing value."""
    return not cell or cell.lower() in MISSING_WORDS


def clean(series: pl.Series) -> Cleaned:
    """Remove spaces around text and make null of empty cells and of `MISSING_WORDS`, in upper or lower case.

    A minus sign is a value of its own in a column where plus signs occur too.
    """
    import polars as pl

    text = series.str.strip_chars()
    text = text.set(text == "", None)
    is_word = text.str.to_lowercase().is_in(MISSING_WORDS)
    if not is_word.any():
        return Cleaned(text, Counter())
    found = text.filter(is_word).value_counts()
    words = Counter(dict(found.rows()))
    if "-" in words and (text == "+").any():
        del words["-"]
        is_word = is_word & (text != "-")
    return Cleaned(text.set(is_word.fill_null(False), None).cast(pl.String), words)


def sorted_words(words: Counter[str]) -> list[tuple[str, int]]:
    """Return words and their numbers, the most frequent first, else in alphabetic order."""
    return sorted(words.items(), key=lambda item: (-item[1], item[0]))
