"""The columns of a table: which are inputs, which are left out or can't be used, and what each one holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from normlab.data.dates import are_compact_dates
from normlab.data.row_numbers import counts_rows, has_no_name
from normlab.data.table_files import RawTable, read_table
from normlab.data.table_options import TableOptions
from normlab.data.typed_columns import dates_refused, quoted, type_columns
from normlab.errors import InputError, listed

if TYPE_CHECKING:
    import polars as pl

MAX_CATEGORIES = 100
# Text is free text rather than categories where nearly every cell is another one.
_SHARE_OF_FREE_TEXT = 0.9
_FEWEST_CELLS = 10


@dataclass(frozen=True)
class TableColumns:
    """The columns of a table, typed.

    Args:
        frame: All columns but those dropped: numbers, booleans or text, null where a value is missing.
        as_written: The first rows, as they stand in the file.
        words: By column, how often each word stood for a missing value.
        left_out: By column, why it is no input.
        problems: By column, why it can't be used.
        notes: Sentences on what was inferred.
    """

    frame: pl.DataFrame
    as_written: pl.DataFrame
    words: dict[str, Counter[str]]
    left_out: dict[str, str]
    problems: dict[str, InputError]
    notes: tuple[str, ...]

    @property
    def used(self) -> pl.DataFrame:
        """The inputs and the target."""
        return self.frame.drop(self.left_out)

    def require_usable(self) -> None:
        """Raise the first column's problem, if there is one; it names the other columns that have one."""
        if not self.problems:
            return
        name, *others = self.problems
        problem = self.problems[name]
        options = " ".join(f"--drop {quoted(other)}" for other in others)
        more = f"; {listed(others)} can't be used either: {options}" if others else ""
        raise InputError(problem.rule, problem.received, problem.action + more)


NUM_FIRST_ROWS = 5


def read_columns(path: Path, options: TableOptions) -> TableColumns:
    """Read a table and judge its columns.

    Left out, with a note, are columns without values and those without a name that count the rows. Not usable are, but
    for the target: named columns that count the rows, dates and times, numbers mixed with text, free text, more than
    `MAX_CATEGORIES` categories, and types that are neither numbers, booleans nor text.

    Raises:
        InputError: The file can't be read, names are wrong or occur twice, or nothing is left beside the target.
    """
    raw = read_table(path)
    frame = _named(raw, path, options)
    typed = type_columns(frame, options.keep, raw.separator)
    inputs = typed.frame.drop(options.target) if options.target is not None else typed.frame
    left_out = {series.name: reason for series in inputs if (reason := _reason_to_leave_out(series, options.keep))}
    problems = dict(typed.problems)
    if options.target in problems:
        told = problems[options.target]
        problems[options.target] = InputError(told.rule, told.received, f"choose another target, or {told.action}")
    for series in inputs.drop(left_out):
        problem = problems.get(series.name) or _problem(series, options.keep)
        if problem is not None:
            problems[series.name] = problem
    notes = [_left_out_sentence(raw.names, name, reason) for name, reason in left_out.items()]
    notes += [f"Column {name!r} has no name." for name in inputs.drop(left_out).columns if has_no_name(name)]
    columns = TableColumns(
        frame=typed.frame,
        as_written=frame.head(NUM_FIRST_ROWS),
        words=typed.words,
        left_out=left_out,
        problems={name: problems[name] for name in frame.columns if name in problems and name not in left_out},
        notes=(*raw.notes, *_dropped(options), *notes, *typed.notes),
    )
    if columns.used.width < 2 and options.target is not None:
        rule = f"{path} must have an input column beside the target"
        raise InputError(rule, f"only {options.target!r}", "add the columns to learn from")
    return columns


