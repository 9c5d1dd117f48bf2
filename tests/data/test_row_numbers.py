"""Columns that count the rows."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from normlab.data.row_numbers import counts_rows, has_no_name

N = 60
RNG = np.random.default_rng(0)
COUNTS = {
    "from 0": np.arange(N),
    "from 1": np.arange(1, N + 1),
    "from 1000": np.arange(1000, 1000 + N),
    "downwards": np.arange(N)[::-1],
    "unsorted": RNG.permutation(N),
    "with gaps": np.sort(RNG.permutation(2 * N)[:N]),
    "unsorted with gaps": RNG.permutation(2 * N)[:N],
    "as floats": np.arange(N) / 1.0,
}
OTHERS = {
    "with repeats": np.arange(N) // 2,
    "measured": RNG.integers(0, 200, N),
    "steps of 37": 1000 + 37 * np.arange(N),
    "halves": np.arange(N) / 2,
    "negative": np.arange(N) - 5,
    "few": np.arange(4),
}


@pytest.mark.parametrize("case", COUNTS)
def test_counts(case: str) -> None:
    series = pl.Series(COUNTS[case].tolist())
    assert counts_rows(series, "a")
    assert counts_rows(series.extend_constant(None, 3), "")


@pytest.mark.parametrize("case", OTHERS)
def test_other_numbers(case: str) -> None:
    assert not counts_rows(pl.Series(OTHERS[case].tolist()), "a")


@pytest.mark.parametrize("name", ["id", "ID", "row_id", "Row Number", "index", "idx", "#", "no.", "rownames"])
def test_names_of_identifiers_make_any_different_numbers_suspect(name: str) -> None:
    spread = pl.Series((1000 + 37 * np.arange(N)).tolist())
    assert counts_rows(spread, name)
    assert counts_rows(spread, "")
    assert not counts_rows(spread, "paid")
    assert not counts_rows(pl.Series(OTHERS["with repeats"].tolist()), name)


def test_runs_that_count_up_are_row_numbers_only_without_a_name() -> None:
    runs = pl.Series([*range(20)] * 3)
    assert counts_rows(runs, "Unnamed: 0")
    assert not counts_rows(runs, "day")


def test_columns_without_a_name() -> None:
    assert all(map(has_no_name, ["", "Unnamed: 0", "Unnamed: 0.1", "__index_level_0__", "column 1"]))
    assert not any(map(has_no_name, ["a", "Unnamed", "column", "index"]))
