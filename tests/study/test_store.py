"""A study's folder: all of a file or none, the same study or a refusal, valid JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from normlab.errors import InputError
from normlab.study.cells import Cell, Chunk
from normlab.study.store import STUDY, Store, write_atomically

IDENTITY: dict[str, Any] = {"study": {"seeds": 3, "arms": ("none", "batch")}, "data": {"name": "d"}, "code_sha256": "c"}


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_writer_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, lambda aside: aside.write_text("old"))

    def fail(aside: Path) -> None:
        aside.write_text("ha")
        raise RuntimeError("half-written")

    with pytest.raises(RuntimeError, match="half-written"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert _names(tmp_path) == ["file"]


def test_who_reads_while_a_file_is_written_sees_all_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, lambda aside: aside.write_text("old"))
    with path.open() as reading:
        write_atomically(path, lambda aside: aside.write_text("new and longer"))
        assert reading.read() == "old"
    assert path.read_text() == "new and longer"
    assert _names(tmp_path) == ["file"]


def test_numbers_that_json_has_not_become_null(tmp_path: Path) -> None:
    store = Store(tmp_path)
    value = {
        "a": math.nan,
        "b": [math.inf, 1.5],
        "c": (np.float32(0.5), np.int64(3)),
        "d": {"e": -math.inf},
        1: Path("x"),
    }
    store.write_json("x.json", value)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    content = json.loads((tmp_path / "x.json").read_text(), parse_constant=refuse)
    assert content == {"a": None, "b": [None, 1.5], "c": [0.5, 3], "d": {"e": None}, "1": "x"}


def test_the_same_study_goes_on_and_another_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    Store(folder).open(IDENTITY, {"started": "now"})
    before = (folder / STUDY).read_bytes()
    Store(folder).open(IDENTITY, {"started": "later"})
    assert (folder / STUDY).read_bytes() == before
    assert json.loads(before)["started"] == "now"
    other = IDENTITY | {"study": {"seeds": 4, "arms": ("none", "batch")}, "code_sha256": "d"}
    with pytest.raises(
        InputError, match=r"another one \(it differs in code_sha256, study\.seeds\); choose another --out"
    ):
        Store(folder).open(other, {})
    assert (folder / STUDY).read_bytes() == before
    assert _names(folder) == [STUDY]


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"--out must be a new or empty folder, got .* with other files"):
        Store(tmp_path).open(IDENTITY, {})
    assert _names(tmp_path) == ["mine.txt"]


@pytest.mark.parametrize("place", ["file", "file/x", "file/x/y"])
def test_a_folder_that_cannot_be_made_is_refused(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"--out must be writable, got .*file.* \(.+\); choose another --out"):
        Store(tmp_path / place).open(IDENTITY, {})
    assert _names(tmp_path) == ["file"]


@pytest.mark.parametrize("content", ["", "{", "[1]", "3"])
def test_a_study_that_cannot_be_read_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / STUDY).write_text(content)
    with pytest.raises(InputError, match=r"records in --out must be readable, got .*study\.json"):
        Store(tmp_path).open(IDENTITY, {})
    assert (tmp_path / STUDY).read_text() == content


def test_a_chunk_counts_once_its_runs_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    chunk, other = Chunk("report", 0, (Cell(0, {}),)), Chunk("report", 1, (Cell(1, {}),))
    epochs, runs = pl.DataFrame({"run": ["a", "a"], "epoch": [1, 2]}), pl.DataFrame({"run": ["a"]})
    assert store.read_parts()[1].is_empty()
    store.write_chunk(chunk, epochs, runs)
    assert store.has(chunk)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(pl.DataFrame, "write_parquet", fail)
        with pytest.raises(InputError, match=r"must be writable, got .* \(No space left on device\)"):
            store.write_chunk(other, epochs, runs)
    assert not store.has(other)
    assert store.read_parts()[0].equals(epochs)
    assert _names(tmp_path) == ["parts", "parts/report-0000.epochs.parquet", "parts/report-0000.runs.parquet"]


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    for kind in ("epochs", "runs"):
        (tmp_path / "parts" / f"report-0000.{kind}.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"records in --out must be readable, got .*parts"):
        Store(tmp_path).read_parts()


def test_half_a_character_in_a_files_name_comes_back(tmp_path: Path) -> None:
    store, name = Store(tmp_path), "caf\udce9.csv"
    store.write_json("a.json", {"data": name})
    assert store.read_json("a.json") == {"data": name}
    assert (tmp_path / "a.json").read_bytes() == b'{\n "data": "caf\\udce9.csv"\n}\n'


def test_json_nested_beyond_reason_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"records in --out must be readable, got .*a\.json"):
        Store(tmp_path).read_json("a.json")
