"""What a session of claims leaves in its folder, and takes up again: evidence, and the file that lists it."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from normlab.errors import InputError
from normlab.store.files import ASIDE, make_folder, require_writable, write_file, writing_to
from normlab.store.lock import LOCK, only_writer
from normlab.store.seals import DamagedError, listed, plain, read_listed, read_sealed_json, sealed_json
from normlab.study.parts import parquet
from normlab.study.store import DamageWarning, differences

FILE = "claims.json"
EVIDENCE = "evidence"
SECONDS = "seconds"


class Record:
    """The folder of one session: `claims.json`, sealed, and `evidence/ID.parquet` for every claim measured.

    Evidence is listed in `claims.json` with size, hash and the seconds it took. Judging is a pure function of it, so a
    session that was stopped, or is asked for more claims, measures only what is not there or not whole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._identity: dict[str, Any] = {}
        self._about: dict[str, Any] = {}
        self._kept: dict[str, dict[str, Any]] = {}

    def require_usable(self) -> None:
        """Raise `InputError` unless the folder is new, empty or a session's: before time is spent on loading."""
        require_writable(self.folder)
        if self.folder.exists():
            names = [path.name for path in self.folder.iterdir() if path.name != LOCK and ASIDE not in path.name]
            if names and FILE not in names:
                rule = "the folder of claims must be new or empty, or hold claims to go on with"
                raise InputError(rule, str(self.folder), "choose another --out")

    @contextmanager
    def opened(self, identity: Mapping[str, Any], about: Mapping[str, Any]) -> Iterator[None]:
        """Be the only writer inside the block, in a new session or the same one as before.

        Args:
            identity: What makes it the same session: data, network, budget, code.
            about: What else is recorded: machine, time.

        Raises:
            InputError: If the folder holds another session, or another process writes there.
        """
        self._identity, self._about = plain(identity), plain(about)
        path = self.folder / FILE
        with writing_to(self.folder):
            make_folder(self.folder)
        with only_writer(self.folder):
            if path.exists():
                self._take_up(path)
            else:
                self.write([], complete=False)
            yield

    def evidence(self, claim: str) -> tuple[pl.DataFrame, float] | None:
        """Return a claim's evidence and the seconds it took; None if it is not there or, with a warning, not whole."""
        entry = dict(self._kept.get(claim, {}))
        if not entry:
            return None
        seconds = entry.pop(SECONDS)
        try:
            content = read_listed(self._path(claim), entry)
        except DamagedError as damage:
            warnings.warn(f"{damage}; its claim is measured again", DamageWarning, stacklevel=3)
            return None
        return pl.read_parquet(io.BytesIO(content)), float(seconds)

    def keep(self, claim: str, evidence: pl.DataFrame, seconds: float) -> None:
        """Write a claim's evidence; `write` lists it."""
        content, path = parquet(evidence), self._path(claim)
        with writing_to(self.folder):
            make_folder(path.parent)
            write_file(path, content)
        self._kept[claim] = {**listed(content), SECONDS: seconds}

    def write(self, cards: Sequence[Mapping[str, Any]], *, complete: bool) -> None:
        """Write `claims.json`: these answers, whether they are all that was asked for, and what evidence there is."""
        content = {**self._identity, **self._about, "complete": complete, "claims": list(cards), EVIDENCE: self._kept}
        with writing_to(self.folder):
            write_file(self.folder / FILE, sealed_json(content))

    def _take_up(self, path: Path) -> None:
        try:
            recorded = read_sealed_json(path)
        except DamagedError as damage:
            raise InputError("claims to go on with must be whole", str(damage), "choose another --out") from None
        existing = {name: recorded.get(name) for name in self._identity}
        if existing != self._identity:
            received = f"{self.folder} with others (they differ in {', '.join(differences(existing, self._identity))})"
            raise InputError("--out must be a new folder or hold these same claims", received, "choose another --out")
        self._kept = dict(recorded[EVIDENCE])

    def _path(self, claim: str) -> Path:
        return self.folder / EVIDENCE / f"{claim}.parquet"
