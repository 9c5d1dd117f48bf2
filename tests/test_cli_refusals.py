"""The command, given something wrong: one line, status 2, and nothing half-written."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from normlab.data.catalog import DATASETS
from tests.command import Finished, command, refused
from tests.wrong_input import MNIST_SHA256, WRONG, write_wrong_files

SMALL = ("--widths", "8", "--epochs", "1", "--rates", "0.1", "--seeds", "1")


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test writes into the project, looks into the user's cache, or asks another machine for anything."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("mnist", "fashion-mnist", "cifar10"):  # port 1 of this machine refuses connections
        monkeypatch.setitem(DATASETS, name, dataclasses.replace(DATASETS[name], mirrors=("http://127.0.0.1:1/",)))


@pytest.fixture(scope="module")
def wrong_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wrong")
    write_wrong_files(folder)
    return folder


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_one_line_and_leaves_nothing(
    case: str, wrong_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, rule, received, action = WRONG[case]
    monkeypatch.chdir(wrong_files)
    out = tmp_path / "deep" / "out"
    rates = () if "--rates" in arguments or arguments[0].endswith("text-rate.toml") else ("--rates", "0.1")
    ended = command("run", *arguments, *rates, "--out", out)
    refused(ended, rule, received, action)
    assert not out.parent.exists()


def test_options_of_the_network_join_those_of_the_file(wrong_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(wrong_files)
    refused(command("run", "network.toml", "--widths", "8"), "network must be", "3", "change network")


OTHER_COMMANDS = {
    "get": (("data", "get", "minst"), "data set must be a known name", "'minst'", "choose one of digits"),
    "check": (("data", "check", "minst"), "data must be a known name or a path", "'minst'", "choose one of digits"),
    "check of no file": (("data", "check", "nowhere.csv"), "the data file must exist", "nowhere.csv", "check the path"),
    "check of a column": (
        ("data", "check", "wine", "--drop", "ash"),
        "drop must be left out",
        "'ash'",
        "leave drop out",
    ),
    "get without a network": (("data", "get", "mnist"), "a mirror of mnist must serve", "127.0.0.1", "by hand"),
    "replicate": (("replicate", "notebook", "--seeds", "0", "--data-dir", "."), "seeds must be", "0", "change seeds"),
    "replicate without data": (("replicate", "notebook", "--data-dir", "."), "files of mnist", "no train", "data get"),
}


@pytest.mark.parametrize("case", OTHER_COMMANDS)
def test_the_other_commands_refuse_as_well(case: str) -> None:
    arguments, rule, received, action = OTHER_COMMANDS[case]
    refused(command(*arguments), rule, received, action)


USAGE = [("run", "--nope"), ("run", "--epochs", "many"), ("run", "a.toml", "b.toml"), ("nope",), ("data", "get")]


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_wrong_usage_ends_in_status_2_too(arguments: tuple[str, ...]) -> None:
    ended = command(*arguments)
    assert ended.status == 2
    assert "Traceback" not in ended.err
    assert ended.err.startswith("Usage: ")


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_with_another_study_stays_as_it_is(finished: Finished) -> None:
    before = _content(finished.folder)
    ended = command("run", *finished.options, "--margin", "0.01", "--batch-size", "16", "--out", finished.folder)
    refused(ended, "--out must be a new folder", "differs in study.batch_size, study.margin", "choose another --out")
    assert _content(finished.folder) == before


def test_a_folder_with_foreign_files_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    ended = command("run", *SMALL, "--out", "mine")
    refused(ended, "--out must be a new or empty folder", "mine with other files", "choose another --out")
    assert _content(tmp_path / "mine") == {"notes.txt": b"mine"}


TOO_LONG = "a" * 300
WRITERS = {
    "run": ("run", *SMALL),
    "claims": ("claims", "memory"),
    "replicate": ("replicate", "gradient-rate"),
    "attribute": ("attribute", "study.toml"),
}


@pytest.mark.parametrize("out", ["file", "file/x", "file/x/y", TOO_LONG, f"new/{TOO_LONG}/x"])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_place_that_cannot_be_written_to_is_refused(writer: str, out: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    arms = '[[arms]]\nnorm = "none"\n[[arms]]\nnorm = "batch"\nactivation = "tanh"\n'
    (tmp_path / "study.toml").write_text(f"rates = [0.1]\nseeds = 1\n{arms}")
    before = _content(tmp_path)
    refused(command(*WRITERS[writer], "--out", out), "--out must be", out, "choose another --out")
    assert _content(tmp_path) == before
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("folder", ["file", "file/x", TOO_LONG])
@pytest.mark.parametrize("reader", [("status",), ("verify",), ("export", "--to", "csv")], ids=lambda line: line[0])
def test_a_place_without_a_study_is_refused(reader: tuple[str, ...], folder: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    refused(command(*reader, folder), "a study must lie in the folder named", folder, "check the path")


@pytest.mark.parametrize("out", ["file/x.keras", f"{TOO_LONG}.keras"])
def test_a_model_is_not_written_where_nothing_can_be(out: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    refused(command("fold", "model.keras", "--out", out), "--out must", out.split("/")[0], "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "model.keras"]


REAL = {
    "setting": (["run", "--seeds", "0"], "seeds must be greater than or equal to 1, got 0"),
    "data": (["run", "--data", "nowhere.csv", "--target", "y"], "the data file must exist, got nowhere.csv"),
    "study file": (["run", "nowhere.toml"], "the study file must be readable, got nowhere.toml"),
}


@pytest.mark.parametrize("case", REAL)
def test_a_real_process_ends_in_one_line_and_status_2(case: str, tmp_path: Path) -> None:
    arguments, said = REAL[case]
    line = [sys.executable, "-m", "normlab", *arguments, "--out", "out"]
    ended = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"normlab: error: {said}")
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_data_are_listed_and_checked(wrong_files: Path, data_dir: Path) -> None:
    listed = command("data", "list", "--data-dir", wrong_files)
    assert listed.status == 0
    for name, source in DATASETS.items():
        assert f"│ {name} " in listed.out
        assert f"{name}: {source.origin}" in listed.out
    altered = command("data", "check", "mnist", "--data-dir", wrong_files / "altered")
    assert altered.status == 2
    assert altered.out.count("ALTERED") == 4
    assert MNIST_SHA256 in altered.out
    good = command("data", "check", "mnist", "--data-dir", data_dir)
    assert (good.status, good.out.count("ok ")) == (0, 4)
    got = command("data", "get", "mnist", "--data-dir", data_dir)
    assert (got.status, len(got.out.splitlines())) == (0, 4)
