"""What `normlab data list` and `normlab data check` show."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from normlab.data.catalog import DATASETS, Content
from normlab.data.contents import read_contents
from normlab.data.dataset import Task
from normlab.data.locate import data_folder, find_files
from normlab.errors import InputError, require_known


class Available(NamedTuple):
    """A named data set: `num_samples` per part (training, validation, test), and where its files are."""

    name: str
    task: Task
    num_samples: tuple[int, int, int]
    input_shape: tuple[int, ...]
    num_classes: int
    where: str
    origin: str
    licence: str


class Checked(NamedTuple):
    """One content: the file it is in, the expected SHA-256, and the one found or why there is none."""

    file: str
    expected: str
    found: str
    ok: bool


def available(data_dir: Path | str | None = None) -> list[Available]:
    """List the named data sets; `where` is "embedded", the folder that holds all files, or "not downloaded"."""
    folder = data_folder(data_dir).path
    rows = []
    for name, source in DATASETS.items():
        files = find_files(name, source, folder)
        if source.kind == "embedded":
            where = "embedded"
        elif len(files) < len(source.contents):
            where = "not downloaded"
        else:
            where = str(next(iter(files.values())).parent)
        rows.append(
            Available(
                name=name,
                task=source.task,
                num_samples=source.num_samples,
                input_shape=source.input_shape,
                num_classes=len(source.classes),
                where=where,
                origin=source.origin,
                licence=source.licence,
            )
        )
    return rows


def check(name: str, data_dir: Path | str | None = None) -> list[Checked]:
    """Compare the SHA-256 of every content with the official one; missing and unreadable files are rows, not errors.

    An embedded data set has no files, so no rows.

    Raises:
        InputError: Unknown name.
    """
    require_known("data set", name, DATASETS)
    source = DATASETS[name]
    files = find_files(name, source, data_folder(data_dir).path)
    found: dict[str, str] = {}
    # One read per file, so that a damaged one does not hide the others; an archive's contents are read together.
    for path in dict.fromkeys(files.values()):
        contents = [content for content in source.contents if files.get(content.name) == path]
        found |= _found(contents, files)
    return [
        Checked(
            file=_shown(files.get(content.name), content),
            expected=content.sha256,
            found=found.get(content.name, "missing"),
            ok=found.get(content.name) == content.sha256,
        )
        for content in source.contents
    ]


def _found(contents: list[Content], files: dict[str, Path]) -> dict[str, str]:
    """SHA-256 of each content, or what is wrong with the file."""
    found = {}
    try:
        for content, data in read_contents(contents, files):
            too_long = len(data) > content.num_bytes
            found[content.name] = (
                f"more than {content.num_bytes:,} bytes" if too_long else hashlib.sha256(data).hexdigest()
            )
    except InputError as error:
        for content in contents:
            found.setdefault(content.name, f"unreadable: {error.received}")
    return found


def _shown(path: Path | None, content: Content) -> str:
    if path is None:
        return content.name
    return f"{path}/{content.name}" if path.name.endswith(".tar.gz") else str(path)
