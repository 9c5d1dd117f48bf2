"""The page: well-formed, closed to the outside, complete."""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from normlab.errors import InputError
from normlab.report.page import NAMES, render_page, write_page
from normlab.report.records import Records
from tests.report.saving import save

VOID = {"meta", "br", "hr", "img", "link", "input", "wbr", "col"}


class Reader(HTMLParser):
    """Collects elements; complains of tags that do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.problems: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.problems == []
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def tuned_page(tuned: Records) -> str:
    return render_page(tuned)


@pytest.fixture
def _blank_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the panels of all figures blank: to draw them is most of the work, and the test reads only text."""
    monkeypatch.setattr("normlab.report.picture.svg", lambda chart, prefix: "<svg></svg>")


CASES = {
    "two arms, tuned": {},
    "worse": {"gain": -0.03},
    "three arms": {"arms": ("none", "batch", "layer")},
    "regression": {"task": "regression"},
    "one rate": {"rates": (0.1,)},
    "several given rates": {"rates": (0.1, 1.0)},
    "diverged": {"diverging": [("none", 0.01), ("none", 0.1), ("none", 1.0), ("batch", 1.0)]},
    "everything diverged at a rate": {
        "task": "regression",
        "rates": (0.1,),
        "diverging": [("none", 0.1), ("batch", 0.1)],
    },
    "one seed": {"seeds": 1, "rates": (0.1,)},
    "one epoch": {"epochs": 1},
}


@pytest.mark.parametrize("case", CASES)
def test_a_page_is_well_formed_and_closed_to_the_outside(make_records, case: str) -> None:
    page = render_page(make_records(**CASES[case]))
    reader = read(page)
    sections = [attributes["id"] for tag, attributes in reader.elements if tag == "section"]
    assert sections == [key for key in NAMES if key not in ("explanation", "inside")]
    identifiers = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for tag, attributes in reader.elements:
        assert tag not in ("script", "link", "iframe", "object")
        for name in ("src", "href", "xlink:href", "data"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)
        assert not any(name.startswith("on") for name in attributes)
    for target in re.findall(r"url\(([^)]*)\)", page):
        assert target.removeprefix("#") in identifiers
    for link in (attributes["href"] for tag, attributes in reader.elements if tag == "a"):
        assert str(link).removeprefix("#") in sections
    assert "None" not in "".join(reader.words)
    assert not re.search(r"\bnan\b", " ".join(reader.words))
    assert len(page) < 2_000_000


def test_tables_and_figures_are_described(tuned_page: str) -> None:
    reader = read(tuned_page)
    tags = [tag for tag, _ in reader.elements]
    assert tags.count("h1") == 1
    assert tags.count("caption") == tags.count("table") > 4
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in reader.elements if tag == "th")
    drawn = [attributes for tag, attributes in reader.elements if attributes.get("role") == "img"]
    assert len(drawn) == tags.count("figure") == 4
    assert all(re.search(r"\d", attributes["aria-label"] or "") for attributes in drawn)


@pytest.mark.usefixtures("tuned_page", "_blank_panels")
def test_the_answer_is_the_primary_comparison(make_records, tuned_page: str) -> None:
    better, worse = tuned_page, render_page(make_records(gain=-0.03))
    pattern = r'<p class="answer"><span class="badge (\w+)">.*?</span> (.*?)</p>'
    assert re.search(pattern, better)[1] == "better"  # type: ignore[index]
    found = re.search(pattern, worse)
    assert found is not None
    assert found[1] == "worse"
    assert "batch reaches a test accuracy" in found[2]
    assert "points lower than none" in found[2]


@pytest.mark.usefixtures("tuned_page", "_blank_panels")
def test_every_arm_gets_its_answer(make_records) -> None:
    page = render_page(make_records(arms=("none", "batch", "layer")))
    answers = re.findall(r'<p class="answer"><span class="badge (\w+)">.*?</span> (\w+) reaches', page)
    assert answers == [("better", "batch"), ("better", "layer")]


