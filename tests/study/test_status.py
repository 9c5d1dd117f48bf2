"""How far a study is, read from its folder: counts, time left, who works on it; and reading while it is written."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from normlab.errors import InputError
from normlab.store.lock import LOCK, only_writer
from normlab.store.seals import read_sealed_json, sealed_json
from normlab.study import status as reading
from normlab.study import verify as verification
from normlab.study.cells import Cell, Chunk
from normlab.study.status import planned_cells, read_status
from normlab.study.store import Store
from normlab.study.verify import verify
from normlab.train.optimizers import OPTIMIZERS
from tests.command import command, refused


def test_a_finished_study_is_complete(whole_folder: Path) -> None:
    now = read_status(whole_folder)
    assert (now.is_complete, now.is_running, now.at_most, now.seconds_left, now.damage) == (True, False, False, 0.0, ())
    (stage,) = now.stages
    assert (stage.stage, stage.chunks_done, stage.runs_done, stage.num_runs) == ("report", 2, 8, 8)
    assert (stage.run_epochs_done, stage.num_run_epochs, now.under_way) == (16, 16, ())
    ended = command("status", whole_folder)
    assert ended.status == 0
    assert "state: complete" in ended.out
    assert "report: 8 of 8 runs, in 2 chunks\n" in ended.out


def test_of_a_stopped_study_is_told_what_is_done_under_way_and_left(stopped_folder: Path) -> None:
    now = read_status(stopped_folder)
    assert (now.is_complete, now.is_running, now.damage) == (False, False, ())
    (chunk,) = now.under_way
    # One seed, both arms; each has finished one epoch, and batch, first here, a part of its three full batches.
    assert (chunk.chunk, chunk.num_runs, chunk.arm, chunk.epoch, chunk.num_batches) == (
        "report-00003",
        2,
        "batch",
        2,
        3,
    )
    assert 0 < chunk.batches <= 3
    assert chunk.run_epochs == 2 + chunk.batches / 3
    (stage,) = now.stages
    assert (stage.runs_done, stage.num_runs, stage.run_epochs_done) == (6, 8, 12 + chunk.run_epochs)
    receipt = read_sealed_json(stopped_folder / "parts" / "report-00000.json")
    speed = (receipt["seconds"] + chunk.seconds) / stage.run_epochs_done
    assert now.seconds_left == pytest.approx(speed * (2 - chunk.batches / 3))
    ended = command("status", stopped_folder, "--json")
    told = json.loads(ended.out)
    assert (told["stages"][0]["runs_done"], told["is_running"], told["data"]) == (6, False, "wine")
    ended = command("status", stopped_folder)
    assert f"under way: report-00003 (2 runs), batch epoch 2, {chunk.batches} of 3 batches" in ended.out
    assert "stopped; the same command goes on" in ended.out


def test_before_anything_is_done_the_time_is_unknown(stopped_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(stopped_folder, tmp_path / "study")
    for name in ("parts", "checkpoints"):
        shutil.rmtree(folder / name)
    assert read_status(folder).seconds_left is None
    ended = command("status", folder)
    assert "left: 16 epochs of runs, time unknown\n" in ended.out


def test_a_checkpoint_of_another_engine_is_not_under_way(stopped_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(stopped_folder, tmp_path / "study")
    halving = {"from": 6, "to": 3, "because": "want of memory"}
    engine = {**read_sealed_json(folder / "engine.json"), "chunk_runs": 12, "halvings": [halving]}
    (folder / "engine.json").write_bytes(sealed_json(engine))
    now = read_status(folder)
    assert (now.under_way, now.stages[0].run_epochs_done, now.halvings) == ((), 12, (halving,))
    assert "halved: chunks of 6 runs to 3 (want of memory)" in command("status", folder).out


def test_who_works_on_a_study_is_seen_and_not_disturbed(stopped_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(stopped_folder, tmp_path / "study")
    with only_writer(folder):
        assert read_status(folder).is_running is True
        assert "state: running now" in command("status", folder).out
        assert verify(folder).is_running is True
        with pytest.raises(InputError, match="one process at a time"), only_writer(folder):
            pass
    assert read_status(folder).is_running is False
    (folder / LOCK).unlink()
    assert read_status(folder).is_running is False
    assert not (folder / LOCK).exists()


def test_damage_is_told(stopped_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAUSE_SECONDS", 0.0)
    folder = shutil.copytree(stopped_folder, tmp_path / "study")
    for name in ("parts/report-00000.json", "checkpoints/report-00003.json", "engine.json"):
        (folder / name).write_bytes(b"{")
    now = read_status(folder)
    assert (now.stages[0].runs_done, now.under_way, len(now.damage)) == (0, (), 3)
    assert command("status", folder).out.count("damage: ") == 3
    (folder / "study.json").write_bytes(b"{")
    refused(command("status", folder), "it must be known which study", "study.json is damaged", "normlab verify")


@pytest.mark.parametrize("name", ["status", "verify", "export"])
def test_where_no_study_lies_one_line_says_so(name: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    options = ("--to", "csv") if name == "export" else ()
    for folder in (tmp_path, tmp_path / "nowhere", tmp_path / "notes.txt"):
        refused(command(name, folder, *options), "a study must lie in the folder", str(folder), "check the path")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_planned_runs() -> None:
    tuned = {"rates": "tuned", "optimizer": "adam", "seeds": 10, "max_seeds": None, "tuning_seeds": 8}
    assert planned_cells(tuned) == {"tuning": 8 * len(OPTIMIZERS["adam"].grid), "report": 10, "alternative": 0}
    auto = {"rates": [0.1], "optimizer": "sgd", "seeds": "auto", "max_seeds": 40, "tuning_seeds": 8}
    assert planned_cells(auto) == {"report": 40}
    assert planned_cells({**auto, "rates": [0.1, 0.2], "seeds": 3}) == {"report": 6}


def test_while_files_are_replaced_none_is_called_damaged(
    whole_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer replaces results and checkpoints as fast as it can; readers look again and again."""
    monkeypatch.setattr(verification, "PAUSE_SECONDS", 0.01)
    folder = shutil.copytree(whole_folder, tmp_path / "study")
    store, chunk = Store(folder), Chunk("report", 4, (Cell(4, {}),))
    about = {"identity_sha256": "another", "engine": {}}
    ended = threading.Event()

    def write() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            runs = pl.DataFrame({"number": [number] * (1 + number % 3)})
            store.write_results({"summary.json": {"number": number}, "runs.parquet": runs}, complete=True)
            store.checkpoints.write(chunk, about, {"a": np.full(100, number)})

    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = [verify(folder) for _ in range(15)]
        told = [read_status(folder) for _ in range(15)]
    finally:
        ended.set()
        writer.join()
    assert [each.damaged for each in found] == [()] * 15
    assert [each.damage for each in told] == [()] * 15
    assert not verify(folder).damaged
