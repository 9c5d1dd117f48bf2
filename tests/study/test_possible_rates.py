"""A tuned study from the search to the verdict: rates beyond the grid, fresh runs at every possible rate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from normlab.compare import prepare_training
from normlab.report.cautions import open_rates
from normlab.stats.choices import under_every_choice
from normlab.stats.verdict import judge, paired_effect
from normlab.study import execute, laboratory
from normlab.study.design import make_study
from normlab.study.limits import Limits
from normlab.study.progress import Interrupted, Progress, ignore_progress
from normlab.study.rates import choose_rates
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
    for arm, rates in possible.items():
        assert summary["rates"]["chosen"][arm] == rates[0]
        own = runs.filter((pl.col("arm") == arm) & (pl.col("stage") != "tuning"))
        found = {
            rate: (part["stage"].unique().to_list(), sorted(part["seed"])) for (rate,), part in own.group_by("rate")
        }
        stages = ["report"] + ["alternative"] * (len(rates) - 1)
        assert found == {rate: ([stage], list(range(7))) for rate, stage in zip(rates, stages, strict=True)}
    assert sorted(epochs["run"].unique()) == sorted(runs["run"])
    assert summary["pairing"]["initial_values_equal"]
    assert summary["pairing"]["orders_equal"]
    said = open_rates(summary)
    assert [arm for arm, rates in possible.items() if len(rates) > 1 and arm in said[0]]


def test_the_verdict_holds_under_every_combination(finished: tuple[dict[str, Any], pl.DataFrame, Any]) -> None:
    summary, runs, _ = finished
    possible, fresh = summary["rates"]["possible"], runs.filter(pl.col("stage") != "tuning").sort("seed")

    def accuracies(arm: str, rate: float) -> Any:
        return fresh.filter((pl.col("arm") == arm) & (pl.col("rate") == rate))["test_accuracy"].to_numpy()

    effects = [
        paired_effect(accuracies("batch", own), accuracies("none", other), margin=0.005, higher_is_better=True)
        for own in possible["batch"]
        for other in possible["none"]
    ]
    expected = judge([under_every_choice(effects)], correction="holm")[0]
    row = summary["comparisons"][0]
    assert (row["rate"], row["verdict"], row["choices"]) == ("tuned", expected.verdict, len(effects))
    assert (row["difference"], row["p_value"]) == (expected.effect.difference, expected.effect.p_value)
    assert (row["ci_low"], row["ci_high"]) == (expected.effect.ci_low, expected.effect.ci_high)
