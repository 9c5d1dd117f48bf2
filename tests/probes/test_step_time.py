"""Step time, on a clock that only calls move: turns, the first call apart, and the median."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from normlab.errors import InputError
from normlab.probes.step_time import step_times
from normlab.train.turns import turn_order


class Machine:
    """A clock, and steps that take a given number of seconds each time they are called."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[str] = []

    def clock(self) -> float:
        return self.now

    def step(self, name: str, seconds: list[float]) -> Callable[[], np.ndarray]:
        left = iter(seconds)

        def call() -> np.ndarray:
            self.calls.append(name)
            self.now += next(left)
            return np.zeros(1)

        return call


def test_steps_take_turns_each_warmed_up_and_the_first_call_is_kept_apart() -> None:
    machine = Machine()
    warm = 7.0
    steps = {name: machine.step(name, [100.0, warm, 1.0, warm, 2.0, warm, 3.0, warm, 4.0]) for name in "abc"}
    found = step_times(steps, num_rounds=4, clock=machine.clock)
    rounds = ["".join(name * 2 for name in turn_order("abc", number)) for number in range(4)]
    assert "".join(machine.calls) == "abc" + "".join(rounds)
    assert {name: time.first_seconds for name, time in found.items()} == dict.fromkeys("abc", 100.0)
    assert found["a"].seconds == (1.0, 2.0, 3.0, 4.0)
    assert found["a"].median == 2.5


def test_a_pause_of_the_machine_does_not_move_the_median() -> None:
    machine = Machine()
    found = step_times(
        {"one": machine.step("one", [9.0, 7.0, 1.0, 7.0, 50.0, 7.0, 1.0])}, num_rounds=3, clock=machine.clock
    )
    assert found["one"].median == 1.0


def test_it_waits_for_what_a_compiled_step_returns() -> None:
    import jax
    import jax.numpy as jnp

    step = jax.jit(lambda x: jnp.sin(x) @ x)
    found = step_times({"sin": lambda: step(jnp.ones((4, 4)))}, num_rounds=2)
    assert len(found["sin"].seconds) == 2
    assert min(found["sin"].seconds) > 0


@pytest.mark.parametrize(("steps", "rounds", "message"), [({}, 1, "at least one step"), ({"a": int}, 0, "got 0")])
def test_no_steps_and_no_rounds_are_refused(steps: dict, rounds: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        step_times(steps, num_rounds=rounds)
