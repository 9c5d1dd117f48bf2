"""The cells of recurrent networks: their formulas, given the two products that a norm may stand on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras import ops

States = list[Any]
# (input part with bias, hidden part, states before, norm of the cell state) to the states after; states[0] is h.
Step = Callable[[Any, Any, States, Callable[[Any], Any]], States]


@dataclass(frozen=True)
class Cell:
    """A cell: h_t from a = W x_t + bias and b = U h_{t-1}, each of shape (batch, num_gates * units).

    Attributes:
        num_gates: Blocks of `units` columns in W, U and the bias.
        num_states: Arrays of shape (batch, units) that go from step to step, h first.
        step: The formula.
        forget_gate: The block whose bias starts at one, as in Keras (Jozefowicz et al. 2015); None for none.
    """

    num_gates: int
    num_states: int
    step: Step
    forget_gate: int | None = None


def _simple(a: Any, b: Any, *_: Any) -> States:
    """Return h = tanh(a + b)."""
    return [ops.tanh(a + b)]


def _gru(a: Any, b: Any, states: States, *_: Any) -> States:
    """Return h = z h + (1 - z) tanh(a_c + r b_c), with z = sigmoid(a_z + b_z) and r = sigmoid(a_r + b_r)."""
    (a_z, a_r, a_c), (b_z, b_r, b_c) = ops.split(a, 3, axis=-1), ops.split(b, 3, axis=-1)
    z, r = ops.sigmoid(a_z + b_z), ops.sigmoid(a_r + b_r)
    return [z * states[0] + (1 - z) * ops.tanh(a_c + r * b_c)]


def _lstm(a: Any, b: Any, states: States, normed: Callable[[Any], Any]) -> States:
    """Return h = o tanh(norm(c)) and c = f c + i tanh(g), with i, f, o the sigmoids and g the part of a + b."""
    i, f, g, o = ops.split(a + b, 4, axis=-1)
    c = ops.sigmoid(f) * states[1] + ops.sigmoid(i) * ops.tanh(g)
    return [ops.sigmoid(o) * ops.tanh(normed(c)), c]


# Gates stand in the order of keras.layers.SimpleRNN, GRU (with reset_after) and LSTM, so that weights can be copied.
CELLS = {
    "simple": Cell(1, 1, _simple),
    "gru": Cell(3, 1, _gru),
    "lstm": Cell(4, 2, _lstm, forget_gate=1),
}
