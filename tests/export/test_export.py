"""Exports as tables, the rule for targets, and what is said where a library is missing."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import polars as pl
import pytest

from normlab.errors import InputError
from normlab.export import export as exporting
from normlab.export.export import FORMATS, export
from normlab.export.material import Material
from normlab.export.names import LONGEST, safe_names
from normlab.export.tables import inert_csv
from normlab.export.target import made_aside
from normlab.result import Result
from normlab.store.files import ASIDE
from tests.command import Finished, command, refused


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("to", ["csv", "parquet"])
def test_tables_hold_what_was_recorded(to: str, finished: Finished, tmp_path: Path) -> None:
    before = _content(finished.folder)
    ended = command("export", finished.folder, "--to", to, "--out", tmp_path / "a" / "out")
    assert (ended.status, ended.out, ended.err) == (0, f"Exported: {tmp_path / 'a' / 'out'}\n", "")
    result = Result(finished.folder)
    names = {f"epochs.{to}": result.epochs, f"runs.{to}": result.runs}
    assert set(_content(tmp_path / "a" / "out")) == set(names)
    for name, table in names.items():
        path = tmp_path / "a" / "out" / name
        read = pl.read_parquet(path) if to == "parquet" else pl.read_csv(path, schema=table.schema)
        assert read.equals(table)
    assert _content(finished.folder) == before


def test_a_spreadsheet_executes_no_cell() -> None:
    """Text that begins as a formula gets an apostrophe; numbers, also negative ones, and other text stay."""
    harmful = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\r=1"]
    table = pl.DataFrame({"arm": [*harmful, "batch", "a=b", None], "=x": [-1.5] * 9})
    inert = inert_csv(table)
    assert inert.columns == ["arm", "'=x"]
    assert inert["arm"].to_list() == [*(f"'{text}" for text in harmful), "batch", "a=b", None]
    assert inert["'=x"].to_list() == [-1.5] * 9


def test_one_json_file_holds_everything(finished: Finished, tmp_path: Path) -> None:
    target, left_out = export(finished.folder, "json", tmp_path / "out.json")
    whole = json.loads(target.read_text(encoding="utf-8"), parse_constant=lambda name: pytest.fail(name))
    result = Result(finished.folder)
    assert (whole["complete"], whole["left_out"], left_out) == (True, [], ())
    assert whole["summary"] == result.records.summary
    assert whole["study"]["data"]["name"] == "digits"
    assert [row["val_loss"] for row in whole["epochs"]] == result.epochs["val_loss"].to_list()
    assert [row["final_hash"] for row in whole["runs"]] == result.runs["final_hash"].to_list()


def test_the_default_target_lies_beside_the_study(finished: Finished, tmp_path: Path) -> None:
    folder = shutil.copytree(finished.folder, tmp_path / "study")
    assert command("export", folder, "--to", "json").status == 0
    assert command("export", folder, "--to", "csv").status == 0
    assert {path.name for path in tmp_path.iterdir()} == {"study", "study.json", "study-csv"}


def test_wrong_input_is_one_line(finished: Finished, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    for name in ("file", "folder"):
        ended = command("export", finished.folder, "--to", "csv", "--out", tmp_path / name)
        refused(ended, "an export must go to a new place", name, "remove it")
    inside = finished.folder / "out"
    refused(command("export", finished.folder, "--to", "csv", "--out", inside), "outside", "out", "choose another")
    refused(command("export", finished.folder, "--to", "xml"), "format must be a known name", "'xml'", "csv, parquet")
    ended = command("export", finished.folder, "--to", "csv", "--out", tmp_path / "file" / "out")
    refused(ended, "--out must be writable", "file", "choose another --out")
    assert (tmp_path / "file").read_text() == "mine"
    assert list((tmp_path / "folder").iterdir()) == []


@pytest.mark.parametrize("to", ["tensorboard", "mlflow"])
def test_without_its_extra_a_format_says_what_to_install(
    to: str, finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    ended = command("export", finished.folder, "--to", to, "--out", tmp_path / "out")
    refused(ended, f"an export to {to} needs its extra", FORMATS[to].needs[0], f"pip install 'normlab[{to}]'")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("to", ["csv", "parquet", "json"])
def test_an_export_that_fails_leaves_nothing(
    to: str, finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = FORMATS[to]

    def fail(material: Material, target: Path) -> None:
        chosen.write(material, target)
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(FORMATS, to, exporting.Format(fail, chosen.ending))
    ended = command("export", finished.folder, "--to", to, "--out", tmp_path / "out")
    refused(ended, "--out must be writable", "(No space left on device)", "choose another --out")
    assert list(tmp_path.iterdir()) == []


def test_a_target_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    target, gone = tmp_path / "out", 2**22 + 1  # above the largest number of a process
    leftover = tmp_path / f".out.{gone}{ASIDE}"
    leftover.mkdir()
    (leftover / "half").write_text("ha")
    other = tmp_path / f".out.{os.getppid()}{ASIDE}"  # a process that lives
    other.write_text("theirs")
    with made_aside(target) as aside:
        aside.mkdir()
        (aside / "file").write_text("all")
        assert not target.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"out", other.name}
    assert (target / "file").read_text() == "all"
    second = tmp_path / "second"
    with pytest.raises(InputError, match="a new place"), made_aside(second) as aside:  # noqa: PT012
        aside.write_text("mine")
        second.write_text("another's, faster")
    assert second.read_text() == "another's, faster"


def test_names_become_safe_and_stay_apart() -> None:
    names = ["batch", "Batch", "a/b", "a%2Fb", "..", ".", "-x", "", "con", "x" * 300, "x" * 301, "\N{SNOWMAN}", "a b"]
    safe = safe_names(names)
    assert (safe["batch"], safe["a/b"], safe["a b"], safe["a%2Fb"]) == ("batch", "a%2Fb", "a%20b", "a%252Fb")
    assert len({name.casefold() for name in safe.values()}) == len(names)
    for name in safe.values():
        assert 0 < len(name) <= LONGEST + 13
        assert name[0] not in ".-"
        assert name.isascii()
        assert not set(name) & set('/\\:*?"<>| ')
