"""Swap the norms of a model for others, remove them, or insert them where there are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from normlab.errors import InputError
from normlab.norms import NORMS, Norm, named_norm
from normlab.surgery.activations import replaced_activations
from normlab.surgery.fits import fitting_norms, require_adaptable
from normlab.surgery.graph import require_graph
from normlab.surgery.insertion import plan_insertion
from normlab.surgery.sites import (
    Modes,
    Site,
    modes,
    norm_sites,
    removed,
    require_last_axis,
    shown,
)
from normlab.surgery.swapped import Swapped
from normlab.surgery.swapplan import Row, SwapPlan, removal_row
from normlab.surgery.wrapping import plan_wrapping

if TYPE_CHECKING:
    import keras

    from normlab.norms.options import Value


def swap(
    model: keras.Model, norm: str | Norm, options: Mapping[str, Value] | None = None, per_layer: bool = False
) -> Swapped:
    """Return a copy of a model with every norm replaced by a new `norm`; all other weights are kept.

    The norm `none` removes the norms. Where the model has no norm, one is inserted after every Dense or Conv that an
    activation follows, the head left out; a fused activation becomes a layer of its own behind the norm. A new norm
    starts at its own initial values; it takes over the name and the precision of the one it replaces. It trains, in the
    mode of the model, even if what it replaces was frozen or called with `training=False`, at any depth; all else that
    was frozen stays frozen.

    A norm of weights replaces nothing: the norms are removed, and every Dense or Conv before one of them is wrapped
    (without norms: every one after which a norm would be inserted). Its gain starts such that the layer's kernel stays
    as it is, or with weight standardization as it is less each unit's mean.

    A norm that contains an activation also replaces the rectifier (ReLU and its like) that directly follows its place.

    Args:
        model: A Functional or Sequential model, with branches, shared layers and nested models if need be. Unchanged.
        norm: A norm, its name in `normlab.norms.NORMS`, or FILE.py:NAME for one of the user's own.
        options: Options of the norm that differ from its defaults, such as {"groups": 7}.
        per_layer: Let a norm with groups have, at each place, the largest number of groups up to the one wanted that
            divides the channels there (and that leaves a group more than one value).

    Raises:
        InputError: If the model is subclassed or unbuilt, there is no place for a norm, an option is unknown or out of
            bounds, or the norm cannot serve at a place: groups that don't divide the channels, an output that would not
            depend on the input.
    """
    return plan_swap(model, norm, options, per_layer).build()


def plan_swap(
    model: keras.Model, norm: str | Norm, options: Mapping[str, Value] | None = None, per_layer: bool = False
) -> SwapPlan:
    """Check a swap and return what it will do; arguments and errors as of `swap`."""
    norm = _resolve(norm).with_options(**(options or {}))
    if per_layer:
        require_adaptable(norm)
    require_graph(model)
    sites = norm_sites(model)
    if norm.name == "none":
        return _removal(model, sites)
    if norm.wrapper is not None:
        return plan_wrapping(model, sites, norm)
    return _replacement(model, sites, norm, per_layer) if sites else plan_insertion(model, norm, per_layer)


def _resolve(norm: str | Norm) -> Norm:
    import keras

    if isinstance(norm, str):
        norm = named_norm(norm)
    if not isinstance(norm, Norm):
        raise InputError("norm must be a name or a Norm", type(norm).__name__, f"use one of {', '.join(NORMS)}")
    if norm.wrapper is None and norm.name != "none" and isinstance(norm(), keras.layers.Identity):
        raise InputError("swap needs a norm that is a layer of its own", repr(norm.name), "choose another norm")
    return norm


def _removal(model: keras.Model, sites: Sequence[Site]) -> SwapPlan:
    return SwapPlan(model, removed(sites), [], [removal_row(site) for site in sites])


def _replacement(model: keras.Model, sites: Sequence[Site], norm: Norm, per_layer: bool) -> SwapPlan:
    for site in sites:
        require_last_axis(site)
    fitting = fitting_norms(norm, [(site.path, site.shapes) for site in sites], per_layer)
    found = modes(model)
    dropped = replaced_activations(model, {id(s.layer) for s in sites}) if norm.replaces_activation else {}
    chains: dict[int, list[keras.layers.Layer]] = {id(a): [] for behind in dropped.values() for a in behind}
    rows = []
    for site, (own, note) in zip(sites, fitting, strict=True):
        new = own(name=site.layer.name)
        new.dtype_policy = site.layer.dtype_policy
        chains[id(site.layer)] = [new]
        needless = [activation.name for activation in dropped.get(id(site.layer), [])]
        notes = [f"replaces {', '.join(needless)}"] if needless else []
        rows.append(Row(site.path, site.layer, new, "; ".join([*notes, *_notes(site, new, norm, note, found)])))
    return SwapPlan(model, chains, [], rows)


def _notes(site: Site, new: keras.layers.Layer, norm: Norm, adapted: str, found: Modes) -> list[str]:
    if type(site.layer) is type(new):
        before, after = site.layer.get_config(), new.get_config()
        names = [key for key in {**after, **before} if key not in ("dtype", "trainable")]
        changed = [key for key in names if before.get(key) != after.get(key)]
        notes = [f"{key} {shown(before.get(key))} is {shown(after.get(key))} now" for key in changed]
    else:
        notes = ([adapted] if adapted else []) + site.losses
    notes += found.notes(site.layer, new)
    return notes + ([site.bias_note] if site.bias_note and not norm.cancels_bias else [])
