"""Which layout was found faster, kept in the user's cache: the same study anywhere is then the same to the bit.

Layouts round differently, and a measurement that is repeated may come out differently; a study is measured once.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from normlab.store.files import make_folder, write_file
from normlab.store.seals import DamagedError, read_sealed_json, sealed_json


def remembered_layout(digest: str, chunk_runs: int) -> dict[str, Any] | None:
    """Return `layout` and `layout_seconds` of a study with chunks of that size, as measured before; else None.

    Args:
        digest: Of the study, its data, models, code, versions and devices; see `identity_digest`.
        chunk_runs: Runs side by side.
    """
    with suppress(DamagedError):
        return read_sealed_json(_path(digest, chunk_runs))
    return None


def remember_layout(digest: str, chunk_runs: int, measured: Mapping[str, Any]) -> None:
    """Keep what was measured; a cache that can't be written to is done without."""
    path = _path(digest, chunk_runs)
    with suppress(OSError):
        make_folder(path.parent)
        write_file(path, sealed_json(measured))


def _path(digest: str, chunk_runs: int) -> Path:
    from normlab.train.devices import default_cache_dir

    return default_cache_dir().parent / "layouts" / f"{digest}-{chunk_runs}.json"
