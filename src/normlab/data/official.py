"""MNIST, Fashion-MNIST and CIFAR-10 from their official files, with their official test part."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from normlab.data.catalog import DATASETS, Source
from normlab.data.cifar import IMAGE_SHAPE, parse_cifar
from normlab.data.contents import read_contents, require_content
from normlab.data.dataset import Dataset, Part
from normlab.data.idx import parse_idx
from normlab.data.locate import require_files

PIXELS = "Pixels 0 to 255 are divided by 255."
_NUM_VALIDATION = 5_000


def load_official(name: str, folder: Path) -> Dataset:
    """Load and verify an official data set from the files in `folder`.

    Validation is the first 5,000 training images of MNIST and Fashion-MNIST, the last 5,000 of CIFAR-10.

    Raises:
        InputError: A file is missing, unreadable, or its contents are not the official ones.
    """
    source = DATASETS[name]
    files = require_files(name, source, folder)
    if source.kind == "idx":
        train, test = _read_idx(source, files)
        validation, rest, which = slice(None, _NUM_VALIDATION), slice(_NUM_VALIDATION, None), "first"
    else:
        train, test = _read_cifar(source, files)
        validation, rest, which = slice(-_NUM_VALIDATION, None), slice(None, -_NUM_VALIDATION), "last"
    parts = Part(train.x[rest], train.y[rest]), Part(train.x[validation], train.y[validation]), test
    counts = [f"{len(part):,}" for part in parts]
    return Dataset(
        name=name,
        task=source.task,
        train=parts[0],
        validation=parts[1],
        test=parts[2],
        classes=source.classes,
        divisor=255.0,
        description=(
            source.origin,
            f"{counts[0]} training, {counts[1]} validation and {counts[2]} test images: "
            f"validation is the {which} {_NUM_VALIDATION:,} of the official training images; "
            "test is the official test part.",
            PIXELS,
            "No missing values.",
            f"Licence: {source.licence}.",
        ),
        scaling=PIXELS,
    )


def _read_idx(source: Source, files: dict[str, Path]) -> tuple[Part, Part]:
    arrays = []
    for content, data in read_contents(source.contents, files):
        require_content(content, data, files[content.name])
        arrays.append(parse_idx(data, 3 if "images" in content.name else 1, content.name))
    train_x, train_y, test_x, test_y = arrays
    return Part(train_x, train_y.astype(np.int32)), Part(test_x, test_y.astype(np.int32))


def _read_cifar(source: Source, files: dict[str, Path]) -> tuple[Part, Part]:
    per_file = 10_000
    num_samples = per_file * len(source.contents)
    # Filled batch by batch, in the order of the catalogue whatever the order in the archive; the last is the test part.
    x = np.empty((num_samples, *IMAGE_SHAPE), dtype=np.uint8)
    y = np.empty(num_samples, dtype=np.int32)
    starts = {content.name: per_file * index for index, content in enumerate(source.contents)}
    for content, data in read_contents(source.contents, files):
        require_content(content, data, files[content.name])
        rows = slice(starts[content.name], starts[content.name] + per_file)
        x[rows], y[rows] = parse_cifar(data, content.name)
    return Part(x[:-per_file], y[:-per_file]), Part(x[-per_file:], y[-per_file:])
