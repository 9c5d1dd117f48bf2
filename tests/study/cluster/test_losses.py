"""Chunks that come twice, are too large, are lost with their workers, or meet workers unlike the driver."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from normlab import InputError
from normlab.study import sizing
from normlab.study.cluster.driver import MOST_LOSSES, RayEngine
from normlab.study.engine import Engine, EngineWarning, Work
from normlab.study.limits import Limits
from normlab.study.local import LocalEngine
from tests.command import command
from tests.study.cluster.planted import CELLS, MODEL, STUDY, assert_same, ray, receipts_of, run_with


class _Twice(LocalEngine):
    """Delivers every chunk a second time, with other contents."""

    def train(self, chunks: Any) -> Iterator[Any]:
        for finished in super().train(chunks):
            yield finished
            tables = {name: table.head(1) for name, table in finished.tables.items()}
            yield replace(finished, tables=tables, seconds=-1.0)


def test_a_chunk_delivered_twice_is_recorded_once(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def twice(*_: Any) -> Iterator[Any]:
        yield _Twice

    monkeypatch.setattr(sys.modules["normlab.compare"], "running_engine", twice)
    assert command("run", *STUDY, "--out", tmp_path / "out").status == 0
    assert_same(tmp_path / "out", whole)
    receipts = receipts_of(tmp_path / "out")
    assert list(receipts) == list(receipts_of(whole))
    assert all(receipt["seconds"] > 0 for receipt in receipts.values())


@pytest.mark.usefixtures("_session")
def test_a_chunk_too_large_for_a_worker_is_halved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "MOST_CHUNK_RUNS", 2 * CELLS)
    monkeypatch.setattr(sizing, "FEWEST_CHUNK_RUNS", 2 * CELLS)
    made: list[RayEngine] = []

    def make(work: Work) -> Engine:
        limits = work.limits if made else Limits(memory_bytes=1)
        made.append(RayEngine(replace(work, limits=limits)))
        return made[-1]

    result = run_with(monkeypatch, make, out=tmp_path / "out")
    (halving,) = result.records.summary["halvings"]
    assert (halving["from"], halving["to"]) == (2 * CELLS, CELLS)
    assert "of 1" in halving["because"]
    assert list(receipts_of(tmp_path / "out")) == ["report-00000", "report-00003"]


def _remove(file: Path) -> None:
    file.unlink()


def _change(file: Path) -> None:
    file.write_text(MODEL + "# another file\n", encoding="utf-8")


UNLIKE = {
    "gone": (_remove, r"the file of a model must exist, got .* \(in a worker\); check its path"),
    "another": (
        _change,
        r"a worker must have what the driver has.*got another models\.batch, models\.none, own_files \(in a",
    ),
}


@pytest.mark.usefixtures("_session")
@pytest.mark.parametrize("case", UNLIKE)
def test_a_worker_with_another_file_of_the_users_own_is_refused(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil, message = UNLIKE[case]
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(MODEL, encoding="utf-8")

    def make(work: Work) -> Engine:
        engine = RayEngine(work)
        spoil(tmp_path / "own.py")
        return engine

    with pytest.raises(InputError, match=message):
        run_with(monkeypatch, make, model="own.py:network", network={}, out=tmp_path / "out")


LOSSES: dict[str, Callable[[], Exception]] = {
    "worker": lambda: ray.exceptions.WorkerCrashedError(),
    "machine": lambda: ray.exceptions.NodeDiedError("gone"),
    "records": lambda: ray.exceptions.ObjectLostError("", "", ""),
}


class _Losing:
    """An engine's `_take` whose chunks come back lost, in one way or another, for so many times."""

    def __init__(self, patched: pytest.MonkeyPatch, loss: Callable[[], Exception], times: int) -> None:
        self.get, self.loss, self.times = ray.get, loss, times
        take = RayEngine._take

        def taking(engine: RayEngine, reference: Any) -> None:
            with pytest.MonkeyPatch.context() as inner:
                inner.setattr(ray, "get", self)
                take(engine, reference)

        patched.setattr(RayEngine, "_take", taking)

    def __call__(self, reference: Any) -> Any:
        self.times -= 1
        if self.times >= 0:
            raise self.loss()
        return self.get(reference)


@pytest.mark.usefixtures("_session")
@pytest.mark.parametrize("case", LOSSES)
def test_whatever_was_lost_is_trained_again(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _Losing(monkeypatch, LOSSES[case], 1)
    with pytest.warns(EngineWarning, match="the worker that trained report-0000. was lost; it is trained again"):
        result = run_with(monkeypatch, RayEngine, out=tmp_path / "out")
    assert sorted(set(result.runs["seed"])) == list(range(6))


@pytest.mark.usefixtures("_session")
def test_a_chunk_that_loses_every_worker_ends_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _Losing(monkeypatch, LOSSES["worker"], 100)
    rule = rf"a worker must live as long as its chunk, got {MOST_LOSSES + 1} workers lost with report-0000"
    with pytest.warns(EngineWarning), pytest.raises(InputError, match=rule):
        run_with(monkeypatch, RayEngine, out=tmp_path / "out")


@pytest.mark.usefixtures("_session")
def test_a_cluster_of_machines_that_are_too_small_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 2.0}}])
    rule = r"must have a CPU for each device that this process trains on, got 2 where 3 are needed"
    with pytest.raises(InputError, match=rule):
        run_with(monkeypatch, RayEngine, out=tmp_path / "out")