def _named(raw: RawTable, path: Path, options: TableOptions) -> pl.DataFrame:
    """The frame under the columns' names, without those that are dropped."""
    names = [name or f"column {place}" for place, name in enumerate(raw.names, start=1)]
    for option, given in (("drop", options.drop), ("keep", options.keep)):
        unknown = [name for name in given if name not in names]
        if unknown:
            rule = f"{option} must name columns of {path}"
            raise InputError(rule, listed(unknown), f"choose among {listed(names)}")
    remaining = [place for place, name in enumerate(names) if name not in options.drop]
    counts = Counter(names[place] for place in remaining)
    repeated = sorted(name for name, count in counts.items() if count > 1)
    if repeated:
        raise InputError(
            f"columns of {path} must have different names",
            f"{listed(repeated)} more than once",
            f"rename one of them, or leave out all that are called so with --drop {quoted(repeated[0])}",
        )
    if options.target is not None and options.target not in counts:
        dropped = " that is left out" if options.target in options.drop else ""
        action = f"choose one of {listed(counts)}"
        raise InputError(f"target must be a column of {path}", f"{options.target!r}{dropped}", action)
    chosen = raw.frame.select([str(place) for place in remaining])
    return chosen.rename({str(place): names[place] for place in remaining})


def _dropped(options: TableOptions) -> Iterator[str]:
    if options.drop:
        yield f"Left out as asked: {listed(options.drop)}."


def _reason_to_leave_out(series: pl.Series, keep: tuple[str, ...]) -> str:
    import polars as pl

    if series.name in keep:
        return ""
    if series.null_count() == len(series):
        return "has no values"
    if not has_no_name(series.name):
        return ""
    if counts_rows(series, series.name):
        return "has no name and counts the rows"
    return "has no name and names the rows" if series.dtype == pl.String and _is_free_text(series) else ""


def _left_out_sentence(names: list[str], name: str, reason: str) -> str:
    place = names.index(name) + 1 if name in names else int(name.removeprefix("column "))
    called = f"Column {place}" if has_no_name(name) else f"Column {name!r}"
    return f"{called} {reason}: left out."


def _problem(series: pl.Series, keep: tuple[str, ...]) -> InputError | None:
    """Why an input column can't be used, or None."""
    import polars as pl

    name, is_kept = series.name, series.name in keep
    if series.dtype.is_numeric():
        return _problem_of_numbers(series, is_kept)
    if isinstance(series.dtype, pl.Date | pl.Datetime | pl.Time):
        return dates_refused(name, str(series.drop_nulls()[0]))
    if not is_category(series):
        return InputError(
            f"column {name!r} must hold numbers, booleans or text",
            f"type {series.dtype}",
            f"convert the column, or choose --drop {quoted(name)}",
        )
    num_categories, num_cells = series.drop_nulls().n_unique(), len(series) - series.null_count()
    is_free = _is_free_text(series)
    if num_categories <= MAX_CATEGORIES and not is_free:
        return None
    return InputError(
        f"column {name!r} must have at most {MAX_CATEGORIES} categories"
        + (", each of them several times" if is_free else ""),
        f"{num_categories:,} in {num_cells:,} rows",
        f"choose --drop {quoted(name)} if it is free text or names the row, or merge categories",
    )


def _is_free_text(series: pl.Series) -> bool:
    """Whether nearly every cell holds another text."""
    cells = series.drop_nulls()
    return len(cells) >= _FEWEST_CELLS and cells.n_unique() >= _SHARE_OF_FREE_TEXT * len(cells)


def _problem_of_numbers(series: pl.Series, is_kept: bool) -> InputError | None:
    import polars as pl

    name = series.name
    infinite = series.cast(pl.Float64).is_infinite().fill_null(False).arg_true()
    if len(infinite):
        row = int(infinite[0])
        return InputError(
            f"column {name!r} must hold finite numbers",
            f"{series[row]} in row {row + 1}, and {len(infinite)} such cells in all",
            "correct these cells, or leave them empty if the values are missing",
        )
    if is_kept:
        return None
    if series.dtype.is_integer() and are_compact_dates(series):
        return dates_refused(name, str(series.drop_nulls()[0]))
    if counts_rows(series, name):
        smallest, largest = series.min(), series.max()
        return InputError(
            f"column {name!r} must be an input, not a count or name of the rows",
            f"{len(series) - series.null_count():,} different whole numbers from {smallest!s} to {largest!s}",
            f"choose --drop {quoted(name)}, or --keep {quoted(name)} if it was measured",
        )
    return None


def is_category(series: pl.Series) -> bool:
    """Whether a column's values are categories: text, booleans, or a type of categories."""
    import polars as pl

    return isinstance(series.dtype, pl.String | pl.Boolean | pl.Categorical | pl.Enum)
