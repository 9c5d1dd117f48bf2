"""The report as one page: a single HTML file that opens offline and loads nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from normlab.errors import InputError
from normlab.report.markup import text
from normlab.report.palette import dot_styles
from normlab.report.quantities import counted, listed
from normlab.report.stylesheet import STYLE
from normlab.store.files import write_file
from normlab.store.seals import sealed_page

if TYPE_CHECKING:
    from normlab.report.records import Records

NAMES: dict[str, str] = {
    "answer": "Answer",
    "setting": "What was compared",
    "curves": "Curves",
    "inside": "Inside the networks",
    "rates": "Learning rates",
    "scores": "Final scores",
    "verdicts": "Verdicts",
    "discussion": "Discussion",
    "explanation": "Batch normalization explained",
    "method": "How this was measured",
}
"""Sections in the order of the page, by their identifier."""


def policy(style: str) -> str:
    """Return a Content-Security-Policy: nothing is loaded or sent, no script runs, no style but this one counts."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def render_page(records: Records) -> str:
    """Return the page as HTML; all text of the records is escaped."""
    from normlab.report.explanation import explanation
    from normlab.report.inside import inside_section
    from normlab.report.method import method_section
    from normlab.report.rate_section import rates_section
    from normlab.report.sections import (
        answer_section,
        curves_section,
        discussion_section,
        scores_section,
        verdicts_section,
    )
    from normlab.report.setting import setting_section

    sections = {
        "answer": answer_section(records),
        "setting": setting_section(records),
        "curves": curves_section(records),
        "inside": inside_section(records),
        "rates": rates_section(records),
        "scores": scores_section(records),
        "verdicts": verdicts_section(records),
        "discussion": discussion_section(records),
        "explanation": explanation(records.example) if records.example is not None else "",
        "method": method_section(records),
    }
    title = f"{listed(records.arms)} on {records.study['data']['name']}"
    named = {key: (NAMES[key], body) for key, body in sections.items() if body}
    return document(title, _subtitle(records), named, f"normlab {records.summary['normlab']}, {records.folder}")


def document(title: str, subtitle: str, sections: Mapping[str, tuple[str, str]], footer: str) -> str:
    """Return a whole page; `sections` holds (title, HTML) by identifier, everything else is plain text."""
    links = "".join(f'<li><a href="#{key}">{text(name)}</a></li>' for key, (name, _) in sections.items())
    # A number and its per cent sign stay on one line.
    body = "".join(html for _, html in sections.values()).replace(" %", "\N{NO-BREAK SPACE}%")
    style = STYLE + dot_styles()
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy(style)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{text(title)}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{text(title)}</h1>
<p>{text(subtitle)}</p>
<nav aria-label="Sections"><ol>{links}</ol></nav>
</header>
<main>
{body}
</main>
<footer>{text(footer)}</footer>
</body>
</html>
"""


def write_page(records: Records, path: Path) -> None:
    """Write the page to `path`: aside first, flushed to disk, then renamed, so that no reader sees half of it.

    Raises:
        InputError: If the file cannot be written.
    """
    write_document(render_page(records), path)


def write_document(page: str, path: Path) -> None:
    """Write a rendered page, as `write_page` does.

    Raises:
        InputError: If the file cannot be written.
    """
    path = Path(path)
    try:
        write_file(path, sealed_page(page))
    except OSError as error:
        action = "choose a folder that exists and can be written to"
        raise InputError("the report must be writable", f"{path} ({error.strerror})", action) from None


def _subtitle(records: Records) -> str:
    study, data = records.study["study"], records.study["data"]
    rates = "each arm’s learning rate tuned" if study["rates"] == "tuned" else "learning rates given"
    seeds = counted(len(records.summary["rates"]["report_seeds"]), "paired seed")
    return (
        f"Does a normalization layer help? {data['task'].capitalize()}, {study['model']}, {study['optimizer']}, "
        f"{counted(study['epochs'], 'epoch')}, {seeds}, {rates}."
    )
