"""The terminal's tables."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from normlab.report.records import Records
from normlab.report.table import comparison_rows, terminal_tables


def printed(records: Records, width: int, *, colour: bool = False) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=colour, no_color=not colour, legacy_windows=False)
    for table in terminal_tables(records.summary, width):
        console.print(table)
    return stream.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_tables_fit_and_keep_difference_interval_and_verdict(tuned: Records, width: int) -> None:
    text = printed(tuned, width)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert "…" not in text
    for row in comparison_rows(tuned.summary["comparisons"]):
        line = next(line for line in text.splitlines() if row.difference in line and f" {row.rate} " in line)
        assert row.interval in line
        assert row.verdict in line


def test_long_names_of_arms_are_folded_not_cut(make_records) -> None:
    name = "batch_norm_after_the_activation_of_every_layer"
    text = printed(make_records(arms=("none", name)), 60)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 60
    cells = [line[:20].split(" ")[1] for line in text.splitlines() if line.startswith(" ")]
    assert name in "".join(cells)


def test_one_table_per_metric_the_primary_first(tuned: Records) -> None:
    titles = [str(table.title) for table in terminal_tables(tuned.summary, 100)]
    assert titles == [
        "test accuracy, difference to none",
        "test loss, difference to none",
        "epochs to target, difference to none",
        "seconds per step, difference to none",
    ]


def test_a_verdict_is_a_word_without_colour(tuned: Records) -> None:
    plain, coloured = printed(tuned, 100), printed(tuned, 100, colour=True)
    assert "\x1b[" not in plain
    assert "better" in plain
    assert "\x1b[" in coloured


def test_cells_without_a_number_are_dashes(make_records) -> None:
    records = make_records(seeds=1, rates=(0.1,))
    row = comparison_rows(records.summary["comparisons"])[0]
    assert (row.pairs, row.interval, row.p_value, row.verdict) == ("1", "–", "–", "undecided")


def test_regression_has_no_accuracy(make_records) -> None:
    text = printed(make_records(task="regression"), 80)
    assert "test loss, difference to none" in text
    assert "accuracy" not in text
