"""`normlab swap` and `normlab fold`: surgery on .keras files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from normlab.cli.console import new_console
from normlab.cli.screen import named_values
from normlab.errors import require_known

ModelFile = Annotated[Path, typer.Argument(help="A .keras file; opened in safe mode, in which no code of it runs.")]
NewModelFile = Annotated[Path, typer.Option("--out", help="The .keras file to write; it must not exist yet.")]


def swap(
    model: ModelFile,
    norm: Annotated[
        str,
        typer.Option(
            help="The norm that every place gets; none removes the norms. Or your own: FILE.py:NAME, code that runs."
        ),
    ],
    out: NewModelFile,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="An option of the norm, such as groups=8; may be repeated."),
    ] = None,
    per_layer: Annotated[
        bool,
        typer.Option(
            "--per-layer",
            help="Give each place the largest number of groups, up to the one set, that divides its channels.",
        ),
    ] = False,
) -> None:
    """Replace every norm of a model, or insert norms where it has none; all other weights are kept.

    New norms train, even in the place of frozen ones and inside frozen models; the table says so.
    """
    from normlab.norms import NORMS, named_norm
    from normlab.surgery.files import open_model, require_files, save_model

    if ".py:" not in norm and not norm.endswith(".py"):
        require_known("norm", norm, NORMS)
    require_files(model, out)
    chosen = named_norm(norm).with_options(**named_values(options or [], "--set groups=8"))
    from normlab.surgery import swap as swap_norms

    swapped = swap_norms(open_model(model), chosen, per_layer=per_layer)
    save_model(swapped.model, out)
    console = new_console()
    console.print(swapped.table())
    console.print(f"Written: {out}", soft_wrap=True)


def fold(
    model: ModelFile,
    out: NewModelFile,
    data: Annotated[
        Path | None,
        typer.Option(help="A .npz file with inputs on which folding is proven; without it, on random input."),
    ] = None,
) -> None:
    """Fold every foldable batch norm into the layer before or behind it, for evaluation, and prove it."""
    from normlab.surgery.files import open_inputs, open_model, require_files, save_model

    require_files(model, out, data)
    from normlab.surgery import fold as fold_norms

    opened = open_model(model)
    folded = fold_norms(opened, None if data is None else open_inputs(data, opened))
    save_model(folded.model, out)
    console = new_console()
    console.print(folded.table())
    console.print(folded.proof())
    console.print(f"Written: {out}", soft_wrap=True)
