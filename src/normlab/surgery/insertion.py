"""Insert norms into a model that has none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from normlab.errors import InputError
from normlab.surgery.copying import arrays_of, copy_layer
from normlab.surgery.fits import require_fit
from normlab.surgery.graph import calls, rebuild
from normlab.surgery.kinds import has_fused_activation, is_graph
from normlab.surgery.places import places
from normlab.surgery.swapped import Change, Swapped

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


def insert(model: keras.Model, norm: Norm) -> Swapped:
    """Return a copy of a model with a norm after every layer that `places` names; all weights are kept.

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
    plan: dict[int, list[keras.layers.Layer]] = {}
    for place in found:
        if getattr(place.layer, "data_format", "channels_last") != "channels_last":
            raise InputError("norms are inserted over channels that come last", place.path, "use channels_last")
        for shape in place.shapes:
            require_fit(norm, place.path, shape)
        plan[id(place.layer)] = _chain(place, norm)
    rebuilt = rebuild(model, plan)
    return Swapped(rebuilt.model, tuple(_finish(place, plan[id(place.layer)], norm) for place in found))


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
    if isinstance(layer.activation, keras.layers.Layer):
        return [linear, new, copy_layer(layer.activation)]
    activation = keras.layers.Activation(
        layer.activation,
        name=place.activation_name,
        dtype=layer.dtype_policy,
        activity_regularizer=layer.activity_regularizer,
    )
    return [linear, new, activation]


def _finish(place: _Place, chain: list[keras.layers.Layer], norm: Norm) -> Change:
    """Give the new layers the old one's weights and return the row of the table."""
    linear, new, *activations = chain
    weights = arrays_of(place.layer)
    linear.set_weights(weights[: len(linear.weights)])
    if rest := weights[len(linear.weights) :]:  # those of an activation with weights, such as PReLU
        activations[0].set_weights(rest)
    is_redundant = norm.cancels_bias and getattr(place.layer, "use_bias", False)
    note = f"cancels the bias of {place.layer.name}" if is_redundant else ""
    return Change(place.path, "", type(new).__name__, 0, new.count_params(), note)
