"""Whether a study's pairs can decide anything: known from the number of pairs and of comparisons, before training."""

from __future__ import annotations

from normlab.errors import InputError
from normlab.stats.betting import fewest_pairs
from normlab.stats.sign_flip import smallest_p_value
from normlab.study.design import Study
from normlab.study.seeds import FIRST_LOOK

ALPHA = 0.05


def fewest_deciding_pairs(num_comparisons: int, *, looks: bool = False) -> int:
    """Return the fewest pairs that can show a difference in one of several arms compared with the baseline.

    With a fixed number n of pairs, Holm's correction raises the smallest sign-flip p of k comparisons to 2 k / 2^n.
    With looks, k confidence sequences at the level alpha / k each must be able to exclude 0, not before the
    first look.
    """
    if looks:
        return max(FIRST_LOOK, fewest_pairs(ALPHA / num_comparisons))
    number = 1
    while num_comparisons * smallest_p_value(number) > ALPHA:
        number += 1
    return number


def require_decisive(study: Study) -> list[str]:
    """Return a line for a study whose pairs can show no difference, if that number was asked for; no line otherwise.

    Raises:
        InputError: If the number is a default: nobody chose it, so nothing is trained.
    """
    num_comparisons = len(study.arms) - 1
    looks = study.seeds == "auto"
    fewest = fewest_deciding_pairs(num_comparisons, looks=looks)
    if study.most_seeds >= fewest:
        return []
    option = "--max-seeds" if looks else "--seeds"
    name = option[2:].replace("-", "_")
    takes_auto = not looks and (study.tuned or len(study.grid) == 1)
    offers = f"{option} {fewest}" + (" or --seeds auto" if takes_auto else "")
    comparisons = f"{num_comparisons} comparison{'s' if num_comparisons > 1 else ''} with the baseline"
    if name not in study.model_fields_set:
        raise InputError(
            f"at least {fewest} pairs must be trained to show a difference in {comparisons}",
            f"{study.most_seeds} by default",
            f"give {offers}; or {option} {study.most_seeds} to train these all the same",
        )
    best = "" if looks else f" (corrected p at best {num_comparisons * smallest_p_value(study.most_seeds):.3g})"
    pairs = f"{study.most_seeds} pair{'s' if study.most_seeds > 1 else ''}"
    return [f"{pairs} can never show a difference in {comparisons}{best}; {fewest} can: {offers}."]
