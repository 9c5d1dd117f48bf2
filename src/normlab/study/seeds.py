"""How many seeds a study takes: pairs reported on, a number or as many as the answer needs, and seeds that tune."""

from __future__ import annotations

from typing import Any, Literal

from normlab.errors import InputError

# Eight pairs reach p = 2 / 2^8 = 0.008 in an exact two-sided sign-flip test: enough for a verdict at a shared rate when
# two of the seven rates of a grid show a difference (Benjamini-Hochberg asks for 0.05 * 2 / 7 = 0.014). A study of
# fewer seeds tunes with as many as it reports on.
TUNING_SEEDS = 8
# Tuning seeds start here, so that the seeds reported on are fresh.
FIRST_TUNING_SEED = 1_000_000
# The first look of `seeds = "auto"`. The statistics could decide after six pairs, where it takes no more than six equal
# differences; on a small test set, where a difference takes few values, chance gives such six too often, and the
# figures beside the answer would rest on six runs.
FIRST_LOOK = 10
# The budget of `seeds = "auto"`: a difference of 0.7 of its deviations, or none at a margin of 0.7, is decided within
# it in nearly four studies of five (docs/statistics.md: 35 and 43 pairs).
MAX_SEEDS = 40

Seeds = int | Literal["auto"]


def resolved_budget(seeds: Seeds, max_seeds: int | None, rates: Any) -> int | None:
    """Return the most pairs of a study whose seeds are "auto", by default `MAX_SEEDS`; None where they are a number.

    Raises:
        InputError: For a budget without "auto", or "auto" where several rates are given: the answer is at one.
    """
    if seeds != "auto":
        if max_seeds is not None:
            raise InputError("max_seeds must be left out unless seeds is auto", max_seeds, "leave it out")
        return None
    if rates != "tuned" and len(rates) > 1:
        rule = "seeds can be auto only where rates are tuned or one is given"
        raise InputError(rule, f"{len(rates)} rates", "give one rate, or a number of seeds")
    return MAX_SEEDS if max_seeds is None else max_seeds


def default_tuning_seeds(given: dict[str, Any]) -> int:
    """Return `TUNING_SEEDS`, or as many as are reported on where those are fewer; a wrong `seeds` is absent."""
    seeds = given.get("seeds", TUNING_SEEDS)
    return TUNING_SEEDS if seeds == "auto" else min(TUNING_SEEDS, seeds)
