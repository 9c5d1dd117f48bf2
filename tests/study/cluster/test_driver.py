"""Studies whose chunks Ray's workers train: the local engine's numbers, whoever is killed, and however it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from normlab import compare
from normlab.study.cluster.driver import AHEAD, RayEngine
from normlab.study.progress import Interrupted, Progress, StoppedError
from tests.command import command
from tests.study.cluster.planted import (
    CELLS,
    NUM_CHUNKS,
    RAY,
    SMALL,
    STUDY,
    asked,
    assert_same,
    ended_in_time,
    receipts_of,
    stopped,
    workers,
)

SOURCE = Path(__file__).resolve().parents[3] / "src"


@pytest.mark.usefixtures("_session")
def test_a_killed_worker_is_made_up_for_and_the_numbers_are_the_local_ones(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_out, killed = RayEngine._give_out, []

    def giving_out(self: RayEngine, chunk: Any) -> None:
        give_out(self, chunk)
        while not killed:
            for process in workers():
                os.kill(process.pid, signal.SIGKILL)
                killed.append(process.pid)

    monkeypatch.setattr(RayEngine, "_give_out", giving_out)
    ended = command("run", *STUDY, *RAY, "--out", tmp_path / "out")
    assert ended.status == 0, ended
    warned = [line for line in ended.err.splitlines() if "warning" in line]
    assert warned == ["normlab: warning: the worker that trained report-00000 was lost; it is trained again"]
    assert_same(tmp_path / "out", whole)
    assert len(receipts_of(tmp_path / "out")) == NUM_CHUNKS
    assert len([line for line in ended.err.splitlines() if "runs to report" in line]) >= NUM_CHUNKS


@pytest.mark.usefixtures("_session")
def test_a_study_goes_on_with_the_other_engine_and_is_ahead_by_few_chunks(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, given_out, give_out = tmp_path / "out", [], RayEngine._give_out
    monkeypatch.setattr(
        RayEngine, "_give_out", lambda self, chunk: (given_out.append(chunk.start), give_out(self, chunk))
    )
    assert stopped(out, 2 * CELLS).status == 130
    ended = stopped(out, 4 * CELLS, *RAY)
    assert (ended.status, ended.out) == (130, "")
    assert ended.err.splitlines()[-1].startswith("normlab: interrupted: 12 of 26 runs are complete")
    assert list(receipts_of(out)) == ["report-00000", "report-00003"]
    assert given_out == [3 * n for n in range(1, 2 + AHEAD)]  # of four; one worker at a time
    assert command("run", *STUDY, "--out", out).status == 0
    assert_same(out, whole)


@pytest.mark.usefixtures("_session")
def test_epochs_are_told_of_while_a_chunk_trains_and_ctrl_c_stops_its_worker(tmp_path: Path) -> None:
    seen: list[tuple[int, int, int]] = []

    def watch(now: Progress) -> None:
        seen.append((now.runs_done, now.epoch, len(workers())))
        raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        compare(**{**SMALL, "epochs": 200_000}, engine="ray", out=tmp_path / "out", watch=watch)
    assert seen == [(0, 1, 1)]
    assert ended_in_time(workers)


@pytest.mark.usefixtures("_session")
def test_a_study_stops_when_its_time_is_up(tmp_path: Path) -> None:
    with pytest.raises(StoppedError, match="0 of 12 runs are complete"):
        compare(**SMALL, engine="ray", max_hours=1e-9, out=tmp_path / "out")
    assert ended_in_time(workers)


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
def command_of_its_own(how: str, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    line = [sys.executable, "-c", SCRIPT, how, "run", *map(str, arguments)]
    inherited = {**os.environ, "PYTHONPATH": str(SOURCE)}
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
    with command_of_its_own("killed", *STUDY, *RAY, "--out", out) as process:
        _, err = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, err
    assert list(receipts_of(out)) == ["report-00000"]
    kept = (out / "parts" / "report-00000.runs.parquet").stat().st_ino
    assert command("run", *STUDY, *RAY, "--out", out).status == 0
    assert_same(out, whole)
    assert (out / "parts" / "report-00000.runs.parquet").stat().st_ino == kept


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_a_ray_of_our_own_listens_here_alone_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    long = [*STUDY[:5], "200000", *STUDY[6:]]
    with command_of_its_own("left alone", *long, *RAY, "--out", tmp_path / "out") as process:
        driver_process = psutil.Process(process.pid)
        started: list[psutil.Process] = []
        while process.poll() is None and not any("normlab_chunk" in " ".join(asked(p, "cmdline")) for p in started):
            time.sleep(0.1)
            started = driver_process.children(recursive=True)
        sockets = [one for each in (driver_process, *started) for one in asked(each, "net_connections", "inet")]
        listening = {one.laddr.ip for one in sockets if one.status == psutil.CONN_LISTEN}
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to all that the command has started
        out, err = process.communicate(timeout=60)
    assert listening
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}
    assert process.returncode == 130, err
    assert err.splitlines()[-1].startswith("normlab: interrupted: 0 of 26 runs are complete")
    assert "Traceback" not in err
    assert out == ""
    assert ended_in_time(lambda: [each for each in started if each.is_running()])
