"""Studies with `seeds = "auto"` from start to finish, with a trainer that plants the scores, and one that trains."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from normlab import Result, compare
from normlab.errors import InputError
from normlab.study import execute, local, stages
from normlab.study.cells import Chunk, run_name
from normlab.study.design import Study
from normlab.study.laboratory import Laboratory
from normlab.study.progress import Interrupted
from normlab.study.rows import EPOCH_SCHEMA, RUN_SCHEMA
from normlab.study.statistics import RECOMPUTED
from normlab.study.training import ignore_state
from tests.command import command

CHUNK = 10
SETTINGS: dict[str, Any] = {"data": "wine", "network": {"widths": [4]}, "seeds": "auto", "epochs": 1, "rates": 0.1}
EFFECT = {"clear": 0.1, "small": 0.003}


class _Planting:
    """In place of training: scores of a seed, with an effect of the arms; notes the chunks it was asked for."""

    def __init__(self, effect: float, stop_at: int | None = None) -> None:
        self.effect, self.stop_at = effect, stop_at
        self.chunks: list[str] = []
        self.observed: dict[str, bool] = {}

    def __call__(
        self,
        laboratory: Laboratory,
        study: Study,
        dataset: Any,
        chunk: Chunk,
        after_epoch: Callable[[str, int], None],
        observe: Any = ignore_state,
        *of_checkpoints: Any,
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        if len(self.chunks) == self.stop_at:
            raise KeyboardInterrupt
        self.chunks.append(chunk.name)
        self.observed[chunk.stage] = observe is not ignore_state
        rows = [self._row(chunk, arm, cell) for arm in laboratory.populations for cell in chunk.cells]
        for arm in laboratory.populations:
            after_epoch(arm, 1)
        frames = [pl.DataFrame([{k: row[k] for k in schema} for row in rows], schema=schema) for schema in SCHEMAS]
        return frames[0], frames[1]

    def _row(self, chunk: Chunk, arm: str, cell: Any) -> dict[str, Any]:
        seed, rate = cell.seed, cell.rates[arm]
        score = 0.6 + 0.02 * np.random.default_rng([seed, len(arm)]).normal() + self.effect * (arm != "none")
        score -= 0.1 * abs(math.log10(rate) + 1)  # the best rate is 0.1
        named = {"run": run_name(chunk.stage, arm, seed, rate), "stage": chunk.stage, "chunk": chunk.start}
        scores = dict.fromkeys(("accuracy", "val_accuracy", "test_accuracy"), score)
        losses = dict.fromkeys(("loss", "val_loss", "test_loss"), 1 - score)
        rest = {"batch_size": 32, "step": 4, "seconds": 0.1, "diverged": False, "diverged_step": None}
        second = dict.fromkeys(f"{name}_recomputed" for name in RECOMPUTED)
        hashes = {"initial_hash": str(seed), "order_hash": str(seed), "final_hash": str(seed)}
        key = {**named, "arm": arm, "seed": seed, "rate": rate, "epoch": 1, "epochs": 1}
        return key | scores | losses | second | rest | hashes


SCHEMAS = (EPOCH_SCHEMA, RUN_SCHEMA)


def _no_programs(study: Study, dataset: Any, plans: Mapping[str, Any], *of_engine: Any) -> Laboratory:
    trainer = SimpleNamespace(objective=SimpleNamespace(uninformed_loss=1.1))
    populations: Any = {
        arm: SimpleNamespace(plan=plan, trainer=trainer, compile_seconds=0.0) for arm, plan in plans.items()
    }
    return Laboratory(populations, ["kernel"], CHUNK, "map", {})


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[..., _Planting]:
    monkeypatch.setattr(execute, "first_batch_example", lambda *_: None)
    monkeypatch.setattr(stages, "set_up", _no_programs)

    def use(*arguments: Any) -> _Planting:
        planting = _Planting(*arguments)
        monkeypatch.setattr(local, "train_chunk", planting)
        return planting

    return use


def _stopping(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())["stopping"]


def test_a_clear_effect_stops_the_study_at_the_first_look(plant: Callable[..., _Planting], tmp_path: Path) -> None:
    planting = plant(EFFECT["clear"])
    result = compare(**SETTINGS, out=tmp_path / "out")
    assert planting.chunks == ["report-00000"]
    summary = result.records.summary
    assert summary["stopping"]["reason"] == "The comparison is decided after 10 pairs."
    assert summary["rates"]["report_seeds"] == summary["pairing"]["seeds"] == list(range(10))
    assert "For each of the 10 seeds" in summary["pairing"]["statement"]
    assert summary["timing"]["runs"] == 20
    row = summary["comparisons"][0]
    assert (result.verdict(), row["interval"], row["pairs"]) == ("better", "confidence sequence", 10)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for said in ("10 paired seeds", "at most 40 were allowed", "exploratory", "decided or 40 were spent"):
        assert said in page
    again = compare(**SETTINGS, out=tmp_path / "out")  # a complete study is not run again
    assert (planting.chunks, again.runs.height) == (["report-00000"], 20)
    with pytest.raises(InputError, match=r"differs in study\.max_seeds"):
        compare(**{**SETTINGS, "max_seeds": 20}, out=tmp_path / "out")


def test_an_effect_that_is_too_small_spends_the_budget(plant: Callable[..., _Planting], tmp_path: Path) -> None:
    planting = plant(EFFECT["small"])
    result = compare(**{**SETTINGS, "max_seeds": 25}, out=tmp_path / "out")
    assert planting.chunks == ["report-00000", "report-00010", "report-00020"]
    stopping = result.records.summary["stopping"]
    assert [look["pairs"] for look in stopping["looks"]] == [10, 20, 25]
    assert stopping["reason"] == "The budget of 25 pairs is spent with 1 of 1 comparisons undecided."
    assert result.verdict() == "undecided"
    assert sorted(set(result.runs["seed"])) == list(range(25))


def test_a_stopped_study_goes_on_with_the_same_looks(plant: Callable[..., _Planting], tmp_path: Path) -> None:
    plant(EFFECT["small"])
    whole = compare(**{**SETTINGS, "max_seeds": 25}, out=tmp_path / "whole")
    plant(EFFECT["small"], 1)
    with pytest.raises(Interrupted, match="20 of at most 50 runs are complete"):
        compare(**{**SETTINGS, "max_seeds": 25}, out=tmp_path / "stopped")
    planting = plant(EFFECT["small"])
    again = compare(**{**SETTINGS, "max_seeds": 25}, out=tmp_path / "stopped")
    assert planting.chunks == ["report-00010", "report-00020"]
    assert _stopping(tmp_path / "stopped") == _stopping(tmp_path / "whole")
    assert again.runs.equals(whole.runs)
    assert again.records.summary["comparisons"] == whole.records.summary["comparisons"]


def test_rates_are_tuned_before_the_first_look_and_never_probed(
    plant: Callable[..., _Planting], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planting = plant(EFFECT["clear"])
    empty = pl.DataFrame({"run": []}, schema={"run": pl.String})
    probing = SimpleNamespace(observer=lambda chunk: print, taken=lambda: empty, seconds=0.0, compile_seconds=0.0)
    monkeypatch.setattr(local, "Probing", lambda *_: probing)
    settings = {**SETTINGS, "rates": "tuned", "tuning_seeds": 3, "probes": ["gradients"]}
    ended = compare(**settings, out=tmp_path / "out")
    assert [name.partition("-")[0] for name in planting.chunks] == ["tuning"] * 3 + ["report"]
    assert planting.observed == {"tuning": False, "report": True}
    rows = ended.records.summary["comparisons"]
    assert (rows[0]["rate"], rows[0]["correction"], rows[0]["verdict"]) == ("tuned", "bonferroni", "better")
    assert "bonferroni" not in {row["correction"] for row in rows[1:]}
    assert ended.records.summary["area_over_rates"][0]["correction"] == "holm"


OPTIONS = ("--data", "wine", "--widths", "8", "--epochs", "4", "--batch-size", "16", "--rates", "0.1")
MORE = ("--seeds", "auto", "--max-seeds", "36", "--probes", "gradients", "--margin", "0.0001")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("auto") / "out"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(execute, "first_batch_example", lambda *_: None)
        ended = command("run", *OPTIONS, *MORE, "--out", folder)
    assert (ended.status, "at most 72 runs" in ended.err) == (0, True), ended
    return folder, ended.out


def test_a_real_study_stops_where_its_looks_say(trained: tuple[Path, str]) -> None:
    folder, out = trained
    stopping, runs = _stopping(folder), pl.read_parquet(folder / "runs.parquet")
    assert runs["seed"].n_unique() == stopping["pairs"]
    assert len(runs) == 2 * stopping["pairs"]
    assert stopping["pairs"] < stopping["budget"] == 36
    assert stopping["chunk"] == 12  # ten pairs before the first look, on three devices
    assert [look["pairs"] for look in stopping["looks"]] == list(range(12, stopping["pairs"] + 1, 12))
    assert stopping["reason"] in " ".join(out.split())
    assert "exploratory" in out


def test_a_real_study_that_lost_a_chunk_makes_the_same_again(
    trained: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute, "first_batch_example", lambda *_: None)
    folder, stopped = trained[0], tmp_path / "stopped"
    made_again = ("parts", "manifest.json", "*.parquet", "summary.json", "report.html")
    shutil.copytree(folder, stopped, ignore=shutil.ignore_patterns(*made_again))
    (stopped / "parts").mkdir()
    last = max(path.name.partition(".")[0] for path in (folder / "parts").iterdir())
    for path in (folder / "parts").iterdir():
        if not path.name.startswith(last):
            shutil.copy(path, stopped / "parts")
    assert command("run", *OPTIONS, *MORE, "--out", stopped).status == 0
    assert _stopping(stopped) == _stopping(folder)
    whole, again = Result(folder), Result(stopped)
    assert again.runs.drop("seconds").equals(whole.runs.drop("seconds"))
    assert whole.probes is not None
    assert whole.probes.equals(again.probes)
