"""Where numbers come from: versions, machine, and a hash of the code that made them."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from normlab.study.design import Study

PACKAGES = ("jax", "jaxlib", "keras", "numpy", "scipy", "polars", "scikit-learn")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide numbers."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def machine() -> dict[str, Any]:
    """Return what the machine is, without its name: system, processor, cores, devices."""
    import jax

    from normlab.train.devices import num_cores

    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "processor": _processor(),
        "cores": num_cores(),
        "devices": [device.device_kind for device in jax.devices()],
        "memory_gigabytes": _memory_gigabytes(),
    }


@cache
def code_sha256() -> str:
    """Return a sha256 over normlab's own source files, by path."""
    root = Path(__file__).resolve().parents[1]
    sha = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        sha.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return sha.hexdigest()


def own_files(study: Study) -> list[str]:
    """Return a sha256 of every file of the user's own that a study refers to, its model and its norms; sorted."""
    return files_of([study.model, *(arm.norm for arm in study.arms)])


def files_of(references: Iterable[str]) -> list[str]:
    """Return a sha256 of every file among these, `FILE.py:NAME` or `FILE.keras`, where names may stand too; sorted."""
    paths = {Path(re.sub(r"(\.py):\w+$", r"\1", name)) for name in references}
    files = (path for path in paths if path.suffix in (".py", ".keras"))
    return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _memory_gigabytes() -> float | None:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
