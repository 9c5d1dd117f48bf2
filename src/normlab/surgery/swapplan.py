"""What a swap will do, checked and not yet done: the new layers, whose weights they take over, the table's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from normlab.surgery.copying import array_of
from normlab.surgery.graph import rebuild
from normlab.surgery.kinds import norms_of_weights
from normlab.surgery.swapped import Change, Swapped

if TYPE_CHECKING:
    import keras

    from normlab.surgery.sites import Site


@dataclass(frozen=True)
class Row:
    """A row of the table before the new layers are built; see `Change`."""

    path: str
    old: keras.layers.Layer | None
    new: keras.layers.Layer | None
    note: str


def removal_row(site: Site) -> Row:
    """Return the row of a norm that goes and is not replaced."""
    return Row(site.path, site.layer, None, "; ".join(filter(None, [*site.losses, site.bias_note])))


@dataclass(frozen=True)
class SwapPlan:
    """A swap that was checked; `build` does it, once.

    Checking runs new norms on samples, building only creates variables: a study notes their initializers meanwhile.

    Attributes:
        model: The model, which stays as it is.
        chains: By `id` of an old layer: the unbuilt layers that will be called in its place, one after the other.
        heirs: Old layers, each with the layers of its chain that take over its weights, in their order.
        rows: What changes.
    """

    model: keras.Model
    chains: Mapping[int, Sequence[keras.layers.Layer]]
    heirs: Sequence[tuple[keras.layers.Layer, Sequence[keras.layers.Layer]]]
    rows: Sequence[Row]

    def build(self) -> Swapped:
        """Build the new model and give it the old weights."""
        rebuilt = rebuild(self.model, self.chains, [row.new for row in self.rows if row.new is not None])
        inherited = [
            (old, heir) for layer, heirs in self.heirs for old, heir in zip(layer.weights, _weights(heirs), strict=True)
        ]
        for old, new in inherited:
            new.assign(array_of(old))
        sources = {**rebuilt.sources, **{id(new): old for old, new in inherited}}
        for chain in self.chains.values():
            for layer in chain:
                if isinstance(layer, norms_of_weights()):
                    layer.match_kernel()
                    sources[id(layer.gain)] = sources[id(layer.layer.kernel)]
        return Swapped(rebuilt.model, tuple(_change(row) for row in self.rows), sources)


def _weights(layers: Sequence[keras.layers.Layer]) -> list[keras.Variable]:
    """Return the weights that layers have without norms of weights."""
    plain = [layer.layer if isinstance(layer, norms_of_weights()) else layer for layer in layers]
    return [variable for layer in plain for variable in layer.weights]


def _change(row: Row) -> Change:
    old, new = row.old, row.new
    after = 0 if new is None else new.count_params()
    if isinstance(new, norms_of_weights()):
        after -= new.layer.count_params()  # the gain is what the norm adds
    return Change(
        row.path,
        "" if old is None else type(old).__name__,
        "" if new is None else type(new).__name__,
        0 if old is None else old.count_params(),
        after,
        row.note,
    )
