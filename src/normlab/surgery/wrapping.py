"""Put a norm of weights on the Dense and Conv layers of a model; norms of activations are removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from normlab.errors import InputError
from normlab.surgery.copying import copy_layer
from normlab.surgery.graph import leaves
from normlab.surgery.kinds import norms_of_weights
from normlab.surgery.places import feeders, places
from normlab.surgery.sites import Site, modes, removed
from normlab.surgery.swapplan import Row, SwapPlan, removal_row

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
    paths = {id(layer): path for path, layer, _, _ in leaves(model)}
    chains = {id(layer): [_wrapped(layer, paths[id(layer)], norm)] for layer in chosen}
    found = modes(model)
    rows = [removal_row(site) for site in sites]
    for layer in chosen:
        new = chains[id(layer)][0]
        rows.append(Row(paths[id(layer)], None, new, "; ".join(found.notes(layer, new, is_added=True))))
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
