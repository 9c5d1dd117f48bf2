"""Seals: a file that says itself whether it is whole.

A sealed JSON file holds, as `sha256`, the hash of everything else in it. Other files are listed in one, by name, with
size and hash: a `Listing`. A sealed page ends in a comment with the hash of all before it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from normlab.errors import InputError

Listing = dict[str, dict[str, Any]]
SEAL = "sha256"
_PAGE_SEAL = re.compile(rb"<!-- sha256 of all before this line: ([0-9a-f]{64}) -->\n\Z")


class DamagedError(ValueError):
    """A file is not what was written: truncated, changed, or gone.

    Args:
        path: Which.
        why: In a few words.
    """

    def __init__(self, path: Path, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path} is damaged: {why}")


def sealed_json(value: Mapping[str, Any]) -> bytes:
    """Return the content of a sealed JSON file; a number that is not finite becomes null."""
    kept = plain({name: item for name, item in value.items() if name != SEAL})
    text = json.dumps({**kept, SEAL: _digest(kept)}, indent=1, ensure_ascii=False, allow_nan=False)
    # Half a character, as in names of files that are no UTF-8, is written as JSON's own escape for it.
    return (text + "\n").encode("utf-8", "backslashreplace")


def read_sealed_json(path: Path) -> dict[str, Any]:
    """Return what a sealed JSON file holds.

    Raises:
        DamagedError: If it is not exactly what was written.
    """
    content = _bytes_of(path)
    try:
        value = json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise DamagedError(path, f"no JSON ({error})") from None
    if not isinstance(value, dict) or content != sealed_json(value):
        raise DamagedError(path, f"its {SEAL} does not match its content")
    return {name: item for name, item in value.items() if name != SEAL}


def listing(folder: Path, names: Iterable[str]) -> Listing:
    """Return size and hash of files in a folder, as they are there now."""
    return {name: listed((folder / name).read_bytes()) for name in names}


def listed(content: bytes) -> dict[str, Any]:
    """Return what a listing says of a file with this content."""
    return {"bytes": len(content), SEAL: hashlib.sha256(content).hexdigest()}


def read_listed(path: Path, entry: Mapping[str, Any]) -> bytes:
    """Return the content of a file that a listing names.

    Raises:
        DamagedError: If it is not exactly what was written.
    """
    content = _bytes_of(path)
    if len(content) != entry["bytes"]:
        raise DamagedError(path, f"{len(content):,} bytes where {entry['bytes']:,} were written")
    if listed(content) != entry:
        raise DamagedError(path, f"its {SEAL} does not match its content")
    return content


def sealed_page(text: str) -> bytes:
    """Return the content of a page with its seal, a comment, as its last line."""
    body = text.rstrip("\n").encode() + b"\n"
    return body + f"<!-- sha256 of all before this line: {hashlib.sha256(body).hexdigest()} -->\n".encode()


def require_sealed_page(path: Path) -> None:
    """Raise `DamagedError` unless a page is exactly what was written."""
    content = _bytes_of(path)
    found = _PAGE_SEAL.search(content)
    if found is None:
        raise DamagedError(path, "its end is missing")
    if hashlib.sha256(content[: found.start()]).hexdigest().encode() != found[1]:
        raise DamagedError(path, "its sha256 does not match its content")


def plain(value: Any) -> Any:
    """Return what JSON keeps of a value: tuples as lists, paths as text, numbers that are not finite as null."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DamagedError(path, "it is gone") from None
    except OSError as error:
        if error.errno in (errno.EIO, errno.EISDIR):
            raise DamagedError(path, f"it can't be read ({error.strerror})") from None
        # Too many open files, a missing right, a network that is away: the file may be whole.
        raise InputError(f"{path} must be readable", error.strerror or str(error), "mend that and run again") from None
