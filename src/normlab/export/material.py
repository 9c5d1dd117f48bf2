"""What is exported of a study, finished or not: everything in its folder that is whole, and what is left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normlab.errors import InputError
from normlab.store.seals import DamagedError, Listing, read_listed, read_sealed_json
from normlab.study.names import EPOCHS, IDENTITY, MANIFEST, PROBES, RUNS, STUDY, SUMMARY
from normlab.study.parts import Parts, Receipt, read_parquet, require_of, require_study

if TYPE_CHECKING:
    import polars as pl

KINDS = {"epochs": EPOCHS, "runs": RUNS, "probes": PROBES}


@dataclass(frozen=True)
class Material:
    """What is exported.

    Attributes:
        folder: The study's.
        study: What `study.json` holds: settings, data, versions, machine; None if it is damaged.
        summary: The study's summary; None if the study is not finished or its summary damaged.
        epochs: One row per run and epoch.
        runs: One row per run; of a study that is not finished the epochs to the target are null.
        probes: What was measured inside, if anything.
        left_out: What could not be exported, or not from where it should be, and why.
        is_complete: Whether the study is finished.
    """

    folder: Path
    study: Mapping[str, Any] | None
    summary: Mapping[str, Any] | None
    epochs: pl.DataFrame
    runs: pl.DataFrame
    probes: pl.DataFrame | None
    left_out: tuple[str, ...]
    is_complete: bool

    @property
    def tables(self) -> dict[str, pl.DataFrame]:
        """The tables that there are, by name."""
        found = {"epochs": self.epochs, "runs": self.runs, "probes": self.probes}
        return {name: table for name, table in found.items() if table is not None}

    def by_run(self, kind: str) -> dict[str, pl.DataFrame]:
        """Return the rows of one table by run, in the order of epochs; nothing if there is no such table."""
        table = self.tables.get(kind)
        if table is None:
            return {}
        by_key = table.sort("epoch", maintain_order=True).partition_by("run", as_dict=True)
        return {str(run): rows for (run,), rows in by_key.items()}

    @property
    def verdicts(self) -> dict[str, str]:
        """By arm, the verdict of the primary comparison; none before the study is finished."""
        if self.summary is None:
            return {}
        primary = self.summary["primary"]
        rows = [row for row in self.summary["comparisons"] if row.get("statistics") != "recomputed"]
        chosen = [row for row in rows if (row["metric"], row["rate"]) == (primary["metric"], primary["rate"])]
        return {row["arm"]: row["verdict"] for row in chosen}


def read_material(folder: Path) -> Material:
    """Return what is whole in a study's folder.

    Results that the manifest lists are taken as they are. Where there are none, or one is damaged, the finished chunks
    stand in; a chunk of which anything is damaged is left out.

    Raises:
        InputError: If there is no study, or nothing of it is finished and whole.
    """
    folder = Path(folder)
    require_study(folder)
    left_out: list[str] = []
    study = _sealed(folder / STUDY, left_out)
    manifest = _sealed(folder / MANIFEST, left_out) if (folder / MANIFEST).exists() else None
    is_complete = manifest is not None and bool(manifest["complete"])
    listed: Listing = manifest["files"] if manifest is not None and is_complete else {}
    tables = {kind: _listed_table(folder, name, listed, left_out) for kind, name in KINDS.items()}
    if tables["epochs"] is None or tables["runs"] is None or (PROBES in listed and tables["probes"] is None):
        chunks = _whole_chunks(folder, study, left_out)
        for kind, table in tables.items():
            if table is None:
                tables[kind] = _of_chunks(kind, chunks)
    epochs, runs = tables["epochs"], tables["runs"]
    if epochs is None or runs is None:
        received = f"{folder} without a finished chunk that is whole"
        raise InputError("an export needs records", received, "run the study until it has some")
    return Material(
        folder, study, _summary(folder, listed, left_out), epochs, runs, tables["probes"], tuple(left_out), is_complete
    )


def _sealed(path: Path, left_out: list[str]) -> dict[str, Any] | None:
    try:
        return read_sealed_json(path)
    except DamagedError as damage:
        left_out.append(str(damage))
        return None


def _summary(folder: Path, listed: Listing, left_out: list[str]) -> dict[str, Any] | None:
    if SUMMARY not in listed:
        return None
    try:
        read_listed(folder / SUMMARY, listed[SUMMARY])
    except DamagedError as damage:
        left_out.append(str(damage))
        return None
    return _sealed(folder / SUMMARY, left_out)


def _listed_table(folder: Path, name: str, listed: Listing, left_out: list[str]) -> pl.DataFrame | None:
    if name not in listed:
        return None
    try:
        return read_parquet(folder / name, listed[name])
    except DamagedError as damage:
        left_out.append(f"{damage}; the chunks stand in for it")
        return None


def _whole_chunks(folder: Path, study: Mapping[str, Any] | None, left_out: list[str]) -> list[dict[str, pl.DataFrame]]:
    """Return the tables, by kind, of every chunk of which nothing is damaged."""
    parts = Parts(folder)
    receipts, damaged = parts.whole_receipts()
    left_out += [f"{damage}; its chunk is left out" for damage in damaged]
    digest = study[IDENTITY] if study is not None else None
    chunks = []
    for receipt in receipts:
        try:
            if digest is not None:
                require_of(parts.folder / f"{receipt.chunk}.json", receipt.about, digest)
            chunks.append(_tables(parts.folder, receipt))
        except DamagedError as damage:
            left_out.append(f"{damage}; its chunk is left out")
    return chunks


def _tables(folder: Path, receipt: Receipt) -> dict[str, pl.DataFrame]:
    return {name.split(".")[1]: read_parquet(folder / name, entry) for name, entry in receipt.files.items()}


def _of_chunks(kind: str, chunks: list[dict[str, pl.DataFrame]]) -> pl.DataFrame | None:
    """Return one kind of table of all chunks; when runs reached the target is known at the end of a study alone."""
    import polars as pl

    tables = [chunk[kind] for chunk in chunks if kind in chunk]
    if not tables:
        return None
    unknown = pl.lit(None, pl.Float64)
    whole = pl.concat(tables)
    return whole.with_columns(epochs_to_target=unknown, steps_to_target=unknown) if kind == "runs" else whole
