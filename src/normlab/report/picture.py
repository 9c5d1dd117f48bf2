"""Charts as pictures, drawn by vl-convert without a browser: SVG for pages, SVG or PNG files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normlab.errors import InputError
from normlab.report.palette import settings
from normlab.visible import visible

if TYPE_CHECKING:
    from normlab.report.channels import Chart

PIXELS_PER_POINT = 2.0
# Of one text in a picture; the text of a point, which is read out, is the longest of normlab's own.
_MOST_CHARACTERS = 300

# Titles become parts of Vega's expressions, which quote no line break and no backslash.
_FOR_VEGA = str.maketrans({"\n": " ", "\t": " ", "\\": "\N{REVERSE SOLIDUS OPERATOR}"})
# In text `<` is escaped, in attributes `>` and quotes are.
_TAG = re.compile("<[^>]*>")
_LABELLED = re.compile(r'<path aria-label="([^"]*)" role="graphics-symbol"([^>]*?)(?:/>|></path>)')


def svg(chart: Chart, prefix: str = "") -> str:
    """Return the chart as SVG that can stand in a page beside others.

    What the chart tells of a point becomes its `<title>`, which browsers show under the pointer without a script.
    Identifiers get `prefix`, for those of several charts in one page would clash.
    """
    import vl_convert

    drawn = str(vl_convert.vegalite_to_svg(_specification(chart)))
    drawn = _TAG.sub(lambda tag: _with_prefix(tag[0], re.sub(r"[^A-Za-z0-9-]", "-", prefix)), drawn)
    return _LABELLED.sub(r"<path\2><title>\1</title></path>", drawn)


def save_picture(chart: Chart, path: Path) -> None:
    """Write the chart to `path`, as its ending says: .svg or .png (two pixels per point).

    Raises:
        InputError: If the ending is another one, or the file cannot be written.
    """
    import vl_convert

    path = Path(path)
    specification = _specification(chart)
    if path.suffix == ".png":
        content = bytes(vl_convert.vegalite_to_png(specification, scale=PIXELS_PER_POINT))
    elif path.suffix == ".svg":
        content = str(vl_convert.vegalite_to_svg(specification)).encode()
    else:
        raise InputError("a picture's file must end in .png or .svg", str(path), "choose such a name")
    try:
        path.write_bytes(content)
    except OSError as error:
        raise InputError(
            "a picture's file must be writable", f"{path} ({error.strerror})", "check its folder"
        ) from None


def _with_prefix(tag: str, prefix: str) -> str:
    """Return a tag with the prefix before its identifier, and before those that it refers to."""
    tag = re.sub(r' id="([^"]+)"', rf' id="{prefix}\1"', tag)
    return re.sub(r'="url\(#([^)]+)\)"', rf'="url(#{prefix}\1)"', tag)


def _specification(chart: Chart) -> dict[str, object]:
    specification = chart.to_dict()
    specification["config"] = settings()
    return {key: _fit(value) for key, value in specification.items()}


def _fit(value: Any) -> Any:
    """Return a part of a chart with its text visible, and short enough for a line."""
    if isinstance(value, Mapping):
        return {key: _fit(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_fit(item) for item in value]
    if not isinstance(value, str):
        return value
    shown = visible(value).translate(_FOR_VEGA)
    return shown if len(shown) <= _MOST_CHARACTERS else f"{shown[:_MOST_CHARACTERS]}…"
