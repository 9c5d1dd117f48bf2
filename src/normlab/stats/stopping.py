"""When to stop adding pairs: as soon as every confirmatory comparison is decided, or the budget is spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from normlab.stats.betting import fewest_pairs
from normlab.stats.sequential import SequentialVerdict, sequential_verdict


@dataclass(frozen=True)
class Comparison:
    """A confirmatory comparison with its differences so far.

    Attributes:
        name: Of the comparison, unique among those of the study.
        differences: Arm - baseline, shape (n,), in the order in which the pairs came.
        margin: Differences smaller than this were declared negligible beforehand.
        higher_is_better: Whether a positive difference is an improvement.
        resolution: What all differences are multiples of; see `equivalence.tost_p_value`.
    """

    name: str
    differences: ArrayLike = field(repr=False)
    margin: float
    higher_is_better: bool = True
    resolution: float | None = None


@dataclass(frozen=True)
class NextAction:
    """What to do after a look.

    Attributes:
        verdicts: Of every comparison, by name, each at the level alpha / (number of comparisons).
        pairs_to_add: How many pairs to train next; 0 to stop.
        reason: One sentence.
    """

    verdicts: dict[str, SequentialVerdict]
    pairs_to_add: int
    reason: str

    @property
    def go_on(self) -> bool:
        """Whether to add pairs."""
        return self.pairs_to_add > 0

    @property
    def decided(self) -> tuple[str, ...]:
        """Names of the comparisons with a verdict."""
        return tuple(name for name, judged in self.verdicts.items() if judged.verdict != "undecided")

    @property
    def undecided(self) -> tuple[str, ...]:
        """Names of the comparisons without one."""
        return tuple(name for name, judged in self.verdicts.items() if judged.verdict == "undecided")


def next_action(
    comparisons: Sequence[Comparison], *, budget: int, chunk: int, alpha: float = 0.05, first_look: int = 1
) -> NextAction:
    """Judge every comparison on its pairs so far and say whether to train more.

    All k comparisons stand in one family: each is judged at the level alpha / k, so the chance that any of them ever
    gets a wrong verdict is at most alpha, however often one looks and whatever decides when to stop (Bonferroni, over
    k confidence sequences that hold together). Holm's step-down does not carry over: it may relax the level once a
    null is rejected because that one can't be rejected wrongly any more, but a comparison called *equivalent* here
    could have been called *better* wrongly instead.

    Args:
        comparisons: With the same pairs.
        budget: The most pairs.
        chunk: How many are trained at a time.
        alpha: Of the family.
        first_look: Pairs before which no verdict may come.

    Raises:
        ValueError: If there is no comparison, two share a name, they differ in their number of pairs, `budget` or
            `chunk` is below 1, or as `sequential_verdict`.
    """
    if not comparisons:
        raise ValueError("comparisons must hold at least one, got none.")
    names = [comparison.name for comparison in comparisons]
    if len(set(names)) < len(names):
        raise ValueError(f"comparisons must have different names, got {names}.")
    sizes = {np.asarray(comparison.differences).size for comparison in comparisons}
    if len(sizes) > 1:
        raise ValueError(f"comparisons must have the same number of pairs, got {sorted(sizes)}.")
    for name, number in (("budget", budget), ("chunk", chunk)):
        if number < 1:
            raise ValueError(f"{name} must be at least 1, got {number!r}.")
    level = alpha / len(comparisons)
    verdicts = {
        comparison.name: sequential_verdict(
            comparison.differences,
            margin=comparison.margin,
            alpha=level,
            higher_is_better=comparison.higher_is_better,
            first_look=first_look,
            resolution=comparison.resolution,
        )
        for comparison in comparisons
    }
    return _decide(verdicts, sizes.pop(), budget, chunk, max(fewest_pairs(level), first_look))


def _decide(verdicts: dict[str, SequentialVerdict], num_pairs: int, budget: int, chunk: int, fewest: int) -> NextAction:
    num_open = sum(judged.verdict == "undecided" for judged in verdicts.values())
    count = f"{num_open} of {len(verdicts)} comparisons"
    if num_open == 0:
        every = "The comparison is" if len(verdicts) == 1 else f"All {len(verdicts)} comparisons are"
        return NextAction(verdicts, 0, f"{every} decided after {num_pairs} pairs.")
    if num_pairs >= budget:
        short = f"; fewer than {fewest} pairs can't decide any" if budget < fewest else ""
        return NextAction(verdicts, 0, f"The budget of {budget} pairs is spent with {count} undecided{short}.")
    added = min(chunk, budget - num_pairs)
    return NextAction(verdicts, added, f"{count} undecided after {num_pairs} of at most {budget} pairs.")
