"""What the terminal shows of a study: what will run, how far it is, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from normlab.result import Result
    from normlab.study.progress import Progress

NARROWEST = 60


@contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[Progress], None]]:
    """Show runs, epochs and time left while a study trains; yields what is called after every epoch of every arm.

    Where nobody watches (no terminal), one line per tenth of the work is printed instead.
    """
    if console.is_terminal:
        with _live_bar(console) as tell:
            yield tell
    else:
        yield _line_teller(console)


def show_result(console: Console, result: Result, *, show_all: bool = False) -> None:
    """Print one table per metric with difference, interval and verdict, the answer, and where the report lies.

    Comparisons that so few pairs could not have decided are counted in one line, or shown with `show_all`.
    """
    from normlab.report.cautions import open_rates
    from normlab.report.in_pairs import divergence_notes
    from normlab.report.own_model import own_model
    from normlab.report.records import shown_comparisons
    from normlab.report.running_statistics import answer, unsettled_notes
    from normlab.report.stopping import reach_notes, stopping_notes
    from normlab.report.table import omitted_words, shown_in_tables, terminal_tables
    from normlab.report.words import ranking

    summary = result.records.summary
    for table in terminal_tables(summary, max(console.width, NARROWEST), show_all=show_all):
        console.print(table)
    omitted = len(shown_in_tables(summary, show_all=True)) - len(shown_in_tables(summary, show_all=show_all))
    if omitted:
        console.print(f"Left out: {omitted_words(omitted)}; --all shows them.", markup=False)
    for line in [
        *own_model(result.records.study),
        *reach_notes(summary),
        *stopping_notes(summary),
        *unsettled_notes(summary),
        *_notes(summary),
        *open_rates(summary),
        *divergence_notes(summary),
    ]:
        console.print(f"Note: {line}", markup=False)
    answers = shown_comparisons(summary, summary["primary"]["metric"])
    order = ranking(answers)
    if order is not None:
        console.print(order, markup=False)
    for comparison in answers:
        console.print(answer(summary, comparison), markup=False, style="bold")
    console.print(f"Report: {result.folder / 'report.html'}", markup=False, soft_wrap=True)


def _notes(summary: dict[str, Any]) -> list[str]:
    """Return what a reader must know besides the tables."""
    notes = []
    rates = summary["rates"]
    for arm, at_edge in rates.get("at_edge", {}).items():
        if at_edge:
            rate = rates["chosen"][arm]
            notes.append(
                f"the best rate of {arm}, {rate:g}, lies at the edge of the grid: a better one may lie beyond."
            )
    return notes + [
        f"{row['diverged']} of {row['runs']} {row['stage']} runs of {row['arm']} diverged at rate {row['rate']:g}."
        for row in summary["by_rate"]
        if row["diverged"]
    ]


@contextmanager
def _live_bar(console: Console) -> Iterator[Callable[[Progress], None]]:
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=None), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("loading and compiling", total=None)

        def tell(now: Progress) -> None:
            bar.update(task, description=_words(now), total=now.run_epochs_total, completed=now.run_epochs_done)

        yield tell


def _line_teller(console: Console) -> Callable[[Progress], None]:
    told = 0

    def tell(now: Progress) -> None:
        nonlocal told
        tenth = 10 * now.run_epochs_done // now.run_epochs_total
        if tenth > told:
            told = tenth
            console.print(f"{10 * tenth} %: {_words(now)}", markup=False)

    return tell


def _words(now: Progress) -> str:
    stages = {"tuning": "tuning rates", "report": "runs to report", "alternative": "runs at other possible rates"}
    num_epochs = now.run_epochs_total // now.runs_total
    most = "at most " if now.at_most else ""
    runs = f"{now.runs_done} of {most}{now.runs_total} runs"
    return f"{stages[now.stage]}: {runs}, {now.arm} epoch {now.epoch} of {num_epochs}"
