"""The user's arrays as they come: named, brought into parts, and checked for shape and type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from normlab.errors import InputError

ARRAY_NAMES = ("x", "y", "x_train", "y_train", "x_val", "y_val", "x_validation", "y_validation", "x_test", "y_test")
Pairs = dict[str, tuple[np.ndarray, np.ndarray]]


def read_pairs(source: Any) -> Pairs:
    """Read `(x, y)` or a mapping with names from `ARRAY_NAMES` into checked copies, by part.

    The parts are "whole", or "train", "test" and perhaps "validation".

    Raises:
        InputError: Names, shapes or types break a rule.
    """
    pairs = _by_part(_named(source))
    for part, (x, y) in pairs.items():
        _require_pair(part, x, y)
    _require_alike(pairs)
    return pairs


def array_name(letter: str, part: str) -> str:
    """What the user calls the array `letter` (x or y) of a part: x, or x_train and so on."""
    return letter if part == "whole" else f"{letter}_{part}"


def _named(source: Any) -> dict[str, np.ndarray]:
    if isinstance(source, Mapping):
        unknown = [str(name) for name in source if name not in ARRAY_NAMES]
        if unknown:
            raise InputError("arrays must have known names", ", ".join(unknown), f"use {', '.join(ARRAY_NAMES)}")
        return {name: _as_array(name, value) for name, value in source.items()}
    if isinstance(source, tuple) and len(source) == 2:
        return {"x": _as_array("x", source[0]), "y": _as_array("y", source[1])}
    size = f" of {len(source)}" if isinstance(source, tuple) else ""
    raise InputError(
        "data must be a name, a path, a pair (x, y) or a mapping",
        f"{type(source).__name__}{size}",
        "give (x, y) or {'x_train': ..., 'y_train': ..., 'x_test': ..., 'y_test': ...}",
    )


def _by_part(named: dict[str, np.ndarray]) -> Pairs:
    for short, long in (("x_val", "x_validation"), ("y_val", "y_validation")):
        if short in named and long in named:
            raise InputError("the validation part must be given once", f"{short} and {long}", f"leave out {long}")
        if short in named:
            named[long] = named.pop(short)
    names = set(named)
    parts = {"x_train", "y_train", "x_test", "y_test"}
    if names == {"x", "y"}:
        return {"whole": (named["x"], named["y"])}
    if names in (parts, parts | {"x_validation", "y_validation"}):
        present = [part for part in ("train", "validation", "test") if f"x_{part}" in named]
        return {part: (named[f"x_{part}"], named[f"y_{part}"]) for part in present}
    raise InputError(
        "arrays must be x and y, or x_train, y_train, x_test, y_test and optionally x_val, y_val",
        ", ".join(sorted(names)) or "none",
        "give one of these two sets",
    )


def _as_array(name: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{name} must be an array", f"{type(value).__name__}: {error}", "give a NumPy array of one shape"
        ) from error
    if array.dtype.hasobject:
        raise InputError(
            f"{name} must hold numbers or text", f"dtype {array.dtype}", "convert it, for example with astype(float)"
        )
    if name.startswith("y") and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    # A copy: the data set and its hashes must not change when the caller's array does.
    return array.copy() if array is value or array.base is not None else array


def _require_pair(part: str, x: np.ndarray, y: np.ndarray) -> None:
    x_name, y_name = array_name("x", part), array_name("y", part)
    if x.ndim < 2:
        raise InputError(
            f"{x_name} must have a first axis of samples and at least one more",
            f"shape {x.shape}",
            "reshape one column with x.reshape(-1, 1)",
        )
    if x.dtype.kind not in "biuf":
        raise InputError(f"{x_name} must hold numbers", f"dtype {x.dtype}", "convert it with astype(float)")
    if y.ndim != 1:
        raise InputError(
            f"{y_name} must have one value per sample",
            f"shape {y.shape}",
            "give class indices, for example y.argmax(axis=1) of one-hot rows",
        )
    if len(x) != len(y):
        raise InputError(
            f"{x_name} and {y_name} must have the same length", f"{len(x)} and {len(y)}", "give one y per sample of x"
        )
    if x.size == 0:
        raise InputError(f"{x_name} must not be empty", f"shape {x.shape}", "give at least one sample with values")


def _require_alike(pairs: Pairs) -> None:
    """Parts must have inputs of one shape and kind, and targets of one kind."""
    (first, (x, y)), *others = pairs.items()
    for part, (other_x, other_y) in others:
        if other_x.shape[1:] != x.shape[1:]:
            raise InputError(
                f"x_{part} must have the input shape of x_{first}",
                f"{other_x.shape[1:]} and {x.shape[1:]}",
                "give parts of one shape",
            )
        if (other_x.dtype == np.uint8) != (x.dtype == np.uint8) or other_x.dtype.kind != x.dtype.kind:
            raise InputError(
                f"x_{part} must have the type of x_{first}", f"{other_x.dtype} and {x.dtype}", "convert one of them"
            )
        if _kind(other_y) != _kind(y):
            raise InputError(
                f"y_{part} must have the type of y_{first}", f"{other_y.dtype} and {y.dtype}", "convert one of them"
            )


def _kind(y: np.ndarray) -> str:
    """Text, floats, whole numbers (booleans too), or the dtype itself."""
    kinds = {"U": "text", "T": "text", "f": "floats", "i": "whole", "u": "whole", "b": "whole"}
    return kinds.get(y.dtype.kind, str(y.dtype))
