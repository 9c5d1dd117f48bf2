"""A recurrent layer with a norm on the input's product, on the hidden state's, and on an LSTM's cell state."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from normlab.errors import require_known
from normlab.models.cells import CELLS
from normlab.models.over_time import Kept, OverTime
from normlab.models.recurrent import require_poolable

Shape = tuple[int | None, ...]
# The arguments that are layers.
PRODUCTS = ("input_product", "hidden_product")
PLACES = ("input_norm", "hidden_norm", "cell_norm")


@keras.saving.register_keras_serializable(package="normlab")
class NormalizedRNN(keras.layers.Layer):  # type: ignore[misc]
    """A recurrent network over a sequence; returns the last hidden state.

        a_t = input_norm(W x_t) + bias        b_t = hidden_norm(U h_{t-1})

    and h_t by the formula of the cell in `CELLS`; an LSTM gives h_t = o tanh(cell_norm(c_t)) and carries c_t itself.
    The states begin at zero. There is one bias, after the norms; that of an LSTM's forget gate starts at one, all
    others at zero. A norm stands on all gates together, on (batch, num_gates units).

    Without norms this is keras.layers.SimpleRNN, LSTM, or GRU with reset_after=True, whose second bias (inside the
    reset gate) is left out.

    Shapes: input (batch, num_steps, features); output (batch, units); bias (num_gates units,).

    Source: Cooijmans, Ballas, Laurent, Gülçehre, Courville 2017, "Recurrent Batch Normalization", arXiv:1603.09025,
    equations 6 to 8, for any norm and cell. They fix beta of both products at zero; here a norm keeps its own.

    Args:
        cell: A name in `CELLS`.
        units: Size of the hidden state.
        input_product: W: a Dense of num_gates units outputs without a bias, or a norm of weights around one.
        hidden_product: U, likewise.
        input_norm: On W x_t; None for none.
        hidden_norm: On U h_{t-1}.
        cell_norm: On the cell state of an LSTM.
        statistics: `shared`, `per-step` or, with a norm on W x_t alone, `sequence`; see `OverTime`.
        gamma: Initial scale of the norms; see `OverTime`.
        **kwargs: Of every Keras layer.

    Raises:
        InputError: For an unknown cell, or statistics of the sequence for a norm inside the recurrence.
    """

    def __init__(
        self,
        cell: str,
        units: int,
        input_product: keras.layers.Layer,
        hidden_product: keras.layers.Layer,
        input_norm: keras.layers.Layer | None = None,
        hidden_norm: keras.layers.Layer | None = None,
        cell_norm: keras.layers.Layer | None = None,
        statistics: str = "shared",
        gamma: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require_known("cell", cell, CELLS)
        require_poolable(statistics, hidden_norm is not None or cell_norm is not None)
        self.cell = cell
        self.units = units
        self.products = dict(zip(PRODUCTS, (input_product, hidden_product), strict=True))
        norms = zip(PLACES, (input_norm, hidden_norm, cell_norm), strict=True)
        self.norms = {place: OverTime(norm, statistics, gamma) for place, norm in norms if norm is not None}
        self.statistics = statistics
        self.gamma = gamma

    def build(self, input_shape: Shape) -> None:
        """Build W, U, the norms over time, and the bias."""
        _, num_steps, features = input_shape
        width = CELLS[self.cell].num_gates * self.units
        self.products["input_product"].build((None, num_steps, features))
        self.products["hidden_product"].build((None, self.units))
        for place, norm in self.norms.items():
            norm.build((num_steps, None, self.units if place == "cell_norm" else width))
        start = "zeros" if CELLS[self.cell].forget_gate is None else self._forget_gate_at_one
        self.bias = self.add_weight(shape=(width,), name="bias", initializer=start)

    def call(self, inputs: Any, training: bool | None = None, shifts: Any = None) -> Any:
        """Return the hidden state after the last step, (batch, units), and move the statistics in training.

        With `shifts` δ, (num_steps, batch, units), the network goes on with h_t + δ_t, so that the gradient with
        respect to δ_t, at zero, is that with respect to h_t.
        """
        cell = CELLS[self.cell]
        products = ops.swapaxes(self.products["input_product"](inputs), 0, 1)
        state = ops.zeros((ops.shape(inputs)[0], self.units), dtype=self.compute_dtype)
        norms = self.norms
        if self.statistics == "sequence" and norms:
            products, norms = norms["input_norm"].over_sequence(products, training), {}
        statistics = {place: norm.statistics_of_steps() for place, norm in norms.items()}
        generators = {place: norm.generator_states() for place, norm in norms.items()}

        def step(carry: Any, given: Any) -> Any:
            (states, generators), (product, statistics, shift) = carry, given
            kept = {place: Kept(statistics[place], generators[place]) for place in norms}

            def normed(place: str, x: Any) -> Any:
                if place in norms:
                    x, kept[place] = norms[place].at_step(x, kept[place], training)
                return x

            a = normed("input_norm", product) + self.bias
            b = normed("hidden_norm", self.products["hidden_product"](states[0]))
            states = cell.step(a, b, states, lambda c: normed("cell_norm", c))
            if shift is not None:
                states = [states[0] + shift, *states[1:]]
            moved = {place: each.statistics for place, each in kept.items()}
            return (states, {place: each.generators for place, each in kept.items()}), moved

        # A loop written out in Python trains no faster and compiles far longer: 9 to 15 s for 8 steps of 24 units and 9
        # to 45 s for 28 of 64, against 3 to 6 s and 3 to 7 s (an epoch's program with its evaluation, on 2 busy cores).
        (states, generators), moved = ops.scan(
            step, ([state] * cell.num_states, generators), (products, statistics, shifts), length=inputs.shape[1]
        )
        if training:
            for place, norm in norms.items():
                norm.keep(Kept(moved[place], generators[place]))
        return states[0]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, units)."""
        return (input_shape[0], self.units)

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the layer; its parts are built again by this layer, under its own path."""
        norms = {place: self.norms[place].norm if place in self.norms else None for place in PLACES}
        parts = {name: keras.saving.serialize_keras_object(part) for name, part in {**self.products, **norms}.items()}
        for part in parts.values():
            if part is not None:
                part.pop("build_config", None)
        own = {"cell": self.cell, "units": self.units, "statistics": self.statistics, "gamma": self.gamma}
        return {**super().get_config(), **own, **parts}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> NormalizedRNN:
        """Return the layer with new parts."""
        parts = {name: keras.saving.deserialize_keras_object(config[name]) for name in PRODUCTS + PLACES}
        return cls(**{**config, **parts})

    def _forget_gate_at_one(self, shape: Shape, dtype: Any = None) -> Any:
        gates = ops.arange(shape[0]) // self.units
        return ops.cast(gates == CELLS[self.cell].forget_gate, dtype)
