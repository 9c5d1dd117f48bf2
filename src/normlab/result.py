"""What a study amounts to, read from its folder: tables, verdicts, figures, the report."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normlab.errors import InputError

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

    from normlab.report.records import Records


class Result:
    """A finished study.

    Args:
        folder: Where it is, as `normlab run --out` left it.

    Raises:
        InputError: If the folder holds no finished study.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.records  # noqa: B018  # fails here, not later, where nothing is

    def __repr__(self) -> str:
        """Return the folder and the answer."""
        from normlab.report.running_statistics import answer

        return f"<normlab.Result {self.folder}: {answer(self.records.summary, self._primary)}>"

    @cached_property
    def records(self) -> Records:
        """Everything that the folder holds."""
        from normlab.report.records import read_records

        return read_records(self.folder)

    @property
    def epochs(self) -> pl.DataFrame:
        """One row per run and epoch."""
        return self.records.epochs

    @property
    def runs(self) -> pl.DataFrame:
        """One row per run."""
        return self.records.runs

    @property
    def probes(self) -> pl.DataFrame | None:
        """What was measured inside the runs reported on: one row per run, epoch, probe, layer and quantity, if any."""
        return self.records.probes

    def summary(self) -> pl.DataFrame:
        """Return a table of all comparisons: value, baseline, difference, interval, pairs, verdict.

        `statistics` says whether networks were evaluated as they would be deployed (`running`) or with statistics
        recomputed over the training part.
        """
        import polars as pl

        columns = ["metric", "arm", "baseline", "rate", "value", "baseline_value", "difference"]
        columns += ["ci_low", "ci_high", "pairs", "verdict"]
        rows = [
            {**{name: row[name] for name in columns}, "statistics": row.get("statistics", "running")}
            for row in self.records.summary["comparisons"]
        ]
        return pl.DataFrame([{**row, "rate": str(row["rate"])} for row in rows])

    def statistics(self) -> pl.DataFrame:
        """Return a table of the arms that are evaluated with running statistics, and what those cost.

        One row per arm: `momentum`, `steps` and `share_of_initial_left` of the layer that has settled least,
        `suggested_momentum` (null if none, or settled), and the primary metric with `running` and `recomputed`
        statistics, their `difference` with its interval (`ci_low`, `ci_high`), and the number of `pairs`.
        """
        import polars as pl

        schema = {
            "arm": pl.String,
            "momentum": pl.Float64,
            "steps": pl.Int64,
            "share_of_initial_left": pl.Float64,
            "suggested_momentum": pl.Float64,
            "metric": pl.String,
            **dict.fromkeys(("running", "recomputed", "difference", "ci_low", "ci_high"), pl.Float64),
            "pairs": pl.Int64,
        }
        found = self.records.summary.get("statistics") or {}
        rows = [{name: {"arm": arm, **entry}[name] for name in schema} for arm, entry in found.items()]
        return pl.DataFrame(rows, schema=schema)

    def verdict(self, metric: str | None = None, arm: str | None = None, rate: str | float | None = None) -> str:
        """Return `better`, `worse`, `equivalent` or `undecided` for one comparison.

        Args:
            metric: Its name; default: the study's primary metric.
            arm: Default: the first arm after the baseline.
            rate: A shared learning rate; default: each arm's own best (`"tuned"`), or the first rate where rates were
                given.

        Raises:
            InputError: If the study has no such comparison.
        """
        primary = self.records.summary["primary"]
        wanted = {
            "metric": metric or primary["metric"],
            "arm": arm or primary["arm"],
            "rate": primary["rate"] if rate is None else rate,
        }
        for row in self._comparisons:
            if all(row[name] == value for name, value in wanted.items()):
                return str(row["verdict"])
        known = {name: list(dict.fromkeys(row[name] for row in self._comparisons)) for name in wanted}
        raise InputError("a verdict must be of a comparison that was made", wanted, f"choose among {known}")

    def plot(self) -> alt.VConcatChart | alt.HConcatChart | alt.Chart | alt.LayerChart:
        """Return the chart of accuracy (or loss) over epochs per arm; a notebook shows it."""
        from normlab.report.figures import overview

        return overview(self.records)

    def report(self, path: str | Path | None = None) -> Path:
        """Write the report, one page that opens offline; default: `report.html` in the study's folder."""
        from normlab.report.page import write_page

        target = self.folder / "report.html" if path is None else Path(path)
        write_page(self.records, target)
        return target

    @property
    def _comparisons(self) -> list[dict[str, Any]]:
        from normlab.report.records import deployed

        return deployed(self.records.summary)

    @property
    def _primary(self) -> dict[str, Any]:
        wanted = self.records.summary["primary"]
        return next(row for row in self._comparisons if all(row[name] == wanted[name] for name in wanted))
