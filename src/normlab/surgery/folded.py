"""What folding returns: the new model, what became of every norm, and the measured proof."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from normlab.surgery.table import render, table

if TYPE_CHECKING:
    import keras
    from rich.table import Table


@dataclass(frozen=True)
class Fold:
    """What became of one norm.

    Attributes:
        norm: Path of the norm: names, "/" between nested models.
        into: Path of the layer that took it in; "" where it stays.
        reason: Why it stays; "" where it was folded.
        parameters: Numbers that the norm kept, moving statistics among them.
    """

    norm: str
    into: str
    reason: str
    parameters: int


@dataclass(frozen=True)
class Difference:
    """Old model against new in evaluation mode, over the outputs and every place where a norm was folded.

    Attributes:
        inputs: What was fed: "random" or "data", and to which nested model.
        samples: How many.
        largest: The largest absolute difference.
        relative: The largest, over the tensors, of a tensor's largest difference by its largest absolute value.
        where: The layer where `relative` was found.
    """

    inputs: str
    samples: int
    largest: float
    relative: float
    where: str


@dataclass(frozen=True)
class Folded:
    """A model for evaluation with batch norms folded away, not compiled; printed, it shows the tables."""

    model: keras.Model = field(repr=False)
    folds: tuple[Fold, ...]
    differences: tuple[Difference, ...]

    @property
    def num_folded(self) -> int:
        """How many norms were folded."""
        return sum(1 for row in self.folds if row.into)

    def table(self) -> Table:
        """Return what became of every norm as a table for a rich console."""
        rows = [
            (row.norm, f"folded into {row.into}" if row.into else "stays", str(row.parameters), row.reason)
            for row in self.folds
        ]
        return table(("norm", "outcome", ">parameters", "reason"), rows)

    def proof(self) -> Table:
        """Return the measured differences as a table for a rich console."""
        rows = [
            (row.inputs, str(row.samples), f"{row.largest:.1e}", f"{row.relative:.1e}", row.where)
            for row in self.differences
        ]
        return table(("input", ">samples", ">max difference", ">relative", "where"), rows)

    def __str__(self) -> str:
        """Return both tables as text."""
        return f"{render(self.table()) if self.folds else 'no norm to fold'}\n\n{render(self.proof())}"
