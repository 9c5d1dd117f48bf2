"""Put a norm of weights on the Dense and Conv layers of a model; norms of activations are removed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from normlab.errors import InputError
from normlab.surgery.copying import copy_layer
from normlab.surgery.graph import calls
from normlab.surgery.kinds import is_graph, norms_of_weights
from normlab.surgery.places import feeders, places
from normlab.surgery.sites import Site, removed
from normlab.surgery.swapplan import Row, SwapPlan

if TYPE_CHECKING:
    import keras

    from normlab.norms import Norm


def plan_wrapping(model: keras.Model, sites: Sequence[Site], norm: Norm) -> SwapPlan:
    """Return the plan that wraps every Dense and Conv before a norm; without norms, those that would get one.

    Raises:
        InputError: If there is no such layer, or the norm cannot wrap one of them.
    """
    chosen = feeders(model, {id(site.layer) for site in sites}) if sites else places(model)
    if not chosen:
        raise InputError(
            f"the norm {norm.name} acts on weights, so a Dense or Conv must come before a norm, or before an "
            "activation that is not of the head",
            f"{model.name} without such a layer",
            "choose another norm",
        )
    paths = dict(_paths(model, ""))
    chains = {id(layer): [_wrapped(layer, paths[id(layer)], norm)] for layer in chosen}
    rows = [Row(site.path, site.layer, None, site.bias_note) for site in sites]
    rows += [Row(paths[id(layer)], None, chains[id(layer)][0], "") for layer in chosen]
    return SwapPlan(model, {**removed(sites), **chains}, [(layer, chains[id(layer)]) for layer in chosen], rows)


def _wrapped(layer: keras.layers.Layer, path: str, norm: Norm) -> keras.layers.Layer:
    copy = copy_layer(layer)
    try:
        wrapper = norm.wrap(copy)
    except InputError as error:
        raise InputError(error.rule, f"{path}: {error.received}", error.action) from None
    if not isinstance(wrapper, norms_of_weights()):
        raise InputError("swap needs a norm of weights of the table", repr(norm.name), "choose another norm")
    return wrapper


def _paths(model: keras.Model, prefix: str) -> Iterator[tuple[int, str]]:
    for call in calls(model):
        path = f"{prefix}{call.layer.name}"
        if is_graph(call.layer):
            yield from _paths(call.layer, f"{path}/")
        else:
            yield id(call.layer), path
