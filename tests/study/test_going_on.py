"""Ctrl-C, the end of the time, too little memory: a checkpoint or smaller chunks, and the same numbers in the end."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import polars as pl
import pytest

from normlab import compare
from normlab.errors import InputError
from normlab.study import execute, memory, sizing
from normlab.study.interruption import asking_to_stop
from normlab.study.limits import Limits, make_limits
from normlab.study.progress import Interrupted, Progress, StoppedError
from normlab.study.store import Store
from normlab.train.population import Population
from tests.command import command

SETTINGS: dict[str, Any] = {
    "data": "wine",
    "network": {"widths": [8]},
    "arms": ["none", "batch"],
    "optimizer": "adam",
    "schedule": "cosine",
    "epochs": 3,
    "rates": 0.1,
    "seeds": 6,
    "probes": ["gradients"],
}


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(execute, "first_batch_example", lambda *_: None)
        patched.setattr(sizing, "MOST_CHUNK_RUNS", 6)
        yield


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    folder = tmp_path_factory.mktemp("alone") / "out"
    compare(**SETTINGS, out=folder)
    return _values(folder)


@pytest.fixture
def _six_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a study find that six runs at once were chosen at an earlier start."""
    how = {"layout": "map", "layout_seconds": {}, "num_devices": jax.device_count(), "chunk_runs": 6, "halvings": []}
    monkeypatch.setattr(Store, "engine", lambda store: how)


def _values(folder: Path) -> dict[str, pl.DataFrame]:
    """All that was recorded but times, which no two studies share."""
    names = ("epochs", "runs", "probes")
    return {name: pl.read_parquet(folder / f"{name}.parquet").drop("seconds", strict=False) for name in names}


def _same(one: dict[str, pl.DataFrame], other: dict[str, pl.DataFrame]) -> None:
    for name, table in one.items():
        assert table.equals(other[name]), name


def _checkpoints(folder: Path) -> list[str]:
    return sorted(path.suffix for path in (folder / "checkpoints").iterdir())


@pytest.mark.parametrize(("arm", "epoch"), [("none", 1), ("batch", 2), ("batch", 3)])
def test_ctrl_c_keeps_what_was_trained(arm: str, epoch: int, alone: dict[str, pl.DataFrame], tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    before = signal.getsignal(signal.SIGINT)

    def press(now: Progress) -> None:
        told.append((now.arm, now.epoch))
        if (now.arm, now.epoch) == (arm, epoch):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match=r"0 of 12 runs are complete; run the same again"):
        compare(**SETTINGS, out=tmp_path / "out", watch=press)
    assert told[-1] == (arm, epoch)
    assert _checkpoints(tmp_path / "out") == [".json", ".safetensors"]
    assert signal.getsignal(signal.SIGINT) is before
    trained: list[int] = []
    finish = Population.finish

    def counted(population: Population, *arguments: Any) -> Any:
        trained.append(1)
        return finish(population, *arguments)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Population, "finish", counted)
        compare(**SETTINGS, out=tmp_path / "out")
    _same(_values(tmp_path / "out"), alone)
    assert len(trained) == 6 - len(told)  # no epoch a second time
    assert _checkpoints(tmp_path / "out") == []


def test_a_second_ctrl_c_goes_to_the_handler_that_was_there() -> None:
    def raising(number: int, frame: object) -> None:
        raise KeyboardInterrupt("the second")

    def press_twice() -> None:
        with asking_to_stop() as is_asked:
            assert not is_asked()
            os.kill(os.getpid(), signal.SIGINT)
            assert is_asked()
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, raising)
    try:
        with pytest.raises(KeyboardInterrupt, match="the second"):
            press_twice()
        assert signal.getsignal(signal.SIGINT) is raising
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_after_the_last_pause_is_not_lost() -> None:
    def press() -> None:
        with asking_to_stop():
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        press()


def test_a_thread_has_no_ctrl_c_to_handle() -> None:
    seen: list[bool] = []

    def inside() -> None:
        with asking_to_stop() as is_asked:
            seen.append(is_asked())

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [False]


def test_a_study_stops_at_its_time_and_the_same_command_goes_on(alone: dict[str, pl.DataFrame], tmp_path: Path) -> None:
    for _ in range(4):  # at every start it comes one pause further
        with pytest.raises(StoppedError, match=r"of 12 runs are complete; run the same again"):
            compare(**SETTINGS, out=tmp_path / "out", max_hours=1e-9)
    about = json.loads(next((tmp_path / "out" / "checkpoints").glob("*.json")).read_text())["checkpoint"]["underway"]
    assert about["epochs"] == {"none": 1, "batch": 1}
    compare(**SETTINGS, out=tmp_path / "out")
    _same(_values(tmp_path / "out"), alone)


