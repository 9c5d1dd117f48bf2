"""The norms that stand in a model, and where; what is frozen there; what a norm takes along when it goes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from normlab.errors import InputError
from normlab.surgery.graph import Call, calls, leaves
from normlab.surgery.kinds import is_graph, is_linear_map, norm_classes, norms_inside, norms_of_weights

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Site:
    """A norm in a graph: its path, the shapes it is called on, the layer before it, whether the graph ends there."""

    path: str
    layer: keras.layers.Layer
    shapes: tuple[tuple[int | None, ...], ...]
    before: keras.Operation | None
    is_output: bool

    @property
    def losses(self) -> list[str]:
        """What goes with the norm: each regularizer and constraint, and initializers other than zeros and ones."""
        lost = {key: value for key, value in self.layer.get_config().items() if _is_particular(key, value)}
        return [f"loses {key} {shown(value)}" for key, value in lost.items()]

    @property
    def bias_note(self) -> str:
        """Says that the layer before has no bias, which a norm that subtracts a mean had made needless; often ""."""
        if self.before is None or not is_linear_map(self.before) or getattr(self.before, "use_bias", True):
            return ""
        return f"{self.before.name} before it has no bias"


@dataclass(frozen=True)
class Modes:
    """Which layers are frozen, each by `id`, and which are called with `training=False`, by a model around them too."""

    frozen: frozenset[int]
    held: frozenset[int]

    def notes(self, old: keras.layers.Layer, new: keras.layers.Layer, is_added: bool = False) -> list[str]:
        """Say that a new norm trains where what it replaces, or is added to, does not."""
        notes = []
        if id(old) in self.frozen:
            gain = "its gain trains" if isinstance(new, norms_of_weights()) else "trains"
            notes.append(
                f"{gain}, though {old.name} is frozen" if is_added else "was frozen; trains, as its values are new"
            )
        if id(old) in self.held and "training" in inspect.signature(new.call).parameters:
            was = f"{old.name} is" if is_added else "was"
            notes.append(f"{was} called with training=False; the norm follows the model's mode, as its values are new")
        return notes


def modes(model: keras.Model) -> Modes:
    """Return what is frozen in a model, and what it calls with `training=False`."""
    found = list(leaves(model))
    frozen = {id(layer) for _, layer, _, _ in found if not (model.trainable and getattr(layer, "trainable", True))}
    return Modes(frozenset(frozen), frozenset(id(layer) for _, layer, _, is_held in found if is_held))


def shown(setting: object) -> object:
    """Return a setting of a layer; an object of Keras by its class, with what it was set to."""
    if not isinstance(setting, dict):
        return setting
    config = setting.get("config")
    given = [f"{key}={value}" for key, value in config.items() if value is not None] if isinstance(config, dict) else []
    return f"{setting.get('class_name', 'changed')}({', '.join(given)})"


def _is_particular(key: str, value: Any) -> bool:
    if key.endswith(("_regularizer", "_constraint")):
        return value is not None
    kind = value.get("class_name") if isinstance(value, Mapping) else value
    return key.endswith("_initializer") and kind != ("Zeros" if key.startswith(("beta", "moving_mean")) else "Ones")


def norm_sites(model: keras.Model) -> list[Site]:
    """Return every norm of a model and of the models nested in it once, in the order of the calls.

    Raises:
        InputError: If a norm is hidden within another layer, or is one of weights.
    """
    return list({id(site.layer): site for site in _sites(model, norm_classes(), "")}.values())


def removed(sites: Sequence[Site]) -> dict[int, list[keras.layers.Layer]]:
    """Return the chains that remove norms; where one is an output of its graph, an identity keeps the output's name."""
    import keras

    return {id(s.layer): [keras.layers.Identity(name=s.layer.name)] if s.is_output else [] for s in sites}


def require_last_axis(site: Site) -> None:
    """Require that the old norm works on channels that come last, as the norms of the table do."""
    import keras

    axes = getattr(site.layer, "axis", -1)
    rank = len(site.shapes[0])
    if rank - 1 not in {axis % rank for axis in keras.tree.flatten(axes)}:
        raise InputError(
            "swap needs norms over channels that come last",
            f"{site.path} with axis={axes} on shape {site.shapes[0]}",
            "build the model with channels last",
        )


def _sites(model: keras.Model, kinds: tuple[type, ...], prefix: str) -> Iterator[Site]:
    graph = calls(model)
    makers = {id(tensor): call.layer for call in graph for tensor in call.outputs}
    ends = {id(tensor) for tensor in model.outputs}
    by_layer: dict[int, list[Call]] = {}
    for call in graph:
        by_layer.setdefault(id(call.layer), []).append(call)
    for found in by_layer.values():
        layer, path = found[0].layer, f"{prefix}{found[0].layer.name}"
        if is_graph(layer):
            yield from _sites(layer, kinds, f"{path}/")
        elif isinstance(layer, kinds):
            yield Site(
                path,
                layer,
                shapes=tuple(call.inputs[0].shape for call in found),
                before=makers.get(id(found[0].inputs[0])),
                is_output=any(id(tensor) in ends for call in found for tensor in call.outputs),
            )
        else:
            _require_plain(layer, path, kinds)


def _require_plain(layer: keras.Operation, path: str, kinds: tuple[type, ...]) -> None:
    """Require that no norm is part of a layer."""
    if isinstance(layer, norms_of_weights()):
        raise InputError(
            "swap cannot undo a norm of weights",
            f"{path} of class {type(layer).__name__}",
            "give the model as it was before that norm",
        )
    if inside := norms_inside(layer, (*kinds, *norms_of_weights())):
        raise InputError(
            "swap reaches norms that are layers of the graph",
            f"{type(inside[0]).__name__} inside {path} of class {type(layer).__name__}",
            "write that layer out with keras.Input and calls of layers",
        )
