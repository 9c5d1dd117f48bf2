"""The terminal's tables."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from normlab.report.records import Records
from normlab.report.table import comparison_rows, omitted_words, shown_in_tables, terminal_tables, undecidable


def printed(records: Records, width: int, *, colour: bool = False, show_all: bool = False) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=colour, no_color=not colour, legacy_windows=False)
    for table in terminal_tables(records.summary, width, show_all=show_all):
        console.print(table)
    return stream.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_tables_fit_and_keep_difference_interval_and_verdict(tuned: Records, width: int) -> None:
    text = printed(tuned, width, show_all=True)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert "…" not in text
    for row in comparison_rows(tuned.summary["comparisons"]):
        line = next(line for line in text.splitlines() if row.difference in line and f" {row.rate} " in line)
        # The pairs of few rounds may take several lines.
        assert row.interval in line or all(part in text for part in row.interval.split(", "))
        assert row.verdict in line


def test_long_names_of_arms_are_folded_not_cut(make_records) -> None:
    name = "batch_norm_after_the_activation_of_every_layer"
    text = printed(make_records(arms=("none", name)), 60)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 60
    cells = [line[:20].split(" ")[1] for line in text.splitlines() if line.startswith(" ")]
    assert name in "".join(cells)


def test_one_table_per_metric_the_primary_first(tuned: Records) -> None:
    titles = [str(table.title) for table in terminal_tables(tuned.summary, 100, show_all=True)]
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
    assert (row.pairs, row.interval, row.p_value, row.verdict) == ("1", row.difference.split()[0], "–", "undecided")


@pytest.mark.parametrize("width", [60, 100])
def test_few_pairs_are_shown_themselves_and_nothing_is_called_an_interval(make_records, width: int) -> None:
    records = make_records(seeds=5, rates=(0.1,))
    text = printed(records, width, show_all=True)
    assert "95 %" not in text
    assert "each pair" in text
    row = records.summary["comparisons"][0]
    assert (row["ci_low"], row["ci_high"], row["interval"]) == (None, None, "none below 6 pairs")
    assert len(row["pair_differences"]) == 5
    pairs = comparison_rows([row])[0].interval
    assert pairs.count(",") == 4
    if width == 100:
        assert pairs in " ".join(text.split())
    six = make_records(seeds=6, rates=(0.1,))
    assert "each pair" not in printed(six, width)
    assert "95 % interval" in printed(six, width)


def test_rows_that_could_not_have_been_decided_are_left_out_but_for_the_question(make_records) -> None:
    records = make_records(seeds=5, rates=(0.1,))
    question, *others = records.summary["comparisons"]
    assert {row["verdict"] for row in records.summary["comparisons"]} == {"undecided"}
    assert not any(row["decidable"] for row in [question, *others])
    assert shown_in_tables(records.summary) == [question]
    assert shown_in_tables(records.summary, show_all=True) == [question, *others]
    assert printed(records, 100).count("undecided") == 1
    assert printed(records, 100, show_all=True).count("undecided") == 1 + len(others)


def test_a_row_that_could_have_been_decided_stays(make_records) -> None:
    records = make_records(gain=0.0, rates=(0.1,), seeds=8, epochs=8)
    assert "undecided" in {row["verdict"] for row in records.summary["comparisons"]}
    assert shown_in_tables(records.summary) == records.summary["comparisons"]


def test_an_equivalence_shown_by_few_pairs_stays(make_records) -> None:
    records = make_records(seeds=5, rates=(0.1,))
    other = records.summary["comparisons"][1] | {"verdict": "equivalent"}
    assert not undecidable(records.summary, other)
    assert undecidable(records.summary, other | {"verdict": "undecided"})
    assert not undecidable(records.summary, other | {"verdict": "undecided", "decidable": True})


def test_the_number_left_out_is_one_line() -> None:
    assert omitted_words(1) == "1 comparison that so few pairs could not have decided, whatever came out"
    assert omitted_words(7).startswith("7 comparisons that")


def test_regression_has_no_accuracy(make_records) -> None:
    text = printed(make_records(task="regression"), 80)
    assert "test loss, difference to none" in text
    assert "accuracy" not in text
