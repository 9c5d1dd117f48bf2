"""How a text file is laid out as a table: its separator, its header row, comments, and where the rows begin."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from normlab.data.cells import is_missing_word

# Where several fit, the first is taken: commas also occur inside numbers.
_SEPARATORS = {"\t": "tab", ";": "semicolon", "|": "vertical bar", ",": "comma"}
_SAMPLE_BYTES, _SAMPLE_ROWS = 2**17, 500
_FEWEST_LINES, _MOST_SAMPLE_BYTES = 5, 2**24
_MOST_COMMENTS = 200
_NUMBER = re.compile(r"[+-]?(\d[\d.,]*|[.,]\d+)([eE][+-]?\d+)?")
_DECIMAL = re.compile(r"[+-]?\d*[.,]\d+([eE][+-]?\d+)?|[+-]?\d+[eE][+-]?\d+")
_SEPARATOR_LINE = re.compile(rb'"?sep=(.)"?\r?\n', re.IGNORECASE)
_WORD_OR_SPACES = re.compile(rb'"[^"\n]*"|[ \t]+')
_FEWEST_NAMES_THAT_COUNT = 3


class Layout(NamedTuple):
    """A table's text.

    Args:
        separator: One character.
        names: Of the columns, as written; by number, from "1", where there is no header row.
        rows: The rows of data in UTF-8, without header and comments around them.
        notes: Sentences on what was inferred.
    """

    separator: str
    names: list[str]
    rows: bytes
    notes: tuple[str, ...]


class _Sample(NamedTuple):
    """The first records as one separator splits them, and how many cells most of them have."""

    records: list[list[str]]
    header_lines: int
    width: int


def lay_out(text: bytes) -> Layout:
    """Find separator, header and rows of a table in UTF-8 with line feeds.

    The separator is the one by which the most records, the header among them, have the same number of cells, at least
    two; without any, runs of spaces, else a comma. The first row is data, and the columns are called by number, where
    its cells are like those below: numbers above numbers, or text that occurs again in its column; numbers that count
    up by one are names. One cell less in the header than in the rows is a column of row names without a name.
    """
    notes: list[str] = []
    text, given = _without_separator_line(text)
    text, comments = _without_leading_comments(text)
    separator = given or _separator(text)
    spaced = _with_tabs(text) if separator is None or (separator == "\t" and _is_padded(text)) else None
    if spaced is not None:
        text, comments, separator = spaced, [_with_tabs(comment) or comment for comment in comments], "\t"
        notes.append("Columns are separated by spaces.")
    elif separator not in (None, ","):
        notes.append(f"The separator is a {_SEPARATORS.get(separator, repr(separator))}.")
    separator = separator or ","
    sample = _sample(text, separator)
    text, num_trailing = _without_trailing_comments(text, separator, sample.width)
    names, rows = _header(text, sample)
    if names is None and comments:
        commented = next(csv.reader([_decoded(comments[-1]).lstrip("# ")], delimiter=separator), [])
        if len(commented) == sample.width > 1:
            names, comments = commented, comments[:-1]
    if names is None:
        names = [str(number) for number in range(1, sample.width + 1)]
        notes.append(f"The file has no header row: its columns are called 1 to {sample.width}.")
    elif len(names) + 1 == sample.width:
        last_is_empty = all(len(record) < sample.width or not record[-1] for record in sample.records[1:])
        names = [*names, ""] if last_is_empty else ["", *names]
    if num_comments := len(comments) + num_trailing:
        were = "lines were" if num_comments > 1 else "line was"
        notes.append(f"{num_comments} comment {were} left out.")
    return Layout(separator, names, rows, tuple(notes))


def _without_separator_line(text: bytes) -> tuple[bytes, str | None]:
    """Text without the line `sep=;` that spreadsheets write above a table, and what it says."""
    found = _SEPARATOR_LINE.match(text)
    return (text[found.end() :], _decoded(found[1])) if found else (text, None)


def _without_leading_comments(text: bytes) -> tuple[bytes, list[bytes]]:
    """Text from its first line that is neither blank nor begins with #, and the lines above that do."""
    comments: list[bytes] = []
    start = 0
    while start < len(text) and len(comments) <= _MOST_COMMENTS:
        end = text.find(b"\n", start) + 1 or len(text)
        line = text[start:end].strip()
        if line and not line.startswith(b"#"):
            return text[start:], comments
        comments += [line] if line else []
        start = end
    return text, []  # all lines begin so: they are no comments


def _without_trailing_comments(text: bytes, separator: str, width: int) -> tuple[bytes, int]:
    """Text without the last lines that begin with # and have another number of cells, and how many they are."""
    num_comments = 0
    while True:
        text = text.rstrip(b"\r\n") + b"\n"
        start = text.rfind(b"\n", 0, len(text) - 1) + 1
        line = _decoded(text[start:]).strip()
        if start == 0 or not line.startswith("#") or line.count(separator) + 1 == width:
            return text, num_comments
        text, num_comments = text[:start], num_comments + 1


