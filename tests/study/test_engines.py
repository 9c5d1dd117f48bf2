"""Which engines there are, and what is refused before anything heavy is imported or any data are loaded."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from normlab import InputError, compare
from normlab.study import engines
from tests.command import command, refused


@pytest.fixture
def _without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(engines, "version", version)


@pytest.fixture
def _with_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "version", lambda name: "2.60.0")


def test_an_unknown_engine_is_refused(tmp_path: Path) -> None:
    ended = command("run", "--engine", "spark", "--out", tmp_path / "out")
    refused(ended, "--engine must be a known name", "'spark'", "choose one of local, ray")


def test_an_address_is_refused_without_ray(tmp_path: Path) -> None:
    ended = command("run", "--address", "10.0.0.5:6379", "--out", tmp_path / "out")
    refused(ended, "--address must come with --engine ray", "10.0.0.5:6379", "add --engine ray")


@pytest.mark.usefixtures("_without_ray")
def test_where_ray_is_missing_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    ended = command("run", "--engine", "ray", "--out", tmp_path / "out")
    refused(ended, "--engine ray needs Ray", "none installed", "pip install normlab[ray]")
    with pytest.raises(InputError, match=r"pip install normlab\[ray\]"):
        compare("wine", engine="ray", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("_with_ray")
def test_a_function_in_memory_is_refused_where_workers_would_have_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must be a name, FILE\.py:FUNCTION or FILE\.keras, got network from memory"):
        compare("wine", network, engine="ray", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def network(norm: object) -> None:
    """Stand for a model function; it is refused before it is called."""
