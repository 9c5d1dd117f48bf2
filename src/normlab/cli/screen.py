"""What commands share: options, consoles, the one line for bad input, the progress and result of a study."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from normlab.errors import InputError

DataDir = Annotated[
    Path | None, typer.Option(help="Folder of mnist, fashion-mnist, cifar10. Default: $NORMLAB_DATA, else a cache.")
]
Out = Annotated[Path | None, typer.Option(help="Folder for records and report. Default: a new one under runs/.")]
NetworkOptions = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="An option of the network, such as depth=14; may be repeated."),
]


def run_and_show(study: Any, out: Path | None) -> Any:
    """Run a study with its progress shown, print what came out, and return it; Ctrl-C ends in status 130."""
    from normlab.compare import run_study
    from normlab.terminal import progress_bar, show_result

    console = new_console()
    try:
        with progress_bar(new_console(stderr=True), study.epochs) as watch:
            result = run_study(study, out=out, watch=watch)
    except KeyboardInterrupt as interrupt:
        # Typer would end here without a word, and with it the count of complete runs.
        complain(f"interrupted{f': {interrupt}' if str(interrupt) else ''}")
        raise typer.Exit(130) from None
    show_result(console, result)
    return result


def complain(message: str) -> None:
    """Print one line on the standard error, whatever the message holds."""
    new_console(stderr=True).print(" ".join(f"normlab: {message}".splitlines()), markup=False, soft_wrap=True)


def new_console(stderr: bool = False) -> Console:
    """Return a console that prints paths and names as they are."""
    return Console(stderr=stderr, highlight=False, emoji=False)


def named_values(texts: list[str]) -> dict[str, Any]:
    """Read NAME=VALUE; a value is what TOML makes of it, whole numbers between commas are a list, the rest is text."""
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise InputError("--network must be NAME=VALUE", repr(text), "give such as --network depth=14")
        try:
            values[name.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            parts = value.split(",")
            is_list = len(parts) > 1 and all(part.strip().isdecimal() for part in parts)
            values[name.strip()] = [int(part) for part in parts] if is_list else value.strip()
    return values
