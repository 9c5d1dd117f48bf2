"""Swap the norms of a model for others, remove them, or insert them where there are none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from normlab.errors import InputError
from normlab.norms import NORMS, Norm, named_norm
from normlab.surgery.activations import replaced_activations
from normlab.surgery.fits import require_fit
from normlab.surgery.graph import require_graph
from normlab.surgery.insertion import plan_insertion
from normlab.surgery.sites import Site, norm_sites, removed, require_last_axis
from normlab.surgery.swapped import Swapped
from normlab.surgery.swapplan import Row, SwapPlan
from normlab.surgery.wrapping import plan_wrapping

if TYPE_CHECKING:
    import keras


def swap(model: keras.Model, norm: str | Norm) -> Swapped:
    """Return a copy of a model with every norm replaced by a new `norm`; all other weights are kept.

    The norm `none` removes the norms. Where the model has no norm, one is inserted after every Dense or Conv that an
    activation follows, the head left out; a fused activation becomes a layer of its own behind the norm. A new norm
    starts at its own initial values; it takes over the name and the precision of the one it replaces.

    A norm of weights replaces nothing: the norms are removed, and every Dense or Conv before one of them is wrapped
    (without norms: every one after which a norm would be inserted). Its gain starts such that the layer's kernel stays
    as it is, or with weight standardization as it is less each unit's mean.

    A norm that contains an activation also replaces the rectifier (ReLU and its like) that directly follows its place.

    Args:
        model: A Functional or Sequential model, with branches, shared layers and nested models if need be. Unchanged.
        norm: A norm, its name in `normlab.norms.NORMS`, or FILE.py:NAME for one of the user's own.

    Raises:
        InputError: If the model is subclassed or unbuilt, there is no place for a norm, or the norm cannot serve at a
            place: groups that don't divide the channels, an output that would not depend on the input.
    """
    return plan_swap(model, norm).build()


def plan_swap(model: keras.Model, norm: str | Norm) -> SwapPlan:
    """Check a swap and return what it will do; arguments and errors as of `swap`."""
    norm = _resolve(norm)
    require_graph(model)
    sites = norm_sites(model)
    if norm.name == "none":
        return _removal(model, sites)
    if norm.wrapper is not None:
        return plan_wrapping(model, sites, norm)
    return _replacement(model, sites, norm) if sites else plan_insertion(model, norm)


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
    return SwapPlan(model, removed(sites), [], [Row(s.path, s.layer, None, s.bias_note) for s in sites])


def _replacement(model: keras.Model, sites: Sequence[Site], norm: Norm) -> SwapPlan:
    chains: dict[int, list[keras.layers.Layer]] = {}
    fitting = set()
    for site in sites:
        require_last_axis(site)
        for shape in site.shapes:
            if shape not in fitting:
                require_fit(norm, site.path, shape)
                fitting.add(shape)
        new = norm(name=site.layer.name)
        new.dtype_policy = site.layer.dtype_policy
        chains[id(site.layer)] = [new]
    dropped = replaced_activations(model, {id(s.layer) for s in sites}) if norm.replaces_activation else {}
    rows = []
    for site in sites:
        new = chains[id(site.layer)][0]
        needless = [activation.name for activation in dropped.get(id(site.layer), [])]
        rows.append(Row(site.path, site.layer, new, _note(site, new, norm, needless)))
    chains |= {id(activation): [] for activations in dropped.values() for activation in activations}
    return SwapPlan(model, chains, [], rows)


def _note(site: Site, new: keras.layers.Layer, norm: Norm, dropped: Sequence[str]) -> str:
    notes = [f"replaces {', '.join(dropped)}"] if dropped else []
    if type(site.layer) is type(new):
        before, after = site.layer.get_config(), new.get_config()
        changed = [key for key in after if before.get(key) != after[key] and key not in ("dtype", "trainable")]
        notes += [f"{key} {_shown(before.get(key))} is {_shown(after[key])} now" for key in changed]
    if not site.layer.trainable:
        notes.append("was frozen; trains, as its values are new")
    if site.bias_note and not norm.cancels_bias:
        notes.append(site.bias_note)
    return "; ".join(notes)


def _shown(setting: object) -> object:
    """Return a setting of a layer, an object of Keras by its class."""
    return setting.get("class_name", "changed") if isinstance(setting, dict) else setting
