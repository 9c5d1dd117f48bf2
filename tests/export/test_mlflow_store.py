"""MLflow's own client finds in an export what was recorded."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from normlab.export.mlflow_store import write_mlflow
from tests.export.material import ARMS, make_material

for _name in ("mlflow", "sqlalchemy", "alembic"):
    pytest.importorskip(_name, reason="the extra normlab[mlflow] is not installed")


@pytest.mark.filterwarnings("ignore")  # of the libraries, about each other
def test_every_run_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.tracking import MlflowClient

    monkeypatch.chdir(tmp_path)
    material = make_material(tmp_path / "study")
    target = tmp_path / "aside.db"
    write_mlflow(material, target)
    target.rename(tmp_path / "out.db")
    assert [path.name for path in tmp_path.iterdir()] == ["out.db"]
    address = f"sqlite:///{tmp_path / 'out.db'}"
    client = MlflowClient(tracking_uri=address, registry_uri=address)
    experiment = client.get_experiment_by_name("study")
    assert experiment is not None
    assert experiment.tags["normlab.identity_sha256"] == "i" * 64
    assert experiment.tags["normlab.verdict.0"] == f"{ARMS[1]}: undecided"
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == set(material.runs["run"])
    for row in material.runs.iter_rows(named=True):
        run = runs[row["run"]]
        assert run.data.params["arm"] == row["arm"]
        assert (run.data.params["rate"], run.data.params["seed"]) == ("0.1", str(row["seed"]))
        assert (run.data.params["data"], run.data.params["optimizer"]) == ("made-up", "sgd")
        assert run.data.tags["normlab.final_hash"] == row["final_hash"]
        assert run.data.tags.get("normlab.verdict") == ("undecided" if row["arm"] == ARMS[1] else None)
        assert (run.info.status, run.info.start_time) == ("FAILED" if row["diverged"] else "FINISHED", 1767323045000)
        rows = material.epochs.filter(pl.col("run") == row["run"]).sort("epoch")
        for name in ("loss", "val_loss"):
            history = sorted(client.get_metric_history(run.info.run_id, name), key=lambda metric: metric.step)
            assert [(metric.step, metric.value) for metric in history] == list(rows.select("epoch", name).iter_rows())
        assert run.data.metrics["test_loss"] == row["test_loss"]
        probed = client.get_metric_history(run.info.run_id, "gradients/dense/norm _l2_")
        assert sorted(metric.step for metric in probed) == [0, 1, 2]
        assert max(metric.value for metric in probed) == 1.7976931348623157e308  # what MLflow makes of an infinite one
