"""How charts look: one colour per arm in every figure, and Vega-Lite's settings for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# Grey for the baseline; then Okabe and Ito's colours for colour-blind readers (jfly.uni-koeln.de/color), without
# yellow, which white swallows; then three of Paul Tol's muted ones. The order keeps neighbours apart.
BASELINE = "#5f6368"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255", "#999933", "#332288")
# Told apart without colour as well; dashes repeat after four arms, shapes after five.
DASHES = ((1, 0), (6, 2), (2, 2), (8, 2, 2, 2))
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross")

WIDTH, HEIGHT = 400, 230
INK, GRID = "#3c4043", "#e8eaed"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif"


def colours(arms: Sequence[str]) -> dict[str, str]:
    """Return the colour of each arm; the first is the baseline."""
    return {arm: BASELINE if index == 0 else COLOURS[(index - 1) % len(COLOURS)] for index, arm in enumerate(arms)}


def dot_class(colour: str) -> str:
    """Return the class of a dot in one of the colours of arms."""
    return f"of-{colour.removeprefix('#')}"


def dot_styles() -> str:
    """Return the style of every such class."""
    return "".join(f".{dot_class(colour)} {{ background: {colour}; }}\n" for colour in (BASELINE, *COLOURS))


def settings() -> dict[str, Any]:
    """Return the `config` of every chart."""
    return {
        "background": "white",
        "font": FONT,
        "view": {"stroke": None},
        "padding": 6,
        "axis": {
            "labelColor": INK,
            "titleColor": INK,
            "labelFlush": False,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "titlePadding": 8,
            "gridColor": GRID,
            "domainColor": "#bdc1c6",
            "tickColor": "#bdc1c6",
        },
        "title": {"anchor": "start", "fontSize": 13, "fontWeight": 600, "color": INK, "offset": 10},
        "legend": {"orient": "top", "title": None, "labelFontSize": 12, "labelColor": INK, "symbolStrokeWidth": 3},
    }
