"""`normlab verify`: whether every file of a study is what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from normlab.cli.console import new_console

DAMAGED_STATUS = 1


def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The study's folder, as --out named it.")],
) -> None:
    """Check every file of a study by its hash; exit status 1 and a line per file that is damaged or gone."""
    from normlab.study.verify import verify as verified

    found = verified(folder)
    console = new_console()

    def say(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    for damage in found.damaged:
        say(f"damaged: {damage.file}: {damage.why}. Lost: {damage.lost}. normlab run {damage.then}.")
    for name in found.leftovers:
        say(f"left over: {name}, of a start that ended suddenly; the next one sweeps it away or writes it anew")
    for name in found.foreign:
        say(f"not of the study: {name}")
    for name in found.set_aside:
        say(f"set aside: {name}, found damaged by an earlier start; nothing needs it")
    running = "; a process works on it now" if found.is_running else ""
    say(f"{len(found.whole)} files are whole, {len(found.damaged)} damaged or gone{running}")
    if found.damaged:
        raise typer.Exit(DAMAGED_STATUS)
