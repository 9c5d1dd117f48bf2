"""Rates of runs of a claim's own: where the best is searched for, and what else may be it."""

from __future__ import annotations

from typing import Any

import pytest

from normlab.claims.search import search
from tests.claims.conftest import Scripted


def _found(best: dict[int, float], grid: tuple[float, ...] = (0.01, 0.03, 0.1)) -> tuple[tuple[float, ...], Scripted]:
    """Search where each seed does best at a rate of its own."""

    def error(program: Any, seed: int, rate: float, order: Any) -> tuple[float, float]:
        return 1.0, 0.5 * (rate != best[seed]) + abs(rate - best[seed]) / 10

    bench = Scripted(error)
    found = search(bench, bench.program("none"), grid, list(best), 3, order=None)  # type: ignore[arg-type]
    return found, bench


@pytest.fixture(autouse=True)
def _as_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("normlab.claims.search.with_settled_validation", lambda _program, trained: trained)


def test_seeds_that_agree_leave_one_rate() -> None:
    found, bench = _found({7: 0.03, 8: 0.03, 9: 0.03})
    assert found == (0.03,)
    assert bench.trained[0]["seeds"] == [7, 8, 9] * 3
    assert bench.trained[0]["rates"] == [0.01] * 3 + [0.03] * 3 + [0.1] * 3
    assert [made["epochs"] for made in bench.trained] == [3]


def test_seeds_that_differ_leave_all_their_rates() -> None:
    assert set(_found({7: 0.03, 8: 0.03, 9: 0.1}, (0.01, 0.03, 0.1, 0.3))[0]) == {0.03, 0.1}


@pytest.mark.parametrize(("best", "tried"), [(0.3, [[0.3], [1.0]]), (0.003, [[0.003], [0.001]])])
def test_a_grid_goes_on_beyond_its_edge(best: float, tried: list[list[float]]) -> None:
    found, bench = _found({7: best, 8: best})
    assert found == (best,)
    assert [sorted(set(made["rates"])) for made in bench.trained[1:]] == tried
