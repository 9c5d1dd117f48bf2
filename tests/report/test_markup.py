"""How numbers, text and tables become HTML."""

from __future__ import annotations

import pytest

from normlab.report.markup import fixed, plain, plural, scientific, table, text


@pytest.mark.parametrize(
    ("values", "value", "shown"),
    [
        ([1.5, -0.25], -0.25, "−0.250"),
        ([123.4, 1.0], 1.0, "1.0"),
        ([0.00312, 0.1e-3], 0.1e-3, "0.000100"),
        ([12345.6], 12345.6, "12346"),
        ([1.0, -1e-9], -1e-9, "0.000"),
        ([0.0], 0.0, "0.000"),
        ([], 2.0, "2.000"),
        ([3e-5, 1e-6], 1e-6, "1.0 × 10<sup>−6</sup>"),
        ([2.5e7], 2.5e7, "2.5 × 10<sup>7</sup>"),
        ([float("nan"), 1.0], float("nan"), "nan"),
    ],
)
def test_fixed(values: list[float], value: float, shown: str) -> None:
    assert fixed(values)(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (1.19e-7, "1.2 × 10<sup>−7</sup>"),
        (-0.0123, "−0.012"),
        (0.5, "0.50"),
        (1.19, "1.2"),
        (41.39, "41"),
        (413.9, "414"),
        (9.96e-3, "0.010"),
        (1234.0, "1.2 × 10<sup>3</sup>"),
        (float("inf"), "inf"),
        (float("-inf"), "−inf"),
    ],
)
def test_scientific(value: float, shown: str) -> None:
    assert scientific(value) == shown


def test_plain_text_and_plural() -> None:
    assert [plain(value) for value in (7, 0.001, 1.0, -2)] == ["7", "0.001", "1", "−2"]
    assert text('<a href="x">&') == "&lt;a href=&quot;x&quot;&gt;&amp;"
    assert [plural("unit", count) for count in (1, 2, 0)] == ["unit", "units", "units"]


def test_table_marks_numbers_and_rows() -> None:
    written = table(["name", "size"], [["a", "−1.5"], ["b", "2"]], ["", "failed"])
    assert '<th scope="col">name</th><th scope="col" class="num">size</th>' in written
    assert '<tr><td>a</td><td class="num">−1.5</td></tr>' in written
    assert '<tr class="failed"><td>b</td><td class="num">2</td></tr>' in written
