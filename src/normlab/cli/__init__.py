"""The command `normlab`: arguments to calls. Nothing heavy is imported before the arguments are known to be right."""

from __future__ import annotations

import errno
import sys
from typing import Annotated

import typer

from normlab.cli import listings, run, surgery
from normlab.cli.across import across
from normlab.cli.attribute import attribute
from normlab.cli.claims import claims
from normlab.cli.console import OutputLostError, accept_any_text, complain, discard_output, new_console
from normlab.cli.data import app as data_app
from normlab.cli.export import export
from normlab.cli.replicate import replicate
from normlab.cli.status import status
from normlab.cli.verify import verify
from normlab.errors import InputError
from normlab.version import __version__

app = typer.Typer(
    name="normlab",
    help="Does a normalization layer help my network, which one, and why?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(run.run)
app.command()(status)
app.command()(verify)
app.command()(export)
app.command()(across)
app.command()(claims)
app.command()(attribute)
app.command("norms")(listings.norms)
app.command("models")(listings.models)
app.add_typer(data_app, name="data")
app.command()(replicate)
app.command()(surgery.swap)
app.command()(surgery.fold)


# The exit status where standard output was lost: an input or output error in sysexits.h.
OUTPUT_LOST = 74


def main() -> None:
    """Run the command; bad input ends in one line and exit status 2, Ctrl-C in status 130, a lost output in 74."""
    accept_any_text()
    try:
        app()
    except OutputLostError as lost:
        _end_without_output(str(lost))
    except OSError as error:  # from Typer's own printing, of help
        if error.errno not in (errno.ENOSPC, errno.EPIPE):
            raise
        _end_without_output(error.strerror or str(error))
    except InputError as error:
        complain(f"error: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        complain("interrupted")
        sys.exit(130)


def _end_without_output(reason: str) -> None:
    discard_output()
    complain(f"error: standard output must take what is printed, got: {reason}")
    sys.exit(OUTPUT_LOST)


def _print_version(wanted: bool) -> None:
    if wanted:
        new_console().print(__version__)
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Does a normalization layer help my network, which one, and why?"""
