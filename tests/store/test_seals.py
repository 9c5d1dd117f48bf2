"""A sealed file that was changed anywhere says so."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from normlab.store.seals import (
    DamagedError,
    listed,
    read_listed,
    read_sealed_json,
    require_sealed_page,
    sealed_json,
    sealed_page,
)

VALUE: dict[str, Any] = {"a": 0.1, "b": [1, None, "ä€"], "c": {"d": True, "e": 1e-300}, "f": 12345678901234567890}


def _read_json(path: Path) -> Any:
    return read_sealed_json(path)


def _read_page(path: Path) -> Any:
    return require_sealed_page(path)


def _read_listed(path: Path) -> Any:
    return read_listed(path, listed(bytes(range(256))))


KINDS = {
    "json": (sealed_json(VALUE), _read_json),
    "page": (sealed_page("<p>Hä</p>\n"), _read_page),
    "listed": (bytes(range(256)), _read_listed),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_byte_or_a_missing_end_is_found(kind: str, tmp_path: Path) -> None:
    content, read = KINDS[kind]
    path = tmp_path / "file"
    path.write_bytes(content)
    read(path)
    for position in range(len(content)):
        for change in (
            content[:position],
            content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :],
        ):
            path.write_bytes(change)
            with pytest.raises(DamagedError, match="file is damaged: "):
                read(path)
    path.unlink()
    with pytest.raises(DamagedError, match="it is gone"):
        read(path)


def test_what_was_sealed_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(sealed_json(VALUE))
    assert read_sealed_json(tmp_path / "x") == VALUE


def test_numbers_that_json_has_not_become_null() -> None:
    value = {
        "a": math.nan,
        "b": [math.inf, 1.5],
        "c": (np.float32(0.5), np.int64(3)),
        "d": {"e": -math.inf},
        1: Path("x"),
    }

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    content = json.loads(sealed_json(value), parse_constant=refuse)  # type: ignore[arg-type]
    del content["sha256"]
    assert content == {"a": None, "b": [None, 1.5], "c": [0.5, 3], "d": {"e": None}, "1": "x"}
