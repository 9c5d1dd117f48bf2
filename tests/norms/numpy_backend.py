"""Runs every case on Keras's NumPy backend and stores the outputs; a process of its own, started by test_table."""

from __future__ import annotations

import sys

import keras
import numpy as np

from tests.norms.table import CASES, call, inputs, layer_at, mask_for, norm_of, places, starting_values


def main(out: str) -> None:
    """Write the outputs of all cases in both modes."""
    if keras.backend.backend() != "numpy":
        raise SystemExit(f"runs on the NumPy backend only, not on {keras.backend.backend()}")
    outputs = {}
    for name, kind in places():
        x, mask, layer = inputs(kind), mask_for(kind), layer_at(norm_of(CASES[name]))
        layer.build(x.shape)
        for variable, value in zip(layer.variables, starting_values(CASES[name], layer), strict=True):
            variable.assign(value)
        outputs[f"{name}/{kind}/evaluate"] = np.asarray(call(layer, x, False, mask))
        outputs[f"{name}/{kind}/train"] = np.asarray(call(layer, x, True, mask))
    np.savez(out, **outputs)


if __name__ == "__main__":
    main(sys.argv[1])
