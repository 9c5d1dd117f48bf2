"""A study whose process ends, whose power is cut, or whose disk fails, at every operation: nothing is lost by it.

The study is trained on cached programs in this process, so that hundreds of ends take seconds.
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from normlab.data import load
from normlab.errors import InputError
from normlab.store import files
from normlab.study import execute, local, sizing, stages
from normlab.study.design import make_study
from normlab.study.laboratory import Laboratory, named_model
from normlab.study.limits import Limits
from normlab.study.names import EPOCHS, PROBES, RUNS
from normlab.study.parts import Parts
from normlab.study.probing import Probing
from normlab.study.progress import Progress
from normlab.study.store import Store
from normlab.train.devices import prepare
from tests.study.disk import Disk, End, PowerCutError
from tests.tally import count

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the disk is watched through /proc")

SETTINGS = {
    "data": "wine",
    "network": {"widths": [8]},
    "optimizer": "adam",
    "epochs": 2,
    "rates": 0.1,
    "seeds": 5,
    "probes": ["gradients"],
}
# A checkpoint at every pause.
LIMITS = Limits(checkpoint_seconds=1e-9)
# So many ends are tried in CI, spread over all; `NORMLAB_TORTURE` tries every one.
SHORT = None if os.environ.get("NORMLAB_TORTURE") else 24

Values = dict[str, pl.DataFrame]
Run = Callable[[Path], Values]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Run the study in a folder, on programs that are compiled once, and return its records without times."""
    prepare()
    study = make_study(SETTINGS)
    dataset = load("wine")
    made: dict[int, Laboratory] = {}
    set_up = stages.set_up

    def once(study: Any, dataset: Any, plans: Any, recorded: Any, *more: Any) -> Laboratory:
        if not made:
            made[0] = set_up(study, dataset, plans, None, *more)
        assert recorded is None or recorded["chunk_runs"] == made[0].chunk_runs
        return made[0]

    plans = execute.build_plans(study, dataset, named_model(study, dataset))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(execute, "first_batch_example", lambda *_: None)
        patched.setattr(execute, "build_plans", lambda *_: plans)
        patched.setattr(execute, "require_measurable", lambda *_: None)
        patched.setattr(stages, "set_up", once)
        patched.setattr(local, "Probing", lambda *_: probing())
        patched.setattr(stages, "conclude", lambda study, dataset, laboratory, epochs, runs, *_: (runs, {}))
        patched.setattr(sizing, "MOST_CHUNK_RUNS", 3)
        patched.setattr(sizing, "FEWEST_CHUNK_RUNS", 3)

        probing = functools.cache(lambda: Probing(study, dataset, made[0]))

        def go(folder: Path, watch: Callable[[Progress], None] = lambda _: None) -> Values:
            store = Store(folder)
            execute.execute(study, dataset, named_model(study, dataset), store, limits=LIMITS, watch=watch)
            return {name: _values(folder / name) for name in (EPOCHS, RUNS, PROBES)}

        yield go


@pytest.fixture(scope="module")
def alone(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Values, list[str]]:
    """The records of a study that was left alone, and the operations of its disk."""
    folder = tmp_path_factory.mktemp("alone") / "out"
    with Disk(folder).in_place() as disk:
        values = run(folder)
    return values, disk.operations


def _values(path: Path) -> pl.DataFrame:
    table = pl.read_parquet(path)
    return table.drop("seconds", strict=False)


def _spread(count: int) -> list[int]:
    """Numbers of operations, all of them or so many that are spread over all, the first and last among them."""
    if SHORT is None or count <= SHORT:
        return list(range(count))
    return sorted({round(position * (count - 1) / (SHORT - 1)) for position in range(SHORT)})


