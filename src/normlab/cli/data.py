"""`normlab data`: list, download and check the named data sets."""

from __future__ import annotations

import typer

from normlab.cli.console import new_console
from normlab.cli.screen import DataDir

app = typer.Typer(help="List, download and check the named data sets.", no_args_is_help=True)


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
def data_check(name: str, data_dir: DataDir = None) -> None:
    """Check every file of a data set against the hash of its official content."""
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