def test_the_command_says_that_the_time_is_up_in_status_75(tmp_path: Path) -> None:
    options = ("--data", "wine", "--widths", "8", "--epochs", "2", "--rates", "0.1", "--seeds", "2")
    ended = command("run", *options, "--max-hours", "1e-9", "--out", tmp_path / "out")
    line = "normlab: stopped, the time is up: 0 of 4 runs are complete; run the same again with the same --out to go on"
    assert (ended.status, ended.out, ended.err.splitlines()[-1]) == (75, "", line)


def _lacking(largest: int, error: Callable[[], Exception]) -> Any:
    """Return `Population.advance` on a device that has no room for more runs than that."""
    advance = Population.advance

    def lacking(population: Population, state: Any, epoch: Any, num_batches: int, **named: Any) -> Any:
        if population.capacity > largest:
            raise error()
        return advance(population, state, epoch, num_batches, **named)

    return lacking


@pytest.mark.usefixtures("_six_at_once")
@pytest.mark.parametrize(
    "error",
    [MemoryError, lambda: jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes.")],
)
def test_out_of_memory_halves_the_chunk_and_says_so(
    error: Any, alone: dict[str, pl.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Population, "advance", _lacking(5, error))
    summary = compare(**SETTINGS, out=tmp_path / "out").records.summary
    assert [(halving["from"], halving["to"]) for halving in summary["halvings"]] == [(6, 3)]
    assert json.loads((tmp_path / "out" / "engine.json").read_text())["chunk_runs"] == 3
    values = _values(tmp_path / "out")
    assert sorted(set(values["runs"]["chunk"])) == [0, 3]
    assert values["runs"]["run"].n_unique() == len(values["runs"]) == 12
    both = [table["runs"].select("run", "test_loss").sort("run") for table in (values, alone)]
    assert both[0]["test_loss"].to_list() == pytest.approx(both[1]["test_loss"].to_list(), rel=1e-3)


def test_where_not_one_run_fits_the_study_ends_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Population, "advance", _lacking(0, MemoryError))
    with pytest.raises(InputError, match=r"memory must hold one run of every arm per device, got .*; give more memory"):
        compare(**SETTINGS, out=tmp_path / "out")


def test_a_limit_of_memory_that_holds_no_run_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"--max-memory must hold one run of every arm .* got 1 MiB where about .* MiB"
    ):
        compare(**SETTINGS, max_memory="1M", out=tmp_path / "out")


@pytest.mark.usefixtures("_six_at_once")
def test_what_the_process_uses_has_the_last_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimate may err: at every pause the memory in use is compared with the limit."""
    used = iter([0] * 4 + [2**40] + [0] * 10_000)
    monkeypatch.setattr(memory, "process_bytes", lambda: next(used))
    summary = compare(**SETTINGS, max_memory="1G", out=tmp_path / "out").records.summary
    assert len(summary["halvings"]) == 1
    assert "1,099,511," in summary["halvings"][0]["because"]


def test_limits_are_read_as_people_write_them() -> None:
    assert make_limits("4G", 1.5, 10) == Limits(4 * 2**30, 5400.0, 10)
    assert make_limits("512 MiB").memory_bytes == 512 * 2**20
    assert make_limits(1000).memory_bytes == 1000
    assert make_limits("1.5k").memory_bytes == 1536
    assert make_limits() == Limits()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "memory in words": ({"max_memory": "much"}, "--max-memory must be an amount of memory, got 'much'"),
    "no memory": ({"max_memory": 0}, "--max-memory must be an amount of memory"),
    "negative memory": ({"max_memory": "-4G"}, "--max-memory must be an amount of memory"),
    "no time": ({"max_hours": 0}, "--max-hours must be above 0, got 0; give hours"),
    "no number": ({"max_hours": float("nan")}, "--max-hours must be above 0"),
    "no seconds": ({"checkpoint_seconds": 0}, "--checkpoint-seconds must be above 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_limits_are_refused(case: str) -> None:
    limits, message = WRONG[case]
    with pytest.raises(InputError, match=message):
        make_limits(**limits)
