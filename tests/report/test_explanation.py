"""The explanation shows the worked example's numbers: all of them, and no others."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits

from normlab.probes.worked_example import worked_example
from normlab.report.explanation import explanation

Path = tuple[str | int, ...]


@pytest.fixture(scope="module", params=["classification", "regression"])
def example(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return a real example of each task, after its way through JSON."""
    task = request.param
    x, y = (load_digits if task == "classification" else load_diabetes)(return_X_y=True)
    kernel = np.random.default_rng(0).normal(0, 0.3, (x.shape[1], 12))
    worked = worked_example(kernel, x[:16], y[:16], num_outputs=10 if task == "classification" else 1, task=task)
    returned: dict[str, Any] = json.loads(json.dumps(worked))
    return returned


def _leaves(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(node, (dict, list)):
        for name, child in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _leaves(child, (*path, name))
    else:
        yield path, node


def _changed(example: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return a copy with another value at `path`."""
    other = copy.deepcopy(example)
    node: Any = other
    for name in path[:-1]:
        node = node[name]
    value = node[path[-1]]
    if isinstance(value, bool):
        node[path[-1]] = not value
    elif isinstance(value, str):
        node[path[-1]] = value + " too"
    else:
        # Large against every number of the example, so that no rounding hides it.
        node[path[-1]] = value + (1 if isinstance(value, int) else 1e5)
    return other


def test_everything_in_the_example_is_shown(example: dict[str, Any]) -> None:
    page = explanation(example)
    paths = [path for path, _ in _leaves(example)]
    assert len(paths) > 150
    assert [path for path in paths if explanation(_changed(example, path)) == page] == []


def test_every_decimal_number_on_the_page_is_one_of_the_example(example: dict[str, Any]) -> None:
    page = re.sub(r" × 10<sup>(−?\d+)</sup>", r"e\1", explanation(example))
    shown = {number.replace("−", "-") for number in re.findall(r"−?\d+\.\d+(?:e−?\d+)?", re.sub("<[^>]*>", " ", page))}
    assert len(shown) > 50
    known = np.array([value for _, value in _leaves(example) if isinstance(value, float)])

    def is_known(number: str) -> bool:
        mantissa, _, exponent = number.partition("e")
        unit_in_last_place = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
        return bool((np.abs(known - float(number)) <= 0.500001 * unit_in_last_place).any())

    assert [number for number in shown if not is_known(number)] == []


def test_is_one_well_formed_section_without_style_or_script(example: dict[str, Any]) -> None:
    section = ElementTree.fromstring(explanation(example))
    assert (section.tag, section.attrib) == ("section", {"id": "explanation"})
    tags = {element.tag for element in section.iter()}
    assert {"h2", "h3", "p", "table"} <= tags
    assert not tags & {"script", "style", "link", "img"}
    assert not any("style" in element.attrib for element in section.iter())
    widths = [{len(row) for row in table.iter("tr")} for table in section.iter("table")]
    assert all(len(width) == 1 for width in widths)


def test_a_failed_check_is_said_aloud(example: dict[str, Any]) -> None:
    page = explanation(example)
    assert "All 11 checks agree." in page
    assert "failed" not in page
    other = copy.deepcopy(example)
    other["checks"][3]["ok"] = other["ok"] = False
    section = ElementTree.fromstring(explanation(other))
    alert = section.find(".//p[@role='alert']")
    assert alert is not None
    assert "1 of 11 checks failed" in "".join(alert.itertext())
    [row] = section.findall(".//tr[@class='failed']")
    cells = ["".join(cell.itertext()) for cell in row]
    assert (cells[0], cells[-1]) == (other["checks"][3]["name"], "differs")


def test_text_from_the_example_is_escaped(example: dict[str, Any]) -> None:
    other = copy.deepcopy(example)
    other["task"] = other["samples"][0]["label"] = "<i>&"
    other["checks"][0]["name"] = other["checks"][1]["against"] = "<script>x</script>"
    page = explanation(other)
    assert page.count("&lt;script&gt;x&lt;/script&gt;") == 2
    assert page.count("&lt;i&gt;&amp;") > 1
    assert "<script" not in page
    assert "<i>" not in page
    ElementTree.fromstring(page)
