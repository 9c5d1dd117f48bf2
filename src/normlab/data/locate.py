"""Which folder holds the official files, and which of them are there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from normlab.data.catalog import Source
from normlab.errors import InputError
from normlab.file_checks import is_file

ENVIRONMENT_VARIABLE = "NORMLAB_DATA"
CIFAR_FOLDER = "cifar-10-batches-bin"


class Folder(NamedTuple):
    """Folder of the official files, and whether the user chose it (then `load` downloads nothing)."""

    path: Path
    chosen: bool


def data_folder(data_dir: Path | str | None) -> Folder:
    """`data_dir`, else the folder in the variable NORMLAB_DATA, else the user's cache folder."""
    if data_dir is not None:
        return Folder(home_expanded(data_dir), True)
    from_environment = os.environ.get(ENVIRONMENT_VARIABLE)
    if from_environment:
        return Folder(home_expanded(from_environment), True)
    import platformdirs

    return Folder(Path(platformdirs.user_cache_dir("normlab")), False)


def find_files(name: str, source: Source, folder: Path) -> dict[str, Path]:
    """Find the file that holds each content, by the content's name; contents that are nowhere are left out.

    Looked up in `folder/name/`, then `folder/`: unzipped, zipped, in the unpacked CIFAR folder, in the archive.
    """
    found = {}
    for content in source.contents:
        for base in (folder / name, folder):
            candidates = [base / content.name]
            if source.kind == "idx":
                candidates.append(base / f"{content.name}.gz")
            else:
                candidates += [base / CIFAR_FOLDER / content.name, *(base / archive for archive in source.downloads)]
            path = next((candidate for candidate in candidates if is_file(candidate)), None)
            if path is not None:
                found[content.name] = path
                break
    return found


def require_files(name: str, source: Source, folder: Path) -> dict[str, Path]:
    """`find_files`, complete.

    Raises:
        InputError: A content is missing; the message names it and how to get it.
    """
    files = find_files(name, source, folder)
    missing = [content.name for content in source.contents if content.name not in files]
    if missing:
        raise InputError(
            f"the files of {name} must be in {folder / name} or {folder}",
            f"no {', no '.join(missing)} there",
            f"run `normlab data get {name} --data-dir {folder}` or put {', '.join(source.downloads)} there by hand",
        )
    return files


def home_expanded(path: Path | str) -> Path:
    """Return the path with ~ as the home folder; a ~name that is nobody's stays, and is then not found."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  # Path.expanduser raises RuntimeError there
