"""The user's own arrays, in memory or from a .npz file, to a `Dataset`: split and scaled."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from normlab.data.array_input import Pairs, array_name, read_pairs
from normlab.data.dataset import Dataset, Part, Task
from normlab.data.scaling import standardize, training_moments
from normlab.data.splits import describe_split, hold_out, split_three
from normlab.data.targets import (
    as_labels,
    class_indices,
    decide_task,
    require_finite_target,
    standardized_targets,
)
from normlab.errors import InputError


class _Inputs(NamedTuple):
    parts: dict[str, np.ndarray]
    divisor: float
    preprocessing: str
    columns: tuple[str, ...]


def load_arrays(source: Any, split_seed: int, name: str, origin: str, task: Task | None = None) -> Dataset:
    """Make a data set of arrays.

    Integers, booleans and text in y are classes, in sorted order; floats are a regression target (see
    `decide_task`). uint8 inputs are pixels and are divided by 255; other inputs with two dimensions are tables,
    standardized with the training part's moments; those with more are taken as they are. Without parts, the split is
    60/20/20, stratified; without a validation part, a stratified sixth of the training part is set aside for it.

    Args:
        source: `(x, y)`, or a mapping with names from `ARRAY_NAMES`.
        split_seed: What the split is drawn from.
        name: Name of the data set.
        origin: First sentence of the description.
        task: What y holds, where the user says so; default: what its type and values say.

    Raises:
        InputError: Names, shapes, types or values break a rule.
    """
    pairs = {part: (_finite(x, array_name("x", part)), y) for part, (x, y) in read_pairs(source).items()}
    for part, (_, y) in pairs.items():
        if y.dtype.kind == "f":
            require_finite_target(y, array_name("y", part))
    task = decide_task(next(iter(pairs.values()))[1], "y", task)
    targets = {part: y for part, (_, y) in pairs.items()}
    classes: tuple[str, ...] = ()
    if task == "classification":
        targets = {part: as_labels(y) for part, y in targets.items()}
        targets, classes = class_indices(targets, "train" if "train" in targets else "whole", "y")
    strata = targets if classes else None
    x_parts, y_parts, split_sentence = _three_parts(pairs, targets, strata, classes, split_seed)
    mean, scale = 0.0, 1.0
    if task == "regression":
        y_parts, mean, scale = standardized_targets(y_parts, "y")
    inputs = _scale(x_parts)
    parts = {part: Part(inputs.parts[part], y_parts[part]) for part in ("train", "validation", "test")}
    notes = [inputs.preprocessing, *_target_notes(classes, mean, scale)]
    return Dataset(
        name=name,
        task=task,
        train=parts["train"],
        validation=parts["validation"],
        test=parts["test"],
        classes=classes,
        divisor=inputs.divisor,
        description=(origin, split_sentence, *notes, "No missing values."),
        columns=inputs.columns,
        target_mean=mean,
        target_scale=scale,
    )


def _three_parts(
    pairs: Pairs,
    targets: dict[str, np.ndarray],
    strata: dict[str, np.ndarray] | None,
    classes: tuple[str, ...],
    seed: int,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], str]:
    """Inputs and targets of the three parts, and the sentence about them."""
    inputs = {part: x for part, (x, _) in pairs.items()}
    if "whole" in pairs:
        split = split_three(len(inputs["whole"]), None if strata is None else strata["whole"], classes, seed)._asdict()
        x_parts = {part: inputs["whole"][rows] for part, rows in split.items()}
        y_parts = {part: targets["whole"][rows] for part, rows in split.items()}
        return x_parts, y_parts, describe_split(y_parts, bool(classes), seed)
    how = "parts as given"
    if "validation" not in pairs:
        rest, held_out = hold_out(len(inputs["train"]), None if strata is None else strata["train"], classes, seed)
        for arrays in (inputs, targets):
            arrays["validation"] = arrays["train"][held_out]
            arrays["train"] = arrays["train"][rest]
        stratified = ", stratified by class" if classes else ""
        how = f"validation is a sixth of the training part that was given{stratified}, split seed {seed}"
    counts = [f"{len(targets[part]):,} {part}" for part in ("train", "validation", "test")]
    return inputs, targets, f"{counts[0]}, {counts[1]} and {counts[2]} samples: {how}."


def _scale(parts: dict[str, np.ndarray]) -> _Inputs:
    train = parts["train"]
    if train.dtype == np.uint8:
        return _Inputs(parts, 255.0, "uint8 inputs are taken as pixels and divided by 255.", ())
    if train.ndim == 2:
        columns = tuple(f"x{index}" for index in range(train.shape[1]))
        moments = training_moments(train)
        scaled = {part: standardize(values, moments, columns) for part, values in parts.items()}
        sentence = "Columns are standardized with the training part's means and standard deviations."
        return _Inputs(scaled, 1.0, sentence, columns)
    return _Inputs(parts, 1.0, "Inputs are taken as they are, without scaling.", ())


def _finite(x: np.ndarray, name: str) -> np.ndarray:
    """Inputs that are finite, checked before the split so that errors give the caller's index.

    What is neither pixels nor a table is used as it is, so it is converted to float32 here.
    """
    if x.dtype == np.uint8:
        return x
    _require_finite(x, name)
    if x.ndim == 2:
        return x
    with np.errstate(over="ignore"):
        converted = np.ascontiguousarray(x, dtype=np.float32)
    _require_finite(converted, f"{name} as float32")
    return converted


def _require_finite(values: np.ndarray, name: str) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        place = tuple(int(index) for index in np.argwhere(~finite)[0])
        raise InputError(
            f"{name} must hold finite numbers",
            f"{np.count_nonzero(~finite)} of {values.size} that are not, the first ({values[place]}) at {place}",
            "correct, fill or remove these samples",
        )


def _target_notes(classes: tuple[str, ...], mean: float, scale: float) -> list[str]:
    if classes:
        return []
    return [f"The target is standardized with the training part's mean {mean:.6g} and deviation {scale:.6g}."]
