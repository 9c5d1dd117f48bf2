"""The rows of `normlab data list` and `normlab data check`."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest

from normlab.data import DATASETS, available, check
from normlab.data.catalog import Source
from normlab.errors import InputError

Tiny = tuple[Source, dict[str, bytes]]


def test_list_says_where_each_data_set_is(tmp_path: Path) -> None:
    for content in DATASETS["mnist"].contents:
        (tmp_path / f"{content.name}.gz").touch()
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "cifar-10-binary.tar.gz").touch()
    rows = {row.name: row for row in available(tmp_path)}
    assert list(rows) == list(DATASETS)
    assert rows["digits"].where == rows["wine"].where == "embedded"
    assert rows["mnist"].where == str(tmp_path)
    assert rows["cifar10"].where == str(tmp_path / "cifar10")
    assert rows["mnist"].num_samples == (55_000, 5_000, 10_000)
    assert rows["mnist"].num_classes == 10
    assert {row.where for row in available(tmp_path / "nowhere")} == {"embedded", "not downloaded"}


def test_check_reports_every_file(tmp_path: Path, tiny_idx: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    source, contents = tiny_idx
    monkeypatch.setitem(DATASETS, "mnist", source)
    good, short, broken, missing = contents
    (tmp_path / good).write_bytes(contents[good])
    (tmp_path / short).write_bytes(b"short")
    (tmp_path / f"{broken}.gz").write_bytes(gzip.compress(contents[broken])[:-9])
    rows = check("mnist", tmp_path)
    assert [row.ok for row in rows] == [True, False, False, False]
    assert [row.file for row in rows] == [*(str(tmp_path / name) for name in (good, short, f"{broken}.gz")), missing]
    assert [row.expected for row in rows] == [content.sha256 for content in source.contents]
    assert rows[0].found == rows[0].expected
    assert rows[1].found == hashlib.sha256(b"short").hexdigest()
    assert rows[2].found.startswith("unreadable: EOFError")
    assert rows[3].found == "missing"


def test_check_reports_what_is_too_long_and_a_damaged_archive(
    tmp_path: Path, tiny_idx: Tiny, tiny_cifar: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DATASETS, "mnist", tiny_idx[0])
    monkeypatch.setitem(DATASETS, "cifar10", tiny_cifar[0])
    (tmp_path / "train-images-idx3-ubyte").write_bytes(bytes(65))
    assert check("mnist", tmp_path)[0].found == "more than 64 bytes"
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"nothing of the kind")
    rows = check("cifar10", tmp_path)
    assert [row.ok for row in rows] == [False, False]
    assert all("BadGzipFile" in row.found for row in rows)
    assert rows[0].file.endswith("cifar-10-binary.tar.gz/data_batch_1.bin")


def test_check_knows_its_names() -> None:
    assert check("wine") == []
    with pytest.raises(InputError, match="known name"):
        check("iris")
