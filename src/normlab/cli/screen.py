"""What commands share: options, the progress and result of a study."""

from __future__ import annotations

import tomllib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from normlab.cli.console import OutputLostError, complain, new_console
from normlab.errors import InputError

if TYPE_CHECKING:
    from normlab.result import Result
    from normlab.study.design import Study
    from normlab.study.limits import Limits
    from normlab.study.progress import Progress

# The exit status of a study that was stopped by a limit and can go on: "try again later" in sysexits.h.
STOPPED = 75

DataDir = Annotated[
    Path | None, typer.Option(help="Folder of mnist, fashion-mnist, cifar10. Default: $NORMLAB_DATA, else a cache.")
]
Out = Annotated[Path | None, typer.Option(help="Folder for records and report. Default: a new one under runs/.")]
NetworkOptions = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="An option of the network, such as depth=14; may be repeated."),
]
Target = Annotated[str | None, typer.Option(help="Target column of a table: a .csv, .parquet or similar file.")]
Drop = Annotated[
    list[str] | None, typer.Option(metavar="COLUMN", help="Leave out a column of a table; may be repeated.")
]
Keep = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN", help="Keep a column that looks like row numbers; may be repeated."),
]
MissingOption = Annotated[
    str | None, typer.Option("--missing", help="Missing values in a table: error, drop, mean or category.")
]
TaskOption = Annotated[
    str | None, typer.Option(help="What the target holds: classification (classes) or regression (a quantity).")
]

_MOST_DIGITS = 20


def run_and_show(
    study: Study,
    out: Path | None,
    limits: Limits | None = None,
    engine: str = "local",
    address: str | None = None,
    *,
    show_all: bool = False,
) -> Result:
    """Run a study with its progress shown, print what came out, and return it; `show_all` as of `show_result`.

    A number of pairs that can show no difference is refused where it is a default, and said where it was asked for.

    Ctrl-C ends in status 130, and `STOPPED` says that the time was up.
    """
    from normlab.compare import run_study
    from normlab.study.reach import require_decisive
    from normlab.terminal import show_result

    require_decisive(study)
    with show_progress() as watch:
        result = run_study(study, out=out, limits=limits, engine=engine, address=address, watch=watch, notify=show_note)
    try:
        show_result(new_console(), result, show_all=show_all)
    except OutputLostError as lost:
        raise OutputLostError(f"{lost}; the study is kept in {result.folder}") from None
    return result


@contextmanager
def show_progress() -> Iterator[Callable[[Progress], None]]:
    """Show how far a study is while the block runs; yields what is called after every epoch of every arm.

    Ctrl-C inside the block ends the command in status 130, after a line that says what was kept; the end of its time in
    status `STOPPED`. A warning is one line.
    """
    from normlab.study.progress import StoppedError
    from normlab.terminal import progress_bar

    try:
        with progress_bar(new_console(stderr=True)) as watch, warnings_in_a_line():
            yield watch
    except KeyboardInterrupt as interrupt:
        # Typer would end here without a word, and with it the count of complete runs.
        complain(f"interrupted{f': {interrupt}' if str(interrupt) else ''}")
        raise typer.Exit(130) from None
    except StoppedError as end:
        complain(f"stopped, the time is up: {end}")
        raise typer.Exit(STOPPED) from None


@contextmanager
def warnings_in_a_line() -> Iterator[None]:
    """Print what normlab warns of inside the block as one line each; other warnings as they are."""
    from normlab.study.engine import EngineWarning
    from normlab.study.store import DamageWarning

    shown = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, DamageWarning | EngineWarning):
            complain(f"warning: {message}")
        else:
            shown(message, category, *where, **more)

    with warnings.catch_warnings():
        warnings.simplefilter("always", DamageWarning)
        warnings.simplefilter("always", EngineWarning)
        warnings.showwarning = show
        yield


def show_note(sentence: str) -> None:
    """Print a note as one line on the standard error, as progress is: results alone go to the standard output."""
    new_console(stderr=True).print(f"Note: {sentence}", soft_wrap=True)


def named_values(texts: list[str], example: str = "--network depth=14") -> dict[str, Any]:
    """Read NAME=VALUE; a value is what TOML makes of it, whole numbers between commas are a list, the rest is text.

    Args:
        texts: What the user gave.
        example: The option with a good value, for the message.
    """
    rule = f"{example.partition(' ')[0]} must be NAME=VALUE"
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise InputError(rule, repr(text), f"give such as {example}")
        try:
            values[name.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            values[name.strip()] = _numbers_or_text(value)
        except (ValueError, RecursionError) as error:
            raise InputError(rule, f"{text!r} ({error})", "give a shorter value") from None
    return values


def _numbers_or_text(value: str) -> list[int] | str:
    """Read whole numbers between commas as a list; text stays text."""
    parts = value.split(",")
    is_list = len(parts) > 1 and all(part.strip().isdecimal() and len(part) <= _MOST_DIGITS for part in parts)
    return [int(part) for part in parts] if is_list else value.strip()
