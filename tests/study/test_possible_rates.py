"""A tuned study from the search to the verdict: rates beyond the grid, fresh runs at every possible rate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from normlab.compare import prepare_training
from normlab.report.cautions import open_rates
from normlab.stats.verdict import judge, paired_effect
from normlab.study import execute, laboratory
from normlab.study.design import make_study
from normlab.study.limits import Limits
from normlab.study.progress import Interrupted, Progress, ignore_progress
from normlab.study.rates import choose_rates, own_runs
from normlab.study.status import read_status
from normlab.study.store import Store

# One epoch of two steps: the larger the rate, the better, up to beyond the grid, and chance decides among the last.
SETTINGS: dict[str, Any] = {
    "data": "wine",
    "network": {"widths": [4]},
    "epochs": 1,
    "batch_size": 60,
    "tuning_seeds": 3,
    "seeds": 7,
}


def _run(folder: Path, watch: Any = ignore_progress) -> dict[str, Any]:
    study = make_study(SETTINGS)
    dataset = prepare_training(study)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(execute, "first_batch_example", lambda *_: None)
        plan = laboratory.named_model(study, dataset)
        return execute.execute(study, dataset, plan, Store(folder), limits=Limits(checkpoint_seconds=1e-9), watch=watch)


@pytest.fixture(scope="module")
def stopped(_devices: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the study stopped while it trained the alternatives."""
    folder = tmp_path_factory.mktemp("tuned") / "study"

    def stop(now: Progress) -> None:
        if now.stage == "alternative":
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        _run(folder, stop)
    return folder


@pytest.fixture(scope="module")
def finished(stopped: Path) -> tuple[dict[str, Any], pl.DataFrame, pl.DataFrame]:
    """Return the summary, and the tables, of the study that was resumed."""
    before = read_status(stopped)
    assert [stage.stage for stage in before.stages] == ["tuning", "report", "alternative"]
    assert [stage.runs_done == stage.num_runs for stage in before.stages] == [True, True, False]
    summary = _run(stopped)
    after = read_status(stopped)
    assert [stage.runs_done == stage.num_runs > 0 for stage in after.stages] == [True] * 3
    runs = pl.read_parquet(stopped / "runs.parquet")
    assert sum(stage.runs_done for stage in after.stages) == len(runs)
    return summary, runs, pl.read_parquet(stopped / "epochs.parquet")


def test_a_search_goes_on_beyond_the_edge_with_all_arms(finished: tuple[dict[str, Any], pl.DataFrame, Any]) -> None:
    summary, runs, _ = finished
    rates, tuning = summary["rates"], runs.filter(pl.col("stage") == "tuning")
    assert rates["beyond"]
    assert all(rate > 1.0 for rate in rates["beyond"])
    assert rates["grid"] == [*make_study(SETTINGS).grid, *rates["beyond"]]
    each = tuning.group_by("arm", "rate").len()
    assert len(each) == 2 * len(rates["grid"])
    assert each["len"].unique().to_list() == [3]


def test_fresh_seeds_are_trained_at_every_possible_rate(finished: tuple[dict[str, Any], pl.DataFrame, Any]) -> None:
    summary, runs, epochs = finished
    possible = summary["rates"]["possible"]
    chosen = choose_rates(runs.filter(pl.col("stage") == "tuning"), "classification")
    assert possible == {arm: list(choice.rates) for arm, choice in chosen.items()}
    assert max(len(rates) for rates in possible.values()) > 1
    trained = sorted({rate for rates in possible.values() for rate in rates})
    assert summary["rates"]["trained"] == trained
    for arm, rates in possible.items():
        assert summary["rates"]["chosen"][arm] == rates[0]
        own = runs.filter((pl.col("arm") == arm) & (pl.col("stage") != "tuning"))
        assert own.group_by("rate").len().sort("rate").rows() == [(rate, 7) for rate in trained]
        assert own.filter(pl.col("stage") == "report")["rate"].unique().to_list() == [rates[0]]
    assert sorted(epochs["run"].unique()) == sorted(runs["run"])
    assert summary["pairing"]["initial_values_equal"]
    assert summary["pairing"]["orders_equal"]
    said = open_rates(summary)
    assert [arm for arm, rates in possible.items() if len(rates) > 1 and arm in said[0]]


def test_a_pair_is_the_runs_that_their_own_validation_chooses(
    finished: tuple[dict[str, Any], pl.DataFrame, Any],
) -> None:
    summary, runs, _ = finished
    values: dict[str, list[float]] = {arm: [] for arm in ("none", "batch")}
    for arm, found in values.items():
        for seed in range(7):
            own = [row for row in runs.to_dicts() if (row["arm"], row["seed"]) == (arm, seed)]
            own.sort(key=lambda row: (row["diverged"], -row["val_accuracy"], row["val_loss"], row["rate"]))
            found.append(own[0]["test_accuracy"])
    assert len({row["rate"] for row in own_runs(runs.filter(pl.col("stage") != "tuning")).to_dicts()}) > 1
    effect = paired_effect(values["batch"], values["none"], margin=0.005, higher_is_better=True)
    row = summary["comparisons"][0]
    assert (row["rate"], row["verdict"]) == ("tuned", judge([effect], correction="holm")[0].verdict)
    assert (row["difference"], row["p_value"]) == (effect.difference, effect.p_value)
    shown = {row["arm"]: (row["rate"], row["runs"], row["test_accuracy_mean"]) for row in summary["by_arm"]}
    assert shown == {
        arm: (summary["rates"]["chosen"][arm], 7, pytest.approx(np.mean(found))) for arm, found in values.items()
    }
