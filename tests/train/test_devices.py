"""Devices and settings: as many devices as asked for, and no other backend than JAX."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest

from normlab.errors import InputError
from normlab.train.devices import XLA_FLAG, default_cache_dir, num_cores, prepare, run_mesh


def test_devices_stand_once_jax_computes(tmp_path: Path) -> None:
    before = jax.config.jax_compilation_cache_dir
    prepare(tmp_path, num_cpu_devices=7)
    try:
        assert len(jax.devices()) == 3
        assert jax.config.jax_compilation_cache_dir == str(tmp_path)
        assert os.environ["KERAS_BACKEND"] == "jax"
        assert os.environ["XLA_FLAGS"].count(XLA_FLAG) == 1
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


def test_another_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    keras = SimpleNamespace(backend=SimpleNamespace(backend=lambda: "torch"))
    monkeypatch.setitem(__import__("sys").modules, "keras", keras)
    with pytest.raises(InputError, match=r"JAX backend, .* got the backend torch; set .* KERAS_BACKEND=jax"):
        prepare()


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NORMLAB_CACHE", str(tmp_path))
    assert default_cache_dir() == tmp_path / "xla"
    monkeypatch.delenv("NORMLAB_CACHE")
    assert default_cache_dir().parts[-2:] == ("normlab", "xla")


@pytest.mark.parametrize(("asked", "found"), [(None, 3), (1, 1), (2, 2), (3, 3)])
def test_runs_are_spread_over_the_devices_asked_for(asked: int | None, found: int) -> None:
    mesh = run_mesh(asked)
    assert mesh.size == found
    assert mesh.axis_names == ("run",)


def test_cores_are_those_that_this_process_may_use() -> None:
    assert 1 <= num_cores() <= (os.cpu_count() or 1)
