"""Names of new study folders."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

ROOT = Path("runs")


def new_folder(data: str, model: str) -> Path:
    """Return a folder under `runs/` that does not exist yet, named by data, model and local time."""
    words = [re.sub(r"[^A-Za-z0-9_.-]+", "-", word).strip("-.") or "data" for word in (Path(data).stem, model)]
    stem = f"{words[0]}-{words[1]}-{datetime.now():%Y%m%d-%H%M%S}"
    candidates = (ROOT / (stem if n == 0 else f"{stem}-{n}") for n in range(1000))
    return next(folder for folder in candidates if not folder.exists())
