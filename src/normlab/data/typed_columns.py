"""Columns of text to columns of numbers, booleans or text, each by all of its cells."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from normlab.data.cells import clean, sorted_words
from normlab.data.dates import are_dates
from normlab.data.notation import DecimalSign, Numbers, are_thousands_with_points, have_thousands, read_numbers
from normlab.errors import InputError

if TYPE_CHECKING:
    import polars as pl

_WHOLE_NUMBER, _LEADING_ZERO = r"^[+-]?\d+$", r"^[+-]?0\d"
_MOST_WHOLE = 2.0**63
_SHOWN_CELLS = 3
_MOST_COMPARED = 100


class Typed(NamedTuple):
    """Columns by type, and what was inferred.

    Args:
        frame: Numbers, booleans and text; null where a value is missing.
        words: By column, how often each word stood for a missing value.
        problems: By column, why it can't be used.
        notes: Sentences.
    """

    frame: pl.DataFrame
    words: dict[str, Counter[str]]
    problems: dict[str, InputError]
    notes: tuple[str, ...]


class _Column(NamedTuple):
    series: pl.Series
    words: Counter[str] = Counter()  # noqa: RUF012  # never changed
    numbers: Numbers | None = None
    is_code: bool = False
    problem: InputError | None = None


def type_columns(frame: pl.DataFrame, keep: tuple[str, ...], separator: str | None) -> Typed:
    """Give every column of text the type of all its cells; columns of other types stay as they are.

    Spaces around text are removed and words for missing values become nulls (`clean`). A column is numeric if all its
    cells are numbers, as Python or as people write them (`read_numbers`); text if some whole number has a leading zero
    or more than 64 bits, which are codes; boolean if all cells are true or false. It has a problem if at least half
    of its cells are dates, or if they are numbers beside other text.

    Args:
        frame: Columns as they were read.
        keep: Columns that may mix numbers and text: they are text then.
        separator: What separates the cells of the file, for numbers that can be read in two ways; None for Parquet.
    """
    import polars as pl

    texts = [name for name in frame.columns if frame[name].dtype == pl.String]
    plain = _plain_numbers(frame.select(texts))
    columns = {name: plain.get(name) or _read(frame[name], name in keep) for name in texts}
    sign = _decimal_sign(frame, columns, separator)
    for name, column in columns.items():
        if column.numbers is not None and column.numbers.decimal == "either":
            columns[name] = _read(frame[name], name in keep, sign)
        elif sign == "comma" and name in plain and are_thousands_with_points(frame[name].str.strip_chars()):
            columns[name] = _Column(*(clean(frame[name])), read_numbers(clean(frame[name]).text, sign))
            columns[name] = columns[name]._replace(series=columns[name].numbers.values)  # type: ignore[union-attr]
    typed = frame.with_columns([column.series.alias(name) for name, column in columns.items()])
    for name in frame.columns:
        if isinstance(frame[name].dtype, pl.Categorical | pl.Enum):
            cleaned = clean(frame[name].cast(pl.String))
            columns[name] = _Column(cleaned.text.cast(pl.Categorical), cleaned.words)
            typed = typed.with_columns(columns[name].series.alias(name))
    return Typed(
        typed,
        {name: column.words for name, column in columns.items() if column.words},
        {name: column.problem for name, column in columns.items() if column.problem is not None},
        _notes(columns),
    )


def _plain_numbers(texts: pl.DataFrame) -> dict[str, _Column]:
    """Columns whose cells are all numbers as Python writes them: by far the most, so they are read all at once."""
    import polars as pl

    floats = texts.select(pl.all().cast(pl.Float64, strict=False))
    plain = [
        name
        for name in texts.columns
        if floats[name].null_count() == texts[name].null_count() < len(texts) and not floats[name].is_nan().any()
    ]
    whole = texts.select(pl.col(plain).cast(pl.Int64, strict=False))
    columns = {}
    for name in plain:
        is_whole = whole[name].null_count() == texts[name].null_count()
        may_be_long = not is_whole and bool((floats[name].abs() >= _MOST_WHOLE).any())
        if (is_whole or may_be_long) and _are_codes(texts[name], may_be_long):
            columns[name] = _Column(texts[name], is_code=True)
        else:
            columns[name] = _Column(whole[name] if is_whole else floats[name])
    return columns


def _are_codes(text: pl.Series, is_long: bool) -> bool:
    """Whether whole numbers are codes: all of them digits alone, some with a leading zero or beyond 64 bits."""
    cells = text.drop_nulls()
    if not is_long:
        return bool(cells.str.contains(_LEADING_ZERO).any())
    return bool(cells.str.contains(_WHOLE_NUMBER).all())


def _read(series: pl.Series, is_kept: bool, sign: DecimalSign = "point") -> _Column:
    """Read a column of text that is not all plain numbers."""
    text, words = clean(series)
    num_cells = len(text) - text.null_count()
    if not num_cells:
        return _Column(text, words)
    plain = _plain_numbers(text.to_frame()).get(series.name)
    if plain is not None:
        return plain._replace(words=words)
    lower = text.str.to_lowercase()
    if lower.is_in(["true", "false"]).all():
        return _Column(lower == "true", words)
    if 2 * int(are_dates(text).sum()) >= num_cells:
        return _Column(text, words, problem=dates_refused(series.name, str(text.drop_nulls()[0])))
    numbers = read_numbers(text, sign)
    num_read = num_cells - (numbers.values.null_count() - text.null_count())
    if num_read == num_cells:
        return _Column(numbers.values, words, numbers)
    if is_kept or 2 * num_read < num_cells:
        return _Column(text, words)
    return _Column(text, words, problem=_mixed(text, numbers.values, num_read))


def dates_refused(name: str, example: str) -> InputError:
    """Return the error for a column of dates or times."""
    return InputError(
        f"column {name!r} must hold numbers, booleans or text, not dates or times",
        example,
        f"choose --drop {quoted(name)}, or replace it by numbers such as the month or the days since a start",
    )


def quoted(name: str) -> str:
    """Return a column's name as it is typed after an option."""
    is_plain = name.replace("_", "").replace(".", "").replace("-", "").isalnum() and not name.startswith("-")
    return name if is_plain else "'" + name.replace("'", "'\\''") + "'"


