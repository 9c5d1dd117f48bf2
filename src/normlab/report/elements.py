"""Elements of the page: tables, figures, badges and notes as HTML; everything given as plain text is escaped here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from normlab.report.markup import text
from normlab.report.palette import colours, dot_class
from normlab.report.words import MARKS

if TYPE_CHECKING:
    from normlab.report.figures import Figure


@dataclass(frozen=True)
class Html:
    """A piece of HTML, to tell it from text that is still to be escaped."""

    source: str


Content = str | Html


def render(content: Content) -> str:
    """Return HTML as it is, and text escaped."""
    return content.source if isinstance(content, Html) else text(content)


def paragraph(content: Content, name: str = "") -> str:
    """Return a paragraph, of the class `name` if there is one."""
    return f'<p class="{name}">{render(content)}</p>' if name else f"<p>{render(content)}</p>"


def section(key: str, title: str, *parts: str) -> str:
    """Return a section with its heading; `parts` are HTML."""
    body = "\n".join(part for part in parts if part)
    return f'<section id="{text(key)}">\n<h2>{text(title)}</h2>\n{body}\n</section>\n'


def table(
    caption: Content,
    head: Sequence[Content],
    rows: Sequence[Sequence[Content]],
    *,
    words: Sequence[int] = (0,),
    remarks: Sequence[str] = (),
    name: str = "",
) -> str:
    """Return a table in a box that scrolls by itself on narrow screens; each row's first cell is its heading.

    Args:
        caption: What the table holds.
        head: Titles of the columns.
        rows: Cells.
        words: Columns of words; the others hold numbers and are set to the right.
        remarks: One text per row, set below it over the whole width; none if empty.
        name: A class of the table, if any.
    """

    def cell(index: int, content: Content) -> str:
        kind = "" if index in words else ' class="num"'
        if index == 0:
            return f'<th scope="row"{kind}>{render(content)}</th>'
        return f"<td{kind}>{render(content)}</td>"

    titles = "".join(
        f'<th scope="col"{"" if index in words else " class=" + chr(34) + "num" + chr(34)}>{render(title)}</th>'
        for index, title in enumerate(head)
    )
    lines = []
    for index, row in enumerate(rows):
        cells = "".join(cell(column, content) for column, content in enumerate(row))
        lines.append(f'<tr class="remarked">{cells}</tr>' if remarks else f"<tr>{cells}</tr>")
        if remarks:
            lines.append(f'<tr class="remark"><td colspan="{len(head)}">{text(remarks[index])}</td></tr>')
    body = "\n".join(lines)
    kind = f' class="{text(name)}"' if name else ""
    return (
        f'<div class="scroll" role="region" aria-label="{text(_plain(caption))}" tabindex="0"><table{kind}>\n'
        f"<caption>{render(caption)}</caption>\n<thead><tr>{titles}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def definitions(pairs: Sequence[tuple[str, Content]]) -> str:
    """Return a list of terms, each with what it stands for."""
    items = "\n".join(f"<dt>{text(term)}</dt><dd>{render(content)}</dd>" for term, content in pairs)
    return f"<dl>\n{items}\n</dl>"


def items(contents: Sequence[Content]) -> str:
    """Return a bulleted list, or nothing if there is nothing to list."""
    if not contents:
        return ""
    return "<ul>\n" + "\n".join(f"<li>{render(content)}</li>" for content in contents) + "\n</ul>"


def note(contents: Sequence[str]) -> str:
    """Return warnings as one box, or nothing if there are none."""
    if not contents:
        return ""
    body = "".join(f"<p>{text(content)}</p>" for content in contents)
    return f'<div class="note" role="note">{body}</div>'


def badge(verdict: str) -> Html:
    """Return the verdict as a word with its sign; the colour only adds to it."""
    name = text(verdict.replace(" ", "-"))
    return Html(f'<span class="badge {name}"><span aria-hidden="true">{MARKS[verdict]}</span> {text(verdict)}</span>')


def arm_name(arm: str, palette: Mapping[str, str]) -> Html:
    """Return an arm's name behind a dot of its colour."""
    dot = f'<span class="dot {dot_class(palette[arm])}"></span>'  # no style attribute: the page's policy allows none
    return Html(f'<span class="arm">{dot}{text(arm)}</span>')


def figure(drawn: Figure, arms: Sequence[str]) -> str:
    """Return a figure: its title, a legend of the arms, the panels as SVG, and the caption."""
    from normlab.report.picture import svg

    palette = colours(arms)
    legend = ""
    if drawn.has_legend:
        entries = "".join(f"<li>{arm_name(arm, palette).source}</li>" for arm in arms)
        legend = f'<ul class="legend" aria-label="Colours of the arms">{entries}</ul>'
    panels = "".join(
        f'<div class="panel">{svg(panel, f"{drawn.key}-{index}-")}</div>' for index, panel in enumerate(drawn.panels)
    )
    layout = "panels three" if len(drawn.panels) == 3 else "panels"
    return (
        f'<figure id="figure-{text(drawn.key)}">\n<h3>{text(drawn.title)}</h3>\n{legend}\n'
        f'<div class="{layout}" role="img" aria-label="{text(drawn.alt)}">{panels}</div>\n'
        f"<figcaption>{text(drawn.caption)}</figcaption>\n</figure>"
    )


def _plain(caption: Content) -> str:
    return caption if isinstance(caption, str) else "table"
