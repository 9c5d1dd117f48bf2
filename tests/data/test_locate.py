"""Where official files are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from normlab.data import DATASETS
from normlab.data.locate import data_folder, find_files, home_expanded, require_files
from normlab.errors import InputError

MNIST = [content.name for content in DATASETS["mnist"].contents]
CIFAR = [content.name for content in DATASETS["cifar10"].contents]


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_argument_then_variable_then_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = data_folder(None)
    assert (cache.path.name, cache.chosen) == ("normlab", False)
    monkeypatch.setenv("NORMLAB_DATA", str(tmp_path / "variable"))
    assert data_folder(None) == (tmp_path / "variable", True)
    assert data_folder(str(tmp_path / "argument")) == (tmp_path / "argument", True)


@pytest.mark.parametrize(
    ("name", "there", "expected"),
    [
        ("mnist", [f"{file}.gz" for file in MNIST], [f"{file}.gz" for file in MNIST]),
        ("mnist", [f"mnist/{file}" for file in MNIST], [f"mnist/{file}" for file in MNIST]),
        ("mnist", [f"mnist/{MNIST[0]}.gz", MNIST[0], MNIST[2]], [f"mnist/{MNIST[0]}.gz", MNIST[2]]),
        ("cifar10", ["cifar-10-binary.tar.gz"], ["cifar-10-binary.tar.gz"] * 6),
        ("cifar10", ["cifar10/cifar-10-binary.tar.gz"], ["cifar10/cifar-10-binary.tar.gz"] * 6),
        (
            "cifar10",
            [f"cifar-10-batches-bin/{file}" for file in CIFAR],
            [f"cifar-10-batches-bin/{file}" for file in CIFAR],
        ),
        ("mnist", [], []),
    ],
)
def test_lookup(tmp_path: Path, name: str, there: list[str], expected: list[str]) -> None:
    _touch(tmp_path, *there)
    found = find_files(name, DATASETS[name], tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in found.values()] == expected


def test_missing_files_are_named_with_the_command_that_gets_them(tmp_path: Path) -> None:
    _touch(tmp_path, *MNIST[:3])
    with pytest.raises(InputError, match=rf"no {MNIST[3]} there; run `normlab data get mnist --data-dir {tmp_path}`"):
        require_files("mnist", DATASETS["mnist"], tmp_path)


def test_a_home_that_is_nobodys_stays_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert home_expanded("~/x.csv") == Path("/home/somebody/x.csv")
    assert home_expanded("~no-such-user/x.csv") == Path("~no-such-user/x.csv")
