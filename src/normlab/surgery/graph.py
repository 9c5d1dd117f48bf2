"""The graph of a Functional or Sequential model: its calls in order, and how a changed copy is built from it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from normlab.errors import InputError
from normlab.surgery.copying import arrays_of, copy_layer
from normlab.surgery.kinds import is_graph

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a layer (or of an operation of `keras.ops`) in a model's graph; a mask is one of its inputs too."""

    layer: keras.Operation
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: list[keras.KerasTensor]
    outputs: list[keras.KerasTensor]

    @property
    def trains_always(self) -> bool:
        """Whether the call asks for training mode, whatever the mode of the model."""
        return bool(self.kwargs.get("training"))


@dataclass(frozen=True)
class Rebuilt:
    """A changed copy of a model.

    Attributes:
        model: The copy.
        layers: By `id` of an old layer, within nested models too: the layers that stand for it now, in order.
        copied: Old layers with their copies, which have their weights.
    """

    model: keras.Model
    layers: dict[int, list[keras.Operation]] = field(repr=False)
    copied: list[tuple[keras.layers.Layer, keras.layers.Layer]] = field(repr=False)

    @property
    def sources(self) -> dict[int, keras.Variable]:
        """By `id` of a variable of a copied layer, the old variable that its value comes from."""
        pairs = (pair for old, new in self.copied for pair in zip(old.weights, new.weights, strict=True))
        return {id(new): old for old, new in pairs}


def require_graph(model: object) -> None:
    """Raise `InputError` unless `model` is a built Functional or Sequential model."""
    import keras

    if not isinstance(model, keras.Model):
        raise InputError("surgery needs a Keras model", type(model).__name__, "give a keras.Model")
    if not is_graph(model):
        raise InputError(
            "surgery needs a Functional or Sequential model, whose graph of layers Keras knows",
            f"the subclassed model {type(model).__name__}",
            "build the model from keras.Input and calls of layers",
        )
    if isinstance(model, keras.Sequential) and not _is_built(model):
        raise InputError(
            "surgery needs a model with a known input shape",
            f"the Sequential model {model.name} without one",
            "put keras.Input(shape) first, or call model.build",
        )


def calls(model: keras.Model) -> list[Call]:
    """Return the calls of a model's graph, inputs left out, each after the calls it depends on."""
    import keras

    found: list[Call] = []
    seen: set[tuple[int, int]] = set()
    inputs = {id(tensor) for tensor in model.inputs}
    stack = [(tensor, False) for tensor in reversed(keras.tree.flatten(model.outputs))]
    while stack:
        tensor, is_ready = stack.pop()
        # Keras has no public way to walk a graph: a tensor's history names its layer and which call of it.
        layer, index, _ = tensor._keras_history
        if id(tensor) in inputs or (not is_ready and (id(layer), index) in seen):
            continue
        node = layer._inbound_nodes[index]
        if is_ready:
            found.append(Call(layer, node.arguments.args, node.arguments.kwargs, node.input_tensors, node.outputs))
            continue
        seen.add((id(layer), index))
        stack.append((tensor, True))
        stack.extend((parent, False) for parent in reversed(node.input_tensors))
    return found


def rebuild(
    model: keras.Model,
    changes: Mapping[int, Sequence[keras.layers.Layer]],
    dtype: str | None = None,
    names: Mapping[int, str] | None = None,
) -> Rebuilt:
    """Build a copy of a model in which some layers are replaced; every other layer is copied with its weights.

    Shared layers stay shared, nested models are copied within. The copy is not compiled.

    Args:
        model: A model that `require_graph` lets pass; left as it is.
        changes: By `id` of a layer: the layers called in its place one after the other; none where it is removed.
        dtype: Compute in this type wherever the model computes in half precision.
        names: By `id` of a layer or a nested model: the name of its copy, where that is another.

    Raises:
        InputError: If a layer cannot be copied.
    """
    layers: dict[int, list[keras.Operation]] = {key: list(chain) for key, chain in changes.items()}
    copied: list[tuple[keras.layers.Layer, keras.layers.Layer]] = []
    built = _rebuild(model, layers, copied, dtype, names or {})
    for old, new in copied:
        new.set_weights(arrays_of(old))
        if hasattr(new, "finalize_state"):  # keras.layers.Normalization derives its moments from its weights
            new.finalize_state()
    return Rebuilt(built, layers, copied)


