"""How long running statistics take to settle."""

from __future__ import annotations

import pytest

from normlab.norms.settling import LEFT_IF_SETTLED, USUAL_MOMENTA, settling_momentum, steps_until_settled


@pytest.mark.parametrize(
    ("momentum", "num_moves", "expected"),
    [(0.99, 30, 0.9), (0.99, 100, 0.95), (0.999, 300, 0.99), (0.99, 6, 0.6), (0.99, 4, None), (0.9, 20, 0.8)],
)
def test_the_largest_usual_momentum_that_settles_in_time(
    momentum: float, num_moves: int, expected: float | None
) -> None:
    found = settling_momentum(momentum, num_moves)
    assert found == expected
    if found is not None:
        assert found**num_moves <= LEFT_IF_SETTLED
        assert all(m**num_moves > LEFT_IF_SETTLED for m in USUAL_MOMENTA if found < m < momentum)


@pytest.mark.parametrize("momentum", [0.999, 0.99, 0.9, 0.5, 0.06, 0.05, 0.01])
def test_steps_until_settled_are_the_fewest(momentum: float) -> None:
    steps = steps_until_settled(momentum)
    assert momentum**steps <= LEFT_IF_SETTLED
    assert steps == 1 or momentum ** (steps - 1) > LEFT_IF_SETTLED
