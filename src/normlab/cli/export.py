"""`normlab export`: a study for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from normlab.cli.console import complain, new_console


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The study's folder, as --out named it.")],
    to: Annotated[str, typer.Option(help="csv, parquet, json, tensorboard or mlflow.")],
    out: Annotated[
        Path | None, typer.Option(help="Where nothing is yet. Default: beside DIR, such as DIR-csv or DIR.json.")
    ] = None,
) -> None:
    """Write a study's records, or those of its finished chunks, for other programs; what is damaged is left out."""
    from normlab.export.export import export as run_export

    target, left_out = run_export(folder, to, out)
    for line in left_out:
        complain(f"warning: left out: {line}")
    new_console().print(f"Exported: {target}", markup=False, soft_wrap=True)
