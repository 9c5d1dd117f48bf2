"""TensorBoard's own reader finds in an export what was recorded."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import unquote

import polars as pl
import pytest

from normlab.export.event_files import write_events
from tests.export.material import ARMS, make_material

pytest.importorskip("tensorboard", reason="the extra normlab[tensorboard] is not installed")


def test_every_run_is_read_back(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.metadata import SESSION_START_INFO_TAG, parse_session_start_info_plugin_data

    material = make_material(tmp_path / "study")
    write_events(material, tmp_path / "out")
    folders = sorted(path.parent for path in (tmp_path / "out").rglob("events.out.tfevents.*"))
    assert len(folders) == len(material.runs) == 4
    assert not [path for path in tmp_path.rglob("*") if socket.gethostname() in path.name]
    seen = set()
    for folder in folders:
        stage, arm, rate, seed = folder.relative_to(tmp_path / "out").parts
        run = f"{stage}/{unquote(arm)}/{rate}/{seed}"
        seen.add(run)
        events = EventAccumulator(str(folder)).Reload()
        tags = {"loss", "val_loss", "test_loss", "gradients/dense/norm (l2)", "gradients/norm (l2)"}
        assert set(events.Tags()["scalars"]) == tags
        rows = material.epochs.filter(pl.col("run") == run).sort("epoch")
        began = 1767323045.0
        for name in ("loss", "val_loss"):
            scalars = events.Scalars(name)
            assert [scalar.step for scalar in scalars] == [1, 2]
            assert [scalar.value for scalar in scalars] == pytest.approx(rows[name].to_list(), rel=1e-6)
            assert [scalar.wall_time for scalar in scalars] == [began + 0.5, began + 1.0]
        (test,) = events.Scalars("test_loss")
        expected = material.runs.filter(pl.col("run") == run)["test_loss"].item()
        assert (test.step, test.value) == (2, pytest.approx(expected, rel=1e-6))
        probed = events.Scalars("gradients/dense/norm (l2)")
        assert [scalar.step for scalar in probed] == [0, 1, 2]
        assert probed[0].value == float("inf")
        content = events.SummaryMetadata(SESSION_START_INFO_TAG).plugin_data.content
        settings = parse_session_start_info_plugin_data(content).hparams
        assert (settings["arm"].string_value, settings["seed"].number_value) == (unquote(arm), int(seed))
        assert settings["rate"].number_value == 0.1
    assert seen == set(material.runs["run"])
    assert {run.partition("report/")[2].rpartition("/0.1")[0] for run in seen} == set(ARMS)