def _mixed(text: pl.Series, values: pl.Series, num_read: int) -> InputError:
    rows = (values.is_null() & text.is_not_null()).arg_true().to_list()
    first = {text[row]: row + 1 for row in reversed(rows)}
    shown = sorted(first, key=first.__getitem__)[:_SHOWN_CELLS]
    cells = ", ".join(f"{cell!r} in row {first[cell]}" for cell in shown)
    return InputError(
        f"column {text.name!r} must hold numbers alike, or text",
        f"{num_read} numbers and, beside them, {cells}, {len(rows)} such cells in all",
        "correct these cells, or leave them empty where the value is missing, or choose "
        f"--drop {quoted(text.name)}, or --keep {quoted(text.name)} to read the column as categories",
    )


def _decimal_sign(frame: pl.DataFrame, columns: dict[str, _Column], separator: str | None) -> DecimalSign:
    """The decimal sign of numbers that can be read in two ways: that of the others, else what the separator says."""
    import polars as pl

    if separator == ";" and any(
        column.series.dtype == pl.Float64 and column.numbers is None and have_thousands(frame[name].str.strip_chars())
        for name, column in columns.items()
    ):
        return "comma"
    shown = {column.numbers.decimal for column in columns.values() if column.numbers is not None}
    if "comma" not in shown and "either" not in shown:
        return "point"
    has_points = "point" in shown or any(
        column.series.dtype == pl.Float64
        and column.numbers is None
        and not are_thousands_with_points(frame[name].str.strip_chars())
        for name, column in columns.items()
    )
    if "comma" in shown:
        return "point" if has_points else "comma"
    return "comma" if separator == ";" and not has_points else "point"


def _alike_but_for_case(series: pl.Series) -> list[str]:
    """Values of text that occur in upper and lower case, where values are few."""
    import polars as pl

    if series.dtype != pl.String:
        return []
    values = series.drop_nulls().unique()
    if len(values) > _MOST_COMPARED:
        return []
    return sorted(values.filter(values.str.to_lowercase().is_duplicated()).to_list())


def _notes(columns: dict[str, _Column]) -> tuple[str, ...]:
    """One sentence for each thing that was inferred, with its columns."""
    of: dict[str, list[str]] = {}
    words: Counter[str] = Counter()
    for name, column in columns.items():
        for mark in column.numbers.marks if column.numbers is not None else ():
            of.setdefault(mark, []).append(name)
        if column.is_code:
            of.setdefault("Whole numbers with leading zeros or beyond 64 bits are codes, so read as text", []).append(
                name
            )
        words += column.words
    notes = [f"{mark}: {', '.join(map(repr, names))}." for mark, names in of.items()]
    notes += [
        f"Kept apart, though they differ in upper and lower case alone: {', '.join(map(repr, alike))} in {name!r}."
        for name, column in columns.items()
        if (alike := _alike_but_for_case(column.series))
    ]
    if words:
        listed = ", ".join(f"{word!r} ({number:,})" for word, number in sorted_words(words))
        notes.append(f"Read as missing: {listed}.")
    return tuple(notes)
