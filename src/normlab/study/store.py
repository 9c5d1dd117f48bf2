"""A study's folder: which study it is, the chunks on record, the chunk under way, and what came out."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from normlab.errors import InputError
from normlab.store.files import ASIDE, make_folder, remove_file, require_writable, write_file, writing_to
from normlab.store.lock import LOCK, in_use, is_held, only_writer
from normlab.store.seals import DamagedError, Listing, listed, plain, read_listed, read_sealed_json, sealed_json
from normlab.study.checkpoints import Checkpoints
from normlab.study.names import ENGINE, IDENTITY, MANIFEST, STUDY, SUMMARY
from normlab.study.parts import Parts, is_of_a_study, parquet


class DamageWarning(UserWarning):
    """Something in a study's folder was damaged; what was lost is made again."""


class Store:
    """The folder of one study, for the one process that writes there.

    `study.json` says which study it is, `engine.json` how its runs are cut into chunks. Every finished chunk is
    immutable files under `parts/`; the chunk under way has its newest checkpoint under `checkpoints/`. What the chunks
    amount to is made from them at the end, and `manifest.json`, written last, lists it.
    """

    def __init__(self, folder: str | Path) -> None:
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(folder)):
            rule = "--out must be a folder of a mounted file system, where a rename is whole or not at all"
            raise InputError(rule, str(folder), "run into a folder here and copy it there: its files never change")
        self.folder = Path(folder)
        self.parts = Parts(self.folder)
        self.checkpoints = Checkpoints(self.folder)
        self._set_aside: set[str] = set()  # chunks

    def require_free(self) -> None:
        """Raise `InputError` if another process writes to the folder now, or this one could not."""
        require_writable(self.folder)
        if self.folder.is_dir() and is_held(self.folder):
            raise in_use(self.folder)

    @contextmanager
    def only_writer(self) -> Iterator[None]:
        """Make the folder where it is not there, and be its only writer inside the block.

        Raises:
            InputError: If it can't be made or written to, holds other files, or another process writes there.
        """
        with writing_to(self.folder):
            made = not self.folder.exists()
            make_folder(self.folder)
            if not made and not is_of_a_study(self.folder):
                self._require_no_other_files()
            lock = only_writer(self.folder)
            lock.__enter__()
        try:
            yield
        finally:
            lock.__exit__(None, None, None)

    def open(self, identity: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        """Start a study here, or go on with the same one; what is damaged is set aside, with a warning that names it.

        Args:
            identity: What makes it the same study: settings, data, code.
            about: What else is recorded: versions, machine, time.

        Raises:
            InputError: If the folder can't be written to, or holds another study or other files.
        """
        digest = identity_digest(identity)
        with writing_to(self.folder):
            try:
                recorded = read_sealed_json(self.folder / STUDY) if is_of_a_study(self.folder) else None
            except DamagedError as damage:
                self._require_only(digest, damage)
                warnings.warn(f"{damage}; it is written again", DamageWarning, stacklevel=3)
                recorded = None
            if recorded is not None:
                self._require_same(recorded, identity)
            for path in [*self.folder.glob(f".*{ASIDE}"), *self.folder.glob(f"*/.*{ASIDE}")]:
                remove_file(path)
            if recorded is None:
                self._write(STUDY, sealed_json({**plain(identity), **plain(about), IDENTITY: digest}))
            for found in self.parts.set_aside_damaged(digest):
                warnings.warn(f"{found}; its chunk is trained again", DamageWarning, stacklevel=3)
                self._set_aside.add(found.path.name.split(".")[0])
            self.checkpoints.drop_all_but(set(self.checkpoints.names()) - {r.chunk for r in self.parts.receipts()})

    def engine(self) -> dict[str, Any] | None:
        """Return how the runs are cut into chunks, as recorded; None before anything is.

        Where its file is damaged, any finished chunk says the same; without one, nothing is lost by starting anew.
        """
        path, receipts = self.folder / ENGINE, self.parts.receipts()
        if not path.exists() and not receipts:
            return None
        try:
            return read_sealed_json(path)
        except DamagedError as damage:
            warnings.warn(f"{damage}; it is written again", DamageWarning, stacklevel=3)
            if not receipts:
                return None  # the caller chooses anew, and has it written
            self.write_engine(receipts[-1].about["engine"])
            return dict(receipts[-1].about["engine"])

    def write_engine(self, engine: Mapping[str, Any]) -> None:
        """Record how the runs are cut into chunks."""
        with writing_to(self.folder):
            self._write(ENGINE, sealed_json(engine))

    def summary(self) -> dict[str, Any] | None:
        """Return what the study amounts to, if it is complete and all that belongs to it is here and whole.

        Where something is not, a warning names it, and None says that all is to be made again from the chunks.
        """
        if not (self.folder / MANIFEST).exists():
            return None
        try:
            manifest = read_sealed_json(self.folder / MANIFEST)
        except DamagedError as damage:
            warnings.warn(f"{damage}; it is made again from the chunks", DamageWarning, stacklevel=3)
            return None
        gone = set(manifest["chunks"]) - {path.stem for path in self.parts.receipt_files()}
        for chunk in sorted(gone - self._set_aside):  # of those set aside a warning has told
            warnings.warn(f"{self.parts.folder / chunk}.json is gone; it is trained again", DamageWarning, stacklevel=3)
        damaged = [found for name, entry in manifest["files"].items() if (found := self._damage(name, entry))]
        for found in damaged:
            warnings.warn(f"{found}; it is made again from the chunks", DamageWarning, stacklevel=3)
        is_whole = manifest["complete"] and not gone and not damaged
        return read_sealed_json(self.folder / SUMMARY) if is_whole else None

    def write_results(self, results: Mapping[str, pl.DataFrame | Mapping[str, Any]], *, complete: bool) -> None:
        """Write what the chunks on record amount to, by file name, and last the manifest that lists it.

        While they are replaced there is no manifest, so that no file is taken for another one's neighbour.
        """
        files: Listing = {}
        with writing_to(self.folder):
            remove_file(self.folder / MANIFEST)
            for name, value in results.items():
                content = parquet(value) if isinstance(value, pl.DataFrame) else sealed_json(value)
                self._write(name, content)
                files[name] = listed(content)
            chunks = [path.stem for path in self.parts.receipt_files()]
            self._write(MANIFEST, sealed_json({"complete": complete, "chunks": chunks, "files": files}))

    def _write(self, name: str, content: bytes) -> None:
        write_file(self.folder / name, content)

    def _damage(self, name: str, entry: Mapping[str, Any]) -> DamagedError | None:
        try:
            read_listed(self.folder / name, entry)
        except DamagedError as damage:
            return damage
        return None

    def _require_same(self, recorded: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
        existing, wanted = {name: recorded.get(name) for name in identity}, plain(identity)
        if existing != wanted:
            raise InputError(
                "--out must be a new folder or hold this same study",
                f"{self.folder} with another one (it differs in {', '.join(differences(existing, wanted))})",
                "choose another --out",
            )

    def _require_only(self, digest: str, damage: DamagedError) -> None:
        """Raise `InputError` unless the finished chunks say, and there is one, that they are this study's."""
        if {receipt.about[IDENTITY] for receipt in self.parts.whole_receipts()[0]} != {digest}:
            action = "choose another --out; normlab export reads what is whole"
            raise InputError("records in --out must be whole", str(damage), action)

    def _require_no_other_files(self) -> None:
        if any(path.name != LOCK and not path.name.endswith(ASIDE) for path in self.folder.iterdir()):
            raise InputError(
                "--out must be a new or empty folder", f"{self.folder} with other files", "choose another --out"
            )


def identity_digest(identity: Mapping[str, Any]) -> str:
    """Return the hash that tells a study from every other."""
    return hashlib.sha256(json.dumps(plain(identity), sort_keys=True).encode()).hexdigest()


def differences(old: Any, new: Any, prefix: str = "") -> list[str]:
    """Return the dotted names at which two nested values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted(old.keys() | new.keys())
        return [found for name in names for found in differences(old.get(name), new.get(name), f"{prefix}.{name}")]
    return [] if old == new else [prefix.lstrip(".")]
