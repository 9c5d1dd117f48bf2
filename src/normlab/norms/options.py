"""Options of norms: what each name means, and the bounds that its values keep to."""

from __future__ import annotations

import math
from dataclasses import dataclass

from normlab.errors import InputError

Value = int | float | bool | str


@dataclass(frozen=True)
class Bounds:
    """From `lowest` to `highest`; `open_ends` leaves both out. `whole` numbers are integers."""

    whole: bool
    lowest: float
    highest: float = math.inf
    open_ends: bool = False

    def hold(self, value: object) -> bool:
        """Return whether `value` is a number of this kind within the bounds; booleans are no numbers."""
        kinds = (int,) if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value):
            return False
        return self.lowest < value < self.highest if self.open_ends else self.lowest <= value <= self.highest

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a finite number"
        if self.highest == math.inf:
            return f"{kind} {'above' if self.open_ends else 'of at least'} {self.lowest:g}"
        if self.open_ends:
            return f"{kind} between {self.lowest:g} and {self.highest:g}, both excluded"
        return f"{kind} from {self.lowest:g} to {self.highest:g}"


COUNT = Bounds(whole=True, lowest=0)
SMALL = Bounds(whole=False, lowest=0, highest=1, open_ends=True)
SPREAD = Bounds(whole=False, lowest=0)

BOUNDS = {
    "momentum": SMALL,  # share of a moving value that stays at each step, as Keras counts it
    "epsilon": SMALL,  # added to a variance or a mean square
    "groups": Bounds(whole=True, lowest=1),  # of channels
    "ghost_batch_size": Bounds(whole=True, lowest=2),  # samples; one alone would be normalized to beta
    "warm_up_steps": COUNT,  # training steps with the batch's own statistics
    "freeze_step": COUNT,  # training steps after which the moving statistics stand still
    "r_max": Bounds(whole=False, lowest=1),  # bound of batch renormalization's factor, reached at r_steps
    "d_max": SPREAD,  # bound of its shift, reached at d_steps
    "r_steps": COUNT,
    "d_steps": COUNT,
    "alpha": SPREAD,  # initial slope inside dynamic tanh
    "mean_limit": SPREAD,  # noise: each unit's mean is drawn from -mean_limit to mean_limit at every step
    "scale_limit": Bounds(whole=False, lowest=1),  # and its factor from 1 to scale_limit
    "mean_jitter": SPREAD,  # each sample's mean departs from the unit's by up to this
    "scale_jitter": SPREAD,  # standard deviation of each sample's factor about the unit's
}


def require_option(name: str, value: object) -> None:
    """Raise `InputError` unless `value` is within the bounds of the option `name`."""
    if not BOUNDS[name].hold(value):
        raise InputError(f"{name} must be {BOUNDS[name]}", value, f"change {name}")
