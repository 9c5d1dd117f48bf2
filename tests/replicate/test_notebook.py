"""The notebook's comparison: its settings, its first epoch on MNIST, and the distance of measured from published."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from normlab.data import load
from normlab.errors import InputError
from normlab.replicate.notebook import PUBLISHED, WITH, WITHOUT, agreement, checked, notebook_study
from normlab.study.cells import chunks, report_cells
from normlab.study.laboratory import build_plans, named_model, set_up
from normlab.study.training import train_chunk

# The notebook's output for epoch 1: one run of each arm. The tolerances are four times the standard deviation over the
# seeds of 8 runs of one epoch with the same settings, measured: a published figure is one draw.
FIRST_EPOCH = {
    (WITHOUT, "loss"): (1.57895, 4 * 0.0422),
    (WITHOUT, "accuracy"): (0.586691, 4 * 0.0184),
    (WITHOUT, "val_loss"): (0.985829, 4 * 0.0293),
    (WITHOUT, "val_accuracy"): (0.7886, 4 * 0.0139),
    (WITH, "loss"): (0.863457, 4 * 0.0248),
    (WITH, "accuracy"): (0.737036, 4 * 0.0064),
    (WITH, "val_loss"): (0.462419, 4 * 0.0117),
    (WITH, "val_accuracy"): (0.8726, 4 * 0.0044),
}


def test_the_study_is_the_notebooks() -> None:
    study = notebook_study(20, 10, None)
    assert (study.data, study.rates, study.seeds, study.epochs, study.batch_size) == ("mnist", (1e-3,), 20, 10, 32)
    assert (study.optimizer, study.network["widths"]) == ("sgd", (300, 100))
    without, with_norms = (study.network_of(arm) for arm in study.arms)
    assert [arm.norm for arm in study.arms] == ["none", "batch"]
    assert (without["activation"], without["initializer"], without["input_norm"]) == ("leaky_relu", "he_normal", False)
    assert (with_norms["activation"], with_norms["initializer"]) == ("relu", "glorot_uniform")
    assert (with_norms["input_norm"], with_norms["placement"]) == (True, "after")


def test_the_first_epoch_on_mnist_is_the_notebooks(data_dir: Path) -> None:
    study = notebook_study(3, 1, data_dir)
    dataset = load("mnist", data_dir=data_dir)
    laboratory = set_up(study, dataset, build_plans(study, dataset, named_model(study, dataset)))
    (chunk,) = chunks("report", report_cells(study, None), 3)
    epochs, runs = train_chunk(laboratory, study, dataset, chunk, lambda arm, epoch: None)
    assert len(epochs) == len(runs) == 6
    assert (epochs["step"] == 1719).all()
    for (arm, figure), (published, tolerance) in FIRST_EPOCH.items():
        measured = epochs.filter(pl.col("arm") == arm)[figure]
        assert measured.n_unique() == 3
        assert measured.mean() == pytest.approx(published, abs=tolerance), (arm, figure)


def _runs(shift: float) -> pl.DataFrame:
    """Three runs per arm, with a standard deviation of 0.01, and a mean that lies `shift` above what was published."""
    rows = [
        {"arm": arm, **{figure: value + shift + noise for figure, value in figures.items()}}
        for arm, figures in PUBLISHED.items()
        for noise in (-0.01, 0.0, 0.01)
    ]
    return pl.DataFrame(rows)


@pytest.mark.parametrize(("shift", "distance", "agrees"), [(0.0, 0.0, True), (-0.039, 3.9, True), (0.041, 4.1, False)])
def test_the_distance_is_in_standard_deviations_over_seeds(shift: float, distance: float, agrees: bool) -> None:
    rows = agreement(_runs(shift))
    assert len(rows) == 8
    for row in rows:
        assert row.published == PUBLISHED[row.arm][row.figure]
        assert row.mean == pytest.approx(row.published + shift)
        assert row.deviation == pytest.approx(0.01)
        assert row.distance == pytest.approx(distance, abs=1e-6)
        assert row.agrees is agrees or bool(row.agrees) == agrees


@pytest.mark.parametrize(("shift", "agree"), [(0.0, 8), (0.05, 0)])
def test_every_figure_is_published_beside_measured(shift: float, agree: int) -> None:
    rows = checked(agreement(_runs(shift)))
    assert len(rows) == 8
    assert sum(row.agrees for row in rows) == agree
    assert rows[0].what == f"loss of the arm {WITHOUT}, epoch 10"
    assert rows[0].expected == "0.3297"
    assert rows[0].measured.startswith(f"{0.329746 + shift:.4f} (sd 0.0100; ")


def test_one_seed_has_no_standard_deviation() -> None:
    with pytest.raises(InputError, match=r"at least 2 seeds .* got 1; raise --seeds"):
        notebook_study(1, 10, None)
