"""Which batch norms can be folded, into which layer, and why the others cannot."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from normlab.surgery.affine import Rule, Weights, affine_of, rule_after, rule_before, weights_of
from normlab.surgery.graph import Call, calls
from normlab.surgery.kinds import has_fused_activation, is_activation, is_graph, norm_classes, norms_inside

if TYPE_CHECKING:
    import keras


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
class Place:
    """Where norms were folded: the calls between `start` and `end` are now one layer.

    Attributes:
        layer: The old layer that took them in.
        start: What goes into the first of these calls.
        end: What comes out of the last.
        norm: Name of the layer whose output `end` is.
    """

    layer: keras.layers.Layer
    start: keras.KerasTensor
    end: keras.KerasTensor
    norm: str


@dataclass
class FoldPlan:
    """What folding will do to a model and the models nested in it.

    Attributes:
        folds: What becomes of every norm.
        removed: The norms that go, each with whether it is an output of its graph.
        weights: The layers that change, each with its folded weights.
        places: By graph, as (path, model): by `id` of a changed layer, its place.
    """

    folds: list[Fold] = field(default_factory=list)
    removed: list[tuple[keras.layers.Layer, bool]] = field(default_factory=list)
    weights: dict[keras.layers.Layer, Weights] = field(default_factory=dict)
    places: list[tuple[str, keras.Model, dict[int, Place]]] = field(default_factory=list)


def plan_folds(model: keras.Model) -> FoldPlan:
    """Decide on every norm of a model, in the order of the graph, nested models each once."""
    plan = FoldPlan()
    uses: Counter[int] = Counter()
    always_training: set[int] = set()
    _count_uses(model, False, uses, always_training, set())
    _plan_graph(model, "", _Context(plan, uses, always_training, norm_classes()), set())
    return plan


@dataclass(frozen=True)
class _Context:
    plan: FoldPlan
    uses: Counter[int]
    always_training: set[int]
    kinds: tuple[type, ...]


class _RefusalError(Exception):
    """Why a norm cannot be folded one way; caught where the other way is tried."""


class _Graph:
    """A graph as folding sees it: who makes a tensor, who uses it, and which norms are gone already."""

    def __init__(self, model: keras.Model) -> None:
        self.calls = calls(model)
        self.makers = {id(tensor): call for call in self.calls for tensor in call.outputs}
        self.ends = {id(tensor) for tensor in model.outputs}
        self.users: dict[int, list[Call]] = {}
        for call in self.calls:
            for tensor in call.inputs:
                self.users.setdefault(id(tensor), []).append(call)
        self.gone: dict[int, keras.KerasTensor] = {}

    def only_maker(self, tensor: keras.KerasTensor) -> Call:
        """Return the call that makes a tensor which nothing but one norm uses, seen through norms that are gone."""
        while True:
            self.require_one_use(tensor, "before")
            if id(tensor) not in self.gone:
                break
            tensor = self.gone[id(tensor)]
        if id(tensor) not in self.makers:
            raise _RefusalError("nothing before it but the input of its model")
        return self.makers[id(tensor)]

    def only_user(self, tensor: keras.KerasTensor) -> Call:
        """Return the one call that uses a tensor."""
        if not self.users.get(id(tensor)):
            raise _RefusalError("nothing behind it but the output of its model")
        self.require_one_use(tensor, "behind")
        return self.users[id(tensor)][0]

    def require_one_use(self, tensor: keras.KerasTensor, side: str) -> None:
        num_uses = len(self.users.get(id(tensor), [])) + (id(tensor) in self.ends)
        if num_uses != 1:
            raise _RefusalError(f"the tensor {side} it has {num_uses} consumers")


def _count_uses(
    model: keras.Model, forced: bool, uses: Counter[int], always_training: set[int], seen: set[int]
) -> None:
    """Count how often every layer is called, and note the models that always run in training mode."""
    is_new = id(model) not in seen
    seen.add(id(model))
    for call in calls(model):
        if is_new:
            uses[id(call.layer)] += 1
        if is_graph(call.layer):
            inner_forced = forced or call.trains_always
            if inner_forced:
                always_training.add(id(call.layer))
            _count_uses(call.layer, inner_forced, uses, always_training, seen)


def _plan_graph(model: keras.Model, prefix: str, context: _Context, done: set[int]) -> None:
    graph, places = _Graph(model), dict[int, Place]()
    forced = id(model) in context.always_training
    for call in graph.calls:
        layer: Any = call.layer
        path = f"{prefix}{layer.name}"
        if id(layer) in done:
            continue
        done.add(id(layer))
        if is_graph(layer):
            _plan_graph(layer, f"{path}/", context, done)
        elif isinstance(layer, context.kinds):
            into, reason = _decide(call, graph, context, places, forced)
            context.plan.folds.append(Fold(path, into and f"{prefix}{into}", reason, call.layer.count_params()))
        else:
            for inner in norms_inside(layer, context.kinds):
                reason = f"inside {path} of class {type(layer).__name__}"
                context.plan.folds.append(Fold(f"{path}/{inner.name}", "", reason, inner.count_params()))
    if places:
        context.plan.places.append((prefix.removesuffix("/"), model, places))


def _decide(call: Call, graph: _Graph, context: _Context, places: dict[int, Place], forced: bool) -> tuple[str, str]:
    """Fold a norm if possible; return the name of the layer that took it, and why none did."""
    import keras

    norm = call.layer
    if type(norm) is not keras.layers.BatchNormalization:
        return "", f"a {type(norm).__name__}; only Keras's BatchNormalization is folded"
    if forced or call.trains_always:
        return "", "called with training=True, so that its moments come from the batch"
    if context.uses[id(norm)] > 1:
        return "", f"a shared layer, called {context.uses[id(norm)]} times"
    reasons = []
    for attempt in (_fold_backward, _fold_forward):
        try:
            return attempt(call, graph, context.plan, context.uses, places), ""
        except _RefusalError as refusal:
            reasons.append(str(refusal))
    return "", "; ".join(reasons)


def _fold_backward(call: Call, graph: _Graph, plan: FoldPlan, uses: Counter[int], places: dict[int, Place]) -> str:
    """Fold a norm into the linear layer whose output it alone normalizes; return its name, or refuse."""
    norm, maker = call.layer, graph.only_maker(call.inputs[0])
    layer: Any = maker.layer
    rule = _require_plain(layer, rule_after(layer), "before", uses)
    if has_fused_activation(layer):
        raise _RefusalError(f"{layer.name} before it ends in an activation")
    _require_same_axis(call, layer, "before")
    plan.weights[layer] = rule(plan.weights.get(layer) or weights_of(layer), affine_of(norm))
    plan.removed.append((norm, id(call.outputs[0]) in graph.ends))
    graph.gone[id(call.outputs[0])] = call.inputs[0]
    start = places[id(layer)].start if id(layer) in places else maker.inputs[0]
    places[id(layer)] = Place(layer, start, call.outputs[0], norm.name)
    return layer.name


def _fold_forward(call: Call, graph: _Graph, plan: FoldPlan, uses: Counter[int], places: dict[int, Place]) -> str:
    """Fold a norm into the linear layer that alone takes its output and pads nothing; return its name, or refuse."""
    norm, user = call.layer, graph.only_user(call.outputs[0])
    layer: Any = user.layer
    rule = _require_plain(layer, rule_before(layer), "behind", uses)
    _require_same_axis(call, layer, "behind")
    if getattr(layer, "groups", 1) > 1:
        raise _RefusalError(f"{layer.name} behind it works in groups of channels")
    affine = affine_of(norm)
    pads = getattr(layer, "padding", "valid") != "valid" and max(layer.kernel_size) > 1
    if pads and np.any(affine.shift != 0):
        raise _RefusalError(f"{layer.name} behind it pads with zeros, which the norm does not shift")
    plan.weights[layer] = rule(plan.weights.get(layer) or weights_of(layer), affine)
    plan.removed.append((norm, False))
    places[id(layer)] = Place(layer, call.inputs[0], user.outputs[0], layer.name)
    return layer.name


def _require_plain(layer: keras.Operation, rule: Rule | None, side: str, uses: Counter[int]) -> Rule:
    """Return the rule of a linear layer that is called once and keeps plain weights, or refuse."""
    if is_graph(layer):
        raise _RefusalError(f"{layer.name} {side} it is a nested model")
    if is_activation(layer):
        raise _RefusalError(f"the activation {layer.name} stands {side} it")
    if rule is None:
        raise _RefusalError(f"{layer.name} {side} it is a {type(layer).__name__}")
    if uses[id(layer)] > 1:
        raise _RefusalError(f"{layer.name} {side} it is shared, called {uses[id(layer)]} times")
    if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
        raise _RefusalError(f"{layer.name} {side} it is quantized or has LoRA weights")
    return rule


def _require_same_axis(call: Call, layer: keras.layers.Layer, side: str) -> None:
    rank = len(call.inputs[0].shape)
    channels = 1 if getattr(layer, "data_format", "channels_last") == "channels_first" else rank - 1
    if call.layer.axis % rank != channels:
        raise _RefusalError(f"it normalizes axis {call.layer.axis}, not the channels of {layer.name} {side} it")
