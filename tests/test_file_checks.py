"""Packed files of others: members that lead out of their folder, sizes that lie, bombs: refused, at no cost."""

from __future__ import annotations

import json
import stat
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import pytest

from normlab.data.table_columns import read_columns
from normlab.data.table_files import read_table
from normlab.data.table_options import TableOptions
from normlab.errors import InputError, listed
from normlab.file_checks import MOST_EXPANSION, SMALL_BYTES, is_file, require_modest, require_true_sizes
from normlab.models.own import compiled_loss, require_reference
from normlab.surgery.files import open_model

# Keras warns so when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

BOMB_BYTES = SMALL_BYTES + 2**20


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model as Keras saves it."""
    path = tmp_path_factory.mktemp("whole") / "model.keras"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, kernel_initializer="ones")], name="small").save(path)
    return path


Members = dict[str, bytes]


def _members(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def _write(path: Path, members: Members, mode: int = 0, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = compression
            info.external_attr = mode << 16
            archive.writestr(info, data)
    return path


def _lied(path: Path, name: str, num_bytes: int) -> Path:
    """Change the size that the directory gives for a member."""
    raw = bytearray(path.read_bytes())
    place = raw.rindex(name.encode(), 0, raw.rindex(b"PK\x05\x06")) - 46
    assert raw[place : place + 4] == b"PK\x01\x02"
    raw[place + 24 : place + 28] = num_bytes.to_bytes(4, "little")
    path.write_bytes(raw)
    return path


def _units(members: Members, units: int) -> Members:
    configuration = json.loads(members["config.json"])
    (dense,) = [layer for layer in configuration["config"]["layers"] if layer["class_name"] == "Dense"]
    dense["config"]["units"] = units
    del dense["build_config"]
    return members | {"config.json": json.dumps(configuration).encode()}


WEIGHTS = "model.weights.h5"
# What is wrong with a .keras file, and what the message says.
KERAS: dict[str, tuple[Callable[[Path, Members], Path], str]] = {
    "above": (lambda path, m: _write(path, m | {"../x": b""}), r"plain files inside its folder, got '\.\./x'"),
    "absolute": (lambda path, m: _write(path, m | {"/etc/x": b""}), "plain files inside its folder, got '/etc/x'"),
    "drive": (lambda path, m: _write(path, m | {"C:x": b""}), "plain files inside its folder, got 'C:x'"),
    "backslash": (lambda path, m: _write(path, m | {"a\\..\\..\\x": b""}), "plain files inside its folder"),
    "link": (lambda path, m: _write(path, m, stat.S_IFLNK | 0o777), "plain files inside its folder"),
    "device": (lambda path, m: _write(path, m, stat.S_IFCHR | 0o600), "plain files inside its folder"),
    "bomb": (lambda path, m: _write(path, m | {"assets/x": bytes(BOMB_BYTES)}), "must unpack to at most 67,108,864"),
    "bomb that hides": (lambda path, m: _lied(_write(path, m | {WEIGHTS: bytes(BOMB_BYTES)}), WEIGHTS, 4096), "CRC"),
    "other packing": (lambda path, m: _write(path, m, compression=zipfile.ZIP_BZIP2), "unusual compression"),
    "more weights than bytes": (lambda path, m: _write(path, _units(m, 10**8)), "more weights than the file holds"),
}


@pytest.mark.parametrize("case", KERAS)
def test_a_model_file_that_is_no_honest_archive_is_refused(case: str, whole: Path, tmp_path: Path) -> None:
    make, message = KERAS[case]
    path = make(tmp_path / "bad.keras", _members(whole))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=message):
            open_model(path)
        assert tracemalloc.get_traced_memory()[1] < 32 * 2**20
    finally:
        tracemalloc.stop()
    assert [entry.name for entry in tmp_path.iterdir()] == ["bad.keras"]


def test_a_model_file_packed_anew_opens(whole: Path, tmp_path: Path) -> None:
    model = open_model(_write(tmp_path / "again.keras", _members(whole)))
    assert model.count_params() == 8
    assert open_model(whole).count_params() == 8


CONFIGURATIONS = {
    "a list": b"[]",
    "nested": b"[" * 100_000,
    "no UTF-8": b"\xff\xfe\xff",
    "long": b"[" + b" " * 17 * 2**20 + b"]",
}


@pytest.mark.parametrize("case", CONFIGURATIONS)
def test_a_configuration_that_is_none_is_refused(case: str, whole: Path, tmp_path: Path) -> None:
    path = _write(tmp_path / "bad.keras", _members(whole) | {"config.json": CONFIGURATIONS[case]})
    with pytest.raises(InputError, match=r"whole archive of a model, got .*bad\.keras \("):
        require_reference(str(path))
    with pytest.raises(InputError, match=r"bad\.keras must be a whole model"):
        open_model(path)
    assert compiled_loss(whole) is None


@pytest.mark.parametrize(("num_bytes", "extra"), [(SMALL_BYTES, 0), (MOST_EXPANSION * 10**6, 10**6)])
def test_a_size_may_be_small_or_modest(num_bytes: int, extra: int, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(extra))
    require_modest(num_bytes, path, "give another")
    with pytest.raises(InputError, match=f"got {num_bytes + 1:,} bytes declared by a file of {extra:,}; give another"):
        require_modest(num_bytes + 1, path, "give another")


def test_true_sizes_pass(tmp_path: Path) -> None:
    with zipfile.ZipFile(_write(tmp_path / "a.zip", {"x": bytes(10**5), "y": b""})) as archive:
        require_true_sizes(archive)


def test_a_parquet_file_of_a_billion_equal_rows_is_refused(tmp_path: Path) -> None:
    import polars as pl

    path = tmp_path / "zeros.parquet"
    pl.DataFrame({"a": pl.zeros(9_000_000, pl.Int8, eager=True)}).write_parquet(path, compression="zstd")
    tracemalloc.start()
    with pytest.raises(InputError, match=r"zeros\.parquet must unpack to at most .*, got 72,000,000 bytes declared"):
        read_table(path)
    tracemalloc.stop()
    pl.DataFrame({"a": pl.zeros(1_000, pl.Int8, eager=True)}).write_parquet(path)
    assert len(read_table(path).frame) == 1_000


def test_a_parquet_file_that_would_end_the_process_is_refused(tmp_path: Path) -> None:
    import polars as pl

    path = tmp_path / "damaged.parquet"
    pl.DataFrame({"a": [0.5 * row for row in range(24)], "y": [0, 1] * 12}).write_parquet(path)
    raw = bytearray(path.read_bytes())
    raw[14] = 1  # in the header of the first page: where it is read as a size, 2^61 bytes are asked for
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"must be a readable \.parquet table, got pages of impossible sizes"):
        read_table(path)


def test_the_columns_of_a_wide_table_are_told_apart_in_linear_time(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    names = [f"c{index}" for index in range(50_000)]
    path.write_text(",".join([*names, "c0", "c1"]) + "\n" + ",".join("1" for _ in range(50_002)) + "\n")
    with pytest.raises(InputError, match="different names, got 'c0', 'c1' more than once"):
        read_columns(path, TableOptions())


def test_messages_stay_short() -> None:
    error = InputError("x must be short", "y" * 10**6, "z" * 10**6)
    assert len(str(error)) < 4_200
    assert len(error.received) == 10**6  # type: ignore[arg-type]
    assert listed(str(number) for number in range(25)).endswith("'19' and 5 more")
    assert listed(["a"]) == "'a'"


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "", "no/such"])
def test_a_name_that_no_file_can_have_is_no_file(name: str) -> None:
    assert not is_file(Path(name) / "f.py")
    with pytest.raises(InputError, match="the file of a model must exist"):
        require_reference(f"{name}/f.keras")
