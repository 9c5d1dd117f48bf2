"""`normlab.compare`: arrays and a model function in, a result out; what does not fit leaves nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt
import keras
import numpy as np
import pytest

import normlab
from normlab import InputError, Result, compare
from normlab.norms import Norm
from normlab.study.progress import Progress
from normlab.study.store import DamageWarning
from tests.command import Finished

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 3)).astype(np.float32)
Y = (X @ [1.0, -2.0, 0.5] > 0).astype(np.int64)
SETTINGS: dict[str, Any] = {"rates": 0.1, "seeds": 2, "epochs": 2, "batch_size": 16}


def network(norm: Norm) -> keras.Model:
    """Return what a user writes: a network with a place for a norm, and a Dropout layer."""
    return keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(8, use_bias=not norm.cancels_bias),
            norm(),
            keras.layers.ReLU(),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(2),
        ]
    )


def wider(norm: Norm) -> keras.Model:
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(9), norm(), keras.layers.Dense(2)])


@pytest.fixture(scope="module")
def told() -> list[Progress]:
    return []


@pytest.fixture(scope="module")
def result(told: list[Progress], tmp_path_factory: pytest.TempPathFactory) -> Result:
    return compare((X, Y), network, out=tmp_path_factory.mktemp("compare") / "out", watch=told.append, **SETTINGS)


def test_a_users_network_on_arrays_gives_a_result(result: Result) -> None:
    assert result.records.summary["pairing"]["initial_values_equal"] is True
    # The last Dense and the first kernel are shared; the first bias is the arm's without a norm alone.
    assert len(result.records.summary["pairing"]["shared_parameters"]) == 3
    assert sorted(result.runs["arm"]) == ["batch", "batch", "none", "none"]
    assert result.epochs.height == 4 * 2
    table = result.summary()
    running, recomputed = (table.filter(statistics=kind)["metric"].to_list() for kind in ("running", "recomputed"))
    assert running == ["test_accuracy", "test_loss", "epochs_to_target", "seconds_per_step"]
    assert recomputed == ["test_accuracy", "test_loss"]
    assert {"arm", "baseline", "difference", "ci_low", "ci_high", "pairs", "verdict"} <= set(table.columns)
    means = {arm: own["test_accuracy"].mean() for (arm,), own in result.runs.group_by("arm")}
    assert table["difference"][0] == pytest.approx(means["batch"] - means["none"])
    assert "batch" in repr(result)
    assert str(result.folder) in repr(result)


def test_who_watches_is_told_after_every_epoch_of_every_arm(result: Result, told: list[Progress]) -> None:
    assert [(now.arm, now.epoch) for now in told] == [("none", 1), ("batch", 1), ("none", 2), ("batch", 2)]
    assert [now.run_epochs_done for now in told] == [2, 4, 6, 8]
    assert {(now.stage, now.runs_total, now.run_epochs_total) for now in told} == {("report", 4, 8)}


def test_verdicts_are_asked_for_by_metric_arm_and_rate(finished: Finished) -> None:
    result = Result(finished.folder)
    rows = [row for row in result.records.summary["comparisons"] if row["statistics"] == "running"]
    for row in rows:
        assert result.verdict(row["metric"], row["arm"], row["rate"]) == row["verdict"]
    assert result.verdict() == rows[0]["verdict"]
    assert result.verdict("test_loss") == next(row["verdict"] for row in rows if row["metric"] == "test_loss")
    for wanted in ({"metric": "speed"}, {"arm": "bathc"}, {"rate": 0.5}):
        with pytest.raises(InputError, match=r"a verdict must be of a comparison that was made, got .*; choose among"):
            result.verdict(**wanted)


def test_charts_and_pages_are_made_where_asked(finished: Finished, tmp_path: Path) -> None:
    result = Result(finished.folder)
    drawn = result.plot()
    assert isinstance(drawn, alt.TopLevelMixin)
    assert drawn.to_dict()["$schema"]
    path = result.report(tmp_path / "page.html")
    assert path == tmp_path / "page.html"
    assert "<svg" in path.read_text(encoding="utf-8")
    with pytest.raises(InputError, match=r"the report must be writable, got .*no/page\.html"):
        result.report(tmp_path / "no" / "page.html")


def test_a_folder_without_a_study_has_no_result(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"got .* without manifest\.json"):
        Result(tmp_path)


def test_the_same_call_reads_the_finished_study(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    from normlab.study import stages

    def never(*_: object) -> None:
        raise AssertionError("a complete study was trained again")

    monkeypatch.setattr(stages, "set_up", never)
    again = compare((X, Y), network, out=result.folder, **SETTINGS)
    assert again.runs.equals(result.runs)


OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "other data": ({"data": (X + 1e-3, Y), "model": network}, r"differs in data\.hashes\."),
    "another network": ({"data": (X, Y), "model": wider}, r"differs in models\.batch, models\.none\)"),
    "another split": ({"data": (X, Y), "model": network, "split_seed": 1}, r"study\.split_seed"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_folder_of_another_study_is_refused(case: str, result: Result) -> None:
    changes, message = OTHERS[case]
    before = {path: path.read_bytes() for path in result.folder.iterdir() if path.is_file()}
    with pytest.raises(InputError, match=message):
        compare(**{**SETTINGS, **changes}, out=result.folder)
    assert {path: path.read_bytes() for path in result.folder.iterdir() if path.is_file()} == before


def test_lost_records_are_made_again_from_the_parts(result: Result, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(result.folder, folder)
    (folder / "runs.parquet").unlink()
    with pytest.warns(DamageWarning, match=r"runs\.parquet is damaged: it is gone"):
        again = compare((X, Y), network, out=folder, **SETTINGS)
    assert again.runs.equals(result.runs)
    (folder / "summary.json").write_text("{")
    with pytest.warns(DamageWarning, match=r"summary\.json is damaged: 1 bytes where"):
        again = compare((X, Y), network, out=folder, **SETTINGS)
    assert again.runs.equals(result.runs)


def _with_nan(x: np.ndarray) -> np.ndarray:
    changed = x.copy()
    changed[3, 1] = np.nan
    return changed


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no model": ({"model": lambda norm: 3}, r"a model function must return a Keras model, got int"),
    "unbuilt model": (
        {"model": lambda norm: keras.Sequential([keras.layers.Dense(2)])},
        r"a model function must return a built model, got .*; begin it with keras\.Input",
    ),
    "outputs": (
        {"model": lambda norm: keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])},
        r"the model's output shape must be \(2,\) for arrays, got \(3,\)",
    ),
    "model of another type": ({"model": 3}, r"model must be a name or a function, got int"),
    "model name": ({"model": "mpl"}, r"model must be a known name, got 'mpl'; choose one of mlp"),
    "network options with a function": (
        {"model": network, "network": {"widths": (8,)}},
        r"a model of your own must be the whole network, got the network options widths; leave them out",
    ),
    "options of an arm with a function": (
        {"model": network, "arms": ["none", {"norm": "batch", "activation": "tanh"}]},
        r"every setting must be a known one, got activation in an arm; choose among norm, name, ",
    ),
    "data of another type": ({"data": 3}, r"data must be a name, a path, a pair"),
    "nan in data": (
        {"data": (_with_nan(X), Y)},
        r"x must hold finite numbers, .*\(nan\) at \(3, 1\)",
    ),
    "rates": ({"rates": [0.1, 0.1]}, r"rates must differ"),
    "batch size": ({"batch_size": 53}, r"last batch of one \(54 samples\)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_leave_nothing_behind(case: str, tmp_path: Path) -> None:
    changes, message = WRONG[case]
    arguments = {"data": (X, Y), "network": {"widths": (8,)}, **SETTINGS, **changes}
    if callable(arguments.get("model")) and "network" not in changes:
        del arguments["network"]
    with pytest.raises(InputError, match=message) as caught:
        compare(**arguments, out=tmp_path / "deep" / "out")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_package_gives_its_public_names() -> None:
    assert set(normlab.__all__) == {"InputError", "Result", "__version__", "compare"}
    assert all(hasattr(normlab, name) for name in normlab.__all__)
