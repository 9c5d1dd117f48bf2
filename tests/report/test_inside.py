"""The section on probes: the numbers drawn are medians over layers, then over runs; what is constant is a table."""

from __future__ import annotations

import dataclasses
import math

import polars as pl
import pytest

from normlab.report.inside import inside_section, probe_numbers
from normlab.report.page import render_page
from normlab.report.records import Records


def _probed(records: Records) -> Records:
    """Layer l of run r of arm a has the gradient (1 + a) (1 + r) 10^-epoch l; the third of three layers is infinite."""
    reported = records.runs.filter(pl.col("stage") == "report")
    rows = []
    for row in reported.select("run", "arm", "seed").to_dicts():
        scale = (1 + (row["arm"] == "batch")) * (1 + row["seed"])
        for epoch in (0, 1, 2):
            for layer, value in enumerate((1.0, 2.0, 6.0, math.inf)):
                found = scale * value * 0.1**epoch
                rows.append((row["run"], epoch, "gradients", f"layer_{layer}", "parameter_gradient", found))
                rows.append((row["run"], epoch, "gradients", f"layer_{layer}", "output_gradient", -1.0))
        rows.append((row["run"], 0, "memory", None, "saved_bytes_per_sample", 100.0 * scale / (1 + row["seed"])))
    columns = ["run", "epoch", "probe", "layer", "quantity", "value"]
    return dataclasses.replace(records, probes=pl.DataFrame(rows, schema=columns, orient="row"))


@pytest.fixture(scope="module")
def probed(tuned: Records) -> Records:
    return _probed(tuned)


def test_medians_over_layers_then_over_runs(probed: Records) -> None:
    numbers = probe_numbers(probed, "gradients")
    assert numbers.select("arm", "epoch").rows() == [(arm, epoch) for arm in ("none", "batch") for epoch in range(3)]
    # Eight seeds: the median of 1 ... 8 is 4.5, of the finite layers 2; the quartiles are 2.75 and 6.25.
    first = numbers.row(0, named=True)
    assert (first["median"], first["low"], first["high"], first["runs"]) == (9.0, 5.5, 12.5, 8)
    assert numbers.filter(arm="batch", epoch=2)["median"].item() == pytest.approx(0.18)


def test_a_figure_where_it_changes_and_a_table_where_it_does_not(probed: Records) -> None:
    section = inside_section(probed)
    assert section.count("<svg") == 1
    assert "Gradients: parameter gradient" in section
    assert "none ends at 0.09; batch ends at 0.18" in section
    assert "the same for all runs of an arm" in section
    assert ">200" in section
    assert 'href="#inside"' in render_page(probed)


def test_a_study_without_probes_has_no_such_section(tuned: Records) -> None:
    assert inside_section(tuned) == ""
    assert "#inside" not in render_page(tuned)
    with pytest.raises(ValueError, match="must hold probes"):
        probe_numbers(tuned, "gradients")


def test_values_none_of_which_is_finite_are_said_to_be_so(probed: Records) -> None:
    assert probed.probes is not None
    lost = probed.probes.with_columns(value=pl.lit(math.inf))
    assert "no value of parameter gradient is finite" in inside_section(dataclasses.replace(probed, probes=lost))
