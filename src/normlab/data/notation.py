"""Numbers as people write them: thousands separators, decimal commas, per cent, currencies, parentheses, a unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import polars as pl

DecimalSign = Literal["point", "comma"]

_CURRENCY = r"US\$|R\$|[$€£¥₹₽₩₺₪฿]|(?:USD|EUR|GBP|CHF|JPY|INR|CNY|AUD|CAD|SEK|NOK|DKK|PLN|Rs\.?|Fr\.|kr\.?)\b"
_UNIT = r"[%‰]|[\p{L}°µμΩ][\p{L}\d°µμΩ²³/·.^*%]*(?: \p{L}+){0,2}"
_CELL = (
    rf"^(?P<open>\()? ?(?P<sign>[+\-−–])? ?(?P<before>{_CURRENCY})? ?(?P<sign_after>[+\-−–])? ?"
    r"(?P<body>\d[\d.,'’ ]*?|[.,]\d+)(?P<exponent>[eE][+-]?\d+)? ?"
    rf"(?:(?P<after>{_CURRENCY})|(?P<unit>{_UNIT}))? ?(?P<close>\))?(?P<sign_end>-)?$"
)
_SPACES = r"[\s\x{00a0}\x{2007}\x{2009}\x{202f}]+"
_ORDINALS = ("st", "nd", "rd", "th")
_GROUPS = r"[1-9]\d{0,2}(?: \d{3})+|[1-9]\d{0,2}(?:['’]\d{3})+"
_POINT = rf"^(?:(?:\d+|{_GROUPS}|[1-9]\d{{0,2}}(?:,\d{{2,3}})*,\d{{3}})(?:\.\d*)?|\.\d+)$"
_COMMA = rf"^(?:(?:\d+|{_GROUPS}|[1-9]\d{{0,2}}(?:\.\d{{3}})+)(?:,\d*)?|,\d+)$"
_POINTS_AS_THOUSANDS = r"^[+-]?[1-9]\d{0,2}(?:\.\d{3})+$"


class Numbers(NamedTuple):
    """What a column of text says when it is read as numbers.

    Args:
        values: Int64 where all cells are whole numbers without a mark, else Float64; null where a cell is no number.
        marks: What stood beside the digits, as sentences without their column.
        decimal: The decimal sign that a cell shows beyond doubt, if any; "either" where all could be read both ways.
    """

    values: pl.Series
    marks: tuple[str, ...]
    decimal: DecimalSign | Literal["either"] | None


def read_numbers(text: pl.Series, otherwise: DecimalSign) -> Numbers:
    """Read cells of text as numbers, all with one decimal sign, one currency and one unit.

    `1,037` and `1.037` can be read both ways. Other cells of the column decide, else `otherwise`. A unit or per cent
    sign that only some cells have leaves the fewer of both unread, as it does a second unit.

    Args:
        text: Stripped cells; null where a value is missing.
        otherwise: The decimal sign where the column itself does not tell.
    """
    import polars as pl

    parts = text.str.replace_all(_SPACES, " ").str.extract_groups(_CELL).struct.unnest()
    frame = parts.with_columns(
        currency=pl.coalesce("before", "after"),
        point=pl.col("body").str.contains(_POINT),
        comma=pl.col("body").str.contains(_COMMA),
        is_number=pl.col("body").is_not_null()
        & (pl.col("open").is_null() == pl.col("close").is_null())
        & (pl.sum_horizontal(pl.col("sign", "sign_after", "open", "sign_end").is_not_null()) <= 1)
        & ~pl.col("unit").is_in(_ORDINALS).fill_null(False),
    )
    frame = frame.with_columns(is_number=pl.col("is_number") & (pl.col("point") | pl.col("comma")))
    read = frame.filter("is_number")
    shown = _decimal(read)
    sign = otherwise if shown in ("either", None) else shown
    is_read = frame["is_number"] & frame[sign]
    is_read = is_read & _of_one(frame, is_read, "currency", may_be_absent=True)
    is_read = is_read & _of_one(frame, is_read, "unit", may_be_absent=False)
    frame = frame.with_columns(is_number=is_read.fill_null(False))
    values = _values(frame, sign)
    return Numbers(values, _marks(frame.filter("is_number"), sign), shown)


def are_thousands_with_points(text: pl.Series) -> bool:
    """Whether every cell that has a point can be read as a number with points between thousands."""
    pointed = text.drop_nulls()
    pointed = pointed.filter(pointed.str.contains(".", literal=True))
    return len(pointed) > 0 and bool(pointed.str.contains(_POINTS_AS_THOUSANDS).all())


def have_thousands(text: pl.Series) -> bool:
    """Whether numbers with one point or comma before three digits stand beside whole numbers below 1,000 without one.

    Numbers with three decimals would have a point or comma everywhere.
    """
    cells = text.drop_nulls()
    is_marked = cells.str.contains(r"[.,]")
    bare, marked = cells.filter(~is_marked), cells.filter(is_marked)
    return (
        len(bare) > 0
        and len(marked) > 0
        and bool(bare.str.contains(r"^[+-]?\d{1,3}$").all())
        and bool(marked.str.contains(r"^[+-]?[1-9]\d{0,2}(?:\.\d{3})+$|^[+-]?[1-9]\d{0,2}(?:,\d{3})+$").all())
    )


def _decimal(read: pl.DataFrame) -> DecimalSign | Literal["either"] | None:
    """The decimal sign that more cells show beyond doubt."""
    num_points = int((read["point"] & ~read["comma"]).sum())
    num_commas = int((read["comma"] & ~read["point"]).sum())
    if num_points or num_commas:
        return "point" if num_points >= num_commas else "comma"
    if have_thousands(read["body"]):
        return "point" if bool(read["body"].str.contains(",", literal=True).any()) else "comma"
    return "either" if bool(read["body"].str.contains(r"[.,]").any()) else None


def _of_one(frame: pl.DataFrame, is_read: pl.Series, mark: str, *, may_be_absent: bool) -> pl.Series:
    """Which cells have the mark that the column has: the most frequent one, or none."""
    import polars as pl

    marks = frame[mark].filter(is_read.fill_null(False))
    most = marks.drop_nulls().value_counts(sort=True)
    if not len(most):
        return pl.Series([True], dtype=pl.Boolean).new_from_index(0, len(frame))
    first, number = most.row(0)
    num_marked = len(marks) - marks.null_count()
    if 2 * number < num_marked:  # many marks, and none of them usual: such as 12A, 14B, 9C
        return frame[mark].is_null()
    has_first = (frame[mark] == first).fill_null(False)
    if may_be_absent:
        return has_first | frame[mark].is_null()
    return has_first if 2 * num_marked >= len(marks) else frame[mark].is_null()


def _values(frame: pl.DataFrame, sign: str) -> pl.Series:
    import polars as pl

    thousands, decimal = (r"[,'’ ]", ".") if sign == "point" else (r"[.'’ ]", ",")
    digits = pl.col("body").str.replace_all(thousands, "").str.replace(decimal, ".", literal=True)
    minus = ("-", "−", "–")
    is_negative = (
        pl.col("sign").is_in(minus).fill_null(False)
        ^ pl.col("sign_after").is_in(minus).fill_null(False)
        ^ pl.col("open").is_not_null()
        ^ pl.col("sign_end").is_not_null()
    )
    read = frame.select(
        whole=pl.when("is_number").then(digits.cast(pl.Int64, strict=False)),
        value=pl.when("is_number").then((digits + pl.col("exponent").fill_null("")).cast(pl.Float64, strict=False)),
        factor=pl.when(is_negative).then(-1).otherwise(1),
        is_plain=pl.col("exponent").is_null() & pl.col("unit").is_null() & pl.col("currency").is_null(),
        is_number="is_number",
    )
    are_whole = bool((read["whole"].is_not_null() & read["is_plain"]).filter(read["is_number"]).all())
    return read["whole"] * read["factor"] if are_whole else read["value"] * read["factor"]


def _marks(read: pl.DataFrame, sign: str) -> tuple[str, ...]:
    """Sentences, without their column, on what was read away."""
    thousands = (",", " ", "'", "’") if sign == "point" else (".", " ", "'", "’")
    found = []
    if sign == "comma" and read["body"].str.contains(",", literal=True).any():
        found.append("Read with decimal commas")
    found += [
        f"Read as numbers with {mark!r} between thousands"
        for mark in thousands
        if read["body"].str.contains(mark, literal=True).any()
    ]
    for mark in ("currency", "unit"):
        found += [f"Read as numbers without {word!r}" for word in sorted(read[mark].drop_nulls().unique().to_list())]
    if read["open"].is_not_null().any():
        found.append("Read as negative where in parentheses")
    return tuple(found)
