"""An export to TensorBoard: one folder of events per run, with its losses and accuracies by epoch, and its settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normlab.export.material import Material
from normlab.export.names import safe_names

if TYPE_CHECKING:
    import polars as pl
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

BY_EPOCH = ("loss", "accuracy", "val_loss", "val_accuracy")
AT_THE_END = ("test_loss", "test_accuracy")
# What tells a run from others; the hparams plugin makes columns of it.
SETTINGS = ("stage", "arm", "seed", "rate", "batch_size")

Scalar = tuple[str, int, float]


def write_events(material: Material, target: Path) -> None:
    """Write STAGE/ARM/RATE/SEED/events... for every run; steps are epochs, times those of training.

    Needs the extra `normlab[tensorboard]`; neither TensorFlow nor PyTorch.
    """
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    target.mkdir()
    arms = safe_names(dict.fromkeys(material.runs["arm"]))
    epochs, probes = material.by_run("epochs"), material.by_run("probes")
    for run in material.runs.iter_rows(named=True):
        folder = target / run["stage"] / arms[run["arm"]] / f"{run['rate']!r}" / str(run["seed"])
        writer = EventFileWriter(str(folder))
        try:
            _write(writer, material, run, epochs[run["run"]], probes.get(run["run"]))
        finally:
            writer.close()
        _rename(folder)


def scalars(epochs: pl.DataFrame, run: Mapping[str, Any], probes: pl.DataFrame | None) -> Iterator[Scalar]:
    """Yield what was recorded of one run, as name, epoch and value; what is null has no scalar.

    A probe's name is PROBE/LAYER/QUANTITY, or PROBE/QUANTITY of the whole network.
    """
    for row in epochs.iter_rows(named=True):
        yield from ((name, row["epoch"], row[name]) for name in BY_EPOCH if row[name] is not None)
    yield from ((name, run["epochs"], run[name]) for name in AT_THE_END if run[name] is not None)
    if probes is not None:
        for row in probes.iter_rows(named=True):
            words = (row[name] for name in ("probe", "layer", "quantity"))
            yield "/".join(word for word in words if word is not None), row["epoch"], row["value"]


def times(material: Material, epochs: pl.DataFrame) -> dict[int, float]:
    """Return by epoch when it would have ended, had its run been the study's first; at 0, when the study was begun.

    In seconds since 1970; counted from there if the beginning is not known.
    """
    began = 0.0 if material.study is None else datetime.fromisoformat(material.study["started"]).timestamp()
    return {0: began, **dict(zip(epochs["epoch"], began + epochs["seconds"].cum_sum(), strict=True))}


def _write(
    writer: EventFileWriter,
    material: Material,
    run: Mapping[str, Any],
    epochs: pl.DataFrame,
    probes: pl.DataFrame | None,
) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb

    at = times(material, epochs)
    settings = {name: run[name] for name in SETTINGS}
    about = hparams_pb(settings, trial_id=run["run"], start_time_secs=at[0])
    writer.add_event(Event(wall_time=at[0], step=0, summary=about))
    for tag, epoch, value in scalars(epochs, run, probes):
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
        writer.add_event(Event(wall_time=at[epoch], step=epoch, summary=summary))


def _rename(folder: Path) -> None:
    """Take the name of the machine, which the library puts there, out of the name of a run's file."""
    for path in folder.iterdir():
        path.rename(folder / f"events.out.tfevents.{path.name.split('.')[3]}.normlab")
