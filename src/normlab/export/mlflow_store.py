"""An export to MLflow: one SQLite file, its own default store, with an experiment and one run of it per run."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normlab.export.event_files import SETTINGS, scalars, times
from normlab.export.material import Material
from normlab.study.names import IDENTITY

if TYPE_CHECKING:
    import polars as pl
    from mlflow.tracking import MlflowClient

# What MLflow takes at once, and in a tag; and what it does not take in the name of a metric.
MOST_METRICS, LONGEST_TAG = 1000, 5000
_UNFIT = re.compile(r"[^\w. :/-]", re.ASCII)
HASHES = ("initial_hash", "order_hash", "final_hash")
OF_STUDY = ("model", "optimizer", "schedule", "epochs")


def write_mlflow(material: Material, target: Path) -> None:
    """Write the SQLite file; `mlflow ui --backend-store-uri sqlite:///FILE` shows it.

    Runs have the parameters of arm and study, metrics by epoch (an infinite one becomes the largest double, as MLflow
    keeps them), and as tags the hashes and the verdict on their arm. Needs the extra `normlab[mlflow]`, and no server;
    the library's own messages over the network are turned off.
    """
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when the library is imported
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from mlflow.tracking import MlflowClient

    target = target.absolute()
    address = f"sqlite:///{target.as_posix()}"
    with _quiet():
        client = MlflowClient(tracking_uri=address, registry_uri=address)
        experiment = client.create_experiment(
            material.folder.absolute().name,
            artifact_location=target.parent.as_uri(),
            tags=_experiment_tags(material),
        )
        epochs, probes = material.by_run("epochs"), material.by_run("probes")
        for run in material.runs.iter_rows(named=True):
            _write_run(client, experiment, material, run, epochs[run["run"]], probes.get(run["run"]))
        SqlAlchemyStore(address, "").engine.dispose()  # the library keeps one engine per address, and its file open


def _write_run(
    client: MlflowClient,
    experiment: str,
    material: Material,
    run: Mapping[str, Any],
    epochs: pl.DataFrame,
    probes: pl.DataFrame | None,
) -> None:
    from mlflow.entities import Metric, Param, RunTag

    at = {epoch: int(1000 * seconds) for epoch, seconds in times(material, epochs).items()}
    started, ended = min(at.values()), max(at.values())
    own = client.create_run(experiment, start_time=started, run_name=run["run"]).info.run_id
    tags = [RunTag(f"normlab.{name}", value) for name, value in _run_tags(material, run).items()]
    client.log_batch(own, params=[Param(name, value) for name, value in _params(material, run).items()], tags=tags)
    metrics = [
        Metric(_UNFIT.sub("_", name), value, at[epoch], epoch) for name, epoch, value in scalars(epochs, run, probes)
    ]
    for start in range(0, len(metrics), MOST_METRICS):
        client.log_batch(own, metrics=metrics[start : start + MOST_METRICS])
    client.set_terminated(own, "FAILED" if run["diverged"] else "FINISHED", ended)


def _params(material: Material, run: Mapping[str, Any]) -> dict[str, str]:
    own = {name: str(run[name]) for name in SETTINGS}
    if material.study is None:
        return own
    settings = material.study["study"]
    return {**own, "data": material.study["data"]["name"], **{name: str(settings[name]) for name in OF_STUDY}}


def _run_tags(material: Material, run: Mapping[str, Any]) -> dict[str, str]:
    hashes = {name: run[name] for name in HASHES}
    verdict = material.verdicts.get(run["arm"])
    return {**hashes, "diverged": str(run["diverged"]).lower(), **({"verdict": verdict} if verdict else {})}


def _experiment_tags(material: Material) -> dict[str, str]:
    tags = {"normlab.complete": str(material.is_complete).lower()}
    tags |= {
        f"normlab.verdict.{number}": f"{arm}: {said}"
        for number, (arm, said) in enumerate(sorted(material.verdicts.items()))
    }
    if material.study is not None:
        study = material.study
        tags |= {f"normlab.{name}": str(study[name]) for name in (IDENTITY, "code_sha256", "normlab", "started")}
        tags |= {f"normlab.{name}": json.dumps(study[name]) for name in ("study", "versions", "devices")}
        tags["normlab.data_hashes"] = json.dumps(study["data"]["hashes"])
    return {name: value[:LONGEST_TAG] for name, value in tags.items()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library from telling, inside the block, of the tables that it makes."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
