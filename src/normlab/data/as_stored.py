"""A data set whose inputs are handed over as stored, for a network that scales or looks up its inputs itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from normlab.data.dataset import Dataset, Part
from normlab.errors import InputError

_LARGEST_INDEX = 2**31 - 1


def stored_inputs(dataset: Dataset) -> dict[str, np.ndarray]:
    """Return the inputs of each part before they were scaled."""
    return {name: part.x if dataset.stored is None else dataset.stored[name] for name, part in dataset.parts.items()}


def are_whole(dataset: Dataset) -> bool:
    """Return whether all inputs, as stored, are whole numbers that int32 holds."""
    return all(_first_fraction(values) is None for values in stored_inputs(dataset).values())


def as_stored(dataset: Dataset, why: str, *, integers: bool) -> Dataset:
    """Return the data set with its inputs as stored: int32 without a divisor, or numbers with divisor 1.

    Args:
        dataset: Scaled, as it was loaded.
        why: What the network does, as the beginning of the note.
        integers: Whether the inputs are to be int32.

    Raises:
        InputError: An input does not fit into int32, or float32.
    """
    inputs = stored_inputs(dataset)
    convert = _integers if integers else _numbers
    parts = {name: Part(convert(values, name), dataset.parts[name].y) for name, values in inputs.items()}
    low = min(values.min() for values in inputs.values())
    high = max(values.max() for values in inputs.values())
    kind = "whole numbers " if integers else ""
    note = f"{why}: inputs are handed over as stored, {kind}from {low:g} to {high:g}."
    changes: dict[str, Any] = {
        **parts,
        "divisor": None if integers else 1.0,
        "description": _without(dataset.description, dataset.scaling),
        "notes": (*_without(dataset.notes, dataset.scaling), note),
        "scaling": note,
        "stored": None,
    }
    return replace(dataset, **changes)


def channels_first(dataset: Dataset, why: str) -> Dataset:
    """Return a data set whose channels were moved to the end (see `layout`) with its channels first, as they came."""
    parts = {
        name: Part(np.ascontiguousarray(np.moveaxis(part.x, -1, 1)), part.y) for name, part in dataset.parts.items()
    }
    changes: dict[str, Any] = {**parts, "layout": "", "notes": (why, *_without(dataset.notes, dataset.layout))}
    return replace(dataset, **changes)


def _without(sentences: tuple[str, ...], one: str) -> tuple[str, ...]:
    return tuple(sentence for sentence in sentences if sentence != one)


def _numbers(values: np.ndarray, part: str) -> np.ndarray:
    if values.dtype in (np.uint8, np.uint16):
        return values
    with np.errstate(over="ignore"):
        converted = np.ascontiguousarray(values, dtype=np.float32)
    wrong = np.argwhere(~np.isfinite(converted))
    if len(wrong):
        place = tuple(int(index) for index in wrong[0])
        rule = f"inputs of the {part} part must be finite as float32"
        raise InputError(rule, f"{values[place]} at {place}", "rescale them, or leave them to normlab to scale")
    return converted


def _integers(values: np.ndarray, part: str) -> np.ndarray:
    place = _first_fraction(values)
    if place is not None:
        rule = "inputs of a network that takes integers must be whole numbers that int32 holds"
        received = f"{values[place]} at {place} of the {part} part"
        raise InputError(rule, received, "give whole numbers, or begin the network with a float Input")
    return np.ascontiguousarray(values, dtype=np.int32)


def _first_fraction(values: np.ndarray) -> tuple[int, ...] | None:
    """Return the place of the first value that int32 does not hold."""
    fits = np.abs(values.astype(np.float64)) <= _LARGEST_INDEX
    if values.dtype.kind == "f":
        fits &= values == np.round(values)
    return None if fits.all() else tuple(int(index) for index in np.argwhere(~fits)[0])
