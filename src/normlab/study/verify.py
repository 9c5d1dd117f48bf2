"""Whether every file of a study is what was written: its hash, what is missing, what does not belong."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path

from normlab.store.files import ASIDE
from normlab.store.lock import LOCK, is_held
from normlab.store.seals import DamagedError
from normlab.study.cells import CHUNK_NAME
from normlab.study.names import (
    CHECKPOINTS,
    DAMAGED,
    EPOCHS,
    EXAMPLE,
    MANIFEST,
    PARTS,
    PROBES,
    RUNS,
    STUDY,
    SUMMARY,
)
from normlab.study.parts import TABLES, Parts, require_study
from normlab.study.wholeness import Stamp, checks

RESULTS = (SUMMARY, EXAMPLE, EPOCHS, RUNS, PROBES)
# What a damaged file costs, and what `normlab run` does about it; {chunk} is the chunk's name.
LOST: dict[str, tuple[str, str]] = {
    "study": ("versions, machine and time of the start", "writes it anew where a finished chunk is of this study"),
    "engine": ("nothing", "takes it from a finished chunk, or chooses anew"),
    "manifest": ("nothing", "makes all results again from the chunks"),
    "result": ("nothing", "makes it again from the chunks"),
    "chunk": ("the records of {chunk}", "trains {chunk} again"),
    "checkpoint": ("the work on {chunk} so far", "trains {chunk} from its start"),
    "report": ("nothing", "writes it again"),
    "attribution": ("nothing", "leaves it; normlab attribute makes it again"),
}
# A file that is being replaced is, at the next look, another one.
TRIES, PAUSE_SECONDS = 5, 0.2
# Files that a receipt or a checkpoint names; and the checkpoint, which a finished chunk needs no more.
_NAMED = {
    PARTS: re.compile(rf"({CHUNK_NAME.pattern})\.({'|'.join(TABLES)})\.parquet"),
    CHECKPOINTS: re.compile(rf"({CHUNK_NAME.pattern})(\.[0-9]{{8}}\.safetensors|\.json)"),
}


@dataclass(frozen=True)
class Damage:
    """A file that is not what was written.

    Attributes:
        file: Its path in the study's folder.
        why: What is wrong.
        lost: What is lost by it.
        then: What `normlab run` does about it.
    """

    file: str
    why: str
    lost: str
    then: str


@dataclass(frozen=True)
class Verification:
    """What was found in a study's folder; paths are relative to it.

    Attributes:
        whole: Files that are what was written.
        damaged: Files that are not, or are gone.
        leftovers: What a killed writer left, and the next start sweeps away or writes over; none while one writes.
        foreign: What does not belong there.
        set_aside: What an earlier start found damaged and moved out of the way.
        is_running: Whether a process works on the study; None where that can't be known.
    """

    whole: tuple[str, ...]
    damaged: tuple[Damage, ...]
    leftovers: tuple[str, ...]
    foreign: tuple[str, ...]
    set_aside: tuple[str, ...]
    is_running: bool | None


@dataclass
class _Look:
    whole: list[str] = field(default_factory=list)
    damaged: dict[tuple[str, tuple[Stamp, ...]], Damage] = field(default_factory=dict)
    leftovers: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)
    set_aside: list[str] = field(default_factory=list)


def verify(folder: Path) -> Verification:
    """Judge every file in a study's folder by its hash; nothing is changed there.

    While a process writes, a file may be replaced between the reading of it and of what lists it: only what two looks
    find damaged, and no one has touched between them, is damaged.

    Raises:
        InputError: If there is no study.
    """
    require_study(folder)
    before = now = _look(folder)
    for _ in range(TRIES - 1):
        if not (now.damaged or now.leftovers or now.foreign):
            break
        time.sleep(PAUSE_SECONDS)
        before, now = now, _look(folder)
        if now.damaged.keys() <= before.damaged.keys():
            break
    is_running = is_held(folder)
    return Verification(
        tuple(now.whole),
        tuple(damage for key, damage in now.damaged.items() if key in before.damaged),
        () if is_running else tuple(sorted(now.leftovers & before.leftovers)),
        tuple(sorted(now.foreign & before.foreign)),
        tuple(now.set_aside),
        is_running,
    )


def _look(folder: Path) -> _Look:
    look = _Look()
    known = checks(folder)
    for name, check in known.items():
        try:
            check.judge()
            look.whole.append(name)
        except DamagedError as damage:
            lost, then = (text.format(chunk=check.chunk) for text in LOST[check.kind])
            if name == STUDY and not Parts(folder).whole_receipts()[0]:
                then = "refuses the folder: choose another --out"
            look.damaged[name, check.stamps] = Damage(name, damage.why, lost, then)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or name in known or name == LOCK:
            continue
        if name.startswith(f"{DAMAGED}/"):
            look.set_aside.append(name)
        elif not _is_ours(name):
            look.foreign.add(name)
        elif not _lister(name) & {file for file, _ in look.damaged}:
            look.leftovers.add(name)
    return look


def _is_ours(name: str) -> bool:
    """Return whether a file that no other names is one of ours: half-written, or of a write that was not finished."""
    folder, _, file = name.rpartition("/")
    if folder in ("", *_NAMED) and file.startswith(".") and file.endswith(ASIDE):
        return True
    return bool(_NAMED[folder].fullmatch(file)) if folder in _NAMED else name in RESULTS


def _lister(name: str) -> set[str]:
    """Return the file that would name this one, were it whole."""
    return {f"{name.partition('.')[0]}.json" if "/" in name else MANIFEST}
