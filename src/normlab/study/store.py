"""A study's folder: files written aside, flushed to disk and renamed, so that a reader sees all of a file or none."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from normlab.errors import InputError
from normlab.study.cells import Chunk

STUDY, ENGINE, SUMMARY, EXAMPLE, REPORT = "study.json", "engine.json", "summary.json", "example.json", "report.html"
EPOCHS, RUNS, PROBES, PARTS = "epochs.parquet", "runs.parquet", "probes.parquet", "parts"


class Store:
    """The folder of one study.

    While the study runs, every finished chunk is immutable files under `parts/`: what its probes measured, if there are
    any, its epochs, then its runs; the last says that the chunk is complete. `probes.parquet`, `epochs.parquet` and
    `runs.parquet` hold them all.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, identity: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        """Start a study here, or go on with the same one.

        Args:
            identity: What makes it the same study: settings, data, code.
            about: What else is recorded: versions, machine, time.

        Raises:
            InputError: If the folder can't be written to, or holds another study or other files.
        """
        recorded = self.read_json(STUDY)
        existing = None if recorded is None else {name: recorded.get(name) for name in identity}
        if existing is None:
            self._require_empty()
            self.write_json(STUDY, {**identity, **about, "identity_sha256": _digest(identity)})
        elif existing != _plain(identity):
            differing = ", ".join(_differences(existing, _plain(identity)))
            raise InputError(
                "--out must be a new folder or hold this same study",
                f"{self.folder} with another one (it differs in {differing})",
                "choose another --out",
            )

    def is_complete(self, with_probes: bool = False) -> bool:
        """Return whether the study was finished, and all its records are still here."""
        wanted = (SUMMARY, EPOCHS, RUNS, *((PROBES,) if with_probes else ()))
        return all((self.folder / name).is_file() for name in wanted)

    def has(self, chunk: Chunk) -> bool:
        """Return whether a chunk's records are complete."""
        return self._part(chunk, RUNS).exists()

    def write_chunk(
        self, chunk: Chunk, epochs: pl.DataFrame, runs: pl.DataFrame, probes: pl.DataFrame | None = None
    ) -> None:
        """Keep a finished chunk."""
        self._part(chunk, RUNS).parent.mkdir(exist_ok=True)
        if probes is not None:
            self._write(self._part(chunk, PROBES), probes.write_parquet)
        self._write(self._part(chunk, EPOCHS), epochs.write_parquet)
        self._write(self._part(chunk, RUNS), runs.write_parquet)

    def read_parts(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return epochs and runs of all complete chunks; empty frames if there are none."""
        runs = sorted((self.folder / PARTS).glob(f"*.{RUNS}"))
        epochs = [path.with_name(path.name.replace(RUNS, EPOCHS)) for path in runs]
        try:
            return _concatenated(epochs), _concatenated(runs)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise _unreadable(self.folder / PARTS, error) from None

    def read_probes(self) -> pl.DataFrame:
        """Return what the probes measured in all complete chunks; an empty frame if there is nothing."""
        runs = sorted((self.folder / PARTS).glob(f"*.{RUNS}"))
        found = [path.with_name(path.name.replace(RUNS, PROBES)) for path in runs]
        try:
            return _concatenated([path for path in found if path.is_file()])
        except (pl.exceptions.PolarsError, OSError) as error:
            raise _unreadable(self.folder / PARTS, error) from None

    def write_frame(self, name: str, frame: pl.DataFrame) -> None:
        """Write a Parquet file."""
        self._write(self.folder / name, frame.write_parquet)

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Write a JSON file; a number that is not finite becomes null."""
        text = json.dumps(_plain(value), indent=1, ensure_ascii=False, allow_nan=False)
        # Half a character, as in names of files that are no UTF-8, is written as JSON's own escape for it.
        content = (text + "\n").encode("utf-8", "backslashreplace")
        self._write(self.folder / name, lambda path: path.write_bytes(content))

    def read_json(self, name: str) -> dict[str, Any] | None:
        """Return a JSON file's content, or None if there is no such file; raises `InputError` if it is no record."""
        path = self.folder / name
        try:
            content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        except (ValueError, OSError, RecursionError) as error:
            raise _unreadable(path, error) from None
        if content is not None and not isinstance(content, dict):
            raise _unreadable(path, type(content).__name__)
        return content

    def _part(self, chunk: Chunk, kind: str) -> Path:
        return self.folder / PARTS / f"{chunk.name}.{kind}"

    def _require_empty(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if any(self.folder.iterdir()):
                raise InputError(
                    "--out must be a new or empty folder", f"{self.folder} with other files", "choose another --out"
                )
            probe = self.folder / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise _unwritable(self.folder, error) from None

    def _write(self, path: Path, write: Callable[[Path], Any]) -> None:
        try:
            write_atomically(path, write)
        except OSError as error:
            raise _unwritable(self.folder, error) from None


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a file beside `path`, flush it to disk, and rename it to `path`."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(aside)
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    if os.name == "posix":  # elsewhere a folder can't be opened to be flushed
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError("--out must be writable", f"{folder} ({error.strerror or error})", "choose another --out")


def _unreadable(path: Path, why: object) -> InputError:
    return InputError("records in --out must be readable", f"{path} ({why})", "choose another --out")


def _concatenated(paths: list[Path]) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(path) for path in paths]) if paths else pl.DataFrame()


def _plain(value: Any) -> Any:
    """Return what JSON keeps of a value: tuples as lists, paths as text, numbers that are not finite as null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(_plain(value), sort_keys=True).encode()).hexdigest()


def _differences(old: Any, new: Any, prefix: str = "") -> list[str]:
    """Return the dotted names at which two nested values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted(old.keys() | new.keys())
        return [found for name in names for found in _differences(old.get(name), new.get(name), f"{prefix}.{name}")]
    return [] if old == new else [prefix.lstrip(".")]
