"""Fold batch norm, as it is in evaluation mode, into the linear layer before or behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from normlab.surgery.affine import assign
from normlab.surgery.comparison import Difference
from normlab.surgery.copying import copy_layer, zeros_at_first
from normlab.surgery.foldplan import Fold, plan_folds
from normlab.surgery.graph import rebuild, require_graph
from normlab.surgery.inputs import random_inputs, require_inputs
from normlab.surgery.proof import prove
from normlab.surgery.table import render, table

if TYPE_CHECKING:
    import keras
    from rich.table import Table


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
        # "before" and "after": relative errors against float64.
        headers = ("input", ">samples", ">max difference", ">relative", ">before", ">after", "where")
        rows = [
            (
                *(row.inputs, str(row.samples), f"{row.largest:.1e}", f"{row.relative:.1e}"),
                *("-" if error is None else f"{error:.1e}" for error in (row.own_error, row.folded_error)),
                row.where,
            )
            for row in self.differences
        ]
        return table(headers, rows)

    def __str__(self) -> str:
        """Return both tables as text."""
        return f"{render(self.table()) if self.folds else 'no norm to fold'}\n\n{render(self.proof())}"


def fold(model: keras.Model, data: Any = None, seed: int = 0) -> Folded:
    """Return a copy of a model for evaluation, with every foldable BatchNormalization folded into a neighbour.

    With scale = gamma / sqrt(moving_variance + epsilon) and shift = beta - moving_mean * scale, a norm behind
    y = W x + b gives W' = scale W, b' = scale b + shift; a norm before it W' = W scale, b' = b + W shift, which is
    exact where the layer pads nothing. A norm that cannot be folded stays, with the reason in the table.

    The copy is proven: old and new run in evaluation mode, on `data` or else on random input, and are compared at the
    outputs and at every folded place, with a float64 twin of the old model as the reference (see
    `normlab.surgery.proof`). A model in half precision is compared in float32.

    Args:
        model: A Functional or Sequential model, with branches, shared layers and nested models if need be. Unchanged.
        data: Inputs for the proof: an array, or arrays in the structure of the model's inputs. Random if None.
        seed: Draws the random input.

    Raises:
        InputError: If the model is subclassed or unbuilt, `data` does not fit it, the model raises an error on the
            input or accepts no random one, a formula is off in float64, or a tensor differs by more than 1e-4 of its
            largest value and is more than four times as far from float64 as that of the old model.
    """
    import keras

    require_graph(model)
    arrays = None if data is None else require_inputs(model, data)
    plan = plan_folds(model)
    with zeros_at_first():
        copies = {layer: copy_layer(layer, changed={"use_bias": True}) for layer in plan.weights}
        changes: dict[int, list[keras.layers.Layer]] = {id(layer): [copy] for layer, copy in copies.items()}
        for norm, is_output in plan.removed:  # where a norm is an output, an identity keeps the output's name
            changes[id(norm)] = [keras.layers.Identity(name=norm.name)] if is_output else []
        rebuilt = rebuild(model, changes)
        for layer, weights in plan.weights.items():
            assign(copies[layer], layer, weights)
        given, name = (random_inputs(model, seed), "random") if arrays is None else (arrays, "data")
        differences = prove(model, rebuilt, plan, given, name)
    return Folded(rebuilt.model, tuple(plan.folds), tuple(differences))
