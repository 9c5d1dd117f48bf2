"""The one figure that shows a claim, as numbers; `report` draws it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Drawing:
    """Numbers of a figure, and how they are to be drawn.

    Attributes:
        kind: `lines`: y over a numeric x, a line per series, with a band where `low` and `high` are given; `points`: y
            by a category x, a mark per series, with an interval where `low` and `high` are given.
        title: A few words.
        x: Title of the x axis, with its unit.
        y: Title of the y axis, with its unit.
        rows: Mappings with `series`, `x`, `y` and, where there is a spread, `low` and `high`.
        caption: What is drawn: which summary of which runs, what the band is.
        log_x: Whether the x axis is logarithmic.
        log_y: Whether the y axis is.
        reference: A y value to compare with ("no difference", a target), drawn as a rule; None for none.
    """

    kind: Literal["lines", "points"]
    title: str
    x: str
    y: str
    rows: Sequence[Mapping[str, Any]]
    caption: str
    log_x: bool = False
    log_y: bool = False
    reference: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the drawing for claims.json; a number that is not finite becomes null."""
        plain = asdict(self)
        plain["rows"] = [{name: _finite(value) for name, value in row.items()} for row in self.rows]
        return plain


def quartiles(column: str) -> list[pl.Expr]:
    """Return the median of a column as `y`, and its quartiles as `low` and `high`, to aggregate groups of seeds by."""
    import polars as pl

    value = pl.col(column)
    ends = {"low": 0.25, "high": 0.75}
    return [value.median().alias("y"), *(value.quantile(q, "linear").alias(name) for name, q in ends.items())]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
