"""How every file of a study is judged: by its own seal, or by the size and hash that another file lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from normlab.store.seals import DamagedError, read_listed, read_sealed_json, require_sealed_page
from normlab.study.checkpoints import Checkpoints
from normlab.study.names import (
    ATTRIBUTION,
    ATTRIBUTION_PAGE,
    CHECKPOINTS,
    ENGINE,
    IDENTITY,
    MANIFEST,
    PARTS,
    REPORT,
    STUDY,
)
from normlab.study.parts import Parts, require_of

# Which file a path meant at a moment: number, time and size; None where there was none.
Stamp = tuple[int, int, int] | None


@dataclass(frozen=True)
class Check:
    """How one file is judged.

    Attributes:
        kind: What it is: study, engine, manifest, result, chunk, checkpoint, report or attribution.
        chunk: Its chunk, if any.
        judge: Raises `DamagedError` unless the file is what was written.
        stamps: Of the file and of that which says what it must be, as they were.
    """

    kind: str
    chunk: str
    judge: Callable[[], object]
    stamps: tuple[Stamp, ...]


def checks(folder: Path) -> dict[str, Check]:
    """Return, by path in a study's folder, how each file is judged that belongs there; one that is gone too."""
    found = dict(_single_files(folder))
    digest = _identity(folder)
    for path in Parts(folder).receipt_files():
        found |= _of_chunk(path, digest)
    for name in Checkpoints(folder).names():
        if f"{PARTS}/{name}.json" not in found:  # a finished chunk needs its checkpoint no more
            found |= _of_checkpoint(folder, name)
    return found


def _single_files(folder: Path) -> Iterator[tuple[str, Check]]:
    """Yield the files at the top of the folder, and the chunks that the manifest knows."""

    def check(kind: str, name: str, judge: Callable[[Path], object]) -> tuple[str, Check]:
        return name, Check(kind, "", partial(judge, folder / name), (_stamp(folder / name),))

    yield check("study", STUDY, read_sealed_json)
    if (folder / ENGINE).exists() or Parts(folder).receipt_files():
        yield check("engine", ENGINE, read_sealed_json)
    if (folder / REPORT).exists():
        yield check("report", REPORT, require_sealed_page)
    if (folder / ATTRIBUTION).exists():
        yield check("attribution", ATTRIBUTION, read_sealed_json)
    if (folder / ATTRIBUTION_PAGE).exists():
        yield check("attribution", ATTRIBUTION_PAGE, require_sealed_page)
    if not (folder / MANIFEST).exists():
        return
    yield check("manifest", MANIFEST, read_sealed_json)
    by = _stamp(folder / MANIFEST)
    manifest = _content(folder / MANIFEST)
    for name, entry in manifest.get("files", {}).items():
        yield name, _listed("result", "", folder / name, entry, by)
    for chunk in manifest.get("chunks", ()):
        path = folder / PARTS / f"{chunk}.json"
        yield f"{PARTS}/{path.name}", Check("chunk", chunk, partial(read_sealed_json, path), (_stamp(path), by))


def _of_chunk(path: Path, digest: str | None) -> dict[str, Check]:
    """Return the checks of a receipt and of the tables that it lists."""
    chunk, by = path.stem, _stamp(path)

    def judge() -> None:
        about = read_sealed_json(path)
        if digest is not None:
            require_of(path, about, digest)

    files = {
        f"{PARTS}/{name}": _listed("chunk", chunk, path.with_name(name), entry, by)
        for name, entry in _content(path).get("files", {}).items()
    }
    return {f"{PARTS}/{path.name}": Check("chunk", chunk, judge, (by,)), **files}


def _of_checkpoint(folder: Path, name: str) -> dict[str, Check]:
    """Return the checks of a checkpoint and of the tensors that it names."""
    path = folder / CHECKPOINTS / f"{name}.json"
    by = _stamp(path)
    found = {f"{CHECKPOINTS}/{path.name}": Check("checkpoint", name, partial(read_sealed_json, path), (by,))}
    entry = _content(path).get("checkpoint")
    if entry:
        tensors = entry["tensors"]
        listed = {key: entry[key] for key in ("bytes", "sha256")}
        found[f"{CHECKPOINTS}/{tensors}"] = _listed("checkpoint", name, path.with_name(tensors), listed, by)
    return found


def _listed(kind: str, chunk: str, path: Path, entry: Mapping[str, Any], by: Stamp) -> Check:
    return Check(kind, chunk, partial(read_listed, path, entry), (_stamp(path), by))


def _identity(folder: Path) -> str | None:
    found = _content(folder / STUDY).get(IDENTITY)
    return None if found is None else str(found)


def _content(path: Path) -> dict[str, Any]:
    """Return what a sealed file holds; nothing if it is damaged, which its own check tells."""
    try:
        return read_sealed_json(path)
    except DamagedError:
        return {}


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
