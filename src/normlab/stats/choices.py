"""Comparisons that rest on a choice: made under every choice that could have been, and decided only if all agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from normlab.stats.effect import Effect


def under_every_choice(effects: Sequence[Effect]) -> Effect:
    """Return one effect that says better, worse or equivalent only if the effect under every choice does.

    The difference and the values are those of the first, the choice that was made. The interval reaches from the lowest
    to the highest bound, and the p-values are the largest: an intersection-union test, valid as it stands (Berger 1982,
    Technometrics 24, 295-300). Where two effects point in opposite directions, p is 1.

    Raises:
        ValueError: For no effect.
    """
    if not effects:
        raise ValueError("effects must hold at least one, got none.")
    first = effects[0]
    signs = {effect.difference > 0 for effect in effects if effect.difference}
    return replace(
        first,
        ci_low=min(effect.ci_low for effect in effects),
        ci_high=max(effect.ci_high for effect in effects),
        p_value=_largest([effect.p_value for effect in effects], at_least=1.0 if len(signs) > 1 else 0.0),
        p_equivalence=_largest([effect.p_equivalence for effect in effects]),
        deviation=None if first.deviation is None else max(effect.deviation or 0.0 for effect in effects),
    )


def _largest(p_values: Sequence[float | None], at_least: float = 0.0) -> float | None:
    known = [p for p in p_values if p is not None]
    return max(at_least, *known) if len(known) == len(p_values) else None
