"""Numbers, text and tables written as HTML."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Sequence

from normlab.visible import visible

SIGNIFICANT_DIGITS = 4
MINUS = "\N{MINUS SIGN}"


def text(value: object) -> str:
    """Return `value` as text that HTML shows as it is, on any page that can be written in UTF-8."""
    return html.escape(visible(str(value)))


def fixed(values: Iterable[float]) -> Callable[[float], str]:
    """Return a writer with one number of decimals for all of `values`: the largest gets four significant digits.

    So a column of them lines up. Where the largest is below 1e-4 or at least 1e6, the writer is `scientific`.
    """
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if largest and not 1e-4 <= largest < 1e6:
        return scientific
    decimals = max(0, SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(largest))) if largest else SIGNIFICANT_DIGITS - 1
    # The z drops the sign of a number that rounds to zero.
    return lambda value: f"{value:z.{decimals}f}".replace("-", MINUS)


def scientific(value: float) -> str:
    """Return two significant digits, as a power of ten outside 0.01 to 1000; for sizes of very different order."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g}".replace("-", MINUS)
    mantissa, exponent = f"{value:.1e}".split("e")
    if -2 <= int(exponent) <= 2:
        return f"{value:.{max(0, 1 - int(exponent))}f}".replace("-", MINUS)
    return f"{mantissa} × 10<sup>{int(exponent)}</sup>".replace("-", MINUS)


def plain(value: float) -> str:
    """Return a count or a setting with the digits that it was given, up to six."""
    return f"{value:g}".replace("-", MINUS) if isinstance(value, float) else f"{value:d}".replace("-", MINUS)


def plural(noun: str, count: int) -> str:
    """Return `noun`, with an s where `count` is not one."""
    return noun if count == 1 else noun + "s"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], row_classes: Sequence[str] = ()) -> str:
    """Return a table of cells that are HTML already; a cell that starts as a number does gets the class `num`.

    So does a column's title where the first cell below it is a number.
    """
    body = []
    for row, name in zip(rows, row_classes or [""] * len(rows), strict=True):
        cells = "".join(f'<td class="num">{cell}</td>' if _is_number(cell) else f"<td>{cell}</td>" for cell in row)
        body.append(f'<tr class="{name}">{cells}</tr>' if name else f"<tr>{cells}</tr>")
    first = rows[0] if rows else [""] * len(head)
    titles = "".join(
        f'<th scope="col" class="num">{title}</th>' if _is_number(cell) else f'<th scope="col">{title}</th>'
        for title, cell in zip(head, first, strict=True)
    )
    return f"<table>\n<thead><tr>{titles}</tr></thead>\n<tbody>\n" + "\n".join(body) + "\n</tbody>\n</table>"


def _is_number(cell: str) -> bool:
    return cell.removeprefix(MINUS)[:1].isdigit() or cell in ("nan", "inf", MINUS + "inf")
