"""Fold batch norm, as it is in evaluation mode, into the linear layer before or behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from normlab.surgery.affine import assign
from normlab.surgery.copying import HALF_PRECISION, copy_layer
from normlab.surgery.folded import Difference, Folded
from normlab.surgery.foldplan import FoldPlan, plan_folds
from normlab.surgery.graph import Rebuilt, rebuild, require_graph
from normlab.surgery.proof import prove, random_inputs, require_inputs

if TYPE_CHECKING:
    import keras


def fold(model: keras.Model, data: Any = None, seed: int = 0) -> Folded:
    """Return a copy of a model for evaluation, with every foldable BatchNormalization folded into a neighbour.

    With scale = gamma / sqrt(moving_variance + epsilon) and shift = beta - moving_mean * scale, a norm behind
    y = W x + b gives W' = scale W, b' = scale b + shift; a norm before it W' = W scale, b' = b + W shift, which is
    exact where the layer pads nothing. A norm that cannot be folded stays, with the reason in the table.

    The copy is proven: old and new run in evaluation mode, on random input and on `data`, and are compared at the
    outputs and at every folded place. A model in half precision is compared in float32.

    Args:
        model: A Functional or Sequential model, with branches, shared layers and nested models if need be. Unchanged.
        data: Real inputs for the proof: an array, or arrays in the structure of the model's inputs.
        seed: Draws the random input.

    Raises:
        InputError: If the model is subclassed or unbuilt, `data` does not fit it, or a tensor differs by more than
            1e-4 of its largest value.
    """
    import keras

    require_graph(model)
    arrays = None if data is None else require_inputs(model, data)
    plan = plan_folds(model)
    copies = {layer: copy_layer(layer, changed={"use_bias": True}) for layer in plan.weights}
    changes: dict[int, list[keras.layers.Layer]] = {id(layer): [copy] for layer, copy in copies.items()}
    for norm, is_output in plan.removed:  # where a norm is an output, an identity keeps the output's name
        changes[id(norm)] = [keras.layers.Identity(name=norm.name)] if is_output else []
    rebuilt = rebuild(model, changes)
    for layer, weights in plan.weights.items():
        assign(copies[layer], layer, weights)
    return Folded(rebuilt.model, tuple(plan.folds), tuple(_proofs(model, rebuilt, plan, arrays, seed)))


def _proofs(model: keras.Model, rebuilt: Rebuilt, plan: FoldPlan, arrays: Any, seed: int) -> list[Difference]:
    """Compare the model, and each nested model in which a norm was folded."""
    is_half = any(getattr(layer, "compute_dtype", "") in HALF_PRECISION for layer in model._flatten_layers())
    proofs = []
    pairs_of_model = next((pairs for path, _, pairs in plan.pairs if not path), {})
    nested = [(path, inner, pairs) for path, inner, pairs in plan.pairs if path]
    for path, inner, pairs in [("", model, pairs_of_model), *nested]:
        old, new = inner, rebuilt.layers[id(inner)][0] if path else rebuilt.model
        if is_half:
            old, new = rebuild(old, {}, "float32").model, rebuild(new, {}, "float32").model
        name = f"random, into {path}" if path else "random"
        named = [(norm, layer) for layer, norm in pairs.items()]
        proofs.append(prove(old, new, named, random_inputs(inner, seed), name))
        if arrays is not None and not path:
            proofs.append(prove(old, new, named, arrays, "data"))
    return proofs
