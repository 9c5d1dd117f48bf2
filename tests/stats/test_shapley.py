"""Shapley values: games worked by hand, and the laws that define them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from normlab.stats.shapley import shapley


def _all(names: str) -> list[frozenset[str]]:
    return [frozenset(c) for size in range(len(names) + 1) for c in itertools.combinations(names, size)]


def test_the_glove_game_worked_by_hand() -> None:
    """One left glove (a), two right ones (b, c): a pair is worth 1. Shares 2/3, 1/6, 1/6."""
    values = {s: [1.0 if "a" in s and s & {"b", "c"} else 0.0] for s in _all("abc")}
    found = shapley(values)
    assert {name: float(share[0]) for name, share in found.shares.items()} == pytest.approx(
        {"a": 2 / 3, "b": 1 / 6, "c": 1 / 6}
    )
    # b alone and c alone each need a; with one of them there, the other adds nothing.
    interactions = {pair: float(value[0]) for pair, value in found.interactions.items()}
    assert interactions == pytest.approx({("a", "b"): 0.5, ("a", "c"): 0.5, ("b", "c"): -0.5})


def test_shares_are_the_mean_gain_over_all_orders_and_add_up() -> None:
    rng = np.random.default_rng(3)
    values = {s: rng.normal(size=5) for s in _all("wxyz")}
    found = shapley(values)
    for factor in "wxyz":
        gains = []
        for order in itertools.permutations("wxyz"):
            before = frozenset(order[: order.index(factor)])
            gains.append(values[before | {factor}] - values[before])
        np.testing.assert_allclose(found.shares[factor], np.mean(gains, axis=0))
    whole = values[frozenset("wxyz")] - values[frozenset()]
    np.testing.assert_allclose(sum(found.shares.values()), whole)


def test_without_interactions_a_share_is_the_factors_own_effect() -> None:
    own = {"a": 1.0, "b": -2.0, "c": 0.0}
    values = {s: [10 + sum(own[name] for name in s)] for s in _all("abc")}
    found = shapley(values)
    assert {name: share[0] for name, share in found.shares.items()} == pytest.approx(own)
    assert [value[0] for value in found.interactions.values()] == pytest.approx([0, 0, 0], abs=1e-12)


def test_misuse() -> None:
    with pytest.raises(ValueError, match=r"all 4 combinations of \['a', 'b'\], got 3"):
        shapley({frozenset(): [0.0], frozenset("a"): [1.0], frozenset("ab"): [2.0]})
    with pytest.raises(ValueError, match="different numbers of pairs"):
        shapley({frozenset(): [0.0], frozenset("a"): [1.0, 2.0]})
    with pytest.raises(ValueError, match="finite"):
        shapley({frozenset(): [0.0], frozenset("a"): [np.nan]})
