"""The factors in which two arms differ, and the networks of every combination."""

from __future__ import annotations

from typing import Any

import keras
import pytest

from normlab.attribute.factors import all_combinations, combinations, factors_of
from normlab.errors import InputError
from normlab.models import mlp
from normlab.replicate.notebook import notebook_study
from normlab.study.design import Study, make_study


def _study(*arms: Any, **settings: Any) -> Study:
    return make_study({"arms": list(arms), "network": {"widths": [8]}, **settings})


def test_the_notebooks_arms_differ_in_four_factors() -> None:
    study = notebook_study(10, 10, None)
    factors = factors_of(study)
    assert sorted(factor.name for factor in factors) == ["activation", "hidden norm", "initializer", "input norm"]
    every = all_combinations(study, factors)
    assert len(every.arms) == 16
    assert [every.arms[0].name, every.arms[-1].name] == [arm.name for arm in study.arms]
    assert set(combinations(study, factors).values()) == {arm.name for arm in every.arms}
    assert (every.epochs, every.seeds, every.rates) == (study.epochs, study.seeds, study.rates)


def test_the_ends_are_the_two_arms_networks() -> None:
    """Layer by layer: only identities come and go."""
    study = notebook_study(10, 10, None)
    every = all_combinations(study, factors_of(study))
    for given, made in ((study.arms[0], every.arms[0]), (study.arms[1], every.arms[-1])):
        one = mlp(given.build_norm(), (28, 28), 10, **study.network_of(given))
        other = mlp(made.build_norm(), (28, 28), 10, **every.network_of(made))
        kept = [[x for x in net.layers if not isinstance(x, keras.layers.Identity)] for net in (one, other)]
        assert [(type(x), x.name) for x in kept[0]] == [(type(x), x.name) for x in kept[1]]
        assert [tuple(v.shape) for v in one.variables] == [tuple(v.shape) for v in other.variables]


def test_a_norm_on_the_input_alone_is_a_combination() -> None:
    study = notebook_study(10, 10, None)
    every = all_combinations(study, factors_of(study))
    arm = next(arm for arm in every.arms if arm.name == "input norm")
    net = mlp(arm.build_norm(), (4,), 3, **every.network_of(arm))
    kinds = [type(layer).__name__ for layer in net.layers if not isinstance(layer, keras.layers.Identity)]
    assert kinds == ["BatchNormalization", "Dense", "LeakyReLU", "Dense", "LeakyReLU", "Dense"]


def test_two_norms_are_one_factor() -> None:
    study = _study("batch", {"norm": "group", "groups": 4, "activation": "tanh"})
    norm, activation = factors_of(study)
    assert (norm.name, norm.off, norm.on) == ("norm", {"norm": "batch"}, {"norm": "group", "groups": 4})
    assert (activation.off, activation.on) == ({"activation": "relu"}, {"activation": "tanh"})
    every = all_combinations(study, [norm, activation])
    assert [(arm.norm, every.network_of(arm)["activation"]) for arm in every.arms] == [
        ("batch", "relu"),
        ("group", "relu"),
        ("batch", "tanh"),
        ("group", "tanh"),
    ]
    assert [arm.build_norm().options.get("groups") for arm in every.arms] == [None, 4, None, 4]


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        (["none", "batch", "layer"], "needs two arms"),
        (["layer", "batch"], r"must differ in 2 to 6 factors, got 1 \(norm\); use normlab run"),
        (["layer", {"norm": "layer", "name": "again"}], r"got 0 \(\)"),
    ],
)
def test_refusals(arms: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        factors_of(_study(*arms))
