"""What driver and workers hand each other: JSON text, arrays, and the bytes of Parquet files."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from normlab.models.own import is_reference
from normlab.store.seals import plain
from normlab.study.cells import Cell, Chunk
from normlab.study.design import Study, make_study
from normlab.study.parts import parquet
from normlab.study.provenance import code_sha256, own_files, versions

if TYPE_CHECKING:
    from normlab.data import Dataset
    from normlab.train.blueprint import Blueprint


def packed_study(study: Study) -> dict[str, Any]:
    """Return a study's settings with whole paths to files of the user's own: a worker starts in another folder."""
    settings = study.model_dump(mode="json")
    if is_reference(study.model):
        settings["model"] = str(Path(study.model).absolute())
    for arm in settings["arms"]:
        if ".py:" in arm["norm"]:
            arm["norm"] = str(Path(arm["norm"]).absolute())
    return settings


def unpacked_study(settings: Mapping[str, Any]) -> Study:
    """Return the study; raises `InputError` where one of its files is not there."""
    return make_study(settings)


def packed_dataset(dataset: Dataset) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what a data set says of itself, and its arrays by part and field, as they are handed to the network."""
    apart = (*dataset.parts, "stored")
    about = {field.name: getattr(dataset, field.name) for field in fields(dataset) if field.name not in apart}
    arrays = {f"{name}.{field}": getattr(part, field) for name, part in dataset.parts.items() for field in ("x", "y")}
    return plain(about), arrays


def unpacked_dataset(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Dataset:
    """Return the data set, on the arrays given."""
    from normlab.data import Dataset
    from normlab.data.dataset import PART_NAMES, Part

    settings: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in about.items()
    }
    settings |= {name: Part(arrays[f"{name}.x"], arrays[f"{name}.y"]) for name in PART_NAMES}
    return Dataset(**settings)


def packed_chunk(chunk: Chunk) -> str:
    """Return a chunk as JSON text; a rate comes back from it to the bit."""
    cells = [[cell.seed, dict(cell.rates)] for cell in chunk.cells]
    about = {"stage": chunk.stage, "start": chunk.start, "cells": cells, "number": chunk.number}
    return json.dumps(about)


def unpacked_chunk(text: str) -> Chunk:
    """Return the chunk."""
    found = json.loads(text)
    cells = tuple(Cell(seed, rates) for seed, rates in found["cells"])
    return Chunk(found["stage"], found["start"], cells, found["number"])


def packed_tables(tables: Mapping[str, pl.DataFrame]) -> dict[str, bytes]:
    """Return tables as the contents of Parquet files."""
    return {name: parquet(table) for name, table in tables.items()}


def unpacked_tables(contents: Mapping[str, bytes]) -> dict[str, pl.DataFrame]:
    """Return the tables."""
    return {name: pl.read_parquet(io.BytesIO(content)) for name, content in contents.items()}


def makings(study: Study, plans: Mapping[str, Blueprint]) -> dict[str, Any]:
    """Return what decides numbers in this process: where two have the same, a chunk comes out the same in both."""
    import jax

    return {
        "own_files": own_files(study),
        "code_sha256": code_sha256(),
        "versions": versions(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "devices": [device.device_kind for device in jax.devices()],
        "models": {arm: plan.digest() for arm, plan in plans.items()},
    }
