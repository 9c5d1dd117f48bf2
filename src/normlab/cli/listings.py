"""`normlab norms` and `normlab models`: what can be chosen."""

from __future__ import annotations

from typing import Annotated

import typer

from normlab.cli.console import new_console


def norms(name: Annotated[str | None, typer.Argument(help="Show this norm's formula and source.")] = None) -> None:
    """List the norms: what each keeps per unit, whether it couples samples, its options; or show one of them."""
    from rich.table import Table

    from normlab.errors import require_known
    from normlab.norms import NORMS

    if name is not None:
        require_known("norm", name, NORMS)
        norm = NORMS[name]
        options = ", ".join(f"{option} = {value}" for option, value in norm.options.items())
        rows = {
            "formula": norm.formula,
            "keeps per unit": norm.per_unit,
            "samples coupled": _yes_or_no(norm.couples_samples),
            "evaluation differs": _yes_or_no(norm.differs_in_evaluation),
            "options": options,
            "source": norm.source,
        }
        lines = [name, *(f"  {word}: {text}" for word, text in rows.items() if text)]
        new_console().print("\n".join(lines), soft_wrap=True)
        return
    table = Table()
    table.add_column("name", no_wrap=True)
    for heading in ("keeps per unit", "samples\ncoupled", "evaluation\ndiffers", "options"):
        table.add_column(heading, overflow="fold")
    for norm in NORMS.values():
        flags = [_yes_or_no(flag) for flag in (norm.couples_samples, norm.differs_in_evaluation)]
        table.add_row(norm.name, norm.per_unit, *flags, "\n".join(f"{k} {v}" for k, v in norm.options.items()))
    new_console().print(table)


def models() -> None:
    """List the networks with their options, which --network NAME=VALUE and the table [network] of a study file set."""
    from rich.table import Table

    from normlab.models import MODELS

    table = Table("name", "what it is", "options with their defaults")
    for name, network in MODELS.items():
        options = "\n".join(f"{option} {_shown(default)}" for option, default in network.defaults.items())
        table.add_row(name, network.about, options)
    new_console().print(table)


def _yes_or_no(flag: bool) -> str:
    return "yes" if flag else "no"


def _shown(default: object) -> str:
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default).lower()
