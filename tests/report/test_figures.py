"""Figures: what they say, and how they are drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from normlab.errors import InputError
from normlab.report.figures import curve_figures, overview, pair_figure, rate_figure
from normlab.report.palette import BASELINE, COLOURS, colours
from normlab.report.picture import save_picture, svg
from normlab.report.records import Records


def test_every_arm_has_its_own_colour_in_every_figure() -> None:
    arms = ["none", *(f"arm {index}" for index in range(9))]
    assert len(set(colours(arms).values())) == 10
    assert colours(arms)["none"] == BASELINE
    assert colours(arms[:2]) == {"none": BASELINE, "arm 0": COLOURS[0]}


def test_a_figure_says_its_numbers(tuned: Records) -> None:
    over_epochs, over_seconds = curve_figures(tuned)
    accuracy = tuned.epochs.filter(stage="report", arm="batch", epoch=5)["val_accuracy"].median()
    assert f"batch ends at {100 * float(accuracy):.2f} %" in over_epochs.alt  # type: ignore[arg-type]
    assert "at epoch 5" in over_epochs.alt
    assert "at 2.64 s" in over_seconds.alt
    assert "median of 8 seeds" in over_epochs.caption
    assert "quartile" in over_epochs.caption
    rates = rate_figure(tuned)
    assert rates is not None
    row = next(
        row for row in tuned.summary["by_rate"] if (row["stage"], row["arm"], row["rate"]) == ("tuning", "batch", 1)
    )
    assert f"{100 * row['val_accuracy_mean']:.2f} % at 1;" in rates.alt
    assert "points higher than none" in pair_figure(tuned).alt


def test_one_seed_has_no_band(make_records) -> None:
    figures = curve_figures(make_records(seeds=1, rates=(0.1,)))
    assert "no spread to show" in figures[0].caption
    assert "quartiles" not in figures[0].alt


def test_one_rate_has_no_figure_over_rates(make_records) -> None:
    assert rate_figure(make_records(rates=(0.1,))) is None


def test_divergence_is_told(make_records) -> None:
    records = make_records(rates=(0.1, 1.0), diverging=[("none", 0.1)])
    assert "line ends where half the runs have none" in curve_figures(records)[0].caption
    assert "none has no finite median at epoch 5" in curve_figures(records)[0].alt
    assert "Not drawn: 4 differences" in pair_figure(records).caption
    rates = rate_figure(records)
    assert rates is not None
    assert "4 of 16 runs diverged" in rates.alt
    assert ">4/8<" in svg(rates.panels[0])


def test_regression_has_two_panels(make_records) -> None:
    assert [len(figure.panels) for figure in curve_figures(make_records(task="regression"))] == [2, 2]


def test_points_tell_their_value_without_a_script(tuned: Records) -> None:
    drawn = svg(curve_figures(tuned)[0].panels[3], "x-")
    assert drawn.count("<title>") == 2 * 5
    assert "<title>batch, epoch 5: " in drawn
    assert "url(#clip" not in drawn


def test_long_trainings_stay_light(make_records) -> None:
    records = make_records(epochs=450, seeds=2, rates=(0.1,))
    drawn = svg(curve_figures(records)[0].panels[0])
    assert len(drawn) < 60_000
    assert "<title>" not in drawn


def test_pictures_are_written_by_their_ending(tuned: Records, tmp_path: Path) -> None:
    chart = overview(tuned)
    save_picture(chart, tmp_path / "a.png")
    save_picture(chart, tmp_path / "a.svg")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    drawn = (tmp_path / "a.svg").read_text()
    assert drawn.startswith("<svg")
    assert ">batch<" in drawn
    with pytest.raises(InputError, match=r"\.png or \.svg"):
        save_picture(chart, tmp_path / "a.gif")
    with pytest.raises(InputError, match="writable"):
        save_picture(chart, tmp_path / "absent" / "a.png")
