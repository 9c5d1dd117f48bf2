"""The validated study: what it derives, and one line for everything that is wrong with it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from normlab.errors import InputError
from normlab.study.design import make_study, read_study_file
from normlab.train.optimizers import OPTIMIZERS

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown setting": ({"lerning_rate": 1}, r"must be a known one, got lerning_rate; choose among data, "),
    "unknown option of the network": (
        {"network": {"depth": 2}},
        r"got network\.depth; choose among widths, activation, initializer, input_norm, hidden_norm, placement\.",
    ),
    "unknown option of an arm": (
        {"arms": ["none", {"norm": "batch", "width": 3}]},
        r"got width in an arm; choose among norm, name, widths, ",
    ),
    "arm without a norm": ({"arms": ["none", {"name": "a"}]}, r"arms\.1\.norm must be given, got none; add"),
    "unknown norm": ({"arms": ["none", "bathc"]}, r"norm must be a known name, got 'bathc'; choose one of none, batch"),
    "no arm": ({"arms": []}, r"at least two arms, got \[\]"),
    "one arm": ({"arms": ["none"]}, r"at least two arms, got \['none'\]; add one"),
    "arms of one name": ({"arms": ["batch", "batch"]}, r"different names, got \['batch', 'batch'\]; give each its own"),
    "arms as text": ({"arms": "none,batch"}, r"arms must be .* got 'none,batch'"),
    "name over two lines": ({"arms": ["none", {"norm": "batch", "name": "a\nb"}]}, r"one line of text, got 'a\\nb'"),
    "unknown activation": (
        {"network": {"activation": "rleu"}},
        r"activation must .* 'rleu'; choose one of relu, leaky",
    ),
    "unknown activation of an arm": (
        {"arms": ["none", {"norm": "batch", "activation": "rleu"}]},
        r"activation must .* 'rleu'; choose one of relu, leaky",
    ),
    "unknown initializer": ({"network": {"initializer": "he"}}, r"initializer must .* 'he'; choose one of he_normal"),
    "unknown placement": ({"network": {"placement": "in"}}, r"placement must .* 'in'; choose one of before, after"),
    "unknown optimizer": ({"optimizer": "sdg"}, r"optimizer must be 'sgd', 'momentum', 'adam' or 'adamw', got 'sdg'"),
    "unknown schedule": ({"schedule": "cos"}, r"schedule must be 'constant', 'cosine' or 'step', got 'cos'"),
    "warm-up as long as the training": (
        {"warmup": 10, "epochs": 10},
        r"warmup must be shorter than the training of 10 epochs, got 10\.0; shorten the warm-up",
    ),
    "warm-up before the start": ({"warmup": -1}, r"warmup must be greater than or equal to 0, got -1"),
    "warm-up inf": ({"warmup": math.inf}, r"warmup must be a finite number, got inf"),
    "warm-up as a truth value": ({"warmup": True}, r"warmup must be a number, got True"),
    "label smoothing of one": ({"label_smoothing": 1}, r"label_smoothing must be less than 1, got 1"),
    "negative label smoothing": ({"label_smoothing": -0.1}, r"label_smoothing must be greater than or equal to 0"),
    "label smoothing nan": ({"label_smoothing": math.nan}, r"label_smoothing must be .* got nan"),
    "unknown augmentation": ({"augment": "mirror"}, r"'none', 'flip', 'crop' or 'flip-crop', got 'mirror'; change"),
    "columns as text": ({"drop": "id"}, r'drop must be a list of columns, got .id.; give such as \["id"\]'),
    "unknown task": ({"task": "ranking"}, r"task must be 'classification' or 'regression', got 'ranking'"),
    "unknown way with missing values": (
        {"missing": "median"},
        r"missing must be 'error', 'drop', 'mean' or 'category'",
    ),
    "network as a number": ({"network": 3}, r"network must .* got 3"),
    "network option of another type": (
        {"network": {"input_norm": 1}},
        r"input_norm must be true or false, got 1",
    ),
    "widths as text": ({"network": {"widths": "8"}}, r"widths must be a list of whole numbers, got '8'; give one"),
    "unknown model": ({"model": "mpl"}, r"model must be a known name, got 'mpl'; choose one of mlp"),
    "network options of a function": (
        {"model": "function", "network": {"widths": [3]}},
        r"a model of your own must be the whole network, got the network options widths; leave them out",
    ),
    "network options of a function's arm": (
        {"model": "function", "arms": ["none", {"norm": "batch", "widths": [3]}]},
        r"got widths in an arm; choose among norm, name, momentum",
    ),
    "no width": ({"network": {"widths": []}}, r"widths must hold at least one width, .* got \[\]"),
    "width of zero": ({"network": {"widths": [8, 0]}}, r"each from 1 to 100,000, got \[8, 0\]"),
    "width beyond memory": ({"network": {"widths": [10**20]}}, r"each from 1 to 100,000, got \[1000000"),
    "rate of zero": ({"rates": 0}, r"every rate must be a positive number .* got 0\.0; give rates such as"),
    "negative rate": ({"rates": [0.1, -0.1]}, r"every rate must be a positive number .* got -0\.1"),
    "rate nan": ({"rates": math.nan}, r"every rate must be a positive number .* got nan"),
    "rate inf": ({"rates": [math.inf]}, r"every rate must be a positive number .* got inf"),
    "rate that float32 rounds to zero": ({"rates": 1e-60}, r"from 1e-37 to 1e\+38, got 1e-60"),
    "rate twice": ({"rates": [0.1, 0.1]}, r"rates must differ, got \[0\.1, 0\.1\]"),
    "no rate": ({"rates": []}, r"rates must not be empty"),
    "rate as text": ({"rates": "fast"}, r"rates must be tuned or numbers, got 'fast'"),
    "rate as a truth value": ({"rates": True}, r"rates must be tuned or numbers, got True"),
    "no seeds": ({"seeds": 0}, r"seeds must be greater than or equal to 1, got 0"),
    "half a seed": ({"seeds": 1.5}, r"seeds must be a valid integer.*, got 1\.5"),
    "seeds that meet the tuning seeds": ({"seeds": 1_000_001}, r"seeds must be less than or equal to 1000000"),
    "seeds as a word": (
        {"seeds": "many"},
        r"seeds must be a whole number or auto, got 'many'; give seeds such as 10 or",
    ),
    "a budget as a truth value": ({"seeds": "auto", "max_seeds": True}, r"max_seeds must be a number, got True"),
    "probes as text": ({"probes": "gradients"}, r"probes must be a list of names, got 'gradients'; give such as"),
    "a probe that is no name": ({"probes": [3]}, r"probes must be a list of names, got 3"),
    "no tuning seeds": ({"tuning_seeds": 0}, r"tuning_seeds must be greater than or equal to 1, got 0"),
    "seeds as a truth value": ({"seeds": True}, r"seeds must be a number, got True"),
    "no epochs": ({"epochs": 0}, r"epochs must be greater than or equal to 1, got 0"),
    "negative batch size": ({"batch_size": -1}, r"batch_size must be greater than or equal to 1, got -1"),
    "negative split seed": ({"split_seed": -1}, r"split_seed must be greater than or equal to 0, got -1"),
    "margin of zero": ({"margin": 0}, r"margin must be greater than 0, got 0"),
    "margin of one": ({"margin": 1.0}, r"margin must be less than 1, got 1\.0"),
    "margin nan": ({"margin": math.nan}, r"margin must be .* got nan"),
    "reach of zero": ({"reach": 0}, r"reach must be greater than 0, got 0"),
    "reach inf": ({"reach": math.inf}, r"reach must be a finite number, got inf"),
    "data as a number": ({"data": 3}, r"data must be a valid string, got 3"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_settings_are_one_clear_line(case: str) -> None:
    settings, message = WRONG[case]
    with pytest.raises(InputError, match=message) as caught:
        make_study(settings)
    assert "\n" not in str(caught.value)


FILES: dict[str, tuple[bytes, str]] = {
    "broken": (b"seeds = ", r"must be valid TOML, got .*study\.toml: .*; mend that line\."),
    "not text": (b"\xff\xfe\x00", r"must be valid TOML, got .*study\.toml: .*byte 0xff"),
    "setting twice": (b"seeds = 1\nseeds = 2\n", r"must be valid TOML, got .*study\.toml: .*line 2"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_wrong_study_file_is_one_clear_line(case: str, tmp_path: Path) -> None:
    content, message = FILES[case]
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_study_file(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "reason"), [("nowhere.toml", "No such file"), ("", "Is a directory")])
def test_an_absent_study_file_is_named(name: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=rf"the study file must be readable, got .*{name} \({reason}.*; check its path"
    ):
        read_study_file(tmp_path / name)


def test_a_study_file_holds_tables_of_arms(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(
        """
        data = "wine"
        rates = 0.1
        [network]
        widths = [8]
        [[arms]]
        norm = "none"
        [[arms]]
        norm = "batch"
        name = "after"
        placement = "after"
        [[arms]]
        norm = "batch"
        name = "input too"
        input_norm = true
        """
    )
    study = make_study(read_study_file(path))
    assert [arm.name for arm in study.arms] == ["none", "after", "input too"]
    networks = [study.network_of(arm) for arm in study.arms]
    assert [(n["widths"], n["placement"], n["input_norm"]) for n in networks] == [
        ((8,), "before", False),
        ((8,), "after", False),
        ((8,), "before", True),
    ]


def test_an_empty_file_is_the_default_study(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.touch()
    study = make_study(read_study_file(path))
    assert study == make_study({})
    assert (study.data, study.rates, study.margin, study.batch_size) == ("digits", "tuned", 0.005, 32)
    assert study.baseline.name == "none"


@pytest.mark.parametrize(("rates", "grid"), [(0.1, (0.1,)), (1, (1.0,)), ([0.1, 0.01], (0.01, 0.1))])
def test_one_rate_is_a_list_of_one(rates: Any, grid: tuple[float, ...]) -> None:
    study = make_study({"rates": rates})
    assert study.grid == grid
    assert not study.tuned
    assert study.tuning_seed_list == []


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_tuned_searches_the_optimizers_grid(optimizer: str) -> None:
    study = make_study({"optimizer": optimizer, "tuning_seeds": 3})
    assert study.grid == OPTIMIZERS[optimizer].grid
    assert len(study.tuning_seed_list) == 3
    assert not set(study.tuning_seed_list) & set(study.report_seeds)


@pytest.mark.parametrize(
    ("settings", "tuning_seeds"), [({}, 8), ({"seeds": 2}, 2), ({"seeds": 20}, 8), ({"seeds": 2, "tuning_seeds": 5}, 5)]
)
def test_a_small_study_tunes_with_as_many_seeds_as_it_reports_on(settings: dict[str, Any], tuning_seeds: int) -> None:
    study = make_study(settings)
    assert study.tuning_seeds == len(study.tuning_seed_list) == tuning_seeds
    # What was derived is written down: the same study, said in full, is the same.
    assert make_study(study.model_dump(mode="json")) == study


@pytest.mark.parametrize(("settings", "most"), [({}, 40), ({"max_seeds": 25}, 25), ({"max_seeds": 10}, 10)])
def test_auto_has_a_budget(settings: dict[str, Any], most: int) -> None:
    study = make_study({"seeds": "auto", **settings})
    assert (study.max_seeds, study.most_seeds, study.report_seeds) == (most, most, list(range(most)))
    assert study.tuning_seeds == 8
    assert make_study(study.model_dump(mode="json")) == study
    assert make_study({}).max_seeds is None


def test_precise_batch_norm_is_an_arm() -> None:
    study = make_study({"arms": ["batch", {"norm": "precise", "momentum": 0.9}]})
    assert study.arms[1].build_norm().recomputes
    assert study.arms[1].build_norm().options["momentum"] == 0.9


def test_an_arm_takes_the_options_of_its_norm() -> None:
    study = make_study({"arms": ["none", {"norm": "group", "groups": 4, "widths": [8]}]})
    assert study.arms[1].build_norm().options["groups"] == 4
    assert study.network_of(study.arms[1])["widths"] == (8,)
    assert study.arms[1].network == {"widths": [8]}


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ({"norm": "group", "grops": 4}, r"known one, got grops in an arm; choose among .*groups"),
        ({"norm": "no_such_file.py:Mine"}, r"file of a norm must exist"),
    ],
)
def test_an_arm_that_cannot_be_built_is_refused(arm: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_study({"arms": ["none", arm]})
