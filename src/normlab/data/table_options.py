"""What a user may say about a table: its target and task, columns to leave out or keep, and missing values."""

from __future__ import annotations

from typing import NamedTuple

from normlab.data.dataset import Task
from normlab.data.missing import Missing
from normlab.errors import InputError, listed


class TableOptions(NamedTuple):
    """Options of a table.

    Args:
        target: Name of the target column.
        missing: What is done about missing values, see `handle_missing`.
        drop: Columns that are left out.
        keep: Columns that are inputs although they look like row numbers.
        task: What the target holds; default: what its type and values say, see `decide_task`.
    """

    target: str | None = None
    missing: Missing = "error"
    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    task: Task | None = None

    def require_none(self, source: str) -> None:
        """Raise `InputError` where a column is named although the data are no table."""
        for option, columns in (
            ("target", () if self.target is None else (self.target,)),
            ("drop", self.drop),
            ("keep", self.keep),
        ):
            if columns:
                rule = f"{option} must be left out unless the data are a table, such as a .csv or .parquet file"
                raise InputError(rule, f"{listed(columns)} with {source}", f"leave {option} out")
