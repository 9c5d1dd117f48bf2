"""The teaching notebook's comparison, trained as it was: both arms, all four differences, published beside measured.

The notebook trains one run of each arm on MNIST (first 5,000 training images for validation, batch size 32, SGD at
1e-3, 10 epochs) and prints four figures per arm after the last epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from normlab.errors import InputError
from normlab.study.design import Study, make_study

if TYPE_CHECKING:
    from rich.console import Console

WITHOUT, WITH = "without", "with"
# After epoch 10: one run each, as the notebook prints them.
PUBLISHED = {
    WITHOUT: {"loss": 0.329746, "accuracy": 0.905691, "val_loss": 0.308115, "val_accuracy": 0.9148},
    WITH: {"loss": 0.202642, "accuracy": 0.939927, "val_loss": 0.192107, "val_accuracy": 0.9482},
}
# A published figure is itself one draw: four standard deviations leave room for it, and none for a wrong setting.
MOST_DEVIATIONS = 4.0
MIXED = (
    "normalization of the hidden layers (none, batch norm)",
    "normalization of the input (none, batch norm)",
    "the activation (LeakyReLU 0.3, ReLU)",
    "the initializer (He normal, Glorot uniform)",
)


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
    if study.seeds < 2:
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


def print_agreement(console: Console, rows: list[Agreement]) -> None:
    """Print the figures side by side, and what the notebook's comparison mixes."""
    from rich.table import Table

    table = Table("arm", "figure", "published", "measured", "sd", "distance", title="The notebook after its last epoch")
    for row in rows:
        cells = (f"{row.published:.4f}", f"{row.mean:.4f}", f"{row.deviation:.4f}", f"{row.distance:.1f} sd")
        table.add_row(row.arm, row.figure, *cells, style="" if row.agrees else "bold red")
    console.print(table)
    worst = max(rows, key=lambda row: row.distance)
    verdict = "all lie" if worst.agrees else "not all lie"
    console.print(
        f"Published beside measured: {verdict} within {MOST_DEVIATIONS:g} standard deviations; the farthest is the "
        f"{worst.figure} of the arm {worst.arm}, at {worst.distance:.1f}."
    )
    measured = {row.arm: row.mean for row in rows if row.figure == "val_accuracy"}
    points = 100 * (measured[WITH] - measured[WITHOUT])
    console.print(
        f"What the comparison mixes: its {points:+.1f} points of validation accuracy come from two arms that differ in "
        f"four things at once, so none of them alone can be credited: {'; '.join(MIXED)}. It also has one learning "
        "rate for both, no tuning, and reports on validation data."
    )
