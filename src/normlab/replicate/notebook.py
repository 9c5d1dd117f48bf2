"""The teaching notebook's comparison, trained as it was: both arms, all four differences, published beside measured.

The notebook trains one run of each arm on MNIST (first 5,000 training images for validation, batch size 32, SGD at
1e-3, 10 epochs) and prints four figures per arm after the last epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from normlab.compare import run_study
from normlab.errors import InputError
from normlab.replicate.replication import Checked, Replication, Setting
from normlab.study.design import Study, make_study

WITHOUT, WITH = "without", "with"
# After epoch 10: one run each, as the notebook prints them.
PUBLISHED = {
    WITHOUT: {"loss": 0.329746, "accuracy": 0.905691, "val_loss": 0.308115, "val_accuracy": 0.9148},
    WITH: {"loss": 0.202642, "accuracy": 0.939927, "val_loss": 0.192107, "val_accuracy": 0.9482},
}
# A published figure is itself one draw: four standard deviations leave room for it, and none for a wrong setting.
MOST_DEVIATIONS = 4.0
# The notebook trains one run; ours need a standard deviation.
SEEDS = {"quick": 4, "full": 20}


@dataclass(frozen=True)
class Agreement:
    """One published figure beside what was measured over seeds."""

    arm: str
    figure: str
    published: float
    mean: float
    deviation: float

    @property
    def distance(self) -> float:
        """How far the published figure lies from the mean, in standard deviations over seeds."""
        return abs(self.published - self.mean) / self.deviation

    @property
    def agrees(self) -> bool:
        """Whether it lies within `MOST_DEVIATIONS`."""
        return self.distance <= MOST_DEVIATIONS


def notebook_study(seeds: int, epochs: int, data_dir: Path | None) -> Study:
    """Return the notebook's comparison as a study of two arms that differ in four things.

    Raises:
        InputError: With fewer than two seeds.
    """
    arms = [
        {"name": WITHOUT, "norm": "none", "activation": "leaky_relu", "initializer": "he_normal"},
        {
            "name": WITH,
            "norm": "batch",
            "input_norm": True,
            "placement": "after",
            "activation": "relu",
            "initializer": "glorot_uniform",
        },
    ]
    study = make_study(
        {
            "data": "mnist",
            "data_dir": data_dir,
            "network": {"widths": (300, 100)},
            "arms": arms,
            "optimizer": "sgd",
            "rates": 1e-3,
            "seeds": seeds,
            "epochs": epochs,
            "batch_size": 32,
        }
    )
    if study.most_seeds < 2:
        raise InputError("a replication needs at least 2 seeds for a standard deviation", seeds, "raise --seeds")
    return study


def agreement(runs: pl.DataFrame) -> list[Agreement]:
    """Return every published figure beside the mean and standard deviation over the runs of its arm."""
    rows = []
    for arm, figures in PUBLISHED.items():
        own = runs.filter(pl.col("arm") == arm)
        for figure, published in figures.items():
            values = own[figure].to_numpy()
            rows.append(Agreement(arm, figure, published, float(values.mean()), float(values.std(ddof=1))))
    return rows


def run(setting: Setting) -> list[Checked]:
    """Train both arms as the notebook did, with more seeds, and set every figure beside what it printed.

    Raises:
        InputError: With fewer than two seeds, or without the files of MNIST.
    """
    seeds = SEEDS[setting.budget] if setting.seeds is None else setting.seeds
    study = notebook_study(seeds, 10, setting.data_dir)
    return checked(agreement(run_study(study, out=setting.out, watch=setting.watch).runs))


def checked(rows: list[Agreement]) -> list[Checked]:
    """Return the figures as a replication reports them."""
    return [
        Checked(
            f"{row.figure} of the arm {row.arm}, epoch 10",
            f"{row.published:.4f}",
            f"{row.mean:.4f} (sd {row.deviation:.4f}; {row.distance:.1f} sd away)",
            f"{MOST_DEVIATIONS:g} sd",
            row.agrees,
        )
        for row in rows
    ]


REPLICATION = Replication(
    id="notebook",
    title="a teaching notebook's two networks on MNIST; they differ in four things at once (see normlab attribute)",
    source="the notebook's printed output after epoch 10, one run of each arm",
    run=run,
    usual="full",
)
