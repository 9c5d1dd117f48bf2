"""The numbers of figures, against NumPy."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from normlab.report.channels import log_ticks
from normlab.report.curves import curve_numbers, shared_axis
from normlab.report.pair_figure import pair_numbers
from normlab.report.rate_figure import rate_numbers
from normlab.report.records import Records, shown_comparisons


@pytest.mark.parametrize("metric", ["loss", "val_loss", "accuracy", "val_accuracy"])
def test_curves_are_medians_and_quartiles_over_seeds(tuned: Records, metric: str) -> None:
    numbers = curve_numbers(tuned.epochs, tuned.rates, metric)
    assert len(numbers) == 2 * 5
    for row in numbers.to_dicts():
        own = tuned.epochs.filter(
            (pl.col("stage") == "report") & (pl.col("arm") == row["arm"]) & (pl.col("epoch") == row["epoch"])
        )
        expected = np.quantile(own[metric].to_numpy(), [0.25, 0.5, 0.75])
        assert [row["low"], row["median"], row["high"]] == pytest.approx(list(expected), rel=1e-12)
        assert row["runs"] == row["finite"] == 8


def test_seconds_add_up_over_epochs(tuned: Records) -> None:
    numbers = curve_numbers(tuned.epochs, tuned.rates, "loss").filter(pl.col("arm") == "batch")
    assert numbers["seconds"].to_list() == pytest.approx(
        list(np.cumsum([1.3 * (0.4 + 0.002 * e) for e in range(1, 6)]))
    )


def test_the_baseline_comes_first(make_records) -> None:
    records = make_records(arms=("none", "a"))
    assert curve_numbers(records.epochs, records.rates, "loss")["arm"].unique(maintain_order=True).to_list() == [
        "none",
        "a",
    ]


def test_a_loss_that_is_not_finite_counts_as_the_largest(make_records) -> None:
    # Seeds 1, 3, 5 and 7 of 8 diverge at epoch 2: of the sorted losses the upper half is infinite.
    records = make_records(diverging=[("none", rate) for rate in (0.01, 0.1, 1.0)])
    numbers = curve_numbers(records.epochs, records.rates, "val_loss").filter(pl.col("arm") == "none").to_dicts()
    rate = records.rates["none"]
    at_end = records.epochs.filter((pl.col("stage") == "report") & (pl.col("arm") == "none") & (pl.col("epoch") == 5))
    assert at_end["rate"].unique().to_list() == [rate]
    finite = np.sort(at_end.filter(pl.col("val_loss").is_finite())["val_loss"].to_numpy())
    assert len(finite) == 4
    assert numbers[0]["high"] is not None
    assert numbers[0]["finite"] == 8
    assert numbers[-1]["low"] == pytest.approx(finite[1] + 0.75 * (finite[2] - finite[1]))
    assert (numbers[-1]["median"], numbers[-1]["high"], numbers[-1]["finite"]) == (None, None, 4)


def test_no_accuracy_gives_no_rows(make_records) -> None:
    records = make_records(task="regression")
    assert curve_numbers(records.epochs, records.rates, "val_accuracy").is_empty()


def test_one_enormous_loss_does_not_flatten_the_axis() -> None:
    numbers = pl.DataFrame({"low": [0.1, 0.2, 0.1], "median": [0.2, 0.3, 0.2], "high": [0.3, 1e20, 0.4]})
    axis = shared_axis([numbers], "val_loss")
    assert axis.is_cut
    assert axis.high < 100
    assert not shared_axis([numbers.with_columns(high=pl.col("median"))], "val_loss").is_cut


def test_log_ticks_lie_inside() -> None:
    assert log_ticks(0.03, 3.0) == [0.05, 0.1, 0.2, 0.5, 1.0, 2.0]
    assert log_ticks(1e-8, 10.0) == [10.0**power for power in range(-8, 2, 2)]


def test_scores_over_rates_are_those_of_the_tuning_runs(tuned: Records) -> None:
    numbers = rate_numbers(tuned.summary, "val_accuracy")
    assert len(numbers) == 2 * 3
    for row in numbers.to_dicts():
        own = tuned.runs.filter(
            (pl.col("stage") == "tuning") & (pl.col("arm") == row["arm"]) & (pl.col("rate") == row["rate"])
        )["val_accuracy"].to_numpy()
        assert row["mean"] == pytest.approx(own.mean())
        assert row["low"] == pytest.approx(own.mean() - own.std(ddof=1))
        assert (row["runs"], row["diverged"]) == (6, 0)


def test_diverged_runs_are_counted_and_an_infinite_mean_is_null(make_records) -> None:
    numbers = rate_numbers(make_records(diverging=[("batch", 1.0)]).summary, "val_loss")
    row = numbers.filter((pl.col("arm") == "batch") & (pl.col("rate") == 1.0)).to_dicts()[0]
    assert (row["mean"], row["low"], row["high"], row["diverged"]) == (None, None, None, 3)


@pytest.mark.parametrize("metric", ["test_accuracy", "test_loss", "epochs_to_target"])
def test_the_mean_of_the_dots_is_the_reported_difference(make_records, metric: str) -> None:
    records = make_records(arms=("none", "batch", "layer"))
    numbers = pair_numbers(records.runs, records.rates, metric)
    for comparison in shown_comparisons(records.summary, metric):
        own = numbers.filter(pl.col("arm") == comparison["arm"])["difference"]
        assert len(own) == 8
        assert own.mean() == pytest.approx(comparison["difference"], abs=1e-12)


def test_a_diverged_run_has_no_loss_to_draw_but_keeps_its_accuracy(make_records) -> None:
    records = make_records(rates=(0.1,), diverging=[("none", 0.1)])
    assert pair_numbers(records.runs, records.rates, "test_loss")["difference"].null_count() == 4
    assert pair_numbers(records.runs, records.rates, "test_accuracy")["difference"].null_count() == 0


def test_a_target_never_reached_counts_as_the_epochs_trained(make_records) -> None:
    records = make_records(epochs=2, gain=0.08)
    assert records.runs.filter(stage="report", arm="none")["epochs_to_target"].is_infinite().all()
    batch = records.runs.filter(stage="report", arm="batch")["epochs_to_target"]
    assert (
        pair_numbers(records.runs, records.rates, "epochs_to_target")["difference"].to_list() == (batch - 2).to_list()
    )
