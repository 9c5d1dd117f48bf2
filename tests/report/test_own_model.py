"""What the report says of a network of the user's own."""

from __future__ import annotations

from typing import Any

import pytest

from normlab.report.own_model import KEPT, REDRAWN, own_model

SURGERY = {"none": ["bn removed", "nothing trains in scale"], "batch": ["nothing trains in scale"]}
EXCHANGED = ["Its arms are one model with its norms exchanged.", "none: bn removed.", "batch: as it came."]
CASES: dict[str, tuple[dict[str, Any], dict[str, list[str]], list[str]]] = {
    "of normlab": ({"model": "mlp"}, {"none": [], "batch": []}, []),
    "function with a norm": ({"model": "function"}, {"none": [], "batch": []}, ["The user’s own function."]),
    "file with a norm": ({"model": "my.py:net"}, {"none": []}, ["my.py:net, the user’s own."]),
    "redrawn": (
        {"model": "my.py:net", "weights": "redraw"},
        SURGERY,
        ["my.py:net, the user’s own.", *EXCHANGED, "Nothing trains in scale.", REDRAWN],
    ),
    "kept": (
        {"model": "a.keras", "weights": "keep"},
        SURGERY,
        ["a.keras, the user’s own.", *EXCHANGED, "Nothing trains in scale.", KEPT],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_origin_arms_and_weights_are_told(case: str) -> None:
    settings, notes, expected = CASES[case]
    assert own_model({"study": settings, "model_notes": notes}) == expected
