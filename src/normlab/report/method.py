"""The page's last section: by which rules the numbers were made, and what they do not cover."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normlab.report.elements import items, section
from normlab.report.quantities import counted, listed, shown_rate
from normlab.report.stopping import INTERVAL, stopping_rules

if TYPE_CHECKING:
    from normlab.report.records import Records

# Which comparisons are confirmatory: with a number of pairs fixed beforehand, and where looks decided it.
FIXED = (
    "The study’s question, the primary metric at each arm’s own rate or at the first rate given, is confirmatory and "
    "corrected by Holm’s method over the arms; so is its mean over the grid."
)
WITH_LOOKS = (
    "The study’s question, the primary metric at each arm’s own rate or at the one given, is confirmatory; so is its "
    "mean over the grid, corrected by Holm’s method over the arms."
)


SECOND_EVALUATION = (
    "Runs that are evaluated with running statistics are evaluated a second time, after the last epoch, with "
    "statistics recomputed over the training part: one pass with the weights standing still, in batches of the size of "
    "training, normalized by the batch, with nothing dropped and no noise. Verdicts are about the network as deployed, "
    "with its running statistics; whether it generalizes is judged on the recomputed ones."
)


def method_section(records: Records) -> str:
    """Return the section."""
    return section(
        "method", "How this was measured", items(_rules(records)), "<h3>Not covered</h3>", items(_limits(records))
    )


def _rules(records: Records) -> list[str]:
    summary = records.summary
    rates = summary["rates"]
    methods = sorted({row["interval"] for row in summary["comparisons"]} - {INTERVAL})
    with_looks = stopping_rules(summary)
    intervals, verdicts = ("All other intervals", "Other verdicts") if with_looks else ("Intervals", "Verdicts")
    rules = [
        *([SECOND_EVALUATION] if summary.get("statistics") else []),
        "A pair is two runs with the same seed: same split, same initial value of every parameter the arms share, same "
        "order of the samples in every epoch. The seed is the unit of replication, not the epoch or the test sample.",
        "Seconds per step are compared round by round: in each epoch of a batch of runs the arms take turns on the "
        "same machine, in an order balanced over rounds, and a pair is one such round. The first batch of a turn, "
        "compiling, data transfer and work between programs do not count; differences up to 1 % are the clock’s own.",
        *with_looks,
        f"{intervals} hold 95 % and are of the mean paired difference, from 9,999 bootstrap resamples of the pairs "
        f"(used here: {listed(methods)}). With few pairs such intervals are somewhat short, hence the test; fewer than "
        "six pairs give none, and are shown themselves.",
        "p is of the two-sided sign-flip test: the share of all ways to swap the arms within pairs that give a mean "
        "difference at least as large. With n pairs it cannot fall below 2/2ⁿ, so fewer than six pairs never reach "
        "0.05; then no p is printed.",
        f"{WITH_LOOKS if with_looks else FIXED} Everything else is exploratory and corrected by Benjamini and "
        "Hochberg’s: the other metrics there, and each metric over the shared rates.",
        f"{verdicts}. Better or worse: the interval excludes 0 and the corrected p is at most 0.05. Equivalent: two "
        "one-sided t tests place the difference inside the margin stated beforehand, and a bet rules out rare "
        "differences of up to four test samples that would bring it there. Undecided: neither; then the "
        "number of pairs that would decide with a power of 80 % is estimated.",
        "A run diverges when its loss is not finite or exceeds its bound. It is kept, counted, and never "
        "dropped from a pair: its loss counts as twice that of knowing nothing, or as the largest of "
        "the others, and a target it never reached as all epochs trained.",
    ]
    if rates["mode"] == "tuned":
        seeds = counted(len(rates["tuning_seeds"]), "seed")
        rules.insert(
            1,
            f"Every arm searched the same rates ({', '.join(shown_rate(rate) for rate in rates['grid'])}) with the "
            f"same {seeds}. Rates were chosen on validation data; results are on test data, from seeds that took no "
            "part in it. Shared rates and the area over the grid use the tuning runs.",
        )
        rules.insert(
            2,
            "A rate may be an arm’s best if it is chosen in at least 5 % of resamples of the tuning seeds. The seeds "
            "reported on train every arm at all rates that may be any arm’s best. At the tuned rates, a run is the one "
            "that its own validation data choose among these: the choice varies from pair to pair, and the intervals "
            "contain it.",
        )
    return rules


def _limits(records: Records) -> list[str]:
    study = records.study["study"]
    limits = [
        "One fixed split of one data set. The intervals cover what changes with the seed (initial values, order of "
        "samples), not other splits or other data.",
        f"One kind of network, one optimizer ({study['optimizer']}), one batch size ({study['batch_size']}), "
        f"{counted(study['epochs'], 'epoch')}; momentum, weight decay and schedules were not tuned.",
        "Times are of this machine and this program, where many runs train side by side.",
    ]
    if records.summary["rates"]["mode"] != "tuned":
        limits.append(
            "Rates were given, not tuned: an arm may do better at another rate, and a norm shifts the best rate."
        )
    return limits
