"""The user's own arrays, in memory or from a .npz file, to a `Dataset`: split and scaled."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from normlab.data.array_input import Pairs, array_name, read_pairs
from normlab.data.dataset import Dataset, Part, Task
from normlab.data.images import FULL_SCALES, Channels, channels_of, narrowed, pixel_scale
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

STANDARDIZED = "Columns are standardized with the training part's means and standard deviations."


class _Inputs(NamedTuple):
    parts: dict[str, np.ndarray]
    divisor: float
    scaling: str
    columns: tuple[str, ...] = ()
    stored: dict[str, np.ndarray] | None = None


def load_arrays(source: Any, split_seed: int, name: str, origin: str, task: Task | None = None) -> Dataset:
    """Make a data set of arrays.

    Integers, booleans, text and one-hot rows in y are classes, in sorted order; floats are a regression target (see
    `one_value_each` and `decide_task`). Inputs with two dimensions are tables, standardized with the training part's
    moments, unless they are uint8 pixels; pixels are divided as `pixel_scale` says. With four dimensions, the channels
    are put last (`channels_of`). Without parts, the split is 60/20/20, stratified; without a validation part, a
    stratified sixth of the training part is set aside for it.

    Args:
        source: `(x, y)`, or a mapping with names from `ARRAY_NAMES`.
        split_seed: What the split is drawn from.
        name: Name of the data set.
        origin: First sentence of the description.
        task: What y holds, where the user says so; default: what its type and values say.

    Raises:
        InputError: Names, shapes, types or values break a rule.
    """
    read = read_pairs(source, task)
    pairs, layout = _channels_last(read.pairs, read.channels)
    for part, (x, y) in pairs.items():
        _require_finite_inputs(x, array_name("x", part))
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
    is_table = inputs.scaling == STANDARDIZED
    standard = [inputs.scaling] if is_table else []
    inferred = [*([layout] if layout else []), *([] if is_table else [inputs.scaling]), *read.notes]
    return Dataset(
        name=name,
        task=task,
        train=parts["train"],
        validation=parts["validation"],
        test=parts["test"],
        classes=classes,
        divisor=inputs.divisor,
        description=(origin, split_sentence, *standard, *_target_notes(classes, mean, scale), "No missing values."),
        columns=inputs.columns,
        target_mean=mean,
        target_scale=scale,
        notes=tuple(inferred),
        scaling=inputs.scaling,
        stored=inputs.stored,
        layout=layout,
    )


def _channels_last(pairs: Pairs, said: Channels | None) -> tuple[Pairs, str]:
    """Return the arrays with the channels of images last, and the note on it; empty where they were last."""
    shape = next(iter(pairs.values()))[0].shape[1:]
    if len(shape) != 3:
        if said:
            received = f"channels={said!r} for samples of shape {shape}"
            raise InputError("channels must be left out unless x has four axes", received, "leave channels out")
        return pairs, ""
    if (said or channels_of(shape)) == "last":
        return pairs, ""
    moved = {part: (np.moveaxis(x, 1, -1), y) for part, (x, y) in pairs.items()}
    after = next(iter(moved.values()))[0].shape[1:]
    return moved, f"Samples of shape {shape} are images with their channels first: transposed to {after}."


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
    pixels = pixel_scale(train)
    if train.ndim == 2 and not (train.dtype == np.uint8 and pixels.divisor == FULL_SCALES[0]):
        columns = tuple(f"x{index}" for index in range(train.shape[1]))
        moments = training_moments(train)
        scaled = {part: standardize(values, moments, columns) for part, values in parts.items()}
        return _Inputs(scaled, 1.0, STANDARDIZED, columns, parts)
    return _Inputs(narrowed(parts), pixels.divisor, pixels.sentence)


def _require_finite_inputs(x: np.ndarray, name: str) -> None:
    """Require finite inputs, before the split so that errors give the caller's index.

    What is no table is not standardized, so it must be finite as float32 too.
    """
    if x.dtype.kind != "f":
        return
    _require_finite(x, name)
    if x.ndim > 2:
        with np.errstate(over="ignore"):
            _require_finite(x.astype(np.float32), f"{name} as float32")


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
