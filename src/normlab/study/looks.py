"""Looks: after every chunk of pairs, whether the study's question is decided, and what is recorded of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from normlab.stats.equivalence import fewest_equal_pairs
from normlab.stats.power import MOST_PAIRS, pairs_to_decide
from normlab.stats.sequential import SequentialVerdict
from normlab.stats.stopping import Comparison, NextAction, next_action
from normlab.stats.verdict import Judged, paired_effect
from normlab.study.cells import Chunk
from normlab.study.metrics import ALL_DIVERGED, METRICS, all_diverged, pairs, with_counted_scores
from normlab.study.rates import own_runs
from normlab.study.seeds import FIRST_LOOK

ALPHA = 0.05


class Looks:
    """The looks of a study whose seeds are "auto", in order.

    Every arm's comparison with the baseline on the primary metric is judged by a confidence sequence, whose intervals
    are right at every look. What decides is a function of the records alone, and of the chunks' size: a study that was
    stopped and goes on looks at the same pairs and decides the same.

    Args:
        arms: Names, the baseline first.
        num_rates: At how many rates each seed is trained in every arm; a pair's runs are those that their own
            validation data choose.
        metric: The primary one, "test_accuracy" or "test_loss".
        margin: The study's, of accuracy.
        budget: The most pairs.
        chunk: Pairs per chunk.
        uninformed_loss: The loss of a predictor that knows nothing; what a diverged run counts as rests on it.
        num_test: Samples of the test part: an accuracy is a multiple of 1 / num_test.
    """

    def __init__(
        self,
        arms: Sequence[str],
        num_rates: int,
        metric: str,
        margin: float,
        budget: int,
        chunk: int,
        uninformed_loss: float,
        num_test: int | None = None,
    ) -> None:
        self.baseline, *self.others = arms
        self.num_runs = num_rates * len(arms)  # of a seed
        self.metric = METRICS[metric]
        self.margin = margin if self.metric.margin is None else self.metric.margin
        self.resolution = self.metric.resolution
        if self.resolution is None and num_test is not None:
            self.resolution = 1 / num_test
        self.budget, self.chunk, self.uninformed_loss = budget, chunk, uninformed_loss
        self._values: dict[str, np.ndarray] = {arm: np.empty((2, 0)) for arm in self.others}  # of arm and baseline
        self._chunks: list[tuple[str, int]] = []
        self._seeds: set[int] = set()
        self._lost: list[str] = list(self.others)  # arms all of whose runs diverged, with the baseline's
        self._action: NextAction | None = None
        self._looks: list[dict[str, Any]] = []

    @property
    def level(self) -> float:
        """The chance that one comparison ever gets a wrong verdict is this at most."""
        return ALPHA / len(self.others)

    @property
    def num_pairs(self) -> int:
        """Pairs taken in so far."""
        return len(self._seeds)

    def after(self, chunk: Chunk, runs: pl.DataFrame) -> bool:
        """Take in the pairs that a chunk completes, look once there are `FIRST_LOOK`, and return whether to go on.

        A pair is complete when it was trained at all rates. Its values stay what they were when it came: later runs
        don't change what a diverged run counts as.

        Args:
            chunk: Of the report, or of its alternatives.
            runs: All records of runs so far; those of later chunks are not looked at.
        """
        self._chunks.append((chunk.stage, chunk.start))
        known = pl.any_horizontal(
            pl.col("stage") == "tuning",
            *((pl.col("stage") == stage) & (pl.col("chunk") == start) for stage, start in self._chunks),
        )
        counted = with_counted_scores(runs.filter(known), self.uninformed_loss).filter(pl.col("stage") != "tuning")
        whole = counted.group_by("seed").len().filter(pl.col("len") == self.num_runs)["seed"]
        new = counted.filter(pl.col("seed").is_in(whole.to_list()) & ~pl.col("seed").is_in(list(self._seeds)))
        if new.is_empty():
            return True
        new = own_runs(new)
        for arm in self.others:
            added = np.stack(pairs(new, self.metric.name, arm, self.baseline))
            self._values[arm] = np.concatenate([self._values[arm], added], axis=1)
        self._lost = [arm for arm in self._lost if all_diverged(new, arm, self.baseline)]
        self._seeds |= set(new["seed"])
        return self.num_pairs < FIRST_LOOK or self._look()

    def summary(self) -> dict[str, Any]:
        """Return what summary.json keeps of the looks."""
        last = self._looks[-1]
        return {
            "rule": f"Pairs were added, {self.chunk} at a time, until every arm's {self.metric.label} was told from "
            f"the baseline's or shown to lie inside the margin, or {self.budget} pairs were spent; the first look came "
            f"after at least {FIRST_LOOK}.",
            "first_look": FIRST_LOOK,
            "budget": self.budget,
            "chunk": self.chunk,
            "alpha": self.level,
            "pairs": self.num_pairs,
            "decided": all(verdict["verdict"] != "undecided" for verdict in last["verdicts"].values()),
            "reason": last["reason"],
            "looks": list(self._looks),
        }

    def answers(self) -> dict[str, Judged]:
        """Return the verdict of the last look by arm, with the confidence sequence's interval in its effect."""
        return {arm: self._answer(arm, judged) for arm, judged in self._judged().items()}

    def _look(self) -> bool:
        comparisons = [
            Comparison(arm, arms - baselines, self.margin, self.metric.higher_is_better, self.resolution)
            for arm, (arms, baselines) in self._values.items()
        ]
        action = next_action(comparisons, budget=self.budget, chunk=self.chunk, alpha=ALPHA, first_look=FIRST_LOOK)
        self._action = action
        is_open = any(arm not in self._lost for arm in action.undecided)
        reason = action.reason
        if self._lost and not is_open:
            lost = " and ".join(self._lost)
            reason = (
                f"Every run of {lost} and {self.baseline} diverged in {self.num_pairs} pairs: more would not decide."
            )
        judged = self._judged()
        fields = ("verdict", "difference", "low", "high")
        verdicts = {arm: {name: getattr(one, name) for name in fields} for arm, one in judged.items()}
        self._looks.append({"pairs": self.num_pairs, "verdicts": verdicts, "reason": reason})
        return is_open and action.go_on

    def _judged(self) -> Mapping[str, SequentialVerdict]:
        """Return the last look's verdicts; equal failures are no equivalence."""
        if self._action is None:
            raise ValueError(f"there must have been a look, got {self.num_pairs} pairs.")
        return {
            arm: replace(one, verdict="undecided", reason=ALL_DIVERGED) if arm in self._lost else one
            for arm, one in self._action.verdicts.items()
        }

    def _answer(self, arm: str, judged: SequentialVerdict) -> Judged:
        values, baselines = self._values[arm]
        higher = self.metric.higher_is_better
        effect = paired_effect(
            values,
            baselines,
            margin=self.margin,
            higher_is_better=higher,
            alpha=self.level,
            resolution=self.resolution,
        )
        effect = replace(
            effect,
            ci_low=judged.low,
            ci_high=judged.high,
            p_value=None,
            p_equivalence=None,
            interval="confidence sequence",
        )
        reason = judged.reason
        if judged.verdict == "undecided" and arm not in self._lost and effect.deviation is not None:
            fewest = fewest_equal_pairs(self.margin, effect.resolution, self.level / 2)
            needed = pairs_to_decide(
                effect.difference, effect.deviation, self.margin, alpha=self.level, fewest_equivalent=fewest
            )
            number = f"more than {MOST_PAIRS}" if needed is None else f"about {max(needed, self.num_pairs + 1)}"
            reason += f" A test that looks once would need {number} pairs, looks somewhat more."
        return Judged(effect, judged.verdict, None, reason, None)
