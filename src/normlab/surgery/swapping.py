"""Swap the norms of a model for others, remove them, or insert them where there are none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from normlab.errors import InputError, require_known
from normlab.norms import NORMS, Norm
from normlab.surgery.fits import require_fit
from normlab.surgery.graph import Call, calls, rebuild, require_graph
from normlab.surgery.insertion import insert
from normlab.surgery.kinds import is_graph, is_linear_map, norm_classes, norms_inside
from normlab.surgery.swapped import Change, Swapped

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class _Site:
    """A norm in a graph: its path, the shapes it is called on, the layer before it, whether the graph ends there."""

    path: str
    layer: keras.layers.Layer
    shapes: tuple[tuple[int | None, ...], ...]
    before: keras.Operation | None
    is_output: bool


def swap(model: keras.Model, norm: str | Norm) -> Swapped:
    """Return a copy of a model with every norm replaced by a new `norm`; all other weights are kept.

    The norm `none` removes the norms. Where the model has no norm, one is inserted after every Dense or Conv that an
    activation follows, the head left out; a fused activation becomes a layer of its own behind the norm. A new norm
    starts at its own initial values; it takes over the name and the precision of the one it replaces.

    Args:
        model: A Functional or Sequential model, with branches, shared layers and nested models if need be. Unchanged.
        norm: A norm, or its name in `normlab.norms.NORMS`.

    Raises:
        InputError: If the model is subclassed or unbuilt, there is no place for a norm, or the norm cannot serve at a
            place: groups that don't divide the channels, an output that would not depend on the input.
    """
    norm = _resolve(norm)
    require_graph(model)
    sites = list({id(site.layer): site for site in _sites(model, norm_classes())}.values())
    if norm.name == "none":
        return _remove(model, sites)
    return _replace(model, sites, norm) if sites else insert(model, norm)


def _resolve(norm: str | Norm) -> Norm:
    import keras

    if isinstance(norm, str):
        require_known("norm", norm, NORMS)
        norm = NORMS[norm]
    if not isinstance(norm, Norm):
        raise InputError("norm must be a name or a Norm", type(norm).__name__, f"use one of {', '.join(NORMS)}")
    if norm.name != "none" and isinstance(norm(), keras.layers.Identity):
        raise InputError("swap needs a norm that is a layer of its own", repr(norm.name), "choose another norm")
    return norm


def _sites(model: keras.Model, kinds: tuple[type, ...], prefix: str = "") -> Iterator[_Site]:
    """Yield every norm of the graph and of the models nested in it, in the order of the calls."""
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
            yield _Site(
                path,
                layer,
                shapes=tuple(call.inputs[0].shape for call in found),
                before=makers.get(id(found[0].inputs[0])),
                is_output=any(id(tensor) in ends for call in found for tensor in call.outputs),
            )
        elif inside := norms_inside(layer, kinds):
            raise InputError(
                "swap reaches norms that are layers of the graph",
                f"{type(inside[0]).__name__} inside {path} of class {type(layer).__name__}",
                "write that layer out with keras.Input and calls of layers",
            )


def _remove(model: keras.Model, sites: Sequence[_Site]) -> Swapped:
    import keras

    # Where a norm is an output of its graph, an identity keeps the output's name.
    plan = {id(s.layer): [keras.layers.Identity(name=s.layer.name)] if s.is_output else [] for s in sites}
    rebuilt = rebuild(model, plan)
    changes = [Change(s.path, type(s.layer).__name__, "", s.layer.count_params(), 0, _bias_note(s)) for s in sites]
    return Swapped(rebuilt.model, tuple(changes))


def _replace(model: keras.Model, sites: Sequence[_Site], norm: Norm) -> Swapped:
    plan = {}
    fitting = set()
    for site in sites:
        _require_last_axis(site)
        for shape in site.shapes:
            if shape not in fitting:
                require_fit(norm, site.path, shape)
                fitting.add(shape)
        new = norm(name=site.layer.name)
        new.dtype_policy = site.layer.dtype_policy
        plan[id(site.layer)] = [new]
    rebuilt = rebuild(model, plan)
    return Swapped(rebuilt.model, tuple(_change(site, plan[id(site.layer)][0], norm) for site in sites))


def _change(site: _Site, new: keras.layers.Layer, norm: Norm) -> Change:
    old = site.layer
    note = "" if norm.cancels_bias else _bias_note(site)
    return Change(site.path, type(old).__name__, type(new).__name__, old.count_params(), new.count_params(), note)


def _bias_note(site: _Site) -> str:
    """Say that the layer before has no bias, which a norm that subtracts a mean had made needless."""
    before = site.before
    if before is None or not is_linear_map(before) or getattr(before, "use_bias", True):
        return ""
    return f"{before.name} before it has no bias"


def _require_last_axis(site: _Site) -> None:
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
