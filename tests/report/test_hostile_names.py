"""Names of others in every page and at the terminal: shown, and never followed."""

from __future__ import annotations

import base64
import copy
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from normlab.cli.console import complain, new_console
from normlab.report.attribution_page import render_attribution
from normlab.report.claims_page import render_claims
from normlab.report.figures import overview
from normlab.report.page import render_page, write_document
from normlab.report.picture import save_picture
from normlab.report.records import Records
from normlab.store.seals import sealed_page
from normlab.terminal import show_result
from normlab.visible import visible
from tests.hostile import HOSTILE

HARMLESS = "harmless"
Page = Callable[[Callable[..., Records], str], str]


class Structure(HTMLParser):
    """Elements with the names of their attributes, in order; the attributes' values; the styles; the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.values: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.styles: list[str] = []
        self.others: list[str] = []
        self._tag = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.values += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        (self.styles if self._tag == "style" else self.words).append(data)

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def unknown_decl(self, data: str) -> None:
        self.others.append(data)

    def handle_pi(self, data: str) -> None:
        self.others.append(data)


def _arm(name: str) -> str:
    """The name of an arm or a layer: what a Parquet file can hold."""
    return f"arm {name.encode('utf-8', 'replace').decode()}"


def report(make: Callable[..., Records], name: str) -> str:
    """The report of a study in which whatever can have a name has this one."""
    records = make(arms=("none", _arm(name)), data_name=name, rates=(0.1,), seeds=2, epochs=1)
    study, summary = copy.deepcopy(records.study), copy.deepcopy(records.summary)
    study["data"] |= {"description": [name, name], "classes": [name, "1"]}
    study["machine"] |= {"processor": name, name: name, "devices": [name, name]}
    study["versions"] |= {name: name}
    study["started"] = study["code_sha256"] = name
    study["study"] |= {"model": f"{name}.keras", "weights": "redraw"}
    study["study"]["network"] |= {"activation": name}
    study["study"]["arms"][1] |= {"norm": f"{name}.py:{name}", "placement": name}
    study["model_notes"] = {"none": [f"{name} removed"], _arm(name): [f"{name} replaced by {name}"]}
    summary["target"]["rule"] = summary["pairing"]["statement"] = name
    for row in summary["comparisons"]:
        row["reason"] = row["label"] = name
    reported = records.runs.filter(pl.col("stage") == "report")
    rows = [
        (row["run"], epoch, probe, _arm(name), quantity, 1.0 + epoch)
        for row in reported.to_dicts()
        for epoch in (0, 1)
        for probe, quantity in (("gradients", "parameter_gradient"), ("memory", "saved_bytes_per_sample"))
        if probe == "gradients" or epoch == 0
    ]
    columns = ["run", "epoch", "probe", "layer", "quantity", "value"]
    probes = pl.DataFrame(rows, schema=columns, orient="row")
    return render_page(replace(records, study=study, summary=summary, folder=name, probes=probes))


def named_model(make: Callable[..., Records], name: str) -> str:
    """The report of a study of a network by name."""
    records = make(arms=("none", _arm(name)), data_name=name, rates=(0.1,), seeds=2, epochs=1)
    study = copy.deepcopy(records.study)
    study["study"] |= {"model": name, "optimizer": name}
    study["study"]["network"] |= {name: name}
    study["study"]["arms"][1] |= {name: name}
    study["study"]["arms"][0] |= {name: name}
    return render_page(replace(records, study=study))


def claims(_: Callable[..., Records], name: str) -> str:
    """The page of claims."""
    row = {"series": name, "x": 1.0, "y": 2.0, "low": 1.0, "high": 3.0}
    figure = {
        "kind": "lines",
        "title": name,
        "caption": name,
        "x": name,
        "y": name,
        "log_x": False,
        "log_y": False,
        "reference": 1.0,
        "rows": [row, {**row, "series": "other"}, {**row, "x": 2.0}],
    }
    texts = ("answer", "conditions", "would_change", "metric", "protocol", "expected", "source", "statement", "id")
    numbers = {"effect": 0.5, "ci_low": 0.4, "ci_high": 0.6, "p_value": 0.01, "pairs": 8, "seconds": 3.0}
    kinds = [("benefit", "supported"), ("limit", "undecided")]
    cards = [
        {"kind": kind, "verdict": verdict, "figure": figure, **dict.fromkeys(texts, f"{kind} {name}"), **numbers}
        for kind, verdict in kinds
    ]
    return render_claims(
        {
            "claims": cards,
            "model": name,
            "budget": name,
            "seeds": 8,
            "complete": True,
            "normlab": name,
            "data": {"name": name, "counts": {name: 3}},
            "network": {name: name},
            "versions": {name: name},
            "machine": {"processor": name, "cores": 2, "system": name},
            "code_sha256": name,
        }
    )


def attribution(_: Callable[..., Records], name: str) -> str:
    """The page of an attribution."""
    part = {"mean": 0.1, "ci_low": 0.05, "ci_high": 0.2}
    found: dict[str, Any] = {
        "metric": "test_accuracy",
        "arm": name,
        "baseline": "none",
        "pairs": 8,
        "difference": part,
        "shares": [{"of": [name], **part}, {"of": ["other"], **part}],
        "interactions": [{"of": [name, "other"], **part}],
        "values": {name: 0.9, "none": 0.8},
        "factors": [
            {"name": name, "off": {"norm": name}, "on": {name: name}},
            {"name": "other", "off": {"x": 1}, "on": {"x": 2}},
        ],
    }
    return render_attribution(found)


PAGES: dict[str, Page] = {
    "report": report,
    "named model": named_model,
    "claims": claims,
    "attribution": attribution,
}


@pytest.fixture(scope="module")
def harmless(make_records: Callable[..., Records]) -> dict[str, Structure]:
    return {page: Structure(render(make_records, HARMLESS)) for page, render in PAGES.items()}


# The page that is drawn fastest gets each name by itself, the others all of them, a few at a time.
WEIRD = ("bidi", "controls", "lines", "half a character")
TOGETHER = {
    "markup": " ".join(text for name, text in HOSTILE.items() if name not in (*WEIRD, "long")),
    "weird": " ".join(HOSTILE[name] for name in WEIRD),
    "long": HOSTILE["long"],
}
NAMES = [("claims", name) for name in HOSTILE] + [(page, name) for page in PAGES for name in TOGETHER]


@pytest.mark.parametrize(("page", "name"), NAMES)
def test_a_name_adds_nothing_to_a_page_but_text(
    page: str, name: str, harmless: dict[str, Structure], make_records: Callable[..., Records], tmp_path: Path
) -> None:
    given = (HOSTILE | TOGETHER)[name]
    html = PAGES[page](make_records, given)
    found, expected = Structure(html), harmless[page]
    assert found.elements == expected.elements
    assert found.styles == expected.styles
    assert found.others == expected.others == []
    shown = "".join(found.words)
    assert visible(given)[:200].split("\n")[0].replace(" %", "\N{NO-BREAK SPACE}%") in shown
    assert all(visible(value) == value for value in (shown, *(value for _, value in found.values)))
    assert len(html) < 2_000_000
    write_document(html, tmp_path / "page.html")
    assert (tmp_path / "page.html").read_bytes() == sealed_page(html)


def test_a_picture_of_a_long_name_is_no_wider(make_records: Callable[..., Records], tmp_path: Path) -> None:
    sizes = []
    for name in ("x" * 300, "x" * 10_000):
        chart = overview(make_records(arms=("none", name), rates=(0.1,), seeds=2, epochs=1))
        save_picture(chart, tmp_path / "chart.svg")
        source = (tmp_path / "chart.svg").read_text(encoding="utf-8")
        sizes.append(re.search(r'<svg[^>]* width="(\d+)"', source)[1])  # type: ignore[index]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_loads_nothing_and_its_policy_is_as_tight_as_it_can_be(
    page: str, harmless: dict[str, Structure]
) -> None:
    found = harmless[page]
    (style,) = found.styles
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert ("content", policy) in found.values
    assert [names for tag, names in found.elements if tag == "meta" and "http-equiv" in names] == [
        ("http-equiv", "content")
    ]
    # What the policy would block is not there: scripts, styles beside the one, forms, frames, what is loaded.
    tags = {tag for tag, _ in found.elements}
    assert tags.isdisjoint({"script", "link", "form", "iframe", "object", "embed", "img", "image", "base", "audio"})
    names = {name for _, attributes in found.elements for name in attributes}
    assert "style" not in names
    assert not any(name.startswith("on") for name in names)
    assert not re.search(r"@import|https?:|url\(\s*['\"]?(?!#)", style)
    links = [value for name, value in found.values if name in ("href", "src", "xlink:href", "srcset", "action")]
    assert links
    assert all(link.startswith("#") for link in links)
    outside = [value for name, value in found.values if "//" in value and not name.startswith("xmlns")]
    assert outside == []


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_does_not_command_the_terminal(
    name: str, make_records: Callable[..., Records], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    hostile = HOSTILE[name][:200]
    records = make_records(arms=("none", _arm(hostile)), data_name=hostile, rates=(0.1,), seeds=2, epochs=1)
    study = copy.deepcopy(records.study)
    study["study"] |= {"model": f"{hostile}.keras", "weights": "redraw"}
    study["model_notes"] = {"none": [hostile], _arm(hostile): []}
    result = SimpleNamespace(records=replace(records, study=study), folder=Path("runs") / hostile)
    show_result(new_console(), result)  # type: ignore[arg-type]
    complain(f"error: {hostile}")
    out, err = capsys.readouterr()
    for shown in (out, err):
        assert visible(shown) == shown
    assert "Report: runs/" in out
    assert err.startswith("normlab: error: ")
    assert err.count("\n") == 1
