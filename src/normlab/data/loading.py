"""`load`: from a name, a file or arrays to a `Dataset`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from normlab.data.catalog import DATASETS
from normlab.data.dataset import TASKS, Dataset, Task
from normlab.data.locate import data_folder, find_files, home_expanded
from normlab.data.missing import CHOICES, Missing
from normlab.data.table_files import PACKED_SUFFIXES, TEXT_SUFFIXES, table_name
from normlab.data.table_options import TableOptions
from normlab.errors import InputError
from normlab.file_checks import is_file


def load(
    source: str | Path | tuple[Any, ...] | Mapping[str, Any],
    *,
    data_dir: Path | str | None = None,
    target: str | None = None,
    missing: Missing = "error",
    drop: Sequence[str] = (),
    keep: Sequence[str] = (),
    task: Task | None = None,
    split_seed: int = 0,
    name: str | None = None,
) -> Dataset:
    """Load a data set by name, from a file, or from arrays.

    Args:
        source: A name in `DATASETS`; a path to a table (.csv, .tsv, .txt, .data, .parquet, perhaps with .gz or .zip)
            or to arrays (.npz); arrays `(x, y)`; or a mapping with
            x and y, or x_train, y_train, x_test, y_test and optionally x_val, y_val.
        data_dir: Where the official files are; default: the folder in NORMLAB_DATA, else the user's cache folder,
            to which missing files are downloaded. Nothing is downloaded to a folder that was given.
        target: Name of the target column of a table.
        missing: What is done about a table's missing values: refuse them (error), drop their rows (drop), fill numbers
            with the training part's mean and give categories one of their own (mean), or the same with one more input
            per number column that says where it was missing (category).
        drop: Columns of a table that are left out.
        keep: Columns of a table that are inputs although they count the rows.
        task: Whether the target holds classes or a quantity; default: what its type and values say.
        split_seed: What the 60/20/20 split is drawn from; the official parts of MNIST, Fashion-MNIST and CIFAR-10,
            and parts that the user gives, stay as they are.
        name: Name of the result; default: the data set's name, the file's name, or "arrays".

    Raises:
        InputError: Unknown name, missing or altered file, or data that break a rule; the message says which.
    """
    options = table_options(target, missing, drop, keep, task)
    if isinstance(source, str) and source in DATASETS:
        options.require_none(source)
        if task is not None:
            raise InputError(f"task must be left out where data are {source}", repr(task), "leave task out")
        dataset = _load_named(source, data_dir, split_seed)
        return dataset if name is None else replace(dataset, name=name)
    if isinstance(source, (str, Path)):
        return _load_file(source, options, split_seed, name)
    options.require_none("arrays")
    from normlab.data.arrays import load_arrays

    return load_arrays(source, split_seed, name or "arrays", "Arrays given by the user.", task)


def table_options(
    target: str | None, missing: str, drop: Sequence[str], keep: Sequence[str], task: str | None
) -> TableOptions:
    """Check the options of a table; raises `InputError` for an unknown way with missing values, or task."""
    if missing not in CHOICES:
        raise InputError("missing must be known", repr(missing), f"choose one of {', '.join(CHOICES)}")
    if task not in (None, *TASKS):
        raise InputError("task must be known", repr(task), f"choose one of {', '.join(TASKS)}")
    for option, names in (("drop", drop), ("keep", keep)):
        if isinstance(names, str):
            raise InputError(f"{option} must be a list of names", repr(names), f"give [{names!r}]")
    return TableOptions(target, missing, tuple(drop), tuple(keep), task)  # type: ignore[arg-type]


def _load_named(name: str, data_dir: Path | str | None, split_seed: int) -> Dataset:
    if DATASETS[name].kind == "embedded":
        from normlab.data.embedded import load_embedded

        return load_embedded(name, split_seed)
    from normlab.data.official import load_official

    folder = data_folder(data_dir)
    complete = len(find_files(name, DATASETS[name], folder.path)) == len(DATASETS[name].contents)
    if not complete and not folder.chosen:
        from normlab.data.download import get_files

        get_files(name, DATASETS[name], folder.path)
    return load_official(name, folder.path)


def _load_file(source: str | Path, options: TableOptions, split_seed: int, name: str | None) -> Dataset:
    path = require_data_file(source)
    named = table_name(path)
    if named is not None:
        from normlab.data.tables import load_table

        return load_table(path, options, split_seed, name or named[0])
    options.require_none("a .npz file")
    from normlab.data.array_input import ARRAY_NAMES
    from normlab.data.arrays import load_arrays
    from normlab.data.npz import read_npz

    return load_arrays(
        read_npz(path, ARRAY_NAMES),
        split_seed,
        name or path.stem,
        f"Arrays of {path.name}, given by the user.",
        options.task,
    )


def require_data_file(source: str | Path) -> Path:
    """Return the path of a file of data, if it is there and its name says what it holds."""
    path = home_expanded(source)
    if table_name(path) is None and path.suffix.lower() != ".npz":
        suffixes = f"{', '.join(TEXT_SUFFIXES)} (perhaps with {' or '.join(PACKED_SUFFIXES)}), .parquet or .npz"
        raise InputError(
            f"data must be a known name or a path ending in {suffixes}",
            repr(str(source)),
            f"choose one of {', '.join(DATASETS)}, or give such a path",
        )
    if not is_file(path):
        raise InputError("the data file must exist", str(path), "check the path")
    return path
