"""What every test shares: the backend with three CPU devices, a cache of compiled programs, the folder of real data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["KERAS_BACKEND"] = "jax"

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _devices(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give this process three CPU devices, whatever the machine has, so that runs are spread and padded."""
    from normlab.train.devices import prepare

    prepare(tmp_path_factory.mktemp("xla"), num_cpu_devices=3)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the folder of real data; skip, saying so, only where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"no real data: the folder {DATA} is absent")
    return DATA
