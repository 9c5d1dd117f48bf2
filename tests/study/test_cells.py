"""Cells and chunks: every run of a study once, its arms together, fresh seeds for the report."""

from __future__ import annotations

import itertools

import pytest

from normlab.study.cells import Cell, chunks, report_cells, run_name, tuning_cells
from normlab.study.design import Study, make_study
from normlab.study.seeds import FIRST_TUNING_SEED


def _study(**settings: object) -> Study:
    return make_study({"seeds": 5, "tuning_seeds": 2, **settings})


def test_a_tuned_study_searches_the_grid_with_seeds_of_its_own() -> None:
    study = _study()
    cells = tuning_cells(study)
    wanted = itertools.product(study.grid, [FIRST_TUNING_SEED, FIRST_TUNING_SEED + 1])
    assert [(cell.rates["none"], cell.seed) for cell in cells] == list(wanted)
    assert all(cell.rates["none"] == cell.rates["batch"] for cell in cells)
    reported = report_cells(study, {"none": 0.1, "batch": 0.3})
    assert [cell.seed for cell in reported] == [0, 1, 2, 3, 4]
    assert all(cell.rates == {"none": 0.1, "batch": 0.3} for cell in reported)
    assert not {cell.seed for cell in cells} & {cell.seed for cell in reported}


def test_given_rates_are_all_reported_on_and_nothing_is_tuned() -> None:
    study = _study(rates=[0.1, 0.01])
    assert tuning_cells(study) == []
    cells = report_cells(study, None)
    assert [(cell.rates["batch"], cell.seed) for cell in cells] == list(itertools.product([0.01, 0.1], range(5)))


@pytest.mark.parametrize("num_cells", [0, 1, 7, 8, 9, 64])
@pytest.mark.parametrize("size", [1, 3, 8, 100])
def test_chunks_hold_every_cell_once_in_order(num_cells: int, size: int) -> None:
    cells = [Cell(seed, {"none": 0.1}) for seed in range(num_cells)]
    cut = chunks("report", cells, size)
    assert [cell for chunk in cut for cell in chunk.cells] == cells
    assert all(0 < len(chunk.cells) <= size for chunk in cut)
    assert len({chunk.name for chunk in cut}) == len(cut)
    assert [chunk.start for chunk in cut] == list(range(0, num_cells, size))


def test_chunks_on_record_stay_as_they_are() -> None:
    cells = [Cell(seed, {"none": 0.1}) for seed in range(20)]
    cut = chunks("report", cells, 4, {0: 8, 13: 2})
    assert [(chunk.start, len(chunk.cells)) for chunk in cut] == [(0, 8), (8, 4), (12, 1), (13, 2), (15, 4), (19, 1)]
    assert [cell for chunk in cut for cell in chunk.cells] == cells


def test_runs_that_differ_have_different_names() -> None:
    keys = itertools.product(["tuning", "report"], ["none", "batch"], [0, 1, 11], [1e-5, 0.1, 0.1000001, 1.0, 11.0])
    names = [run_name(stage, arm, seed, rate) for stage, arm, seed, rate in keys]
    assert len(set(names)) == len(names)
