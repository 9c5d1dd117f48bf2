"""Where numbers come from, and the names of new folders."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from normlab.study.folders import new_folder
from normlab.study.provenance import code_sha256, machine, versions


def test_versions_and_machine_are_recorded_without_the_machines_name() -> None:
    assert versions()["jax"] == version("jax")
    assert versions()["keras"] == version("keras")
    about = machine()
    assert about["devices"] == ["cpu"] * 3
    assert about["cores"] >= 1
    node = __import__("platform").node()
    assert node == "" or node not in json.dumps(about).split('"')


def test_the_code_has_one_hash() -> None:
    assert len(code_sha256()) == 64
    assert code_sha256() == code_sha256()


NAMES = [
    ("digits", "digits-mlp-"),
    ("my data/ü & more.csv", "more-mlp-"),
    ("..", "data-mlp-"),
    ("ü", "data-mlp-"),
]


@pytest.mark.parametrize(("data", "start"), NAMES)
def test_a_new_folder_is_named_by_data_and_model(
    data: str, start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = new_folder(data, "mlp")
    assert folder.parent == Path("runs")
    assert folder.name.startswith(start)
    assert not folder.exists()
    folder.mkdir(parents=True)
    assert new_folder(data, "mlp") != folder
