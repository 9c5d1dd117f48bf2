"""The records of a study as a report reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normlab.errors import InputError
from normlab.store.seals import DamagedError, Listing, read_listed, read_sealed_json
from normlab.study.names import EPOCHS, EXAMPLE, MANIFEST, PROBES, RUNS, STUDY, SUMMARY

if TYPE_CHECKING:
    import polars as pl

FILES = (SUMMARY, EPOCHS, RUNS)
TABLES = (EPOCHS, RUNS, PROBES)


@dataclass(frozen=True)
class Records:
    """What a study left behind.

    Attributes:
        study: The study as it was asked for, with its data, versions and machine.
        summary: Comparisons, verdicts and means; infinite numbers are None.
        epochs: One row per run and epoch.
        runs: One row per run.
        example: The worked example of batch norm, if there is one.
        folder: Where the records lie.
        probes: What was measured inside the runs reported on: one row per run, epoch, probe, layer and quantity.
    """

    study: dict[str, Any]
    summary: dict[str, Any]
    epochs: pl.DataFrame
    runs: pl.DataFrame
    example: dict[str, Any] | None
    folder: str
    probes: pl.DataFrame | None = None

    @property
    def task(self) -> str:
        """`classification` or `regression`."""
        return str(self.summary["task"])

    @property
    def arms(self) -> list[str]:
        """The names of the arms, the baseline first."""
        baseline = self.summary["baseline"]
        return [baseline, *(arm for arm in self.summary["arms"] if arm != baseline)]

    @property
    def rates(self) -> dict[str, float]:
        """The learning rate at which each arm is shown: its own, or the rate of the primary comparison."""
        return {arm: float(row["rate"]) for arm, row in shown_rows(self.summary).items()}


def read_records(folder: Path) -> Records:
    """Return the records in `folder`: what its manifest lists.

    Raises:
        InputError: If the folder holds no finished study, or a file is not what was written.
    """
    from normlab.study.parts import read_parquet

    folder = Path(folder)
    try:
        manifest = read_sealed_json(folder / MANIFEST) if (folder / MANIFEST).exists() else {}
        files = manifest["files"] if manifest.get("complete") else {}
        missing = [name for name in FILES if name not in files]
        if missing:
            received = f"{folder} without {', '.join(missing) if manifest else MANIFEST}"
            action = "name the folder of a study that has finished, or run the study again with this --out to finish it"
            raise InputError("a record folder must hold a finished study", received, action)
        tables = {name: read_parquet(folder / name, entry) for name, entry in files.items() if name in TABLES}
        return Records(
            study=read_sealed_json(folder / STUDY),
            summary=_read_json(folder, files, SUMMARY),
            epochs=tables[EPOCHS],
            runs=tables[RUNS],
            example=_read_json(folder, files, EXAMPLE) if EXAMPLE in files else None,
            folder=str(folder),
            probes=tables.get(PROBES),
        )
    except DamagedError as damage:
        action = "run the study again with this --out to mend it"
        raise InputError("a record folder must be whole", str(damage), action) from None


def shown_rows(summary: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return per arm, the baseline first, the row of `by_arm` that a report shows.

    An arm has several rows if the study fixed several rates: then it is the row of the primary comparison's rate.
    """
    wanted = summary["primary"]["rate"]
    rows: dict[str, dict[str, Any]] = {}
    for arm in sorted(summary["arms"], key=lambda name: name != summary["baseline"]):
        own = [row for row in summary["by_arm"] if row["arm"] == arm]
        if own:
            rows[arm] = next((row for row in own if row["rate"] == wanted), own[0])
    return rows


def shown_comparisons(summary: Mapping[str, Any], metric: str) -> list[dict[str, Any]]:
    """Return the comparisons of one metric at the rate of the primary comparison, one per arm."""
    rate = summary["primary"]["rate"]
    return [row for row in deployed(summary) if row["metric"] == metric and row["rate"] == rate]


def deployed(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the comparisons of networks as they would be deployed, with the statistics that they keep."""
    return [row for row in summary["comparisons"] if row.get("statistics") != "recomputed"]


def recomputed(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the comparisons with recomputed statistics; none where no arm keeps running ones."""
    return [row for row in summary["comparisons"] if row.get("statistics") == "recomputed"]


def _read_json(folder: Path, files: Listing, name: str) -> dict[str, Any]:
    """Return the content of a sealed JSON file that the manifest lists."""
    read_listed(folder / name, files[name])
    return read_sealed_json(folder / name)
