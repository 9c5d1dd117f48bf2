"""`normlab.compare`: a study from Python, with the command's arguments; data may be arrays, the model a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from normlab.errors import InputError
from normlab.models import MODELS
from normlab.models.own import is_reference
from normlab.norms import Norm
from normlab.result import Result
from normlab.study.design import FUNCTION, Study, make_study
from normlab.study.engines import require_engine, require_portable, running_engine
from normlab.study.folders import new_folder
from normlab.study.limits import CHECKPOINT_SECONDS, Limits, make_limits
from normlab.study.progress import Progress, ignore_progress
from normlab.study.reach import require_decisive

if TYPE_CHECKING:
    import keras

    from normlab.data import Dataset

ModelFunction = Callable[[Norm], "keras.Model"] | Callable[[], "keras.Model"]


def compare(
    data: str | Path | tuple[Any, ...] | Mapping[str, Any] = "digits",
    model: str | ModelFunction = "mlp",
    arms: Sequence[str | Mapping[str, Any]] = ("none", "batch"),
    *,
    data_dir: str | Path | None = None,
    target: str | None = None,
    missing: Literal["error", "drop", "mean"] = "error",
    split_seed: int = 0,
    weights: Literal["redraw", "keep"] = "redraw",
    network: Mapping[str, Any] | None = None,
    optimizer: str = "sgd",
    schedule: str = "constant",
    warmup: float = 0.0,
    label_smoothing: float = 0.0,
    augment: str = "none",
    rates: str | float | Sequence[float] = "tuned",
    seeds: int | Literal["auto"] | None = None,
    max_seeds: int | None = None,
    tuning_seeds: int | None = None,
    epochs: int = 10,
    batch_size: int = 32,
    margin: float = 0.005,
    reach: float | None = None,
    probes: Sequence[str] = (),
    out: str | Path | None = None,
    max_memory: str | int | None = None,
    max_hours: float | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    engine: str = "local",
    address: str | None = None,
    watch: Callable[[Progress], None] = ignore_progress,
) -> Result:
    """Train the arms paired and fairly tuned, and return what they amount to.

    Args:
        data: A name (`digits`, `breast-cancer`, `wine`, `mnist`, `fashion-mnist`, `cifar10`), a path to .npz, .csv or
            .parquet, arrays `(x, y)`, or a mapping with `x_train`, `y_train`, `x_test`, `y_test`.
        model: A name in `normlab.models.MODELS`, or a function that takes a norm and returns a Keras model. Inside,
            `norm()` gives a new layer for every place (an identity for the arm `none`), and `norm.cancels_bias` says
            whether the layer before it needs no bias. Or a function that takes nothing: its model's norms are then
            swapped, arm by arm (`normlab.surgery.swap`). Or `FILE.py:FUNCTION` for such a function, or `FILE.keras`.
        arms: Names in `normlab.norms.NORMS`, or mappings with `norm`, `name` and the network options in which the arm
            departs from the study's. The first is the baseline.
        data_dir: Folder of the named data sets.
        target: Target column of a table.
        missing: What is done about missing values in a table: refuse (`error`), `drop` rows, or fill (`mean`).
        split_seed: Draws the split of data that come without parts.
        weights: What a model that comes whole begins with: `redraw` draws its parameters for every seed from each
            layer's initializer, `keep` begins every run with the values that it comes with.
        network: Options of the named network; `normlab models` lists them.
        optimizer: `sgd`, `momentum`, `adam` or `adamw`.
        schedule: Of the learning rate: `constant`, `cosine` or `step`.
        warmup: Epochs, or part of one, in which the learning rate rises from 0.
        label_smoothing: Share of every label that is spread over all classes, in training alone.
        augment: What is done to training images: `none`, `flip`, `crop` or `flip-crop`.
        rates: `"tuned"`, a learning rate, or several, of which the first is the one that the answer is about.
        seeds: Pairs reported on (default: 10), or `"auto"`: pairs are added until every arm's primary metric is
            decided. A number too small to show any difference is trained only if it is given.
        max_seeds: The most pairs of `"auto"`; default: 40.
        tuning_seeds: Seeds per rate that choose it; default: as many as `seeds`, at most eight.
        epochs: Passes over the training part.
        batch_size: Samples per step.
        margin: A smaller difference in accuracy is negligible; stated before the data are seen.
        reach: The validation accuracy (or loss) for epochs to target; default: one point below the pooled median.
        probes: Names in `normlab.probes.PROBES`, measured in every run reported on, before the first epoch and after
            each.
        out: The study's folder; default: a new one under `runs/`. If it holds this same study, that goes on where it
            stopped.
        max_memory: What may be used, in bytes or as text such as "4G": of the process on a CPU, of each device
            elsewhere. Chunks are made to fit.
        max_hours: Wall time after which the study stops; the same call goes on.
        checkpoint_seconds: Seconds of work between checkpoints: what a sudden end costs at most.
        engine: Where chunks of runs train: `local`, in this process, or `ray`, on the workers of a Ray cluster; the
            numbers are the same.
        address: Of the Ray cluster to join; default: a Ray of its own, on this machine.
        watch: Called with a `Progress` after every epoch of every arm.

    Raises:
        InputError: If an argument breaks a rule; nothing is trained then.
        StoppedError: If `max_hours` were over first.
    """
    limits = make_limits(max_memory, max_hours, checkpoint_seconds)
    if not isinstance(model, str) and not callable(model):
        raise InputError("model must be a name or a function", type(model).__name__, f"use one of {', '.join(MODELS)}")
    settings = {
        "data": data if isinstance(data, str) else str(data) if isinstance(data, Path) else "arrays",
        "model": model if isinstance(model, str) else FUNCTION,
        "arms": arms,
        "data_dir": data_dir,
        "target": target,
        "missing": missing,
        "split_seed": split_seed,
        "weights": weights,
        "network": dict(network or {}),
        "optimizer": optimizer,
        "schedule": schedule,
        "warmup": warmup,
        "label_smoothing": label_smoothing,
        "augment": augment,
        "rates": rates,
        **({} if seeds is None else {"seeds": seeds}),
        **({} if max_seeds is None else {"max_seeds": max_seeds}),
        **({} if tuning_seeds is None else {"tuning_seeds": tuning_seeds}),
        "epochs": epochs,
        "batch_size": batch_size,
        "margin": margin,
        "reach": reach,
        "probes": probes,
    }
    require_engine(engine, address)
    study = make_study(settings)
    require_decisive(study)
    return run_study(study, out=out, limits=limits, engine=engine, address=address, watch=watch, data=data, model=model)


def run_study(
    study: Study,
    *,
    out: str | Path | None = None,
    limits: Limits | None = None,
    engine: str = "local",
    address: str | None = None,
    watch: Callable[[Progress], None] = ignore_progress,
    begin: Callable[[], None] = lambda: None,
    data: str | Path | tuple[Any, ...] | Mapping[str, Any] | None = None,
    model: str | ModelFunction | None = None,
) -> Result:
    """Run a validated study and write its report; `data` and `model` replace the study's where they are no names.

    `begin` is called once all is checked, before the first training.

    Raises:
        InputError: As `compare`.
    """
    source = model if callable(model) else study.model
    if source == FUNCTION:
        raise InputError("a model function must be handed over", "its name alone", "give FILE.py:FUNCTION")
    require_engine(engine, address)
    require_portable(engine, source)
    from normlab.study.store import Store

    named = None
    if out is not None:  # before minutes are spent on loading
        named = Store(out)
        named.require_free()
    dataset = prepare_training(study, data)
    from normlab.study.execute import execute
    from normlab.study.laboratory import named_model
    from normlab.study.own import own_model

    store = named or Store(new_folder(dataset.name, Path(study.model).name))
    is_own = callable(source) or is_reference(source)
    build_plan = own_model(study, dataset, source) if is_own else named_model(study, dataset)
    with running_engine(engine, address) as make_engine:
        execute(study, dataset, build_plan, store, limits=limits, engine=make_engine, watch=watch, begin=begin)
    result = Result(store.folder)
    result.report()
    return result


def prepare_training(study: Study, data: Any = None) -> Dataset:
    """Load a study's data, or the arrays given, and set up the devices: all that comes before the first computation.

    Raises:
        InputError: If the data break a rule, or Keras runs on another backend.
    """
    from normlab.data import load

    dataset = load(
        study.data if data is None else data,
        data_dir=study.data_dir,
        target=study.target,
        missing=study.missing,
        split_seed=study.split_seed,
    )
    from normlab.train.devices import prepare

    prepare()
    return dataset
