"""`normlab replicate`: train what was published, and compare."""

from __future__ import annotations

from typing import Annotated

import typer

from normlab.cli.screen import DataDir, Out, new_console, run_and_show

app = typer.Typer(help="Train what was published and compare.", no_args_is_help=True)


@app.command("notebook")
def replicate_notebook(
    seeds: Annotated[int, typer.Option(help="Runs of each arm.")] = 20,
    epochs: Annotated[int, typer.Option(help="Epochs; the notebook's figures are after 10.", hidden=True)] = 10,
    data_dir: DataDir = None,
    out: Out = None,
) -> None:
    """Train the notebook's two networks as they were, and set measured beside published figures.

    Exit status 0 when every figure lies within 4 standard deviations of the published one, 1 otherwise.
    """
    from normlab.replicate.notebook import agreement, notebook_study, print_agreement

    result = run_and_show(notebook_study(seeds, epochs, data_dir), out)
    rows = agreement(result.runs)
    print_agreement(new_console(), rows)
    if not all(row.agrees for row in rows):
        raise typer.Exit(1)
