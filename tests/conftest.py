"""What every test shares: the backend with three CPU devices, a cache of compiled programs, the folder of real data."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.command import Finished, command
from tests.compiler import flags
from tests.tally import lines

os.environ["KERAS_BACKEND"] = "jax"
os.environ["XLA_FLAGS"] = flags()

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _devices(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give this process three CPU devices, whatever the machine has, so that runs are spread and padded."""
    import jax

    from normlab.train.devices import prepare

    cache = tmp_path_factory.mktemp("cache")
    os.environ["NORMLAB_CACHE"] = str(cache)  # for the commands that tests run
    os.environ.pop("NORMLAB_DATA", None)
    prepare(num_cpu_devices=3)
    jax.devices()  # from here on they stand, whatever a command in this process asks for


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c() -> None:
    """Have Ctrl-C mean what it means at a terminal: a process that is started in the background ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def finished(_devices: None, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Return one finished study that tests share: the command on real digits, rates tuned; nothing may change it."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    options = ("--data", "digits", "--widths", "8", "--epochs", "3", "--seeds", "6", "--tuning-seeds", "1")
    return Finished(folder, options, command("run", *options, "--out", folder))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the folder of real data; skip, saying so, only where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"no real data: the folder {DATA} is absent")
    return DATA


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    """Print what the tests of reliability tried, and that nothing was lost where all went well."""
    for line in lines():
        terminalreporter.write_line(line)
    if lines() and exitstatus == 0:
        terminalreporter.write_line("lost: nothing")
