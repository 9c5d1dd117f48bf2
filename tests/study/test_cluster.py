"""Chunks trained by Ray's workers: the local engine's numbers, whoever dies on the way."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import polars as pl
import psutil
import pytest

from normlab import InputError, Result, compare, terminal
from normlab.study import execute, sizing
from normlab.study.cluster import session
from normlab.study.cluster.driver import AHEAD, MOST_LOSSES, RayEngine
from normlab.study.cluster.parcels import packed_study, unpacked_study
from normlab.study.design import make_study
from normlab.study.engine import Engine, EngineWarning, Work
from normlab.study.limits import Limits
from normlab.study.local import LocalEngine
from normlab.study.progress import Interrupted, Progress, StoppedError
from tests.command import Ended, command

with session._environment({**session._QUIET, **session._ALONE}):  # as a command imports it
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")

# On three devices with three runs a chunk: chunks of seeds 0-2, 3-5, ..., 12.
CELLS = 3
NUM_CHUNKS = 5
STUDY = (
    "--data",
    "wine",
    "--widths",
    "8",
    "--epochs",
    "30",
    "--rates",
    "0.1",
    "--seeds",
    "13",
    "--probes",
    "gradients",
)
RAY = ("--engine", "ray")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    _make_chunks_small(monkeypatch)


def _make_chunks_small(patched: pytest.MonkeyPatch) -> None:
    patched.setattr(execute, "first_batch_example", lambda *_: None)  # nothing of it or of the page is looked at here
    patched.setattr(Result, "report", lambda self: None)
    patched.setattr(sizing, "MOST_CHUNK_RUNS", CELLS)
    patched.setattr(sizing, "FEWEST_CHUNK_RUNS", CELLS)


@pytest.fixture(scope="module")
def _session(_devices: None) -> Iterator[None]:
    """A Ray of our own with a core for each of this process's devices, which all tests here share."""
    with pytest.MonkeyPatch.context() as patched, warnings.catch_warnings():
        patched.setattr("normlab.train.devices.num_cores", lambda: 3)
        warnings.simplefilter("ignore")  # JAX warns of forks, for it runs already; in a command, Ray comes first
        with session.ray_session(None):
            yield


