"""The recurrent network: a simple, GRU or LSTM layer over the rows of an image or the steps of a sequence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from normlab.errors import InputError, require_known
from normlab.models.counts import MAX_SIZE, require_count
from normlab.models.mlp import INITIALIZERS
from normlab.norms import check

if TYPE_CHECKING:
    import keras

    from normlab.norms import Norm

RECURRENT_CELLS = ("simple", "gru", "lstm")
NORMED = ("input", "hidden", "both")
STATISTICS = ("shared", "per-step", "sequence")


def recurrent(
    norm: Norm,
    input_shape: Sequence[int],
    num_outputs: int,
    *,
    cell: str = "gru",
    units: int = 64,
    where: str = "both",
    statistics: str = "shared",
    gamma: float = 1.0,
    initializer: str = "glorot_uniform",
    hidden_initializer: str = "orthogonal",
) -> keras.Model:
    """Build a recurrent layer over the first axis, then Dense(num_outputs) on its last state, which gives logits.

    The norm stands on the products inside the cell, over all its gates together, before the one bias; see
    `normlab.models.normalized_rnn` for the formulas. Norms with an activation of their own (frn, evo-s0) act there as
    published; the cell's gates and tanh stay. A norm of weights acts on W, on U, or on both, as `where` says.

    Args:
        norm: The norm; called once per place.
        input_shape: Shape of one sample: (steps, features), or (rows, columns, channels), read row by row.
        num_outputs: Classes, or 1 for regression.
        cell: `simple`, `gru` (as Keras's with reset_after=True) or `lstm`.
        units: Size of the hidden state.
        where: The norm stands on the `input` product W x_t, on the `hidden` product U h_{t-1} (for lstm also on the
            cell state before its tanh), or on `both`, as in Cooijmans et al. 2017, arXiv:1603.09025.
        statistics: `shared`: training normalizes each time step by the batch's moments at that step, and evaluation
            uses one set of running statistics, the mean over the steps. `per-step`: a set for every step (Cooijmans et
            al.). `sequence`: moments are pooled over batch and steps in training too, as in Laurent et al. 2016,
            arXiv:1510.01378; only with `where` = `input`, since U h_{t-1} of later steps is not known yet. Gamma and
            beta are shared over time in all three.
        gamma: Initial scale of the norms. Cooijmans et al. use 0.1: with 1 the tanh saturates and the gradient decays
            over time. Norms without a scale, and norms of weights, which have a gain, take no notice.
        initializer: Of W, one of `INITIALIZERS`; default Keras's, as for `hidden_initializer`.
        hidden_initializer: Of U.

    Raises:
        InputError: For a wrong option, samples that are no sequences, or a norm that can't serve.
    """
    check_recurrent(
        cell=cell,
        units=units,
        where=where,
        statistics=statistics,
        gamma=gamma,
        initializer=initializer,
        hidden_initializer=hidden_initializer,
    )
    _require_sequence(input_shape)
    import keras

    from normlab.models.cells import CELLS
    from normlab.models.normalized_rnn import NormalizedRNN

    width = CELLS[cell].num_gates * units
    placed = {"input": where != "hidden", "hidden": where != "input", "cell": where != "input" and cell == "lstm"}

    def product(place: str, start: str) -> keras.layers.Layer:
        dense = keras.layers.Dense(width, use_bias=False, kernel_initializer=start, name=place)
        return norm.wrap(dense) if placed[place] else dense

    def norm_at(place: str) -> keras.layers.Layer | None:
        if not placed[place]:
            return None
        check(norm, (units if place == "cell" else width,))
        return norm(name=f"norm_{place}")

    layers: list[keras.layers.Layer] = [keras.Input(tuple(input_shape), name="input")]
    if len(input_shape) == 3:
        layers.append(keras.layers.Reshape((input_shape[0], math.prod(input_shape[1:])), name="rows"))
    rnn = NormalizedRNN(
        cell,
        units,
        input_product=product("input", initializer),
        hidden_product=product("hidden", hidden_initializer),
        input_norm=norm_at("input"),
        hidden_norm=norm_at("hidden"),
        cell_norm=norm_at("cell"),
        statistics=statistics,
        gamma=gamma,
        name="rnn",
    )
    return keras.Sequential([*layers, rnn, keras.layers.Dense(num_outputs, name="head")], name="recurrent")


def check_recurrent(
    *,
    cell: str = "gru",
    units: int = 64,
    where: str = "both",
    statistics: str = "shared",
    gamma: float = 1.0,
    initializer: str = "glorot_uniform",
    hidden_initializer: str = "orthogonal",
) -> None:
    """Raise `InputError` for a wrong option of `recurrent`, without importing Keras."""
    require_known("cell", cell, RECURRENT_CELLS)
    require_count("units", units, MAX_SIZE)
    require_known("where", where, NORMED)
    require_known("statistics", statistics, STATISTICS)
    require_poolable(statistics, where != "input")
    if isinstance(gamma, bool) or not isinstance(gamma, int | float) or not 0 < gamma < math.inf:
        raise InputError("gamma must be a finite number above 0", gamma, "give such as 0.1 or 1")
    require_known("initializer", initializer, INITIALIZERS)
    require_known("hidden_initializer", hidden_initializer, INITIALIZERS)


def require_poolable(statistics: str, is_inside: bool) -> None:
    """Raise `InputError` where the moments of a norm inside the recurrence are to be pooled over the sequence."""
    if statistics == "sequence" and is_inside:
        raise InputError(
            "statistics = sequence pools the moments over all steps, so the norm must stand on the input's product",
            "a norm on the hidden state, whose later steps are not known yet",
            "set where = input, or statistics = shared or per-step",
        )


def _require_sequence(input_shape: Sequence[int]) -> None:
    if len(input_shape) not in (2, 3):
        raise InputError(
            "a recurrent network must get sequences (steps, features) or images (rows, columns, channels)",
            f"samples of shape {tuple(input_shape)}",
            "choose data with a first axis to go along, or the network mlp",
        )
