"""Insert norms into a model that has none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from normlab.errors import InputError
from normlab.surgery.activations import replaced_activations
from normlab.surgery.copying import copy_layer
from normlab.surgery.fits import fitting_norms
from normlab.surgery.graph import calls
from normlab.surgery.kinds import has_fused_activation, is_graph, is_rectifying
from normlab.surgery.places import places
from normlab.surgery.sites import modes
from normlab.surgery.swapplan import Row, SwapPlan

if TYPE_CHECKING:
    import keras

    from normlab.norms import Norm


@dataclass(frozen=True)
class _Place:
    """A linear map that gets a norm: its path, the shapes of its outputs, the names of what comes behind it."""

    path: str
    layer: keras.layers.Layer
    shapes: tuple[tuple[int | None, ...], ...]
    norm_name: str
    activation_name: str


def plan_insertion(model: keras.Model, norm: Norm, per_layer: bool = False) -> SwapPlan:
    """Return the plan that puts a norm after every layer that `places` names; all weights are kept.

    A fused activation is split off: Dense(activation="relu") becomes linear Dense, norm, Activation("relu").

    Raises:
        InputError: If there is no place, or the norm cannot serve at one.
    """
    found = list(_named_places(model, {id(layer) for layer in places(model)}))
    if not found:
        raise InputError(
            "a model without norms must have a place for one: a Dense or Conv, then an activation, before the head",
            f"{model.name} without such a place",
            "put the norms into the code that builds the model",
        )
    plain = {id(place.layer) for place in found if not has_fused_activation(place.layer)}
    dropped = replaced_activations(model, plain) if norm.replaces_activation else {}
    chains: dict[int, list[keras.layers.Layer]] = {id(a): [] for behind in dropped.values() for a in behind}
    heirs, rows = [], []
    for place in found:
        if getattr(place.layer, "data_format", "channels_last") != "channels_last":
            raise InputError("norms are inserted over channels that come last", place.path, "use channels_last")
    fitting = fitting_norms(norm, [(place.path, place.shapes) for place in found], per_layer)
    settings = modes(model)
    for place, (own, adapted) in zip(found, fitting, strict=True):
        chain = _chain(place, own)
        chains[id(place.layer)] = chain
        heirs.append((place.layer, [chain[0], *chain[2:]]))  # the last: an activation with weights, such as PReLU
        notes = [adapted] if adapted else []
        notes += _notes(place, norm, dropped.get(id(place.layer), []))
        notes += settings.notes(place.layer, chain[1], is_added=True)
        rows.append(Row(place.path, None, chain[1], "; ".join(notes)))
    return SwapPlan(model, chains, heirs, rows)


def _named_places(model: keras.Model, chosen: set[int], prefix: str = "") -> Iterator[_Place]:
    """Yield every chosen layer once, with free names in its own graph for the layers that will follow it."""
    graph = calls(model)
    taken = {call.layer.name for call in graph} | {tensor.name for tensor in model.inputs}
    for layer in dict.fromkeys(call.layer for call in graph):
        path = f"{prefix}{layer.name}"
        if is_graph(layer):
            yield from _named_places(layer, chosen, f"{path}/")
        elif id(layer) in chosen:
            chosen.remove(id(layer))
            shapes = dict.fromkeys(call.outputs[0].shape for call in graph if call.layer is layer)
            names = [_free_name(f"{layer.name}_{role}", taken) for role in ("norm", "activation")]
            yield _Place(path, layer, tuple(shapes), *names)


def _free_name(wish: str, taken: set[str]) -> str:
    name, number = wish, 1
    while name in taken:
        name, number = f"{wish}_{number}", number + 1
    taken.add(name)
    return name


def _chain(place: _Place, norm: Norm) -> list[keras.layers.Layer]:
    """Return what stands in a layer's place: itself without its fused activation, the norm, that activation."""
    import keras

    layer, new = place.layer, norm(name=place.norm_name)
    new.dtype_policy = layer.dtype_policy
    if not has_fused_activation(layer):
        return [copy_layer(layer), new]
    linear = copy_layer(layer, changed={"activation": "linear", "activity_regularizer": None})
    if _replaces_fused(norm, layer):
        return [linear, new]
    own = [copy_layer(layer.activation)] if isinstance(layer.activation, keras.layers.Layer) else []
    if own and layer.activity_regularizer is None:
        return [linear, new, *own]
    activation = keras.layers.Activation(
        "linear" if own else layer.activation,
        name=place.activation_name,
        dtype=layer.dtype_policy,
        activity_regularizer=layer.activity_regularizer,
    )
    return [linear, new, *own, activation]


def _notes(place: _Place, norm: Norm, dropped: Sequence[keras.Operation]) -> list[str]:
    layer = place.layer
    needless = [activation.name for activation in dropped]
    if has_fused_activation(layer) and _replaces_fused(norm, layer):
        needless.append(f"the activation of {layer.name}")
    notes = [f"replaces {', '.join(needless)}"] if needless else []
    if norm.cancels_bias and getattr(layer, "use_bias", False):
        notes.append(f"cancels the bias of {layer.name}")
    return notes


def _replaces_fused(norm: Norm, layer: keras.layers.Layer) -> bool:
    return norm.replaces_activation and is_rectifying(layer.activation) and layer.activity_regularizer is None