def _separator(text: bytes) -> str | None:
    """The separator that fits best, or None where none gives two columns."""
    best, best_fit = None, (False, 0.0)
    for separator in _SEPARATORS:
        sample = _sample(text, separator)
        if sample.width < 2:
            continue
        counts = [len(record) for record in sample.records]
        fit = (counts[0] == sample.width, round(counts.count(sample.width) / len(counts), 1))
        if fit > best_fit:
            best, best_fit = separator, fit
    return best


def _sample(text: bytes, separator: str) -> _Sample:
    """The first records; the width is that of most rows below the first, or of the first where it is longer."""
    lines = (f"{line.rstrip(chr(13)).replace(chr(13), ' ')}\n" for line in _decoded(_beginning(text)).split("\n"))
    records: list[list[str]] = []
    header_lines = 0
    try:
        for record, line_number in _numbered(lines, separator):
            header_lines = header_lines or (line_number if record else 0)
            records += [record] if record else []
            if len(records) > _SAMPLE_ROWS:
                break
    except csv.Error:  # a cell beyond the longest
        pass
    counts = Counter(len(record) for record in records[1:] or records)
    most_common = max(counts, key=lambda count: (counts[count], count), default=0)
    return _Sample(records, header_lines, max(most_common, len(records[0]) if records else 0))


def _beginning(text: bytes) -> bytes:
    """The first whole lines: as many as the sample holds, and a few however long they are."""
    end = 0
    for _ in range(_FEWEST_LINES):
        end = text.find(b"\n", end) + 1 or len(text)
    return text[: max(min(end, _MOST_SAMPLE_BYTES), text.rfind(b"\n", 0, _SAMPLE_BYTES) + 1)]


def _numbered(lines: Iterator[str], separator: str) -> Iterator[tuple[list[str], int]]:
    reader = csv.reader(lines, delimiter=separator)
    for record in reader:
        yield record, reader.line_num


def _header(text: bytes, sample: _Sample) -> tuple[list[str] | None, bytes]:
    """The names in the first row and the text below it, or None and all the text if the first row is data."""
    if not sample.records or _first_is_data(sample):
        return None if sample.records else [], text
    end = 0
    for _ in range(sample.header_lines):
        end = text.find(b"\n", end) + 1 or len(text)
    return sample.records[0], text[end:]


def _first_is_data(sample: _Sample) -> bool:
    first, below = [cell.strip() for cell in sample.records[0]], sample.records[1:]
    if not below or len(first) < sample.width or _count_up(first):
        return False
    alike = []
    for index, cell in enumerate(first):
        column = [record[index].strip() for record in below if index < len(record)]
        values = [value for value in column if not is_missing_word(value)]
        is_numeric = 2 * sum(_NUMBER.fullmatch(value) is not None for value in values) > len(values)
        if is_missing_word(cell):
            continue
        if is_numeric and not _NUMBER.fullmatch(cell):
            return False  # a name above numbers
        if is_numeric and _DECIMAL.fullmatch(cell):
            return True  # no name is a number with decimals
        alike.append(is_numeric or cell in values)
    return bool(alike) and all(alike)


def _count_up(cells: list[str]) -> bool:
    """Whether the cells count up by one: names such as 0, 1, 2 or 1990, 1991, 1992."""
    if len(cells) < _FEWEST_NAMES_THAT_COUNT or not all(cell.isdecimal() and len(cell) < 10 for cell in cells):
        return False
    start = int(cells[0])
    return [int(cell) for cell in cells] == list(range(start, start + len(cells)))


def _with_tabs(text: bytes) -> bytes | None:
    """Text with tabs in place of runs of spaces, if most lines then have the same number of cells, two or more."""
    lines = text[:_SAMPLE_BYTES].splitlines()[:_SAMPLE_ROWS]
    counts = Counter(len(_WORD_OR_SPACES.sub(_tab, line.strip()).split(b"\t")) for line in lines if line.strip())
    width, number = counts.most_common(1)[0] if counts else (1, 0)
    if width < 2 or number < 0.9 * counts.total():
        return None
    return b"\n".join(_WORD_OR_SPACES.sub(_tab, line.strip()) for line in text.split(b"\n"))


def _is_padded(text: bytes) -> bool:
    """Whether cells between tabs hold columns of their own, apart by runs of spaces, in nearly every line."""
    lines = [line.strip() for line in text[:_SAMPLE_BYTES].splitlines()[:_SAMPLE_ROWS] if line.strip()]
    padded = sum(re.search(rb"\S  +\S", line.replace(b'"', b"")) is not None for line in lines)
    return padded >= 0.9 * len(lines)


def _tab(found: re.Match[bytes]) -> bytes:
    return found[0] if found[0].startswith(b'"') else b"\t"


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "replace")
