"""Claims put to data and network: measured one after the other, judged together, written as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from normlab.claims.claim import Claim
from normlab.claims.drawing import Drawing
from normlab.claims.finding import Finding, not_applicable
from normlab.stats.multiplicity import holm
from normlab.stats.power import MOST_PAIRS, pairs_to_reach
from normlab.store.seals import plain

if TYPE_CHECKING:
    import polars as pl

    from normlab.claims.bench import Bench
    from normlab.claims.record import Record

ALPHA = 0.05


@dataclass(frozen=True)
class Answer:
    """A claim with what came out, before or after the correction over all claims.

    Attributes:
        claim: Which.
        finding: Its verdict.
        drawing: Its figure; None where it does not apply.
        seconds: Spent on measuring.
    """

    claim: Claim
    finding: Finding
    drawing: Drawing | None
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the card for claims.json; a number in the details that is not finite becomes null."""
        claim, finding = self.claim, self.finding
        return {
            "id": claim.id,
            "kind": claim.kind,
            "statement": claim.statement,
            "protocol": claim.protocol,
            "metric": claim.metric,
            "not_about": claim.not_about,
            "effect": finding.effect,
            "ci_low": finding.ci_low,
            "ci_high": finding.ci_high,
            "pairs": finding.pairs,
            "pair_values": list(finding.pair_values),
            "verdict": finding.verdict,
            "answer": finding.answer,
            "conditions": finding.conditions,
            "would_change": finding.would_change,
            "p_value": finding.p_value,
            "expected": claim.expected,
            "source": claim.source,
            "seconds": self.seconds,
            "details": plain(finding.details),
            "figure": self.drawing.as_json() if self.drawing else None,
        }


def answer(
    claims: Sequence[Claim], bench: Bench, record: Record, watch: Callable[[list[Answer]], None] = lambda _: None
) -> list[Answer]:
    """Measure, where no evidence is on record, and judge every claim; evidence is kept as soon as it is there.

    Args:
        claims: Which.
        bench: What they are put to.
        record: Where evidence goes, and comes from.
        watch: Called after each claim with the answers so far, corrected among themselves.

    Returns:
        The answers after `corrected`.
    """
    answers = []
    for claim in claims:
        put_to = bench.with_scaled_inputs if claim.own_network else bench
        why_not = claim.applies(put_to)
        if why_not:
            one = Answer(claim, not_applicable(why_not), None, 0.0)
        else:
            evidence, seconds = record.evidence(claim.id) or _measured(claim, put_to, record)
            one = Answer(claim, claim.judge(evidence), claim.draw(evidence), seconds)
        answers.append(one)
        so_far = corrected(answers)
        record.write([each.as_json() for each in so_far], complete=len(answers) == len(claims))
        watch(so_far)
    return corrected(answers)


def corrected(answers: Sequence[Answer]) -> list[Answer]:
    """Return the answers after Holm's correction over the claims that were put to a test, those with pairs.

    One that its test left undecided counts as p = 1: were it left out, a family of sixteen in which one came out by
    chance would be no family. A verdict whose corrected p-value is above 5 % becomes `undecided`, with the pairs that
    would decide it. Exact claims, which rest on no test, stay.
    """
    tested = [index for index, one in enumerate(answers) if one.finding.pairs]
    raw = [answers[index].finding.p_value for index in tested]
    result = list(answers)
    for index, p_value, before in zip(tested, holm([1.0 if p is None else p for p in raw]), raw, strict=True):
        finding = result[index].finding
        if before is None:
            continue
        if p_value > ALPHA:
            needed = pairs_to_reach(finding.pairs, before, alpha=ALPHA / len(tested))
            ahead = f"more than {MOST_PAIRS}" if needed is None else f"about {needed}"
            why = f" Among {len(tested)} claims tested, Holm's correction raises p to {p_value:.2g}: not decided; "
            why += f"{ahead} pairs in all would decide."
            finding = replace(finding, verdict="undecided", answer=finding.answer + why, conditions="")
        result[index] = replace(result[index], finding=replace(finding, p_value=float(p_value)))
    return result


def _measured(claim: Claim, bench: Bench, record: Record) -> tuple[pl.DataFrame, float]:
    started = time.perf_counter()
    evidence = claim.measure(bench)
    seconds = time.perf_counter() - started
    record.keep(claim.id, evidence, seconds)
    return evidence, seconds
