"""A file of the user's own runs once, finds what lies beside it, and is read again when it was changed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from normlab.errors import InputError
from normlab.own_file import own_object

SOURCE = """
from pathlib import Path
from beside import factor

runs = Path(__file__).with_name("runs.txt")
runs.write_text(runs.read_text() + "x" if runs.exists() else "x")

def scaled(x):
    return factor * x
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    (tmp_path / "beside.py").write_text("factor = 3\n")
    (tmp_path / "mine.py").write_text(SOURCE)
    return tmp_path / "mine.py"


def _load(file: Path, name: str = "scaled") -> object:
    return own_object(f"{file}:{name}", "model", "my_file.py:network", "a function")


def test_it_runs_once_with_what_lies_beside_it(file: Path) -> None:
    before = list(sys.path)
    function = _load(file)
    assert callable(function)
    assert function(2) == 6
    assert _load(file) is function
    assert file.with_name("runs.txt").read_text() == "x"
    assert sys.path == before


def test_a_changed_file_is_read_again(file: Path) -> None:
    first = _load(file)
    file.write_text(SOURCE.replace("factor * x", "x"))
    changed = _load(file)
    assert callable(changed)
    assert changed(2) == 2
    assert changed is not first


def test_what_it_only_imports_is_not_offered(file: Path) -> None:
    with pytest.raises(InputError, match="must hold a function of that name, got 'other'; choose among scaled"):
        _load(file, "other")


def test_a_file_that_fails_is_no_module_afterwards(file: Path) -> None:
    file.write_text("raise RuntimeError('mine')\n")
    before, path = set(sys.modules), list(sys.path)
    with pytest.raises(RuntimeError, match="mine"):
        _load(file)
    assert set(sys.modules) == before
    assert sys.path == path


@pytest.mark.parametrize("source", ["import sys\nsys.exit(3)\n", "import sys\ndef scaled(x):\n    sys.exit(3)\n"])
def test_a_file_that_ends_the_program_is_refused(file: Path, source: str) -> None:
    file.write_text(source)
    with pytest.raises(InputError, match=r"must not end the program, got sys.exit\(3\) in .*mine.py; remove it"):
        _load(file)(1)  # type: ignore[operator]
