"""Every file of a study, truncated and with bits flipped: detected, named, never silently read; then mended."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from normlab.errors import InputError
from normlab.export.export import export
from normlab.report.records import read_records
from normlab.result import Result
from normlab.store.seals import DamagedError
from normlab.study import verify as verification
from normlab.study import wholeness
from normlab.study.store import DamageWarning
from normlab.study.verify import verify
from normlab.study.wholeness import checks
from tests.command import command
from tests.study.conftest import train

TRUNCATED_BYTES = 1024
# Of a file up to this size, a bit is flipped in every byte; of a larger one, in so many, and in each of its last.
SMALL_BYTES, SAMPLED_FLIPS, LAST_BYTES = 3000, 300, 100
FOLDERS = ("whole_folder", "stopped_folder")


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "PAUSE_SECONDS", 0.0)


@pytest.fixture(params=FOLDERS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return shutil.copytree(request.getfixturevalue(request.param), tmp_path / "study")


def _flips(path: Path) -> Iterator[None]:
    """Flip one bit after another of a file, each for the time of one turn."""
    content = path.read_bytes()
    size = len(content)
    sampled = range(size) if size <= SMALL_BYTES else {i * size // SAMPLED_FLIPS for i in range(SAMPLED_FLIPS)}
    with path.open("r+b", buffering=0) as file:
        for at in sorted({*sampled, *range(max(0, size - LAST_BYTES), size)}):
            for byte in (content[at] ^ (1 << at % 8), content[at]):
                file.seek(at)
                file.write(bytes([byte]))
                if byte != content[at]:
                    yield


def _truncations(path: Path) -> Iterator[None]:
    """Take one byte after another off the end of a file, and put all back."""
    content = path.read_bytes()
    for length in range(len(content) - 1, max(0, len(content) - TRUNCATED_BYTES) - 1, -1):
        os.truncate(path, length)
        yield
    path.write_bytes(content)


def _undetected(folder: Path) -> tuple[int, set[str]]:
    """Return how many damages were tried, and the files of which one went unseen or under another name."""
    tried, unseen = 0, set()
    for name, check in checks(folder).items():
        path = folder / name
        check.judge()
        for _ in chain(_flips(path), _truncations(path)):
            tried += 1
            try:
                check.judge()
                unseen.add(name)
            except DamagedError as damage:
                if damage.path != path:
                    unseen.add(name)
        check.judge()
    return tried, unseen


def test_every_truncation_and_flipped_bit_is_detected(folder: Path) -> None:
    tried, unseen = _undetected(folder)
    assert not unseen
    assert tried > 10_000


def test_without_the_comparison_of_hashes_damage_goes_unseen(
    stopped_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(stopped_folder, tmp_path / "study")

    def read(path: Path, entry: Mapping[str, Any]) -> bytes:
        content = path.read_bytes()
        if len(content) != entry["bytes"]:
            raise DamagedError(path, "size")
        return content

    monkeypatch.setattr(wholeness, "read_listed", read)
    assert {Path(name).suffix for name in _undetected(folder)[1]} == {".parquet", ".safetensors"}


def test_all_files_of_a_study_are_verified(folder: Path) -> None:
    found = verify(folder)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {".lock"}
    assert set(found.whole) == files
    assert [found.damaged, found.foreign, found.set_aside, found.leftovers] == [()] * 4
    last = ".html" if (folder / "summary.json").exists() else ".safetensors"
    assert {Path(name).suffix for name in found.whole} == {".json", ".parquet", last}
    ended = command("verify", folder)
    assert (ended.status, ended.out) == (0, f"{len(files)} files are whole, 0 damaged or gone\n")


def _damages(content: bytes) -> Iterator[bytes | None]:
    """Yield what a file may become: truncated, with a bit flipped, empty, gone."""
    middle = len(content) // 2
    yield content[: len(content) - 5]
    yield content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]
    yield b""
    yield None


def _put(path: Path, content: bytes | None) -> None:
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)


# Nothing else says that these were there.
MAY_BE_GONE = (
    "manifest.json",
    "report.html",
    "attribution.json",
    "attribution.html",
    "checkpoints/report-00003.json",
)


def test_each_damaged_file_is_named_with_what_is_lost_and_what_happens(folder: Path) -> None:
    for name in checks(folder):
        content = (folder / name).read_bytes()
        for damaged in _damages(content):
            _put(folder / name, damaged)
            found = verify(folder)
            if damaged is None and name in MAY_BE_GONE:
                assert not found.damaged
                continue
            assert [damage.file for damage in found.damaged] == [name], (name, damaged)
            assert [found.foreign, found.leftovers] == [(), ()]
        _put(folder / name, content)
    (folder / "parts" / "report-00000.runs.parquet").write_bytes(b"PAR1")
    ended = command("verify", folder)
    assert ended.status == 1
    assert "damaged: parts/report-00000.runs.parquet: 4 bytes where " in ended.out
    assert "Lost: the records of report-00000. normlab run trains report-00000 again." in ended.out


def test_what_does_not_belong_is_named_and_no_failure(folder: Path) -> None:
    own = ["parts/.report-00000.json.4242.aside", "checkpoints/report-00009.00000001.safetensors", ".x.json.1.aside"]
    foreign = ["notes.txt", "parts/mine.json", "checkpoints/mine.safetensors", "deep/report-00000.json"]
    aside = ["damaged/report-00000.json"]
    for name in (*own, *foreign, *aside):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"{}")
    found = verify(folder)
    assert sorted(found.leftovers) == sorted(own)
    assert sorted(found.foreign) == sorted(foreign)
    assert found.set_aside == tuple(aside)
    assert not found.damaged
    assert command("verify", folder).status == 0


def test_nothing_damaged_is_silently_read(whole_folder: Path, tmp_path: Path) -> None:
    """Reading ends in an error that names the file, or gives what was written."""
    folder = shutil.copytree(whole_folder, tmp_path / "study")
    truth = read_records(folder)
    for number, name in enumerate(checks(folder)):
        content = (folder / name).read_bytes()
        for variant, damaged in enumerate(_damages(content)):
            _put(folder / name, damaged)
            if name in READ:
                with pytest.raises(InputError, match=name):
                    Result(folder)
            else:
                assert _same(Result(folder).records, truth)
            target, left_out = export(folder, "parquet", tmp_path / f"export-{number}-{variant}")
            runs = pl.read_parquet(target / "runs.parquet")
            # Whatever is damaged of a finished study, its results are whole, or the chunks that they were made of.
            assert runs.drop("epochs_to_target", "steps_to_target").equals(
                truth.runs.drop("epochs_to_target", "steps_to_target")
            )
            is_named = name in READ and name != "example.json" and (damaged, name) != (None, "manifest.json")
            assert [name in line for line in left_out] == [True] * is_named
        _put(folder / name, content)


TABLES = ("epochs.parquet", "runs.parquet", "probes.parquet")
READ = ("study.json", "manifest.json", "summary.json", "example.json", *TABLES)


def _same(records: Any, truth: Any) -> bool:
    assert records.probes is not None
    tables = ((records.epochs, truth.epochs), (records.runs, truth.runs), (records.probes, truth.probes))
    return records.summary == truth.summary and all(one.equals(other) for one, other in tables)


def test_of_an_unfinished_study_a_damaged_chunk_is_left_out(stopped_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(stopped_folder, tmp_path / "study")
    target, left_out = export(folder, "csv", tmp_path / "first")
    runs = pl.read_csv(target / "runs.csv")
    assert (sorted(set(runs["seed"])), left_out) == ([0, 1, 2], ())
    assert runs["epochs_to_target"].null_count() == len(runs) == 6
    path = folder / "parts" / "report-00000.epochs.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="an export needs records"):
        export(folder, "csv", tmp_path / "second")
    assert not (tmp_path / "second").exists()


def _parts(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "parts").iterdir()}


def _numbers(folder: Path, name: str) -> pl.DataFrame:
    """Everything but times, which no two runs share."""
    table = pl.read_parquet(folder / name)
    return table.drop("seconds") if "seconds" in table.columns else table


REPAIRS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # files that are damaged at once, and the chunks that are trained again
    "a table of a chunk": (("parts/report-00000.epochs.parquet",), ("report-00000",)),
    "a receipt": (("parts/report-00003.json",), ("report-00003",)),
    "all that is made from chunks, and what says which study it is": (
        ("study.json", "engine.json", "manifest.json", "summary.json", "runs.parquet", "report.html"),
        (),
    ),
    "results": (("epochs.parquet", "probes.parquet", "example.json"), ()),
}


@pytest.mark.parametrize("case", REPAIRS)
def test_the_next_start_mends_a_finished_study(case: str, whole_folder: Path, tmp_path: Path) -> None:
    files, chunks = REPAIRS[case]
    folder = shutil.copytree(whole_folder, tmp_path / "study")
    before = _parts(folder)
    for name in files:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.warns(DamageWarning) as told:
        train(folder)
    said = "\n".join(str(warning.message) for warning in told)
    # With the manifest damaged, nothing says what the results should be: they are made again all the same.
    named = [name for name in files if "manifest.json" not in files or name in ("study.json", "engine.json")]
    assert all(name in said for name in named if name != "report.html")
    changed = {name.split(".")[0] for name, content in _parts(folder).items() if content != before[name]}
    assert changed == set(chunks)
    for name in TABLES:
        assert _numbers(folder, name).equals(_numbers(whole_folder, name))
    again = [damage.file for damage in verify(folder).damaged]
    assert again == [name for name in files if name == "report.html"]  # which normlab run writes, not execute


CHECKPOINT = {"its description": "report-00003.json", "its tensors": "report-00003.*.safetensors"}


@pytest.mark.parametrize("case", CHECKPOINT)
def test_a_damaged_checkpoint_costs_its_chunk_alone(
    case: str, whole_folder: Path, stopped_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(stopped_folder, tmp_path / "study")
    before = _parts(folder)
    (path,) = (folder / "checkpoints").glob(CHECKPOINT[case])
    content = path.read_bytes()
    path.write_bytes(content[:-200] + bytes([content[-200] ^ 1]) + content[-199:])
    with pytest.warns(DamageWarning, match=path.name):
        train(folder)
    assert {name: content for name, content in _parts(folder).items() if name in before} == before
    for name in TABLES:
        assert _numbers(folder, name).equals(_numbers(whole_folder, name))
    assert not verify(folder).damaged


def test_another_study_moves_nothing_out_of_the_way(whole_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole_folder, tmp_path / "study")
    (folder / "parts" / "report-00000.json").write_bytes(b"")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    ended = command("run", "--data", "wine", "--rates", "0.2", "--seeds", "1", "--epochs", "1", "--out", folder)
    assert ended.status == 2
    assert "another one" in ended.err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
