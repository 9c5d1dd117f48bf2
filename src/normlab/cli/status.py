"""`normlab status`: how far a study is, while it runs or afterwards."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from normlab.cli.console import new_console

if TYPE_CHECKING:
    from normlab.study.status import Status, UnderWay

MINUTE, HOUR = 60, 3600


def status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The study's folder, as --out named it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Say what a study has done, what is under way and what is left; it may be running."""
    from normlab.study.status import read_status

    now = read_status(folder)
    if as_json:
        print(json.dumps(dataclasses.asdict(now), indent=1))
        return
    console = new_console()
    for line in _lines(now):
        console.print(line, markup=False, soft_wrap=True)


def _lines(now: Status) -> list[str]:
    study = now.study
    rates = "rates tuned" if study["rates"] == "tuned" else f"rates {', '.join(f'{r:g}' for r in study['rates'])}"
    arms = ", ".join(arm["name"] for arm in study["arms"])
    lines = [
        f"{now.folder}: {now.data}, {study['model']}, {study['optimizer']}; {arms}; {rates}; "
        f"seeds {study['seeds']}; epochs {study['epochs']}",
        f"state: {_state(now)}, begun {now.started}",
    ]
    for stage in now.stages:
        total = f"{'at most ' if now.at_most and stage.stage == 'report' else ''}{stage.num_runs}"
        if now.is_complete and stage.runs_done < stage.num_runs:
            total = f"at most {stage.num_runs}, decided by then"
        lines.append(f"{stage.stage}: {stage.runs_done} of {total} runs, in {_counted(stage.chunks_done, 'chunk')}")
    lines += [_under_way(chunk) for chunk in now.under_way]
    if not now.is_complete:
        left = sum(stage.num_run_epochs - stage.run_epochs_done for stage in now.stages)
        most = "at most " if now.at_most else ""
        lines.append(f"left: {most}{left:,.0f} epochs of runs, time {_time(now.seconds_left, most)}")
    for halving in now.halvings:
        lines.append(f"halved: chunks of {halving['from']} runs to {halving['to']} ({halving['because']})")
    return lines + [f"damage: {damage}" for damage in now.damage]


def _state(now: Status) -> str:
    if now.is_complete:
        return "complete"
    words = {True: "running now", False: "stopped; the same command goes on", None: "unknown whether it runs"}
    return words[now.is_running]


def _under_way(chunk: UnderWay) -> str:
    batches = "" if chunk.num_batches is None else f", {chunk.batches} of {chunk.num_batches} batches"
    return f"under way: {chunk.chunk} ({chunk.num_runs} runs), {chunk.arm} epoch {chunk.epoch}{batches}, as last kept"


def _time(seconds: float | None, most: str) -> str:
    if seconds is None:
        return "unknown"
    if seconds < 2 * MINUTE:
        return f"{most or 'about '}{seconds:.0f} s"
    if seconds < 2 * HOUR:
        return f"{most or 'about '}{seconds / MINUTE:.0f} min"
    return f"{most or 'about '}{seconds / HOUR:.1f} h"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
