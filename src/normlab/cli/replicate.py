"""`normlab replicate`: what was published or follows from theory, beside what is measured here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from normlab.cli.console import new_console
from normlab.cli.screen import DataDir, show_progress
from normlab.errors import InputError, require_known
from normlab.store.files import make_folder, require_writable, write_file, writing_to

if TYPE_CHECKING:
    from normlab.replicate.replication import Checked, Replication

ALL = "all"


def replicate(
    name: Annotated[str | None, typer.Argument(help="A replication, or all.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the replications and leave.")] = False,
    budget: Annotated[
        str | None,
        typer.Option(
            help="quick (a minute or so each) or full (more seeds, MNIST in place of digits). Default: full for "
            "notebook (10 minutes) and gradient-rate (2), quick for the others, whose full takes from a quarter of an "
            "hour to two hours."
        ),
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Runs of each arm. Default: the replication's own.")] = None,
    data_dir: DataDir = None,
    out: Annotated[Path | None, typer.Option(help="Folder for records. Default: new ones under runs/.")] = None,
) -> None:
    """Set published figures beside measured ones; exit status 0 when all of them agree, 1 otherwise."""
    from normlab.claims.bench import SEEDS
    from normlab.replicate.table import REPLICATIONS

    console = new_console()
    if listing or name is None:
        for one in REPLICATIONS.values():
            console.print(f"{one.id:16}{one.title}", soft_wrap=True)
        return
    require_known("replication", name, [*REPLICATIONS, ALL])
    if budget is not None:
        require_known("budget", budget, SEEDS)
    chosen = list(REPLICATIONS.values()) if name == ALL else [REPLICATIONS[name]]
    if out is not None:
        require_writable(out)
    agree = []
    for one in chosen:
        folder = out / one.id if out is not None and name == ALL else out
        try:
            agree.append(_run(one, budget or one.usual, seeds, data_dir, folder))
        except InputError as error:
            if name != ALL:
                raise
            console.print(f"{one.id}: not run: {error}", soft_wrap=True)
            agree.append(False)
    if not all(agree):
        raise typer.Exit(1)


def _run(one: Replication, budget: str, seeds: int | None, data_dir: Path | None, out: Path | None) -> bool:
    from normlab.replicate.replication import Setting

    with show_progress() as watch:
        figures = one.run(Setting(budget, data_dir, seeds, out, watch))  # type: ignore[arg-type]
    _show(one, figures)
    if out is not None:
        content = {"id": one.id, "source": one.source, "figures": [vars(figure) for figure in figures]}
        with writing_to(out):
            make_folder(out)
            write_file(out / "replication.json", (json.dumps(content, indent=1) + "\n").encode())
    return all(figure.agrees for figure in figures)


def _show(one: Replication, figures: list[Checked]) -> None:
    from rich.table import Table

    table = Table("figure", "published", "measured", "counts as agreement", "", title=f"{one.id}: {one.title}")
    for row in figures:
        word = "agrees" if row.agrees else "DIFFERS"
        style = "" if row.agrees else "bold red"
        table.add_row(row.what, row.expected, row.measured, row.tolerance, word, style=style)
    console = new_console()
    console.print(table)
    agreeing = sum(row.agrees for row in figures)
    for row in figures:
        if not row.agrees and row.known:
            console.print(f"Not reproduced: {row.what}. What is known: {row.known}.", soft_wrap=True)
    console.print(f"{one.id}: {agreeing} of {len(figures)} figures agree. Source: {one.source}.")
