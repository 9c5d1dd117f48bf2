"""Schedules of the learning rate: a factor per step, which multiplies the rate of each run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp


@dataclass(frozen=True)
class Schedule:
    """The factor of the learning rate at every step of a training.

    Over the first W steps it rises in a line from 0, f(s) = s / W (Goyal et al. 2017, arXiv:1706.02677, section 2.2,
    who begin at the rate of one worker). Over the T - W steps that follow it is the decay's, see `SCHEDULES`. Steps
    are counted from 0, as Keras's optimizers count them.

    Attributes:
        decay: A name in `SCHEDULES`.
        total_steps: T, all steps of the training.
        warmup_steps: W.
    """

    decay: str = "constant"
    total_steps: int = 1
    warmup_steps: int = 0

    @property
    def is_constant(self) -> bool:
        """Whether the factor is 1 at every step."""
        return self.decay == "constant" and not self.warmup_steps

    def factor(self, step: Any) -> Any:
        """Return the factor at a step (int32, may be traced), float32 of the same shape."""
        elapsed = step - self.warmup_steps
        decayed = SCHEDULES[self.decay](elapsed, max(self.total_steps - self.warmup_steps, 1))
        if not self.warmup_steps:
            return decayed
        return jnp.where(elapsed < 0, step / jnp.float32(self.warmup_steps), decayed)


CONSTANT = Schedule()


def schedule_for(decay: str, warmup: float, epochs: int, steps_per_epoch: int) -> Schedule:
    """Return the schedule of a training of some epochs; `warmup` is in epochs, rounded to whole steps, at least one."""
    warmup_steps = max(round(warmup * steps_per_epoch), 1) if warmup else 0
    return Schedule(decay, epochs * steps_per_epoch, warmup_steps)


def constant(elapsed: Any, _: int) -> Any:
    """Return 1."""
    return jnp.ones_like(elapsed, jnp.float32)


def cosine(elapsed: Any, total: int) -> Any:
    """Return (1 + cos(pi elapsed / total)) / 2: Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts."""
    return 0.5 * (1 + jnp.cos(math.pi * elapsed / jnp.float32(total)))


def step(elapsed: Any, total: int) -> Any:
    """Return 1, a tenth from 50 % of the steps, a hundredth from 75 %: He et al. 2016, arXiv:1512.03385, section 4.2.

    There: after 32,000 and 48,000 of 64,000 steps. The comparison is of whole numbers, so no rounding moves a fall.
    """
    return jnp.where(2 * elapsed < total, 1.0, jnp.where(4 * elapsed < 3 * total, 0.1, 0.01)).astype(jnp.float32)


# From the steps since the warm-up (from 0) and their number to the factor.
SCHEDULES: dict[str, Callable[[Any, int], Any]] = {"constant": constant, "cosine": cosine, "step": step}
