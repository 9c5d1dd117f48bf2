"""A Ray of the tests' own, and the study as the local engine finished it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from normlab.study.cluster import session
from tests.command import command
from tests.study.cluster.planted import STUDY, make_chunks_small


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    make_chunks_small(monkeypatch)


@pytest.fixture(scope="package")
def _session(_devices: None) -> Iterator[None]:
    """A Ray of our own with a core for each of this process's devices, which all tests here share."""
    with pytest.MonkeyPatch.context() as patched, warnings.catch_warnings():
        patched.setattr("normlab.train.devices.num_cores", lambda: 3)
        warnings.simplefilter("ignore")  # JAX warns of forks, for it runs already; in a command, Ray comes first
        with session.ray_session(None):
            yield


@pytest.fixture(scope="package")
def whole(_devices: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the study as the local engine finished it."""
    folder = tmp_path_factory.mktemp("local") / "out"
    with pytest.MonkeyPatch.context() as patched:
        make_chunks_small(patched)
        assert command("run", *STUDY, "--out", folder).status == 0
    return folder
