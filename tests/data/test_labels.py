"""Targets in their usual forms: what becomes one value per sample, with which note, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from normlab.data import load
from normlab.data.labels import one_value_each
from normlab.errors import InputError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
LABELS = np.arange(60) % 3
ONE_HOT = np.eye(3)[LABELS]
CODES = np.array([-1, 1])[np.arange(60) % 2]

FORMS: dict[str, tuple[np.ndarray, tuple[str, ...], str]] = {
    "one-hot integers": (ONE_HOT.astype(int), ("0", "1", "2"), "one-hot, 3 columns"),
    "one-hot floats": (ONE_HOT.astype(np.float32), ("0", "1", "2"), "one-hot, 3 columns"),
    "one-hot booleans": (ONE_HOT.astype(bool), ("0", "1", "2"), "one-hot, 3 columns"),
    "one-hot of two": (np.eye(2)[np.arange(60) % 2], ("0", "1"), "one-hot, 2 columns"),
    "column": (LABELS[:, None], ("0", "1", "2"), ""),
    "booleans": (CODES > 0, ("False", "True"), ""),
    "column of booleans": ((CODES > 0)[:, None], ("False", "True"), ""),
    "minus and plus one": (CODES, ("-1", "1"), ""),
    "from one": (LABELS + 1, ("1", "2", "3"), ""),
    "text": (np.array(["b", "a", "c"])[LABELS], ("a", "b", "c"), ""),
    "bytes": (np.array([b"b", "ä".encode(), b"c"])[LABELS], ("b", "c", "ä"), "read as UTF-8 text"),
    "Latin-1 bytes": (np.array([b"b", "ä".encode("latin-1")])[LABELS % 2], ("b", "ä"), "read as Latin-1 text"),
}


@pytest.mark.parametrize("case", FORMS)
def test_labels_in_usual_forms_are_classes(case: str) -> None:
    y, classes, note = FORMS[case]
    dataset = load((X, y))
    assert (dataset.task, dataset.classes) == ("classification", classes)
    found = [sentence for sentence in dataset.notes if sentence.startswith("y ")]
    assert len(found) == bool(note)
    assert all(note in sentence for sentence in found)


def test_the_class_of_a_one_hot_row_is_the_column_of_its_one() -> None:
    x = np.arange(60.0)[:, None, None]
    dataset = load((x, ONE_HOT))
    for part in dataset.parts.values():
        np.testing.assert_array_equal(part.y, LABELS[part.x[:, 0, 0].astype(int)])


def test_one_note_stands_for_all_parts() -> None:
    dataset = load({"x_train": X, "y_train": ONE_HOT, "x_test": X, "y_test": ONE_HOT})
    assert [note.split(":")[0] for note in dataset.notes] == ["y is one-hot, 3 columns"]


FLOATS: dict[str, tuple[np.ndarray, str | None, str]] = {
    "zeros and ones as classes": (LABELS % 2.0, "classification", "('0', '1')"),
    "codes as classes": (CODES.astype(np.float32), "classification", "('-1', '1')"),
    "from one as classes": (LABELS + 1.0, "classification", "('1', '2', '3')"),
    "zeros and ones as quantity": (LABELS % 2.0, "regression", "()"),
    "integers as quantity": (np.arange(60), "regression", "()"),
    "fractions": (LABELS + 0.5, None, "()"),
}


@pytest.mark.parametrize("case", FLOATS)
def test_the_task_says_what_floats_are(case: str) -> None:
    y, task, classes = FLOATS[case]
    dataset = load((X, y), task=task)  # type: ignore[arg-type]
    assert str(dataset.classes) == classes
    assert dataset.task == ("regression" if classes == "()" else "classification")


@pytest.mark.parametrize("y", [LABELS % 2.0, CODES.astype(np.float32), LABELS + 1.0, (LABELS % 2.0)[:, None]])
def test_whole_floats_with_few_values_are_refused_until_the_task_is_given(y: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"--task classification or --task regression") as caught:
        load((X, y))
    assert "\n" not in str(caught.value)


REFUSED: dict[str, tuple[Any, str | None, str]] = {
    "several ones": (
        np.maximum(ONE_HOT, np.eye(3)[0]),
        None,
        r"40 of 60 rows without exactly one 1, the first at index 1",
    ),
    "no one": (ONE_HOT * (np.arange(60) > 4)[:, None], None, r"5 of 60 rows without exactly one 1"),
    "probabilities": (np.full((60, 3), 1 / 3), None, r"other values than 0 and 1; give .* y\.argmax\(axis=1\)"),
    "two quantities": (X[:, :2], None, r"shape \(60, 2\) with other values than 0 and 1; choose one column"),
    "one-hot as quantity": (ONE_HOT, "regression", r"shape \(60, 3\) for task regression"),
    "three axes": (ONE_HOT[:, :, None], None, r"one value per sample, got shape \(60, 3, 1\)"),
    "scalar": (np.int64(3), None, r"one value per sample, got shape \(\)"),
    "no columns": (np.zeros((60, 0)), None, r"got shape \(60, 0\)"),
    "text as quantity": (LABELS.astype(str), "regression", r"must hold numbers for task regression, got text"),
    "objects": (np.array([{}] * 60), None, r"y must hold numbers or text, got dtype object"),
    "dates": (np.arange(60).astype("datetime64[D]"), None, r"integers or text .* got dtype datetime64"),
    "nan as classes": (
        np.where(LABELS == 1, np.nan, LABELS),
        "classification",
        r"y must hold finite .* 20 of 60 .* at index 1",
    ),
    "unknown task": (LABELS, "ranking", r"task must be known, got 'ranking'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_targets_are_refused_in_one_line(case: str) -> None:
    y, task, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as caught:
        load((X, y), task=task)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_named_data_set_has_its_task() -> None:
    with pytest.raises(InputError, match=r"task must be left out where data are wine"):
        load("wine", task="regression")


def test_a_column_loses_its_second_axis_alone() -> None:
    assert one_value_each(LABELS[:, None], "y").values.shape == (60,)
    assert one_value_each(LABELS, "y").values is LABELS
