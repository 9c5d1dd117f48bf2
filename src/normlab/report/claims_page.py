"""The page of claims: a table of verdicts, a discussion that follows from them, and a card per claim."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from normlab.errors import InputError
from normlab.report.elements import Content, Html, badge, definitions, paragraph, section, table
from normlab.report.figures import Figure
from normlab.report.markup import MINUS, text
from normlab.report.page import document
from normlab.report.quantities import counted, listed

GROUPS = {
    "benefit": "What batch normalization is credited with",
    "limit": "What it is held to cost or not to bear",
    "property": "What follows from its definition",
}
ORDER = ("supported", "conditional", "refuted", "undecided", "not applicable")
SAID = {
    "supported": "Supported here",
    "conditional": "It depends",
    "refuted": "Refuted here",
    "undecided": "Undecided",
    "not applicable": "Does not apply",
}

PAIRS = "arms share, per seed, the order of the samples and the initial value of every parameter they have in common"
VERDICTS = (
    "an interval alone decides nothing: an exact sign-flip test does, or two one-sided tests against a margin stated "
    "beforehand, corrected by Holm over all claims that rest on a test"
)


def read_claims(path: Path) -> dict[str, Any]:
    """Return the content of a claims.json.

    Raises:
        InputError: If it is not there or is no such file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["claims"][0]["verdict"]
    except (OSError, ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        received = f"{path} ({type(error).__name__})"
        raise InputError("claims.json must hold answered claims", received, "run normlab claims") from None
    return dict(content)


def render_claims(content: Mapping[str, Any]) -> str:
    """Return the page as HTML; all text of the file is escaped."""
    cards: list[dict[str, Any]] = content["claims"]
    sections = {"verdicts": ("Verdicts", _verdicts(cards)), "discussion": ("Discussion", _discussion(cards))}
    for kind, title in GROUPS.items():
        own = [card for card in cards if card["kind"] == kind]
        if own:
            sections[kind] = (title, section(kind, title, *(_card(card) for card in own)))
    sections["method"] = ("How this was measured", _method(content))
    title = f"Claims about batch normalization on {content['data']['name']}"
    return document(title, _subtitle(content), sections, f"normlab {content['normlab']}")


def shown_effect(card: Mapping[str, Any]) -> str:
    """Return the effect with its interval: `0.514 [0.489, 0.537]`; a dash where there is none.

    From fewer than six pairs: `0.514 (pairs: 0.489, 0.537)`.
    """
    if card["effect"] is None:
        return "\N{EN DASH}"
    effect = _number(card["effect"])
    if card["ci_low"] is None or card["ci_high"] is None:
        pairs = ", ".join(_number(one) for one in card.get("pair_values", ()))
        return f"{effect} (pairs: {pairs})" if pairs else effect
    return f"{effect} [{_number(card['ci_low'])}, {_number(card['ci_high'])}]"


def _verdicts(cards: Sequence[Mapping[str, Any]]) -> str:
    rows: list[list[Content]] = [
        [
            Html(f'<a href="#claim-{text(card["id"])}">{text(card["id"])}</a>'),
            badge(card["verdict"]),
            shown_effect(card),
            card["metric"],
            str(card["pairs"] or ""),
        ]
        for card in cards
    ]
    with_pairs = any(card.get("pair_values") for card in cards)
    effect = "effect [95 % interval] or (pairs)" if with_pairs else "effect [95 % interval]"
    head = ["claim", "verdict", effect, "primary metric", "pairs"]
    return section("verdicts", "Verdicts", table("Every claim with its verdict.", head, rows, words=(0, 1, 3)))


def _discussion(cards: Sequence[Mapping[str, Any]]) -> str:
    """Advantages and limits, sentence by sentence from the cards: nothing is said here that no card says."""
    parts = []
    for kind, title in GROUPS.items():
        lines = []
        for verdict in ORDER:
            for card in (card for card in cards if card["kind"] == kind and card["verdict"] == verdict):
                condition = f" {card['conditions']}" if card["conditions"] else ""
                lines.append(
                    f"<li><strong>{text(SAID[verdict])}:</strong> {text(card['statement'])} {text(card['answer'])}"
                    f"{text(condition)}</li>"
                )
        if lines:
            parts.append(f"<h3>{text(title)}</h3>\n<ul>{''.join(lines)}</ul>")
    return section("discussion", "Discussion", *parts)


def _card(card: Mapping[str, Any]) -> str:
    rows: list[tuple[str, Content]] = [
        ("Measured", card["protocol"]),
        ("Primary metric", f"{card['metric']}: {shown_effect(card)}"),
        ("Expected", f"{card['expected']} ({card['source']})"),
    ]
    rows += [
        (name, card[key])
        for name, key in (
            ("Not about", "not_about"),
            ("Depends on", "conditions"),
            ("Would change it", "would_change"),
        )
        if card.get(key)
    ]
    evidence = [counted(card["pairs"], "pair")] if card["pairs"] else []
    evidence += [f"corrected p {card['p_value']:.2g} (Holm)"] if card["p_value"] is not None else []
    rows.append(("Evidence", listed([*evidence, f"{card['seconds']:.0f} s of measuring"])))
    return (
        f'<article class="card" id="claim-{text(card["id"])}">\n<h3>{badge(card["verdict"]).source} '
        f"{text(card['statement'])}</h3>\n{paragraph(card['answer'])}\n{_figure(card)}\n{definitions(rows)}\n</article>"
    )


def _figure(card: Mapping[str, Any]) -> str:
    from normlab.report.claim_figure import claim_chart
    from normlab.report.elements import figure

    drawing = card["figure"]
    if drawing is None or not drawing["rows"]:
        return ""
    alt = f"{drawing['y']} over {drawing['x']}. {card['answer']}"
    drawn = Figure(card["id"], drawing["title"], drawing["caption"], alt, [claim_chart(drawing)], has_legend=False)
    return figure(drawn, [])


def _method(content: Mapping[str, Any]) -> str:
    machine = content["machine"]
    counts = ", ".join(f"{number:,} {name}" for name, number in content["data"]["counts"].items())
    network = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in content["network"].items())
    versions = ", ".join(f"{name} {version}" for name, version in content["versions"].items())
    rows: list[tuple[str, Content]] = [
        ("Data", " ".join([f"{content['data']['name']}: {counts}.", *content["data"].get("notes", [])])),
        ("Network", f"{content['model']}: {network}" if network else content["model"]),
        ("Seeds", f"{content['seeds']} pairs; the seed is the unit, never the epoch or the test sample"),
        ("Pairs", PAIRS),
        ("Verdicts", VERDICTS),
        ("Machine", f"{machine['processor']}, {counted(machine['cores'], 'core')}, {machine['system']}"),
        ("Versions", f"normlab {content['normlab']}, {versions}"),
        ("Code", Html(f"<code>{text(content['code_sha256'][:16])}</code> (start of its SHA-256)")),
    ]
    return section("method", "How this was measured", definitions(rows))


def _subtitle(content: Mapping[str, Any]) -> str:
    counts = {verdict: sum(card["verdict"] == verdict for card in content["claims"]) for verdict in ORDER}
    tally = listed([f"{count} {verdict}" for verdict, count in counts.items() if count])
    done = "" if content["complete"] else " Interrupted: not all claims that were asked for are answered."
    return f"{content['model']}, budget {content['budget']}, {counted(content['seeds'], 'seed')}: {tally}.{done}"


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", MINUS)
