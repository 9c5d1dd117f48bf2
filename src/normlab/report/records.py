"""The records of a study as a report reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normlab.errors import InputError

if TYPE_CHECKING:
    import polars as pl

FILES = ("study.json", "summary.json", "epochs.parquet", "runs.parquet")
EXAMPLE, PROBES = "example.json", "probes.parquet"


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
    """Return the records in `folder`: what `FILES` names, and example.json and probes.parquet where they are.

    Raises:
        InputError: If the folder or one of the files is absent or cannot be read.
    """
    folder = Path(folder)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"a record folder must hold {', '.join(FILES)}",
            f"{folder} without {', '.join(missing)}",
            "name the folder of a study that has finished, or run the study again to finish it",
        )
    example, probes = folder / EXAMPLE, folder / PROBES
    return Records(
        study=_read_json(folder / "study.json"),
        summary=_read_json(folder / "summary.json"),
        epochs=_read_table(folder / "epochs.parquet"),
        runs=_read_table(folder / "runs.parquet"),
        example=_read_json(example) if example.is_file() else None,
        folder=str(folder),
        probes=_read_table(probes) if probes.is_file() else None,
    )


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
    return [row for row in summary["comparisons"] if row["metric"] == metric and row["rate"] == rate]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path, error) from error
    if not isinstance(content, dict):
        raise _unreadable(path, "something other than one object")
    return content


def _read_table(path: Path) -> pl.DataFrame:
    import polars as pl

    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, why: object) -> InputError:
    return InputError(f"the record {path} must be readable", str(why).splitlines()[0], "run the study again")
