"""`normlab claims`: what is said of batch normalization, put to the user's data and network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from normlab.cli.console import complain, new_console
from normlab.cli.screen import (
    DataDir,
    Drop,
    Keep,
    MissingOption,
    NetworkOptions,
    Out,
    Target,
    TaskOption,
    named_values,
    show_note,
    warnings_in_a_line,
)

if TYPE_CHECKING:
    from rich.console import Console

    from normlab.claims.answer import Answer
    from normlab.claims.claim import Claim

_MODEL = (
    "The network; normlab models lists them. Or your own: FILE.py:FUNCTION, code of yours that runs; it takes a norm."
)


def claims(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Claims to answer. Default: all.")] = None,
    data: Annotated[str, typer.Option(help="A named data set, or a file.")] = "digits",
    data_dir: DataDir = None,
    target: Target = None,
    missing: MissingOption = None,
    drop: Drop = None,
    keep: Keep = None,
    task: TaskOption = None,
    model: Annotated[str, typer.Option(help=_MODEL)] = "mlp",
    network: NetworkOptions = None,
    budget: Annotated[str, typer.Option(help="quick (minutes) or full.")] = "quick",
    out: Out = None,
    listing: Annotated[bool, typer.Option("--list", help="List the claims and leave.")] = False,
) -> None:
    """Measure what is said of batch normalization, claim by claim, and give each a verdict with its interval."""
    from normlab.claims.session import answer_claims, choose
    from normlab.report.claims_page import read_claims, render_claims
    from normlab.report.page import write_document
    from normlab.study.folders import new_folder

    chosen = choose(ids or [])
    console = new_console()
    if listing:
        for claim in chosen:
            console.print(f"{claim.id:24}{claim.statement}", soft_wrap=True)
        return
    folder = out or new_folder(data, "claims")

    table = {"missing": missing or "error", "drop": drop or (), "keep": keep or (), "task": task}
    options = {"data_dir": data_dir, "target": target, "table": table, "network": named_values(network or [])}
    try:
        with _watching(chosen) as watch, warnings_in_a_line():
            answers = answer_claims(
                chosen,
                folder,
                data=data,
                model=model,
                budget=budget,  # type: ignore[arg-type]
                watch=watch,
                notify=show_note,
                **options,  # type: ignore[arg-type]
            )
    except KeyboardInterrupt:
        kept = f"; the same command with --out {folder} goes on" if folder.exists() else ""
        complain(f"interrupted{kept}")
        raise typer.Exit(130) from None
    write_document(render_claims(read_claims(folder / "claims.json")), folder / "claims.html")
    _show(console, answers)
    console.print(f"Report: {folder / 'claims.html'}", soft_wrap=True)


@contextmanager
def _watching(chosen: Sequence[Claim]) -> Iterator[Callable[[list[Answer]], None]]:
    """Yield what prints each claim's verdict; meanwhile a terminal shows which claim is measured."""
    console = new_console(stderr=True)
    with console.status(_place(chosen, 0)) as status:

        def watch(answers: list[Answer]) -> None:
            last, done = answers[-1], len(answers)
            line = f"{_place(chosen, done - 1)}: {last.finding.verdict} ({last.seconds:.0f} s)"
            console.print(line, soft_wrap=True)
            if done < len(chosen):
                status.update(_place(chosen, done))

        yield watch


def _place(chosen: Sequence[Claim], index: int) -> str:
    return f"{index + 1} of {len(chosen)}: {chosen[index].id}"


def _show(console: Console, answers: list[Answer]) -> None:
    from rich.padding import Padding

    from normlab.report.claims_page import shown_effect

    for one in answers:
        card = one.as_json()
        pairs = f", {card['pairs']} pairs" if card["pairs"] else ""
        console.print(f"{card['id']:23}{card['verdict']:16}{shown_effect(card)}{pairs}", soft_wrap=True)
        console.print(Padding(card["metric"], (0, 0, 0, 4), expand=False), style="dim")
    console.print(
        "Each: the effect with its 95 % interval, or its pairs where they are fewer than six; below, of what."
    )
    console.print(f"{sum(one.seconds for one in answers):.0f} s of measuring.")
