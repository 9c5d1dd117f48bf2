"""Charts as pictures, drawn by vl-convert without a browser: SVG for pages, SVG or PNG files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from normlab.errors import InputError
from normlab.report.palette import settings

if TYPE_CHECKING:
    from normlab.report.channels import Chart

PIXELS_PER_POINT = 2.0

_LABELLED = re.compile(r'<path aria-label="([^"]*)" role="graphics-symbol"([^>]*?)(?:/>|></path>)')


def svg(chart: Chart, prefix: str = "") -> str:
    """Return the chart as SVG that can stand in a page beside others.

    What the chart tells of a point becomes its `<title>`, which browsers show under the pointer without a script.
    Identifiers get `prefix`, for those of several charts in one page would clash.
    """
    import vl_convert

    drawn = str(vl_convert.vegalite_to_svg(_specification(chart)))
    drawn = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}\1"', drawn)
    drawn = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}\1)", drawn)
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


def _specification(chart: Chart) -> dict[str, object]:
    specification = chart.to_dict()
    specification["config"] = settings()
    return dict(specification)
