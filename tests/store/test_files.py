"""A file is there whole or not at all, whatever fails while it is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from normlab.errors import InputError
from normlab.store.files import make_folder, remove_file, require_writable, write_file, writing_to


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_writer_that_fails_leaves_the_old_file(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_file(path, b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, call) if call == "fsync" else (Path, call)), fail)
    with pytest.raises(OSError, match="No space left"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert _names(tmp_path) == ["file"]


def test_who_reads_while_a_file_is_written_sees_all_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_file(path, b"old")
    with path.open("rb") as reading:
        write_file(path, b"new and longer")
        assert reading.read() == b"old"
    assert path.read_bytes() == b"new and longer"
    assert _names(tmp_path) == ["file"]


def test_folders_are_made_with_those_above_and_files_removed_once(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    write_file(tmp_path / "a" / "b" / "c", b"")
    for _ in range(2):
        remove_file(tmp_path / "a" / "b" / "c")
    assert _names(tmp_path) == ["a", "a/b"]


def test_a_failure_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    line = r"--out must be writable, got .* \(No space left on device\); .* run again"
    with pytest.raises(InputError, match=line), writing_to(tmp_path):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("below", [".", "deeper"])
def test_a_link_to_nothing_is_no_folder_to_write_to(tmp_path: Path, below: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere" / "at all")
    with pytest.raises(InputError, match=r"--out must be writable, got .*link is a link to nothing"):
        require_writable(tmp_path / "link" / below)
    (tmp_path / "there").mkdir()
    (tmp_path / "good").symlink_to(tmp_path / "there")
    require_writable(tmp_path / "good" / below)
