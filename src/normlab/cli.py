"""The command `normlab`: arguments to calls. Nothing heavy is imported before the arguments are known to be right."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from normlab.errors import InputError, require_known
from normlab.version import __version__

app = typer.Typer(
    name="normlab",
    help="Does a normalization layer help my network, which one, and why?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="List, download and check the named data sets.", no_args_is_help=True)
replicate_app = typer.Typer(help="Train what was published and compare.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(replicate_app, name="replicate")

DataDir = Annotated[
    Path | None, typer.Option(help="Folder of mnist, fashion-mnist, cifar10. Default: $NORMLAB_DATA, else a cache.")
]
ModelFile = Annotated[Path, typer.Argument(help="A .keras file; opened in safe mode, in which no code of it runs.")]
NewModelFile = Annotated[Path, typer.Option("--out", help="The .keras file to write; it must not exist yet.")]
Out = Annotated[Path | None, typer.Option(help="Folder for records and report. Default: a new one under runs/.")]


def main() -> None:
    """Run the command; bad input ends in one line and exit status 2, Ctrl-C in status 130."""
    try:
        app()
    except InputError as error:
        _complain(f"error: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        _complain("interrupted")
        sys.exit(130)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Does a normalization layer help my network, which one, and why?"""


@app.command()
def run(
    study: Annotated[Path | None, typer.Argument(help="A study file in TOML; options override it.")] = None,
    data: Annotated[
        str | None, typer.Option(help="digits, breast-cancer, wine, mnist, fashion-mnist, cifar10, or a file.")
    ] = None,
    data_dir: DataDir = None,
    target: Annotated[str | None, typer.Option(help="Target column of a .csv or .parquet file.")] = None,
    missing: Annotated[str | None, typer.Option(help="Missing values in a table: error, drop or mean.")] = None,
    split_seed: Annotated[int | None, typer.Option(help="Draws the split of data that come without parts.")] = None,
    model: Annotated[str | None, typer.Option(help="The network: mlp.")] = None,
    arms: Annotated[
        str | None, typer.Option(help="Norms to compare, the baseline first; normlab norms lists them.")
    ] = None,
    widths: Annotated[str | None, typer.Option(help="Units of the hidden layers. Default: 300,100.")] = None,
    activation: Annotated[str | None, typer.Option(help="Activation. Default: relu.")] = None,
    initializer: Annotated[str | None, typer.Option(help="Initializer of kernels. Default: he_normal.")] = None,
    input_norm: Annotated[bool | None, typer.Option(help="Put a norm before the first layer too.")] = None,
    placement: Annotated[str | None, typer.Option(help="Norm before or after the activation.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="sgd, momentum, adam or adamw. Default: sgd.")] = None,
    rates: Annotated[
        str | None, typer.Option(help="tuned (default), a learning rate, or several; the first answers.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Pairs reported on. Default: 10.")] = None,
    tuning_seeds: Annotated[int | None, typer.Option(help="Seeds per rate that choose it. Default: 8.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training part. Default: 10.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples per step. Default: 32.")] = None,
    margin: Annotated[float | None, typer.Option(help="Negligible difference in accuracy. Default: 0.005.")] = None,
    reach: Annotated[float | None, typer.Option(help="Validation accuracy (or loss) to time epochs to.")] = None,
    out: Out = None,
) -> None:
    """Train a network in several arms, paired and fairly tuned, and say which is better."""
    from normlab.study.design import make_study, read_study_file

    network = {
        "widths": _numbers("widths", widths, int),
        "activation": activation,
        "initializer": initializer,
        "input_norm": input_norm,
        "placement": placement,
    }
    options = {
        "data": data,
        "data_dir": data_dir,
        "target": target,
        "missing": missing,
        "split_seed": split_seed,
        "model": model,
        "arms": [name.strip() for name in arms.split(",")] if arms is not None else None,
        "optimizer": optimizer,
        "rates": rates if rates in (None, "tuned") else _numbers("rates", rates, float),
        "seeds": seeds,
        "tuning_seeds": tuning_seeds,
        "epochs": epochs,
        "batch_size": batch_size,
        "margin": margin,
        "reach": reach,
    }
    settings = read_study_file(study) if study else {}
    settings |= {name: value for name, value in options.items() if value is not None}
    if any(value is not None for value in network.values()):
        given = {name: value for name, value in network.items() if value is not None}
        in_file = settings.get("network", {})
        settings["network"] = {**in_file, **given} if isinstance(in_file, dict) else in_file
    _run_and_show(make_study(settings), out)


@app.command("norms")
def list_norms(name: Annotated[str | None, typer.Argument(help="Show this norm's formula and source.")] = None) -> None:
    """List the norms: what each keeps per unit, whether it couples samples, its options; or show one of them."""
    from rich.table import Table

    from normlab.errors import require_known
    from normlab.norms import NORMS

    if name is not None:
        require_known("norm", name, NORMS)
        norm = NORMS[name]
        options = ", ".join(f"{option} = {value}" for option, value in norm.options.items())
        rows = {"formula": norm.formula, "keeps per unit": norm.per_unit, "options": options, "source": norm.source}
        print(name, *(f"  {word}: {text}" for word, text in rows.items() if text), sep="\n")
        return
    table = Table()
    table.add_column("name", no_wrap=True)
    for heading in ("keeps per unit", "samples\ncoupled", "evaluation\ndiffers", "options"):
        table.add_column(heading, overflow="fold")
    for norm in NORMS.values():
        flags = ["yes" if flag else "no" for flag in (norm.couples_samples, norm.differs_in_evaluation)]
        table.add_row(norm.name, norm.per_unit, *flags, "\n".join(f"{k} {v}" for k, v in norm.options.items()))
    Console().print(table)


@data_app.command("list")
def data_list(data_dir: DataDir = None) -> None:
    """List the named data sets and where each one is."""
    from rich.table import Column, Table

    from normlab.data import available

    rows = available(data_dir)
    table = Table(Column("name", no_wrap=True), "samples", "input", "classes", Column("where", overflow="fold"))
    for row in rows:
        samples = " + ".join(f"{count:,}" for count in row.num_samples)
        shape = " x ".join(map(str, row.input_shape))
        table.add_row(row.name, samples, shape, str(row.num_classes), row.where)
    console = _console()
    console.print(table)
    for row in rows:
        console.print(f"{row.name}: {row.origin} Licence: {row.licence}.", markup=False, soft_wrap=True)


@data_app.command("get")
def data_get(name: str, data_dir: DataDir = None) -> None:
    """Download a data set where it is not there yet, and check it."""
    from normlab.data import get

    paths = get(name, data_dir)
    for path in paths:
        print(path)
    if not paths:
        print(f"{name} is embedded: nothing to download")


@data_app.command("check")
def data_check(name: str, data_dir: DataDir = None) -> None:
    """Check every file of a data set against the hash of its official content."""
    from normlab.data import check

    rows = check(name, data_dir)
    if not rows:
        print(f"{name} is embedded: nothing to check")
    for row in rows:
        word = "ok" if row.ok else "missing" if row.found == "missing" else "ALTERED"
        print(f"{word:7} {row.file}  {row.expected}" + (f", found {row.found}" if word == "ALTERED" else ""))
    if not all(row.ok for row in rows):
        raise typer.Exit(2)


@replicate_app.command("notebook")
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

    result = _run_and_show(notebook_study(seeds, epochs, data_dir), out)
    rows = agreement(result.runs)
    print_agreement(_console(), rows)
    if not all(row.agrees for row in rows):
        raise typer.Exit(1)


@app.command()
def swap(
    model: ModelFile,
    norm: Annotated[str, typer.Option(help="The norm that every place gets; none removes the norms.")],
    out: NewModelFile,
) -> None:
    """Replace every norm of a model, or insert norms where it has none; all other weights are kept."""
    from normlab.norms import NORMS
    from normlab.surgery.files import open_model, require_files, save_model

    require_known("norm", norm, NORMS)
    require_files(model, out)
    from normlab.surgery import swap as swap_norms

    swapped = swap_norms(open_model(model), norm)
    save_model(swapped.model, out)
    Console(highlight=False).print(swapped.table())
    print(f"Written: {out}")


@app.command()
def fold(
    model: ModelFile,
    out: NewModelFile,
    data: Annotated[Path | None, typer.Option(help="A .npz file with inputs on which folding is proven too.")] = None,
) -> None:
    """Fold every foldable batch norm into the layer before or behind it, for evaluation, and prove it."""
    from normlab.surgery.files import open_inputs, open_model, require_files, save_model

    require_files(model, out, data)
    from normlab.surgery import fold as fold_norms

    opened = open_model(model)
    folded = fold_norms(opened, None if data is None else open_inputs(data, opened))
    save_model(folded.model, out)
    console = Console(highlight=False)
    console.print(folded.table())
    console.print(folded.proof())
    print(f"Written: {out}")


def _run_and_show(study: Any, out: Path | None) -> Any:
    from normlab.compare import run_study
    from normlab.terminal import progress_bar, show_result

    console = _console()
    try:
        with progress_bar(_console(stderr=True), study.epochs) as watch:
            result = run_study(study, out=out, watch=watch)
    except KeyboardInterrupt as interrupt:
        # Typer would end here without a word, and with it the count of complete runs.
        _complain(f"interrupted{f': {interrupt}' if str(interrupt) else ''}")
        raise typer.Exit(130) from None
    show_result(console, result)
    return result


def _complain(message: str) -> None:
    """Print one line on the standard error, whatever the message holds."""
    _console(stderr=True).print(" ".join(f"normlab: {message}".splitlines()), markup=False, soft_wrap=True)


def _console(stderr: bool = False) -> Console:
    """Return a console that prints paths and names as they are."""
    return Console(stderr=stderr, highlight=False, emoji=False)


def _numbers(name: str, text: str | None, kind: type[int] | type[float]) -> list[Any] | None:
    """Read numbers between commas."""
    if text is None:
        return None
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        numbers = "whole numbers" if kind is int else "tuned or numbers"
        example = "300,100" if kind is int else "0.001,0.01"
        raise InputError(f"--{name} must be {numbers} between commas", repr(text), f"give {example}") from None