@pytest.mark.usefixtures("tuned_page", "_blank_panels")
def test_a_rate_at_the_edge_is_warned_of(tuned: Records, tuned_page: str) -> None:
    summary = copy.deepcopy(tuned.summary)
    assert "edge of the grid" not in tuned_page
    summary["rates"]["at_edge"]["batch"] = True
    page = render_page(replace(tuned, summary=summary))
    assert page.count("edge of the grid for batch (0.1)") == 2


@pytest.mark.usefixtures("tuned_page", "_blank_panels")
def test_arms_that_differ_in_more_than_the_norm_are_warned_of(tuned: Records, tuned_page: str) -> None:
    study = copy.deepcopy(tuned.study)
    assert "put down to the norm alone" not in tuned_page
    study["study"]["arms"][1] |= {"activation": "sigmoid", "input_norm": True}
    page = render_page(replace(tuned, study=study))
    assert "batch differs from none not only in its norm but also in activation and input norm" in page


@pytest.mark.usefixtures("tuned_page", "_blank_panels")
def test_broken_pairs_are_told(tuned: Records, tuned_page: str) -> None:
    summary = copy.deepcopy(tuned.summary)
    summary["pairing"]["orders_equal"] = False
    assert "NOT all equal" in render_page(replace(tuned, summary=summary))
    assert "NOT all equal" not in tuned_page


@pytest.mark.usefixtures("tuned_page", "_blank_panels")
def test_diverged_runs_are_counted(make_records, tuned_page: str) -> None:
    page = render_page(make_records(rates=(0.1,), diverging=[("none", 0.1)]))
    assert "Diverged: 4 of 8 runs of none." in page
    assert "Diverged: 4 of 8 runs of none." not in tuned_page


def test_final_scores_are_means_and_deviations(tuned: Records, tuned_page: str) -> None:
    row = next(row for row in tuned.summary["by_arm"] if row["arm"] == "batch")
    page = tuned_page
    table = page[page.index('<section id="scores">') : page.index('<section id="verdicts">')]
    assert f"{100 * row['test_accuracy_mean']:.2f} ± {100 * row['test_accuracy_sd']:.2f}" in table
    assert f"{1000 * row['seconds_per_epoch']:.0f}" in table


@pytest.mark.usefixtures("tuned_page", "_blank_panels")
def test_the_explanation_has_its_place(tuned: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "normlab.report.explanation.explanation",
        lambda example: f'<section id="explanation"><h2>{example["title"]}</h2></section>',
    )
    page = render_page(replace(tuned, example={"title": "By hand"}))
    sections = [attributes["id"] for tag, attributes in read(page).elements if tag == "section"]
    assert sections == [key for key in NAMES if key != "inside"]
    assert "By hand" in page


@pytest.mark.usefixtures("tuned_page", "_blank_panels")
def test_a_page_is_written_whole_or_not_at_all(tuned: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("before")
    write_page(tuned, path)
    page = path.read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        write_page(tuned, path)
    assert path.read_text(encoding="utf-8") == page
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.usefixtures("tuned_page", "_blank_panels")
def test_an_absent_folder_is_one_clear_line(tuned: Records, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the report must be writable"):
        write_page(tuned, tmp_path / "absent" / "report.html")


def test_neither_jax_nor_keras_is_imported(tuned: Records, tmp_path: Path) -> None:
    save(tuned, tmp_path)
    program = (
        "import sys\nfrom pathlib import Path\nfrom normlab.report.page import write_page\n"
        "from normlab.report.records import read_records\n"
        "folder = Path(sys.argv[1])\nwrite_page(read_records(folder), folder / 'report.html')\n"
        "print(sorted({'jax', 'keras', 'tensorflow', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert (tmp_path / "report.html").stat().st_size > 50_000
