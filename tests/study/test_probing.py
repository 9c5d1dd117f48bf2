"""Probes in a study: the values are those of the probe itself, on the same samples, in every run reported on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import polars as pl
import pytest

from normlab import Result, compare
from normlab.data import load
from normlab.probes import PROBES
from normlab.study import execute, local, probing
from normlab.study.cells import Chunk
from normlab.study.design import make_study
from normlab.study.laboratory import named_model, trainer_of
from normlab.study.probing import PROBE_SCHEMA, Probing, probe_batch
from normlab.study.store import DamageWarning

SETTINGS: dict[str, Any] = {
    "data": "wine",
    "network": {"widths": [5]},
    "rates": 0.1,
    "seeds": 4,
    "epochs": 2,
    "batch_size": 16,
    "probes": ["gradients", "memory"],
}
States = dict[tuple[int, str, int], Any]


class _Keeping(Probing):
    """Keeps a copy of every state that it measures."""

    states: States = {}  # noqa: RUF012  # of the one study below

    def _observe(self, chunk: Chunk, arm: str, name: str, epoch: int, state: Any) -> None:
        self.states[chunk.start, arm, epoch] = jax.tree.map(np.asarray, state)
        super()._observe(chunk, arm, name, epoch, state)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(execute, "first_batch_example", lambda *_: None)
        patched.setattr(local, "Probing", _Keeping)
        return compare(**SETTINGS, out=tmp_path_factory.mktemp("probed") / "out")


@pytest.fixture(scope="module")
def probes(result: Result) -> pl.DataFrame:
    assert result.probes is not None
    return result.probes


def test_there_is_a_row_per_run_epoch_layer_and_quantity(result: Result, probes: pl.DataFrame) -> None:
    assert dict(probes.schema) == PROBE_SCHEMA
    assert set(probes["run"]) == set(result.runs["run"])
    assert probes.select(pl.exclude("value")).is_unique().all()
    gradients = probes.filter(pl.col("probe") == "gradients")
    layers = gradients.join(result.runs.select("run", "arm"), on="run").group_by("arm", "quantity").agg("layer")
    known = {(row["arm"], row["quantity"]): set(row["layer"]) for row in layers.to_dicts()}
    # Arms name what they share alike; where one has a norm, the other has an identity without parameters.
    assert known["none", "output_gradient"] == known["batch", "output_gradient"]
    assert known["batch", "parameter_gradient"] - known["none", "parameter_gradient"] == {"norm_0"}
    assert sorted(set(gradients["epoch"])) == [0, 1, 2]
    assert gradients["value"].is_finite().all()
    # What is the same for all runs of an arm, and all epochs, stands once per run.
    memory = probes.filter((pl.col("probe") == "memory") & (pl.col("quantity") == "parameter_bytes"))
    assert set(memory["epoch"]) == {0}
    assert len(memory) == len(result.runs)
    assert memory["layer"].null_count() == len(memory)


@pytest.mark.parametrize(("arm", "epoch"), [("batch", 0), ("batch", 2), ("none", 2)])
def test_values_are_those_of_the_probe_called_on_the_state(
    arm: str, epoch: int, result: Result, probes: pl.DataFrame
) -> None:
    study, dataset = make_study(SETTINGS), load("wine")
    wanted = next(one for one in study.arms if one.name == arm)
    trainer = trainer_of(study, dataset, wanted, named_model(study, dataset)(wanted))
    functions = PROBES["gradients"].load()
    x, y = probe_batch(study, dataset)
    measure = jax.jit(lambda state, x, y: functions.measure(trainer, state, x, y))
    for seed in (0, 3):
        own = jax.tree.map(lambda leaf, seed=seed: leaf[seed], _Keeping.states[0, arm, epoch])
        measured = measure(own, x, y)
        run = result.runs.filter((pl.col("arm") == arm) & (pl.col("seed") == seed))["run"].item()
        rows = probes.filter((pl.col("run") == run) & (pl.col("epoch") == epoch) & (pl.col("probe") == "gradients"))
        for quantity, values in measured.items():
            recorded = rows.filter(pl.col("quantity") == quantity)["value"].to_numpy()
            np.testing.assert_allclose(recorded, values, rtol=1e-4, atol=1e-7)


def test_the_probe_batch_is_drawn_from_the_training_part_alone() -> None:
    study, dataset = make_study(SETTINGS), load("wine")
    x, y = probe_batch(study, dataset)
    assert len(x) == len(y) == probing.PROBE_BATCHES * 16
    pool = {row.tobytes(): label for row, label in zip(dataset.train.x, dataset.train.y, strict=True)}
    assert all(pool[row.tobytes()] == label for row, label in zip(x, y, strict=True))
    assert len({row.tobytes() for row in x}) == len(x)
    assert np.array_equal(x, probe_batch(make_study({**SETTINGS, "seeds": 9, "optimizer": "adam"}), dataset)[0])
    assert not np.array_equal(x, probe_batch(make_study({**SETTINGS, "split_seed": 1}), dataset)[0])
    assert len(probe_batch(make_study({**SETTINGS, "batch_size": 80}), dataset)[0]) == len(dataset.train)


def test_what_probes_take_is_no_training_time(result: Result) -> None:
    timing = result.records.summary["timing"]
    assert 0 < timing["probe_compile_seconds"] < timing["compile_seconds"]
    assert 0 < timing["probe_seconds"] < timing["total_seconds"]
    plain = result.epochs.columns
    assert "probe_seconds" not in plain


def test_lost_probes_are_made_again_from_the_parts(result: Result, probes: pl.DataFrame, tmp_path: Path) -> None:
    page = (result.folder / "report.html").read_text(encoding="utf-8")
    assert "Gradients: parameter gradient" in page
    assert "Memory: saved bytes per sample" in page
    (result.folder / "probes.parquet").unlink()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(execute, "first_batch_example", lambda *_: None)
        patched.setattr(local, "train_chunk", None)  # nothing is trained
        with pytest.warns(DamageWarning, match=r"probes\.parquet is damaged: it is gone"):
            again = compare(**SETTINGS, out=result.folder)
    assert again.probes is not None
    assert again.probes.equals(probes)


def test_an_arm_with_nothing_to_measure_has_no_rows(tmp_path: Path) -> None:
    settings = {**SETTINGS, "arms": ["none", "batch"], "seeds": 2, "epochs": 1, "probes": ["statistics-gap"]}
    found = compare(**settings, out=tmp_path / "out")
    assert found.probes is not None
    assert {run.split("/")[1] for run in found.probes["run"]} == {"batch"}
    assert set(found.probes["epoch"]) == {0, 1}
