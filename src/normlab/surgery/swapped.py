"""What a swap returns: the new model and what changed in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from normlab.surgery.table import render, table

if TYPE_CHECKING:
    import keras
    from rich.table import Table


@dataclass(frozen=True)
class Change:
    """What became of one place.

    Attributes:
        layer: Path of the norm, or of the layer after which one was inserted: names, "/" between nested models.
        old: Class of the old norm; "" where there was none.
        new: Class of the new norm; "" where it was removed. A norm of weights wraps the layer at the path.
        parameters_before: Numbers that the old norm kept, moving statistics among them.
        parameters_after: The same of the new norm.
        note: What else a reader must know; often "".
    """

    layer: str
    old: str
    new: str
    parameters_before: int
    parameters_after: int
    note: str


@dataclass(frozen=True)
class Swapped:
    """A model with other norms, not compiled, and what changed; printed, it shows the table of changes.

    Attributes:
        model: The new model.
        changes: A row per place.
        sources: By `id` of a variable of the new model, the old model's variable that its value comes from; the
            variables of new norms have none, save for a norm of weights, whose gain comes from the kernel.
    """

    model: keras.Model = field(repr=False)
    changes: tuple[Change, ...]
    sources: Mapping[int, keras.Variable] = field(repr=False)

    def table(self) -> Table:
        """Return the changes as a table for a rich console."""
        rows = [
            (row.layer, row.old or "-", row.new or "-", f"{row.parameters_before} → {row.parameters_after}", row.note)
            for row in self.changes
        ]
        return table(("layer", "old norm", "new norm", ">parameters", "note"), rows)

    def __str__(self) -> str:
        """Return the table of changes as text."""
        return render(self.table()) if self.changes else "no norm to change"
