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
from normlab.data.table_options import TableOptions
from normlab.errors import InputError
from normlab.file_checks import is_file

_FILE_SUFFIXES = (".npz", ".csv", ".parquet")


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
        source: A name in `DATASETS`; a path ending in .npz, .csv or .parquet; arrays `(x, y)`; or a mapping with
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
    if missing not in CHOICES:
        raise InputError("missing must be known", repr(missing), f"choose one of {', '.join(CHOICES)}")
    if task not in (None, *TASKS):
        raise InputError("task must be known", repr(task), f"choose one of {', '.join(TASKS)}")
    options = TableOptions(target, missing, tuple(drop), tuple(keep), task)
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
    path = home_expanded(source)
    suffix = path.suffix.lower()
    if suffix not in _FILE_SUFFIXES:
        raise InputError(
            "data must be a known name or a path ending in .npz, .csv or .parquet",
            repr(str(source)),
            f"choose one of {', '.join(DATASETS)}, or give such a path",
        )
    if not is_file(path):
        raise InputError("the data file must exist", str(path), "check the path")
    if suffix != ".npz":
        from normlab.data.tables import load_table

        return load_table(path, options, split_seed, name or path.stem)
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
