"""How many pairs can decide: against the p-values themselves, and what is said before training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from normlab.errors import InputError
from normlab.stats.sequential import sequential_verdict
from normlab.stats.verdict import judge, paired_effect
from normlab.study.design import Study, make_study
from normlab.study.reach import fewest_deciding_pairs, require_decisive


def _study(num_arms: int, **settings: Any) -> Study:
    arms = [{"norm": "none", "name": f"arm {number}"} for number in range(num_arms)]
    return make_study({"arms": arms, "rates": 0.1, **settings})


@pytest.mark.parametrize("num_comparisons", [1, 2, 3, 6, 30])
def test_the_fewest_pairs_are_those_whose_best_outcome_is_decided(num_comparisons: int) -> None:
    fewest = fewest_deciding_pairs(num_comparisons)
    decided = []
    for num_pairs in (fewest - 1, fewest):
        clear = np.linspace(1.0, 1.1, num_pairs)
        effect = paired_effect(clear, np.zeros(num_pairs), margin=0.1, higher_is_better=True, num_resamples=99)
        judged = judge([effect] * num_comparisons, correction="holm")
        decided.append([one.verdict for one in judged] == ["better"] * num_comparisons)
        assert [one.decidable for one in judged] == [decided[-1]] * num_comparisons
    assert decided == [False, True]


@pytest.mark.parametrize("num_comparisons", [1, 3, 400])
def test_so_it_is_with_looks(num_comparisons: int) -> None:
    fewest = fewest_deciding_pairs(num_comparisons, looks=True)
    found = [
        sequential_verdict(np.ones(n), margin=0.1, alpha=0.05 / num_comparisons, first_look=10).verdict
        for n in (fewest - 1, fewest)
    ]
    assert found == ["undecided", "better"]


def test_a_study_that_can_decide_is_told_nothing() -> None:
    for study in (_study(2, seeds=6), _study(3, seeds=7), _study(3), _study(2, seeds="auto"), _study(26)):
        assert require_decisive(study) == []


def test_too_few_pairs_that_were_asked_for_are_trained_after_a_line() -> None:
    assert require_decisive(_study(3, seeds=6)) == [
        "6 pairs can never show a difference in 2 comparisons with the baseline (corrected p at best 0.0625); 7 can: "
        "--seeds 7 or --seeds auto."
    ]
    assert require_decisive(_study(2, seeds=1)) == [
        "1 pair can never show a difference in 1 comparison with the baseline (corrected p at best 1); 6 can: "
        "--seeds 6 or --seeds auto."
    ]
    several = require_decisive(_study(2, seeds=5, rates=[0.1, 0.2]))[0]
    assert several.endswith("6 can: --seeds 6.")  # "auto" needs one rate
    looks = require_decisive(_study(400, seeds="auto", max_seeds=10))
    assert len(looks) == 1
    assert "--max-seeds" in looks[0]


def test_too_few_pairs_that_nobody_chose_are_refused_with_what_works() -> None:
    with pytest.raises(InputError) as refused:
        require_decisive(_study(40))
    assert str(refused.value) == (
        "at least 11 pairs must be trained to show a difference in 39 comparisons with the baseline, got 10 by "
        "default; give --seeds 11 or --seeds auto; or --seeds 10 to train these all the same."
    )
    assert require_decisive(_study(40, seeds=11)) == []
    assert require_decisive(_study(40, seeds="auto")) == []
    assert len(require_decisive(_study(40, seeds=10))) == 1
