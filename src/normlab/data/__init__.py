"""Data sets: embedded, downloaded, the user's own; split, scaled and described."""

from __future__ import annotations

from normlab.data.catalog import DATASETS
from normlab.data.dataset import Dataset, Part
from normlab.data.download import get
from normlab.data.listing import available, check
from normlab.data.loading import load

__all__ = ["DATASETS", "Dataset", "Part", "available", "check", "get", "load"]
