"""The data sets that scikit-learn ships: digits, breast-cancer, wine."""

from __future__ import annotations

import numpy as np

from normlab.data.catalog import DATASETS
from normlab.data.dataset import Dataset, Part
from normlab.data.scaling import standardize, training_moments
from normlab.data.splits import describe_split, split_three


def load_embedded(name: str, split_seed: int) -> Dataset:
    """Load digits (uint8 images, 8 x 8, values 0 to 16) or a table standardized with the training part's moments.

    The split is 60/20/20, stratified, from `split_seed`.
    """
    source = DATASETS[name]
    x, labels, columns = _raw(name)
    split = split_three(len(x), labels, source.classes, split_seed)
    parts = [x[rows] for rows in split]
    stored = dict(zip(split._fields, parts, strict=True)) if columns else None
    if columns:
        moments = training_moments(parts[0])
        parts = [standardize(values, moments, columns) for values in parts]
        preprocessing = "Columns are standardized with the training part's means and standard deviations."
    else:
        preprocessing = "Grey values 0 to 16 are divided by 16."
    train, validation, test = (Part(values, labels[rows]) for values, rows in zip(parts, split, strict=True))
    return Dataset(
        name=name,
        task=source.task,
        train=train,
        validation=validation,
        test=test,
        classes=source.classes,
        divisor=1.0 if columns else 16.0,
        description=(
            source.origin,
            describe_split({"train": train.y, "validation": validation.y, "test": test.y}, True, split_seed),
            preprocessing,
            "No missing values.",
            f"Licence: {source.licence}.",
        ),
        columns=columns,
        scaling=preprocessing,
        stored=stored,
    )


def _raw(name: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    from sklearn import datasets

    if name == "digits":
        bunch = datasets.load_digits()
        return bunch.images.astype(np.uint8), bunch.target.astype(np.int32), ()
    loaders = {"breast-cancer": datasets.load_breast_cancer, "wine": datasets.load_wine}
    bunch = loaders[name]()
    columns = tuple(str(column) for column in bunch.feature_names)
    return bunch.data.astype(np.float64), bunch.target.astype(np.int32), columns
