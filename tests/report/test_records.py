"""Reading a record folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from normlab.errors import InputError
from normlab.report.records import FILES, Records, read_records, shown_comparisons, shown_rows
from tests.report.saving import save


@pytest.fixture
def folder(tmp_path: Path, tuned: Records) -> Path:
    save(tuned, tmp_path)
    return tmp_path


def test_reads_what_was_written(folder: Path, tuned: Records) -> None:
    records = read_records(folder)
    assert records.summary == tuned.summary
    assert records.epochs.equals(tuned.epochs)
    assert records.runs.equals(tuned.runs)
    assert records.example is None
    assert records.folder == str(folder)


def test_reads_the_example_where_there_is_one(tmp_path: Path, tuned: Records) -> None:
    save(replace(tuned, example={"loss": 2.3}), tmp_path)
    assert read_records(tmp_path).example == {"loss": 2.3}


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"{name} is damaged: it is gone"):
        read_records(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_broken_file_is_named_in_one_line(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"[1, 2")
    with pytest.raises(InputError, match=name) as caught:
        read_records(folder)
    assert "\n" not in str(caught.value)


def test_json_nested_beyond_reason_is_no_record(folder: Path) -> None:
    (folder / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"manifest\.json is damaged: no JSON"):
        read_records(folder)


def test_the_baseline_comes_first(make_records) -> None:
    records = make_records(arms=("layer", "batch", "none"))
    assert records.arms == ["layer", "batch", "none"]
    assert list(records.rates) == records.arms


def test_of_several_rates_the_primary_one_is_shown(make_records) -> None:
    records = make_records(rates=(0.1, 1.0))
    assert {row["rate"] for row in shown_rows(records.summary).values()} == {0.1}
    records.summary["primary"]["rate"] = 1.0
    assert records.rates == {"none": 1.0, "batch": 1.0}
    assert [row["rate"] for row in shown_comparisons(records.summary, "test_loss")] == [1.0]