@pytest.fixture(scope="module")
def whole(_devices: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the study as the local engine finished it."""
    folder = tmp_path_factory.mktemp("local") / "out"
    with pytest.MonkeyPatch.context() as patched:
        _make_chunks_small(patched)
        assert command("run", *STUDY, "--out", folder).status == 0
    return folder


def _assert_same(folder: Path, other: Path) -> None:
    """Everything but times is equal, to the bit."""
    for name in ("epochs.parquet", "runs.parquet", "probes.parquet"):
        tables = [pl.read_parquet(each / name).drop("seconds", strict=False) for each in (folder, other)]
        assert tables[0].height > 0
        assert tables[0].equals(tables[1]), name
    assert "final_hash" in pl.read_parquet(folder / "runs.parquet").columns


def _receipts(folder: Path) -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in sorted((folder / "parts").glob("*.json"))}


def _stopped(folder: Path, runs_done: int, *engine: str) -> Ended:
    """Run the study, or go on with it, and let Ctrl-C come in the first epoch told of after so many runs."""

    def watch(now: Progress) -> None:
        if now.runs_done >= runs_done:
            raise KeyboardInterrupt

    @contextmanager
    def interrupting(*_: Any) -> Iterator[Callable[[Progress], None]]:
        yield watch

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(terminal, "progress_bar", interrupting)
        return command("run", *STUDY, *engine, "--out", folder)


def _workers() -> list[psutil.Process]:
    """Return the processes that train a chunk at this moment."""
    mine = psutil.Process().children(recursive=True)
    return [process for process in mine if "normlab_chunk" in " ".join(_asked(process, "cmdline"))]


def _asked(process: psutil.Process, what: str, *arguments: str) -> Any:
    """Return what the system says of a process; nothing of one that has ended."""
    try:
        return getattr(process, what)(*arguments)
    except psutil.Error:
        return []


def _ended(running: Callable[[], list[psutil.Process]]) -> bool:
    """Wait for processes to end, for a while."""
    deadline = time.monotonic() + 30
    while running() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not running()


SMALL: dict[str, Any] = {"data": "wine", "network": {"widths": [8]}, "epochs": 1, "rates": 0.1, "seeds": 6}


@pytest.mark.usefixtures("_session")
def test_a_killed_worker_is_made_up_for_and_the_numbers_are_the_local_ones(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_out, killed = RayEngine._give_out, []

    def giving_out(self: RayEngine, chunk: Any) -> None:
        give_out(self, chunk)
        while not killed:
            for process in _workers():
                os.kill(process.pid, signal.SIGKILL)
                killed.append(process.pid)

    monkeypatch.setattr(RayEngine, "_give_out", giving_out)
    ended = command("run", *STUDY, *RAY, "--out", tmp_path / "out")
    assert ended.status == 0, ended
    warned = [line for line in ended.err.splitlines() if "warning" in line]
    assert warned == ["normlab: warning: the worker that trained report-00000 was lost; it is trained again"]
    _assert_same(tmp_path / "out", whole)
    assert len(_receipts(tmp_path / "out")) == NUM_CHUNKS
    assert len([line for line in ended.err.splitlines() if "runs to report" in line]) >= NUM_CHUNKS


@pytest.mark.usefixtures("_session")
def test_a_study_goes_on_with_the_other_engine_and_is_ahead_by_few_chunks(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, given_out, give_out = tmp_path / "out", [], RayEngine._give_out
    monkeypatch.setattr(
        RayEngine, "_give_out", lambda self, chunk: (given_out.append(chunk.start), give_out(self, chunk))
    )
    assert _stopped(out, 2 * CELLS).status == 130
    ended = _stopped(out, 4 * CELLS, *RAY)
    assert (ended.status, ended.out) == (130, "")
    assert ended.err.startswith("normlab: interrupted: 12 of 26 runs are complete")
    assert list(_receipts(out)) == ["report-00000", "report-00003"]
    assert given_out == [3 * n for n in range(1, 2 + AHEAD)]  # of four; one worker at a time
    assert command("run", *STUDY, "--out", out).status == 0
    _assert_same(out, whole)


@pytest.mark.usefixtures("_session")
def test_epochs_are_told_of_while_a_chunk_trains_and_ctrl_c_stops_its_worker(tmp_path: Path) -> None:
    seen: list[tuple[int, int, int]] = []

    def watch(now: Progress) -> None:
        seen.append((now.runs_done, now.epoch, len(_workers())))
        raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        compare(**{**SMALL, "epochs": 200_000}, engine="ray", out=tmp_path / "out", watch=watch)
    assert seen == [(0, 1, 1)]
    assert _ended(_workers)


@pytest.mark.usefixtures("_session")
def test_a_study_stops_when_its_time_is_up(tmp_path: Path) -> None:
    with pytest.raises(StoppedError, match="0 of 12 runs are complete"):
        compare(**SMALL, engine="ray", max_hours=1e-9, out=tmp_path / "out")
    assert _ended(_workers)


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
    _assert_same(tmp_path / "out", whole)
    receipts = _receipts(tmp_path / "out")
    assert list(receipts) == list(_receipts(whole))
    assert all(receipt["seconds"] > 0 for receipt in receipts.values())


# A command with the devices and the chunks of this process, so that its studies are those of this process.
SCRIPT = """
import os, signal, sys
from normlab.study import execute, sizing
from normlab.train import devices
sizing.MOST_CHUNK_RUNS = sizing.FEWEST_CHUNK_RUNS = 3
execute.first_batch_example = lambda *_: None
devices.num_cores = lambda: 3
if sys.argv.pop(1) == "killed":
    from normlab.study.parts import Parts
    write = Parts.write
    def killing(*arguments):
        write(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)
    Parts.write = killing
from normlab.cli import main
main()
"""


@contextmanager
def _command_of_its_own(how: str, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    line = [sys.executable, "-c", SCRIPT, how, "run", *map(str, arguments)]
    inherited = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(line, env=inherited, start_new_session=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()
            for left in Path("/tmp").glob(f"normlab-{process.pid}-*"):
                shutil.rmtree(left, ignore_errors=True)


@pytest.mark.usefixtures("_session")
def test_a_killed_driver_loses_the_chunk_under_way_alone(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with _command_of_its_own("killed", *STUDY, *RAY, "--out", out) as process:
        _, err = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, err
    assert list(_receipts(out)) == ["report-00000"]
    kept = (out / "parts" / "report-00000.runs.parquet").stat().st_ino
    assert command("run", *STUDY, *RAY, "--out", out).status == 0
    _assert_same(out, whole)
    assert (out / "parts" / "report-00000.runs.parquet").stat().st_ino == kept


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_a_ray_of_our_own_listens_here_alone_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    long = [*STUDY[:5], "200000", *STUDY[6:]]
    with _command_of_its_own("left alone", *long, *RAY, "--out", tmp_path / "out") as process:
        driver_process = psutil.Process(process.pid)
        started: list[psutil.Process] = []
        while process.poll() is None and not any("normlab_chunk" in " ".join(_asked(p, "cmdline")) for p in started):
            time.sleep(0.1)
            started = driver_process.children(recursive=True)
        sockets = [one for each in (driver_process, *started) for one in _asked(each, "net_connections", "inet")]
        listening = {one.laddr.ip for one in sockets if one.status == psutil.CONN_LISTEN}
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to all that the command has started
        out, err = process.communicate(timeout=60)
    assert listening
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}
    assert process.returncode == 130, err
    assert err.splitlines()[-1].startswith("normlab: interrupted: 0 of 26 runs are complete")
    assert "Traceback" not in err
    assert out == ""
    assert _ended(lambda: [each for each in started if each.is_running()])


def _run_with(monkeypatch: pytest.MonkeyPatch, make: Callable[[Work], Engine], **settings: Any) -> Any:
    @contextmanager
    def running(*_: Any) -> Iterator[Any]:
        yield make

    monkeypatch.setattr(sys.modules["normlab.compare"], "running_engine", running)
    return compare(**{**SMALL, **settings})


@pytest.mark.usefixtures("_session")
def test_a_chunk_too_large_for_a_worker_is_halved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "MOST_CHUNK_RUNS", 2 * CELLS)
    monkeypatch.setattr(sizing, "FEWEST_CHUNK_RUNS", 2 * CELLS)
    made: list[RayEngine] = []

    def make(work: Work) -> Engine:
        limits = work.limits if made else Limits(memory_bytes=1)
        made.append(RayEngine(replace(work, limits=limits)))
        return made[-1]

    result = _run_with(monkeypatch, make, out=tmp_path / "out")
    (halving,) = result.records.summary["halvings"]
    assert (halving["from"], halving["to"]) == (2 * CELLS, CELLS)
    assert "of 1" in halving["because"]
    assert list(_receipts(tmp_path / "out")) == ["report-00000", "report-00003"]


def _remove(file: Path) -> None:
    file.unlink()


def _change(file: Path) -> None:
    file.write_text(MODEL + "# another file\n", encoding="utf-8")


MODEL = """
import keras

class Twice(keras.layers.Layer):
    def call(self, x):
        return 2 * x

def network(norm):
    return keras.Sequential([keras.Input((13,)), Twice(), keras.layers.Dense(4), norm(), keras.layers.Dense(3)])
"""
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
        _run_with(monkeypatch, make, model="own.py:network", network={}, out=tmp_path / "out")


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
        result = _run_with(monkeypatch, RayEngine, out=tmp_path / "out")
    assert sorted(set(result.runs["seed"])) == list(range(6))


@pytest.mark.usefixtures("_session")
def test_a_chunk_that_loses_every_worker_ends_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _Losing(monkeypatch, LOSSES["worker"], 100)
    rule = rf"a worker must live as long as its chunk, got {MOST_LOSSES + 1} workers lost with report-0000"
    with pytest.warns(EngineWarning), pytest.raises(InputError, match=rule):
        _run_with(monkeypatch, RayEngine, out=tmp_path / "out")


@pytest.mark.usefixtures("_session")
def test_a_cluster_of_machines_that_are_too_small_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 2.0}}])
    rule = r"must have a CPU for each device that this process trains on, got 2 where 3 are needed"
    with pytest.raises(InputError, match=rule):
        _run_with(monkeypatch, RayEngine, out=tmp_path / "out")


@pytest.mark.usefixtures("_session")
def test_a_process_that_is_connected_to_ray_takes_no_address() -> None:
    with pytest.raises(InputError, match="--address must be left out"), session.ray_session("10.0.0.5:6379"):
        pass
    with session.ray_session(None):
        pass
    assert ray.is_initialized()  # what others have started is left to them


ADDRESSES = {
    "127.0.0.1:6379": True,
    "localhost:6379": True,
    "[::1]:6379": True,
    "ray://127.0.0.1:10001": True,
    "10.0.0.5:6379": False,
    "[2001:db8::5]:6379": False,
    "head.example:6379": False,
    "localhost.example:6379": False,
    "ray://head.example:10001": False,
}


@pytest.mark.parametrize("mode", [None, "disabled", "token"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_cluster_that_others_can_reach_without_a_token_is_warned_of(
    address: str, mode: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = []
    monkeypatch.setattr(session.socket, "create_connection", mock.Mock())
    monkeypatch.setattr(ray, "init", lambda where, **_: joined.append(where))
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    if mode is not None:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        session._join(address)
    assert joined == [address]
    warned = [str(one.message) for one in caught if issubclass(one.category, EngineWarning)]
    assert len(warned) == (not ADDRESSES[address] and mode != "token")
    assert all(f"the Ray cluster at {address} takes no token" in message for message in warned)


def test_a_cluster_that_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session.socket, "create_connection", mock.Mock())
    monkeypatch.setattr(ray, "init", mock.Mock(side_effect=ConnectionError("no\ntoken")))
    with pytest.raises(InputError, match=r"must be that of a Ray cluster.*got 10\.0\.0\.5:6379 \(no token\); check"):
        session._join("10.0.0.5:6379")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1", "127.0.0.1:http", "somewhere.invalid:6379"])
def test_a_cluster_that_is_not_there_is_one_line_at_once(address: str) -> None:
    with pytest.raises(InputError, match=rf"must be that of a Ray cluster.*got {re.escape(address)} \(.*\); check"):
        session._join(address)


STUDIES: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "of looks": {"seeds": "auto", "max_seeds": 23, "probes": ["gradients"], "data_dir": "somewhere"},
    "of rates": {"rates": [1e-3, 0.1 + 0.2], "seeds": 3, "reach": 0.7, "schedule": "cosine", "warmup": 0.5},
    "of arms": {
        "arms": ["none", {"norm": "group", "groups": 4, "name": "four"}, {"norm": "batch", "activation": "elu"}]
    },
}


@pytest.mark.parametrize("case", STUDIES)
def test_a_study_reaches_a_worker_as_it_is(case: str) -> None:
    study = make_study(STUDIES[case])
    assert unpacked_study(json.loads(json.dumps(packed_study(study)))) == study


def test_files_of_the_users_own_reach_a_worker_by_their_whole_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.py").write_text(MODEL + "\nMine = Twice\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    packed = packed_study(make_study({"model": "own.py:network", "arms": ["none", "own.py:Mine"]}))
    monkeypatch.chdir("/")
    assert packed["model"] == f"{tmp_path}/own.py:network"
    study = unpacked_study(packed)
    assert [arm.name for arm in study.arms] == ["none", "own.py:Mine"]
    assert study.arms[1].norm == f"{tmp_path}/own.py:Mine"
