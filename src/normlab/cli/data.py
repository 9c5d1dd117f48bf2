"""`normlab data`: list, download and check the named data sets; show how a file of one's own is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from normlab.cli.console import new_console
from normlab.cli.screen import DataDir, Drop, Keep, MissingOption, Target, TaskOption

if TYPE_CHECKING:
    from normlab.data.preview import Preview

app = typer.Typer(
    help="List, download and check the named data sets; show how a file of your own is read.", no_args_is_help=True
)


@app.command("list")
def data_list(data_dir: DataDir = None) -> None:
    """List the named data sets and where each one is."""
    from rich.table import Column, Table

    from normlab.data import available

    rows = available(data_dir)
    table = Table(Column("name", no_wrap=True), "samples", "input", "classes", Column("where", overflow="fold"))
    for row in rows:
        samples = " + ".join(f"{count:,}" for count in row.num_samples)
        shape = " x ".join(map(str, row.input_shape))
        table.add_row(row.name, samples, shape, str(row.num_classes), row.where)
    console = new_console()
    console.print(table)
    for row in rows:
        console.print(f"{row.name}: {row.origin} Licence: {row.licence}.", soft_wrap=True)


@app.command("get")
def data_get(name: str, data_dir: DataDir = None) -> None:
    """Download a data set where it is not there yet, and check it."""
    from normlab.data import get

    console, paths = new_console(), get(name, data_dir)
    for path in paths:
        console.print(str(path), soft_wrap=True)
    if not paths:
        console.print(f"{name} is embedded: nothing to download")


@app.command("check")
def data_check(
    name: Annotated[str, typer.Argument(help="A named data set, or a file of your own.")],
    target: Target = None,
    drop: Drop = None,
    keep: Keep = None,
    task: TaskOption = None,
    missing: MissingOption = None,
    data_dir: DataDir = None,
) -> None:
    """Check a named data set against the hashes of its official contents, or show how a file of your own is read."""
    from normlab.data.catalog import DATASETS
    from normlab.data.loading import table_options

    options = table_options(target, missing or "error", drop or (), keep or (), task)
    if name in DATASETS:
        options.require_none(name)
        _check_contents(name, data_dir)
        return
    from normlab.data.preview import preview

    found = preview(name, options)
    _show_preview(found)
    if found.problem is not None:
        raise found.problem


def _check_contents(name: str, data_dir: Path | None) -> None:
    from normlab.data import check

    console, rows = new_console(), check(name, data_dir)
    if not rows:
        console.print(f"{name} is embedded: nothing to check")
    for row in rows:
        word = "ok" if row.ok else "missing" if row.found == "missing" else "ALTERED"
        found = f", found {row.found}" if word == "ALTERED" else ""
        console.print(f"{word:7} {row.file}  {row.expected}{found}", soft_wrap=True)
    if not all(row.ok for row in rows):
        raise typer.Exit(2)


def _show_preview(found: Preview) -> None:
    """Print a row per column: a table of many columns is not cut, and no digit is lost."""
    from rich import box
    from rich.table import Column, Table

    head = ["column", "kind", "missing", "distinct", "first rows"]
    table = Table(*(Column(name, overflow="fold") for name in head), box=box.SIMPLE_HEAD)
    for one in found.columns:
        distinct = "" if one.num_distinct is None else f"{one.num_distinct:,}"
        table.add_row(one.name, one.kind, f"{one.num_missing:,}", distinct, " | ".join(one.first))
    console = new_console()
    console.print(table)
    for sentence in found.sentences:
        console.print(sentence, soft_wrap=True)
    for note in found.notes:
        console.print(f"Note: {note}", soft_wrap=True)