def _ended(run: Run, disk: Disk) -> set[str]:
    """Run until the disk ends it; return the chunks, and the checkpoints with their sizes, that were written before."""
    kept: set[str] = set()
    write = Parts.write

    def noting(parts: Parts, chunk: Any, *more: Any) -> None:
        write(parts, chunk, *more)
        kept.add(chunk.name)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Parts, "write", noting)
        with disk.in_place(), pytest.raises(PowerCutError):
            run(disk.folder)
    return kept


def _problems(run: Run, alone: Values, folder: Path, kept: set[str]) -> list[str]:
    """Go on in what is left of a folder; return what went wrong."""
    lost = [name for name in kept if not (folder / "parts" / f"{name}.json").is_file()]
    problems = [f"{name} was written and is gone" for name in lost]
    try:
        values = run(folder)
    except Exception as error:  # whatever it is, it is a problem to report
        return [*problems, f"{type(error).__name__}: {error}"]
    return problems + [f"{name} differs" for name, table in values.items() if not table.equals(alone[name])]


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path)


@pytest.mark.parametrize("what", ["kill", "names", "contents"])
def test_nothing_is_lost_wherever_the_study_ends(
    what: str, run: Run, alone: tuple[Values, list[str]], tmp_path: Path
) -> None:
    """A killed process leaves what the system has; a power cut what the disk has, which may lack contents or names."""
    values, operations = alone
    assert len(operations) > 200
    for at in _spread(len(operations)):
        end: End = "after" if what == "kill" and at % 2 else "before"
        disk = Disk(tmp_path / f"{at}", at, end)
        kept = _ended(run, disk)
        folder = disk.folder
        if what != "kill":
            folder = tmp_path / f"{at}-after"
            disk.after_the_cut(folder, names_outlast=what == "contents")
        assert _problems(run, values, folder, kept) == [], (at, operations[at])
        _clear(tmp_path)
        count("ends of the process survived" if what == "kill" else "power cuts survived", 1)


@pytest.mark.parametrize("fault", ["ENOSPC", "EIO", "short write"])
def test_a_disk_that_fails_is_a_clear_error_and_the_study_goes_on(
    fault: End, run: Run, alone: tuple[Values, list[str]], tmp_path: Path
) -> None:
    values, operations = alone
    for at in _spread(len(operations)):
        disk = Disk(tmp_path / f"{at}", at, fault)
        with (
            disk.in_place(),
            pytest.raises(InputError, match=r"--out must be writable, got .*; mend that and run again"),
        ):
            run(disk.folder)
        assert _problems(run, values, disk.folder, set()) == [], (at, operations[at])
        _clear(tmp_path)
        count("faults of the disk injected", 1)


def _no_fsync(path: Path, content: bytes) -> None:
    aside = path.with_name(f".{path.name}.aside")
    with aside.open("wb") as file:
        file.write(content)
    aside.replace(path)
    files.flush_folder(path.parent)


def _no_rename(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    files.flush_folder(path.parent)


def _no_flushed_folder(path: Path, content: bytes) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(files, "flush_folder", lambda _: None)
        files.write_file(path, content)


@pytest.mark.parametrize(
    ("without", "what"), [(_no_fsync, "contents"), (_no_rename, "kill"), (_no_flushed_folder, "names")]
)
def test_this_test_notices_a_missing_step(
    without: Any, what: str, run: Run, alone: tuple[Values, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one of the three steps of writing a file, some end loses something."""
    from normlab.study import checkpoints, parts, store

    for module in (checkpoints, parts, store):
        monkeypatch.setattr(module, "write_file", without)
    found: list[str] = []
    first = len(alone[1]) // 3 if what == "names" else 8  # a name counts once a chunk is written
    for at in range(first, len(alone[1]) // 2):
        disk = Disk(tmp_path / f"{at}", at, "after")
        kept = _ended(run, disk)
        folder = disk.folder
        if what != "kill":
            folder = tmp_path / f"{at}-after"
            disk.after_the_cut(folder, names_outlast=what == "contents")
        found += _problems(run, alone[0], folder, kept)
        if found:
            break
    assert found
