"""What every test shares: the backend, and the folder of real data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["KERAS_BACKEND"] = "jax"

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the folder of real data; skip, saying so, only where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"no real data: the folder {DATA} is absent")
    return DATA
