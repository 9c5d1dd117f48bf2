"""`normlab run`: options over a study file, to a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

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
    run_and_show,
)
from normlab.errors import InputError
from normlab.study.engines import require_engine
from normlab.study.limits import CHECKPOINT_SECONDS, make_limits


def run(
    study: Annotated[Path | None, typer.Argument(help="A study file in TOML; options override it.")] = None,
    data: Annotated[
        str | None, typer.Option(help="digits, breast-cancer, wine, mnist, fashion-mnist, cifar10, or a file.")
    ] = None,
    data_dir: DataDir = None,
    target: Target = None,
    missing: MissingOption = None,
    drop: Drop = None,
    keep: Keep = None,
    task: TaskOption = None,
    split_seed: Annotated[int | None, typer.Option(help="Draws the split of data that come without parts.")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="The network; normlab models lists them. Or your own: FILE.py:FUNCTION, code of yours that runs, or "
            "FILE.keras, opened in safe mode."
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="Your own model's values: redraw (default) draws anew per seed, keep begins with them."),
    ] = None,
    arms: Annotated[
        str | None,
        typer.Option(
            help="Norms to compare, the baseline first; normlab norms lists them. Or your own: FILE.py:NAME, code of "
            "yours that runs."
        ),
    ] = None,
    network: NetworkOptions = None,
    widths: Annotated[str | None, typer.Option(help="Units (or channels) per layer, such as 300,100.")] = None,
    activation: Annotated[str | None, typer.Option(help="Activation, such as relu.")] = None,
    initializer: Annotated[str | None, typer.Option(help="Initializer of kernels, such as he_normal.")] = None,
    input_norm: Annotated[bool | None, typer.Option(help="Put a norm before the first layer too.")] = None,
    placement: Annotated[str | None, typer.Option(help="Norm before or after the activation.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="sgd, momentum, adam or adamw. Default: sgd.")] = None,
    schedule: Annotated[
        str | None, typer.Option(help="Of the learning rate: constant, cosine or step. Default: constant.")
    ] = None,
    warmup: Annotated[float | None, typer.Option(help="Epochs in which the rate rises from 0. Default: 0.")] = None,
    label_smoothing: Annotated[
        float | None, typer.Option(help="Share of a label spread over all classes in training. Default: 0.")
    ] = None,
    augment: Annotated[
        str | None, typer.Option(help="Of training images: none, flip, crop or flip-crop. Default: none.")
    ] = None,
    rates: Annotated[
        str | None, typer.Option(help="tuned (default), a learning rate, or several; the first answers.")
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Pairs reported on, or auto: as many as the answer needs. Default: 10.")
    ] = None,
    max_seeds: Annotated[int | None, typer.Option(help="The most pairs of --seeds auto. Default: 40.")] = None,
    tuning_seeds: Annotated[
        int | None, typer.Option(help="Seeds per rate that choose it. Default: as --seeds, at most 8.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training part. Default: 10.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples per step. Default: 32.")] = None,
    margin: Annotated[float | None, typer.Option(help="Negligible difference in accuracy. Default: 0.005.")] = None,
    reach: Annotated[float | None, typer.Option(help="Validation accuracy (or loss) to time epochs to.")] = None,
    probes: Annotated[
        str | None, typer.Option(help="Measured inside the network after every epoch, such as gradients,activations.")
    ] = None,
    out: Out = None,
    max_memory: Annotated[
        str | None, typer.Option(help="What may be used, such as 4G; chunks of runs are made to fit.")
    ] = None,
    max_hours: Annotated[
        float | None, typer.Option(help="Stop after so long, in status 75; the same command goes on.")
    ] = None,
    checkpoint_seconds: Annotated[
        float, typer.Option(help="Seconds of work that a sudden end costs at most.")
    ] = CHECKPOINT_SECONDS,
    engine: Annotated[str, typer.Option(help="Where chunks of runs train: local, or on the workers of ray.")] = "local",
    show_all: Annotated[
        bool, typer.Option("--all", help="Print also comparisons that so few pairs could not have decided.")
    ] = False,
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster to join, such as 10.0.0.5:6379. Default: a Ray of its own.")
    ] = None,
) -> None:
    """Train a network in several arms, paired and fairly tuned, and say which is better."""
    require_engine(engine, address)
    from normlab.study.design import make_study, read_study_file

    own = named_values(network or [])
    flags = {
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
        "drop": drop or None,
        "keep": keep or None,
        "task": task,
        "split_seed": split_seed,
        "model": model,
        "weights": weights,
        "arms": [name.strip() for name in arms.split(",")] if arms is not None else None,
        "optimizer": optimizer,
        "schedule": schedule,
        "warmup": warmup,
        "label_smoothing": label_smoothing,
        "augment": augment,
        "rates": rates if rates in (None, "tuned") else _numbers("rates", rates, float),
        "seeds": _whole_number(seeds),
        "max_seeds": max_seeds,
        "tuning_seeds": tuning_seeds,
        "epochs": epochs,
        "batch_size": batch_size,
        "margin": margin,
        "reach": reach,
        "probes": [name.strip() for name in probes.split(",")] if probes is not None else None,
    }
    settings = read_study_file(study) if study else {}
    settings |= {name: value for name, value in options.items() if value is not None}
    given = own | {name: value for name, value in flags.items() if value is not None}
    if given:
        in_file = settings.get("network", {})
        settings["network"] = {**in_file, **given} if isinstance(in_file, dict) else in_file
    limits = make_limits(
        max_memory, max_hours, CHECKPOINT_SECONDS if checkpoint_seconds is None else checkpoint_seconds
    )
    run_and_show(make_study(settings), out, limits, engine, address, show_all=show_all)


def _whole_number(text: str | None) -> int | str | None:
    """Read a whole number; anything else, such as auto, is left for the study to judge."""
    try:
        return text if text is None else int(text)
    except ValueError:
        return text


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
