"""What commands share: options, consoles, the one line for bad input, the progress and result of a study."""

from __future__ import annotations

import tomllib
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from normlab.errors import InputError
from normlab.visible import visible

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

    notes = require_decisive(study)

    def begin() -> None:
        for line in notes:
            complain(f"note: {line}")

    with show_progress() as watch:
        result = run_study(study, out=out, limits=limits, engine=engine, address=address, watch=watch, begin=begin)
    show_result(new_console(), result, show_all=show_all)
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


def complain(message: str) -> None:
    """Print one line on the standard error, whatever the message holds."""
    new_console(stderr=True).print(" ".join(f"normlab: {message}".splitlines()), soft_wrap=True)


def new_console(stderr: bool = False) -> Console:
    """Return a console that prints paths and names as they are, but for what would command the terminal."""
    return _PlainConsole(stderr=stderr, highlight=False, emoji=False, markup=False)


class _PlainConsole(Console):
    """A console whose text holds no control characters: names in data and models may hold any."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as Rich does, with every text made visible; Rich's own control codes stay."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


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
            values[name.strip()] = _numbers_or_text(value)
        except (ValueError, RecursionError) as error:
            raise InputError("--network must be NAME=VALUE", f"{text!r} ({error})", "give a shorter value") from None
    return values


def _numbers_or_text(value: str) -> list[int] | str:
    """Read whole numbers between commas as a list; text stays text."""
    parts = value.split(",")
    is_list = len(parts) > 1 and all(part.strip().isdecimal() and len(part) <= _MOST_DIGITS for part in parts)
    return [int(part) for part in parts] if is_list else value.strip()
