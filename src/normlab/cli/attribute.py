"""`normlab attribute`: what the difference between two arms is made of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from normlab.cli.console import new_console
from normlab.cli.screen import DataDir, Out, show_progress

if TYPE_CHECKING:
    from normlab.attribute.attribution import Attribution, Part


def attribute(
    study: Annotated[str, typer.Argument(help="A study file with two arms; or notebook, for its two networks.")],
    data_dir: DataDir = None,
    seeds: Annotated[int | None, typer.Option(help="Pairs. Default: the study's.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training part. Default: the study's.")] = None,
    out: Out = None,
) -> None:
    """Train every combination of the factors in which two arms differ, and give each factor its share."""
    from normlab.attribute.attribution import attribute as run_attribution
    from normlab.report.attribution_page import render_attribution
    from normlab.report.page import write_document
    from normlab.study.design import make_study, read_study_file
    from normlab.study.names import ATTRIBUTION_PAGE

    given = {"data_dir": data_dir, "seeds": seeds, "epochs": epochs}
    changes = {name: value for name, value in given.items() if value is not None}
    if study == "notebook":
        from normlab.replicate.notebook import notebook_study

        base = notebook_study(10 if seeds is None else seeds, 10 if epochs is None else epochs, data_dir)
    else:
        base = make_study(read_study_file(Path(study)) | changes)
    with show_progress() as watch:
        found, folder = run_attribution(base, out=out, watch=watch)
    write_document(render_attribution(found.as_json()), folder / ATTRIBUTION_PAGE)
    _show(found)
    new_console().print(f"Report: {folder / ATTRIBUTION_PAGE}", soft_wrap=True)


def _show(found: Attribution) -> None:
    from rich.table import Column, Table

    from normlab.report.attribution_page import interval_title, shown_part, statement

    table = Table("factor", Column("share", justify="right"), interval_title(found.as_json()), title=None)

    def row(name: str, part: Part) -> None:
        table.add_row(name, *shown_part(part.as_json(), found.metric))

    for part in found.shares:
        row(part.names[0], part)
    table.add_section()
    row(f"{found.arm} minus {found.baseline}", found.difference)
    table.add_section()
    for part in found.interactions:
        row(f"interaction of {' and '.join(part.names)}", part)
    console = new_console()
    console.print(table)
    console.print(statement(found.as_json()), style="bold")