def _is_built(model: keras.Sequential) -> bool:
    return model.built and len(model.layers) > 0 and hasattr(model, "inputs")


def _rebuild(
    model: keras.Model,
    layers: dict[int, list[keras.Operation]],
    copied: list[tuple[keras.layers.Layer, keras.layers.Layer]],
    dtype: str | None,
    names: Mapping[int, str],
) -> keras.Model:
    import keras

    inputs = keras.tree.map_structure(lambda tensor: _new_input(tensor, names), _structure(model, "input"))
    name = names.get(id(model), model.name)
    order = model.layers if isinstance(model, keras.Sequential) else [call.layer for call in calls(model)]
    for layer in order:
        if id(layer) in layers:
            continue
        if is_graph(layer):
            layers[id(layer)] = [_rebuild(layer, layers, copied, dtype, names)]
        else:
            new = copy_layer(layer, dtype, {"name": names[id(layer)]} if id(layer) in names else None)
            layers[id(layer)] = [new]
            if isinstance(layer, keras.layers.Layer):
                copied.append((layer, new))
    if isinstance(model, keras.Sequential):
        chain = [new for layer in order for new in layers[id(layer)]]
        new_model = _class_of(model, keras.Sequential)([inputs, *(chain or [keras.layers.Identity()])], name=name)
    else:
        new_model = _class_of(model, keras.Model)(inputs, _run(model, inputs, layers), name=name)
    if not model.trainable:
        new_model.trainable = False
    return new_model


def _run(model: keras.Model, inputs: Any, layers: dict[int, list[keras.Operation]]) -> Any:
    """Call the new layers along the old graph and return the new outputs."""
    import keras

    new: dict[int, Any] = dict(
        zip((id(tensor) for tensor in model.inputs), keras.tree.flatten(inputs), strict=True),
    )

    def renewed(structure: Any) -> Any:
        return keras.tree.map_structure(
            lambda leaf: new[id(leaf)] if isinstance(leaf, keras.KerasTensor) else leaf, structure
        )

    for call in calls(model):
        chain = layers[id(call.layer)]
        if chain:
            outputs = chain[0](*renewed(call.args), **_accepted(chain[0], renewed(call.kwargs)))
        else:
            outputs = new[id(call.inputs[0])]
        for layer in chain[1:]:
            outputs = layer(outputs)
        new.update(zip((id(tensor) for tensor in call.outputs), keras.tree.flatten(outputs), strict=True))
    return renewed(_structure(model, "output"))


def _accepted(layer: keras.Operation, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments without a mask where the new layer takes none; Keras itself drops `training`."""
    if "mask" in kwargs and "mask" not in inspect.signature(layer.call).parameters:
        return {name: value for name, value in kwargs.items() if name != "mask"}
    return kwargs


def _structure(model: keras.Model, side: str) -> Any:
    """Return a model's inputs or outputs in the structure they were given in; a Sequential model has one of each."""
    import keras

    if isinstance(model, keras.Sequential):
        return getattr(model, f"{side}s")[0]
    return getattr(model, side)


def _new_input(tensor: keras.KerasTensor, names: Mapping[int, str]) -> keras.KerasTensor:
    layer = tensor._keras_history.operation
    config = layer.get_config()
    return type(layer).from_config({**config, "name": names.get(id(layer), layer.name)}).output


def _class_of(model: keras.Model, plain: type[keras.Model]) -> type[keras.Model]:
    """Return the model's own class where Keras's constructor builds it, so that its train_step stays; else `plain`."""
    definer = next(kind for kind in type(model).__mro__ if "__init__" in vars(kind))
    return type(model) if definer.__module__.startswith("keras.") else plain
