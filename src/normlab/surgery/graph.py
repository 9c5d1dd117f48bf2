"""The graph of a Functional or Sequential model: its calls in order, and how a changed copy is built from it."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from normlab.errors import InputError
from normlab.surgery.copying import arrays_of, copy_layer, is_shorter_float
from normlab.surgery.kinds import is_graph, norms_of_weights

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

    @property
    def never_trains(self) -> bool:
        """Whether the call asks for evaluation mode, whatever the mode of the model."""
        return self.kwargs.get("training") is False


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
    fresh: Collection[keras.layers.Layer] = (),
    dtype: str | None = None,
    names: Mapping[int, str] | None = None,
) -> Rebuilt:
    """Build a copy of a model in which some layers are replaced; every other layer is copied with its weights.

    Shared layers stay shared, nested models are copied within. The copy is not compiled. What was frozen stays frozen,
    fresh layers aside: a model that holds one, at any depth, becomes trainable itself, and its other layers are frozen
    one by one. Likewise a call of a fresh layer, or of a model that holds one, loses its `training=False`.

    Args:
        model: A model that `require_graph` lets pass; left as it is.
        changes: By `id` of a layer: the layers called in its place one after the other; none where it is removed.
        fresh: Layers among those of `changes` whose values are new: they train, in the mode of the model.
        dtype: Compute in this type wherever the model computes in a shorter floating type.
        names: By `id` of a layer or a nested model: the name of its copy, where that is another.

    Raises:
        InputError: If a layer cannot be copied.
    """
    new = {id(layer) for layer in fresh}
    replaced = {key for key, chain in changes.items() if any(id(layer) in new for layer in chain)}
    holders = _holders(model, replaced)
    layers: dict[int, list[keras.Operation]] = {key: list(chain) for key, chain in changes.items()}
    builder = _Builder(layers, dtype, names or {}, replaced | holders)
    built = builder.build(model)
    for old, copy in builder.copied:
        copy.set_weights(arrays_of(old))
        if hasattr(copy, "finalize_state"):  # keras.layers.Normalization derives its moments from its weights
            copy.finalize_state()
    rebuilt = Rebuilt(built, layers, builder.copied)
    _freeze_as_before(model, built, layers, holders, new, model.trainable)
    return rebuilt


def leaves(model: keras.Model) -> Iterator[tuple[str, keras.Operation, Call, bool]]:
    """Yield every call of a layer that is no graph itself, nested models written out.

    Yields:
        The layer's path (names, "/" between nested models), the layer, the call, and whether the call, or one of a
        model around it, is with `training=False`.
    """
    yield from _leaves(model, "", False)


def _leaves(model: keras.Model, prefix: str, is_held: bool) -> Iterator[tuple[str, keras.Operation, Call, bool]]:
    for call in calls(model):
        path, held = f"{prefix}{call.layer.name}", is_held or call.never_trains
        if is_graph(call.layer):
            yield from _leaves(call.layer, f"{path}/", held)
        else:
            yield path, call.layer, call, held


def _holders(model: keras.Model, wanted: Collection[int]) -> set[int]:
    """Return the `id` of every model, this one and nested ones, in which one of the `wanted` layers is called."""
    found = set()
    for layer in {id(call.layer): call.layer for call in calls(model)}.values():
        inner = _holders(layer, wanted) if is_graph(layer) else set()
        found |= inner
        if id(layer) in wanted or inner:
            found.add(id(model))
    return found


def _freeze_as_before(
    old: keras.Model,
    new: keras.Model,
    layers: Mapping[int, Sequence[keras.Operation]],
    thawed: Collection[int],
    fresh: Collection[int],
    is_trained: bool,
) -> None:
    """Freeze in a copy what the old model has frozen, but fresh layers and the models around them.

    Setting `trainable` of a model sets it for all its layers, so models come before what they hold.
    """
    import keras

    new.trainable = old.trainable or id(old) in thawed
    held = {id(layer): layer for layer in (*old.layers, *(call.layer for call in calls(old)))}
    for key, layer in held.items():
        if is_graph(layer) and key in layers:
            _freeze_as_before(layer, layers[key][0], layers, thawed, fresh, is_trained)  # type: ignore[arg-type]
        elif isinstance(layer, keras.layers.Layer):
            for copy in layers.get(key, ()):
                _set_trainable(layer, copy, id(copy) in fresh, is_trained)


def _set_trainable(old: keras.layers.Layer, new: keras.Operation, is_fresh: bool, is_trained: bool) -> None:
    """Set what trains in the layer that stands for an old one: a fresh layer does, though not what it wraps."""
    import keras

    if not isinstance(new, keras.layers.Layer):
        return
    if is_fresh:
        new.trainable = True
        if isinstance(new, norms_of_weights()):
            new.layer.trainable = old.trainable and is_trained
        return
    new.trainable = old.trainable and is_trained
    # Keras has no public walk over the layers inside a layer.
    parts, copies = old._flatten_layers(include_self=False), new._flatten_layers(include_self=False)
    if type(old) is type(new) and len(parts) == len(copies):
        for part, copy in zip(parts, copies, strict=True):
            copy.trainable = part.trainable and is_trained


def _is_built(model: keras.Sequential) -> bool:
    return model.built and len(model.layers) > 0 and hasattr(model, "inputs")


@dataclass
class _Builder:
    """Copies of a model and the models nested in it; the fields are those of `rebuild` and `Rebuilt`.

    Attributes:
        follows: The `id` of old layers, and of models around them, that lose their `training=False`.
    """

    layers: dict[int, list[keras.Operation]]
    dtype: str | None
    names: Mapping[int, str]
    follows: Collection[int]
    copied: list[tuple[keras.layers.Layer, keras.layers.Layer]] = field(default_factory=list)

    def build(self, model: keras.Model) -> keras.Model:
        """Return the changed copy of a model, its weights not yet set."""
        import keras

        inputs = keras.tree.map_structure(self._new_input, _structure(model, "input"))
        name = self.names.get(id(model), model.name)
        order = model.layers if isinstance(model, keras.Sequential) else [call.layer for call in calls(model)]
        for layer in order:
            if id(layer) not in self.layers:
                self.layers[id(layer)] = [self.build(layer) if is_graph(layer) else self._copy(layer)]
        if isinstance(model, keras.Sequential):
            chain = [new for layer in order for new in self.layers[id(layer)]]
            return _class_of(model, keras.Sequential)([inputs, *(chain or [keras.layers.Identity()])], name=name)
        return _class_of(model, keras.Model)(inputs, self._run(model, inputs), name=name)

    def _copy(self, layer: keras.Operation) -> keras.Operation:
        import keras

        renamed = {"name": self.names[id(layer)]} if id(layer) in self.names else None
        new = copy_layer(layer, self.dtype, renamed)
        if isinstance(layer, keras.layers.Layer):
            self.copied.append((layer, new))
        return new

    def _run(self, model: keras.Model, inputs: Any) -> Any:
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
            chain = self.layers[id(call.layer)]
            kwargs = renewed(call.kwargs)
            if call.never_trains and id(call.layer) in self.follows:
                del kwargs["training"]
            outputs = chain[0](*renewed(call.args), **_accepted(chain[0], kwargs)) if chain else new[id(call.inputs[0])]
            for layer in chain[1:]:
                outputs = layer(outputs)
            new.update(zip((id(tensor) for tensor in call.outputs), keras.tree.flatten(outputs), strict=True))
        return renewed(_structure(model, "output"))

    def _new_input(self, tensor: keras.KerasTensor) -> keras.KerasTensor:
        layer = tensor._keras_history.operation
        config = {**layer.get_config(), "name": self.names.get(id(layer), layer.name)}
        if self.dtype and is_shorter_float(tensor.dtype, self.dtype):
            config["dtype"] = self.dtype
        return type(layer).from_config(config).output


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


def _class_of(model: keras.Model, plain: type[keras.Model]) -> type[keras.Model]:
    """Return the model's own class where Keras's constructor builds it, so that its train_step stays; else `plain`."""
    definer = next(kind for kind in type(model).__mro__ if "__init__" in vars(kind))
    return type(model) if definer.__module__.startswith("keras.") else plain
