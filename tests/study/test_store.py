"""A study's folder: the same study or a refusal; a chunk counts once its receipt is written; damage is set aside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from normlab.errors import InputError
from normlab.store.seals import DamagedError
from normlab.study import parts
from normlab.study.cells import Cell, Chunk
from normlab.study.names import IDENTITY, MANIFEST, RUNS, STUDY, SUMMARY
from normlab.study.store import DamageWarning, Store, identity_digest

STUDY_ITSELF: dict[str, Any] = {
    "study": {"seeds": 3, "arms": ("none", "batch")},
    "data": {"name": "d"},
    "code_sha256": "c",
}
CHUNK, OTHER = Chunk("report", 0, (Cell(0, {}),)), Chunk("report", 1, (Cell(1, {}),))
TABLES = {"epochs": pl.DataFrame({"run": ["a", "a"], "epoch": [1, 2]}), "runs": pl.DataFrame({"run": ["a"]})}
ABOUT = {IDENTITY: identity_digest(STUDY_ITSELF), "seconds": 1.0, "engine": {"layout": "map"}}


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.name != ".lock")


def _open(folder: Path, identity: dict[str, Any] = STUDY_ITSELF, **about: Any) -> Store:
    store = Store(folder)
    with store.only_writer():
        store.open(identity, about)
    return store


def test_the_same_study_goes_on_and_another_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    _open(folder, started="now")
    before = (folder / STUDY).read_bytes()
    _open(folder, started="later")
    assert (folder / STUDY).read_bytes() == before
    assert json.loads(before)["started"] == "now"
    other = STUDY_ITSELF | {"study": {"seeds": 4, "arms": ("none", "batch")}, "code_sha256": "d"}
    with pytest.raises(
        InputError, match=r"another one \(it differs in code_sha256, study\.seeds\); choose another --out"
    ):
        _open(folder, other)
    assert (folder / STUDY).read_bytes() == before
    assert _names(folder) == [STUDY]


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"--out must be a new or empty folder, got .* with other files"):
        _open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("place", ["file", "file/x", "file/x/y"])
def test_a_folder_that_cannot_be_made_is_refused(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"--out must be writable, got .*file.* \(.+\); .* choose another --out"):
        _open(tmp_path / place)
    assert _names(tmp_path) == ["file"]


@pytest.mark.parametrize("place", ["s3://bucket/x", Path("gs://bucket/x"), "memory://x"])
def test_what_is_no_folder_of_a_file_system_is_refused(place: str | Path) -> None:
    with pytest.raises(InputError, match="--out must be a folder of a mounted file system"):
        Store(place)


@pytest.mark.parametrize("content", ["", "{", "[1]", "3", '{"sha256": "0"}'])
def test_a_study_that_cannot_be_read_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / STUDY).write_text(content)
    with pytest.raises(InputError, match=r"records in --out must be whole, got .*study\.json is damaged"):
        _open(tmp_path)
    assert (tmp_path / STUDY).read_text() == content


def test_a_damaged_study_file_is_written_again_where_the_chunks_say_which_it_is(tmp_path: Path) -> None:
    store = _open(tmp_path)
    store.parts.write(CHUNK, TABLES, ABOUT)
    whole = (tmp_path / STUDY).read_bytes()
    (tmp_path / STUDY).write_bytes(whole[:-1])
    with pytest.raises(InputError, match="records in --out must be whole"):
        _open(tmp_path, STUDY_ITSELF | {"code_sha256": "d"})
    with pytest.warns(DamageWarning, match=r"study\.json is damaged: .* it is written again"):
        _open(tmp_path)
    assert (tmp_path / STUDY).read_bytes() == whole


def test_a_chunk_counts_once_its_receipt_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = _open(tmp_path)
    assert store.parts.read("runs").is_empty()
    store.parts.write(CHUNK, TABLES, ABOUT)
    assert store.parts.has(CHUNK)
    written: list[Path] = []

    def fail(path: Path, content: bytes) -> None:
        written.append(path)
        if path.suffix == ".json":
            raise OSError(28, "No space left on device")
        path.write_bytes(content)

    with monkeypatch.context() as patched:
        patched.setattr(parts, "write_file", fail)
        with pytest.raises(OSError, match="No space left on device"):
            store.parts.write(OTHER, TABLES, ABOUT)
    assert len(written) == 3  # the receipt comes last
    assert not store.parts.has(OTHER)
    assert store.parts.read("epochs").equals(TABLES["epochs"])


def test_a_chunk_that_is_delivered_twice_is_recorded_once(tmp_path: Path) -> None:
    store = _open(tmp_path)
    store.parts.write(CHUNK, TABLES, ABOUT)
    before = {path: path.read_bytes() for path in (tmp_path / "parts").iterdir()}
    store.parts.write(CHUNK, {"runs": pl.DataFrame({"run": ["b"]})}, ABOUT)
    assert {path: path.read_bytes() for path in (tmp_path / "parts").iterdir()} == before


def test_a_damaged_chunk_is_named_set_aside_and_missing(tmp_path: Path) -> None:
    store = _open(tmp_path)
    for chunk in (CHUNK, OTHER):
        store.parts.write(chunk, TABLES, ABOUT)
    (tmp_path / "parts" / f"{CHUNK.name}.runs.parquet").write_bytes(b"PAR1")
    with pytest.raises(DamagedError, match=r"report-00000\.runs\.parquet is damaged: 4 bytes where"):
        store.parts.read("runs")
    with pytest.warns(DamageWarning, match=r"report-00000\.runs\.parquet is damaged: .* trained again"):
        _open(tmp_path)
    assert not store.parts.has(CHUNK)
    assert store.parts.read("runs").equals(TABLES["runs"])
    kinds = ("epochs.parquet", "json", "runs.parquet")
    assert [name for name in _names(tmp_path) if name.startswith("damaged/")] == [
        f"damaged/{CHUNK.name}.{kind}" for kind in kinds
    ]


def test_results_count_with_their_manifest_alone(tmp_path: Path) -> None:
    store = _open(tmp_path)
    results = {RUNS: TABLES["runs"], SUMMARY: {"complete": True}}
    store.write_results(results, complete=False)
    assert store.summary() is None
    store.write_results(results, complete=True)
    assert store.summary() == {"complete": True}
    (tmp_path / RUNS).write_bytes(b"")
    with pytest.warns(DamageWarning, match=r"runs\.parquet is damaged: .* made again from the chunks"):
        assert store.summary() is None
    store.write_results(results, complete=True)
    (tmp_path / MANIFEST).write_bytes(b"{")
    with pytest.warns(DamageWarning, match=r"manifest\.json is damaged: .* made again from the chunks"):
        assert store.summary() is None
    (tmp_path / MANIFEST).unlink()
    assert store.summary() is None


def test_a_study_is_complete_with_all_its_chunks_alone(tmp_path: Path) -> None:
    store = _open(tmp_path)
    store.parts.write(CHUNK, TABLES, ABOUT)
    store.write_results({SUMMARY: {"complete": True}}, complete=True)
    (tmp_path / "parts" / f"{CHUNK.name}.json").unlink()
    with pytest.warns(DamageWarning, match=r"report-00000\.json is gone; it is trained again"):
        assert store.summary() is None


def test_a_chunk_of_another_study_is_set_aside(tmp_path: Path) -> None:
    store = _open(tmp_path)
    store.parts.write(CHUNK, TABLES, ABOUT)
    store.parts.write(OTHER, TABLES, ABOUT | {IDENTITY: "another"})
    with pytest.warns(DamageWarning, match=rf"{OTHER.name}\.json is damaged: it belongs to another study"):
        _open(tmp_path)
    assert (store.parts.has(CHUNK), store.parts.has(OTHER)) == (True, False)


def test_where_study_json_is_gone_the_chunks_say_which_study_it_is(tmp_path: Path) -> None:
    store = _open(tmp_path)
    store.parts.write(CHUNK, TABLES, ABOUT)
    whole = (tmp_path / STUDY).read_bytes()
    (tmp_path / STUDY).unlink()
    with pytest.raises(InputError, match="records in --out must be whole"):
        _open(tmp_path, STUDY_ITSELF | {"code_sha256": "d"})
    with pytest.warns(DamageWarning, match=r"study\.json is damaged: it is gone; it is written again"):
        _open(tmp_path)
    assert (tmp_path / STUDY).read_bytes() == whole


def test_the_newest_checkpoint_stands_and_what_no_study_needs_is_swept(tmp_path: Path) -> None:
    store = _open(tmp_path)
    for value in (1.0, 2.0):
        store.checkpoints.write(CHUNK, {"a": value}, {"x": np.array([value, np.nan], np.float32)})
    about, tensors = store.checkpoints.read(CHUNK) or ({}, {})
    assert about == {"a": 2.0}
    np.testing.assert_array_equal(tensors["x"], np.array([2.0, np.nan], np.float32))
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2
    assert store.checkpoints.read(OTHER) is None
    store.checkpoints.write(OTHER, {"a": 0}, {"x": np.zeros(1)})
    store.parts.write(CHUNK, TABLES, ABOUT)
    (tmp_path / ".study.json.1.aside").write_bytes(b"half")
    (tmp_path / "parts" / ".x.1.aside").write_bytes(b"half")
    _open(tmp_path)
    assert store.checkpoints.names() == [OTHER.name]
    assert not [name for name in _names(tmp_path) if name.endswith(".aside")]


def test_engine_of_a_damaged_file_is_what_the_chunks_say(tmp_path: Path) -> None:
    store = _open(tmp_path)
    assert store.engine() is None
    store.write_engine({"layout": "map"})
    assert store.engine() == {"layout": "map"}
    (tmp_path / "engine.json").write_bytes(b"{")
    with pytest.warns(DamageWarning, match=r"engine\.json is damaged"):
        assert store.engine() is None
    store.parts.write(CHUNK, TABLES, ABOUT)
    with pytest.warns(DamageWarning, match=r"engine\.json is damaged"):
        assert store.engine() == {"layout": "map"}
