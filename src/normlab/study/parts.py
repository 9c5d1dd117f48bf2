"""The chunks on record: for each its tables, then a receipt that lists them and says that the chunk is finished."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normlab.errors import InputError
from normlab.store.files import flush_folder, make_folder, write_file
from normlab.store.seals import DamagedError, listed, read_listed, read_sealed_json, sealed_json
from normlab.study.cells import CHUNK_NAME, Chunk
from normlab.study.names import DAMAGED, IDENTITY, PARTS, STUDY

if TYPE_CHECKING:
    import polars as pl

TABLES = ("epochs", "runs", "probes")


@dataclass(frozen=True)
class Receipt:
    """What the folder says of a finished chunk.

    Attributes:
        chunk: Name.
        stage: "tuning", "report" or "alternative".
        start: Position of the chunk's first cell in its stage.
        num_cells: How many there are.
        about: What else was recorded: how it was trained, and the seconds that took.
        files: Size and hash of its tables, by name.
    """

    chunk: str
    stage: str
    start: int
    num_cells: int
    about: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]]


class Parts:
    """The finished chunks in the folder of one study; nothing in it is ever changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / PARTS

    def receipts(self) -> list[Receipt]:
        """Return the receipts of all finished chunks, those of tuning last, each stage in order.

        Raises:
            DamagedError: If a receipt is.
        """
        return [_receipt(path) for path in self.receipt_files()]

    def receipt_files(self) -> list[Path]:
        """Return the files of the receipts; no other file is taken for one."""
        found = [path for path in self.folder.glob("*.json") if CHUNK_NAME.fullmatch(path.stem)]
        return sorted(found, key=lambda path: (len(path.stem.split("-")[1]), path.stem))

    def whole_receipts(self) -> tuple[list[Receipt], list[DamagedError]]:
        """Return the receipts that are whole, and what is wrong with the others."""
        whole, damaged = [], []
        for path in self.receipt_files():
            try:
                whole.append(_receipt(path))
            except DamagedError as damage:
                damaged.append(damage)
        return whole, damaged

    def has(self, chunk: Chunk) -> bool:
        """Return whether a chunk is finished."""
        return (self.folder / f"{chunk.name}.json").exists()

    def write(self, chunk: Chunk, tables: Mapping[str, pl.DataFrame], about: Mapping[str, Any]) -> None:
        """Keep a finished chunk; one that is on record already stays as it is.

        Raises:
            OSError: If it can't be written; the chunk is then not finished.
        """
        if self.has(chunk):
            return
        make_folder(self.folder)
        files = {}
        for kind, table in tables.items():
            name, content = f"{chunk.name}.{kind}.parquet", parquet(table)
            write_file(self.folder / name, content)
            files[name] = listed(content)
        receipt = {"stage": chunk.stage, "start": chunk.start, "num_cells": len(chunk.cells), **about, "files": files}
        write_file(self.folder / f"{chunk.name}.json", sealed_json(receipt))

    def read(self, kind: str) -> pl.DataFrame:
        """Return one kind of table of all finished chunks; an empty frame if there is nothing.

        Raises:
            DamagedError: If a file is.
        """
        import polars as pl

        named = [(name, entry) for receipt in self.receipts() for name, entry in receipt.files.items()]
        wanted = [(self.folder / name, entry) for name, entry in named if name.endswith(f".{kind}.parquet")]
        tables = [read_parquet(path, entry) for path, entry in wanted]
        return pl.concat(tables) if tables else pl.DataFrame()

    def set_aside_damaged(self, digest: str) -> list[DamagedError]:
        """Move the files of every damaged chunk out of the way, so that it is trained again, and say what was found.

        Args:
            digest: What tells the study from others; another study's chunk counts as damaged.
        """
        found = []
        for path in self.receipt_files():
            try:
                receipt = _receipt(path)
                require_of(path, receipt.about, digest)
                for name, entry in receipt.files.items():
                    read_listed(self.folder / name, entry)
            except DamagedError as damage:
                found.append(damage)
                self._set_aside(path.stem)
        return found

    def _set_aside(self, chunk: str) -> None:
        """Move a chunk's files, its receipt first: without one it is not on record."""
        target = self.folder.parent / DAMAGED
        make_folder(target)
        files = [self.folder / f"{chunk}.json", *(self.folder / f"{chunk}.{kind}.parquet" for kind in TABLES)]
        for path in files:
            if path.exists():
                path.replace(_free(target / path.name))
        flush_folder(target)
        flush_folder(self.folder)


def is_of_a_study(folder: Path) -> bool:
    """Return whether a folder holds a study: the file that says which, or, should that be lost, a finished chunk."""
    return (folder / STUDY).exists() or bool(Parts(folder).receipt_files())


def require_study(folder: Path) -> None:
    """Raise `InputError` unless a folder holds a study, and may be read."""
    try:
        is_there, why = is_of_a_study(folder), f"without {STUDY}"
    except OSError as error:
        is_there, why = False, f"({error.strerror or error})"
    if not is_there:
        raise InputError("a study must lie in the folder named", f"{folder} {why}", "check the path")


def parquet(table: pl.DataFrame) -> bytes:
    """Return a table as the content of a Parquet file."""
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


def read_parquet(path: Path, entry: Mapping[str, Any]) -> pl.DataFrame:
    """Return the table in a file that a listing names; raises `DamagedError` if it is not what was written."""
    import polars as pl

    return pl.read_parquet(io.BytesIO(read_listed(path, entry)))


def require_of(path: Path, about: Mapping[str, Any], digest: str) -> None:
    """Raise `DamagedError` unless a file says that it belongs to the study with this hash."""
    if about.get(IDENTITY) != digest:
        raise DamagedError(path, "it belongs to another study")


def _receipt(path: Path) -> Receipt:
    content = read_sealed_json(path)
    stage, start, num_cells, files = (content.pop(name) for name in ("stage", "start", "num_cells", "files"))
    return Receipt(path.stem, stage, start, num_cells, content, files)


def _free(path: Path) -> Path:
    """Return the path, or one with a number where something is there already."""
    numbered = (path if n == 0 else path.with_name(f"{path.name}.{n}") for n in range(10_000))
    return next(candidate for candidate in numbered if not candidate.exists())
