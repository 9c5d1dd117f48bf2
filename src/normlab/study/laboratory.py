"""The programs of a study: data on the devices, and one population per arm, all with the same shape and layout."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from normlab.errors import InputError
from normlab.models import MODELS
from normlab.norms import check_model
from normlab.study.arm import Arm
from normlab.study.design import Study
from normlab.study.matching import fits
from normlab.study.memory import OutOfMemoryError, halved, noticing_lack, require_room
from normlab.study.remembered import remember_layout, remembered_layout
from normlab.study.sizing import chunk_size
from normlab.study.statistics import ArmStatistics, arm_statistics

if TYPE_CHECKING:
    import keras

    from normlab.data import Dataset
    from normlab.train.blueprint import Blueprint
    from normlab.train.loop import Trainer
    from normlab.train.population import Population

# Activations of a single output that is neither a probability of the second class nor its logit.
NO_LOGITS = ("softmax", "log_softmax", "hard_sigmoid", "relu", "relu6", "softplus", "exponential", "hard_tanh", "tanh")

PlanBuilder = Callable[[Arm], "Blueprint"]


@dataclass(frozen=True)
class Laboratory:
    """What trains: a population per arm, by name, and what was recorded while they were set up.

    `statistics` are of the arms that are evaluated with running ones, and are therefore evaluated twice.
    """

    populations: Mapping[str, Population]
    shared_paths: list[str]
    chunk_runs: int
    layout: str
    layout_seconds: Mapping[str, float]
    num_devices: int = 1
    halvings: tuple[dict[str, Any], ...] = ()
    statistics: Mapping[str, ArmStatistics] = field(default_factory=dict)

    @property
    def compile_seconds(self) -> float:
        """Seconds spent on compiling so far."""
        return sum(population.compile_seconds for population in self.populations.values())

    @property
    def uninformed_loss(self) -> float:
        """The loss of a predictor that knows nothing."""
        return next(iter(self.populations.values())).trainer.objective.uninformed_loss


def build_plans(study: Study, dataset: Dataset, build_plan: PlanBuilder) -> dict[str, Blueprint]:
    """Build every arm's model once, and check its norm at the study's batch sizes.

    Raises:
        InputError: If a model does not fit the data, a norm can't serve where it stands, or there are no statistics to
            recompute.
    """
    from normlab.norms.precise import PreciseStatistics

    num_samples = len(dataset.train)
    batch_sizes = {study.batch_size, num_samples % study.batch_size or study.batch_size}

    def plan(arm: Arm) -> Blueprint:
        built = build_plan(arm)
        for size in batch_sizes:
            check_model(arm.build_norm(), built.model, size)
        if arm.build_norm().recomputes:
            PreciseStatistics(built.model)
        return built

    return {arm.name: plan(arm) for arm in study.arms}


def trainer_of(study: Study, dataset: Dataset, arm: Arm, plan: Blueprint) -> Trainer:
    """Return what is fixed while an arm's runs train."""
    from normlab.train.augment import AUGMENTATIONS
    from normlab.train.loop import Trainer
    from normlab.train.objective import objective_for
    from normlab.train.optimizers import OPTIMIZERS
    from normlab.train.schedules import schedule_for

    steps_per_epoch = math.ceil(len(dataset.train) / study.batch_size)
    optimizer = OPTIMIZERS[study.optimizer].build()
    optimizer.build(plan.model.trainable_variables)
    return Trainer(
        plan.model,
        optimizer,
        objective_for(dataset.task, dataset.num_outputs, plan.model, study.label_smoothing),
        study.batch_size,
        dataset.divisor,
        schedule_for(study.schedule, study.warmup, study.epochs, steps_per_epoch),
        AUGMENTATIONS[study.augment],
        arm.build_norm().recomputes,
    )


def set_up(
    study: Study,
    dataset: Dataset,
    plans: Mapping[str, Blueprint],
    recorded: Mapping[str, Any] | None = None,
    memory_bytes: int | None = None,
    digest: str | None = None,
) -> Laboratory:
    """Choose how runs share a device on the baseline, and use that for all arms.

    Args:
        study: The study.
        dataset: Its data.
        plans: Every arm's model.
        recorded: Layout and chunk size of an earlier start of the same study, which are kept: another composition
            would round differently.
        memory_bytes: The most that may be used; see `Limits`.
        digest: Of the study, under which the layout that was found faster is remembered; None to measure anew.

    Raises:
        InputError: If an earlier start used another number of devices, or one run per device does not fit.
        OutOfMemoryError: If the data do not fit.
    """
    from normlab.train.blueprint import shared_paths
    from normlab.train.device_data import place
    from normlab.train.devices import run_mesh
    from normlab.train.initial import InitialValues
    from normlab.train.layouts import choose_layout
    from normlab.train.population import Population

    mesh = run_mesh()
    with noticing_lack():
        data = place(dataset.train, dataset.validation, dataset.test, mesh)
    values = InitialValues()
    if recorded and recorded["num_devices"] != mesh.size:
        received = f"{mesh.size} devices where this study began on {recorded['num_devices']}"
        raise InputError("a study must go on as it began, on as many devices", received, "choose another --out")
    chunk_runs = recorded["chunk_runs"] if recorded else chunk_size(study, plans, mesh.size, memory_bytes)

    def admit(program_bytes: int) -> None:
        if memory_bytes is not None:
            require_room(memory_bytes, program_bytes, f"a program of {chunk_runs} runs")

    def population(arm: Arm, layout: Any) -> Population:
        plan = plans[arm.name]
        return Population(plan, trainer_of(study, dataset, arm, plan), data, chunk_runs, values, layout, admit)

    first = study.baseline
    known = recorded or (remembered_layout(digest, chunk_runs) if digest else None)
    baseline = population(first, known["layout"]) if known else None
    seconds = known["layout_seconds"] if known else {}
    halvings: tuple[dict[str, Any], ...] = ()
    while baseline is None:
        try:
            with noticing_lack():
                baseline, seconds = choose_layout(lambda layout: population(first, layout))
        except OutOfMemoryError as error:
            before, chunk_runs = chunk_runs, halved(chunk_runs, mesh.size, error.needed)
            halvings += ({"from": before, "to": chunk_runs, "because": error.needed},)
    if digest and not known:
        remember_layout(digest, chunk_runs, {"layout": baseline.layout, "layout_seconds": seconds})
    others = {arm.name: population(arm, baseline.layout) for arm in study.arms[1:]}
    shared = shared_paths(list(plans.values()))
    populations = {first.name: baseline, **others}
    statistics = arm_statistics(study, dataset, plans)
    return Laboratory(populations, shared, chunk_runs, baseline.layout, seconds, mesh.size, halvings, statistics)


def named_model(study: Study, dataset: Dataset) -> PlanBuilder:
    """Return the builder of a study's named network, each arm with its norm and options."""
    from normlab.train.blueprint import blueprint

    network = MODELS[study.model]

    def build(arm: Arm) -> Blueprint:
        options = study.network_of(arm)
        return blueprint(lambda: network.build(arm.build_norm(), dataset.input_shape, dataset.num_outputs, **options))

    return build


def fitting(model: Any, dataset: Dataset) -> keras.Model:
    """Return the model; raise `InputError` unless it takes the inputs and gives one score per class (or one output)."""
    import keras

    if not isinstance(model, keras.Model):
        raise InputError(
            "a model function must return a Keras model", type(model).__name__, "return the model it builds"
        )
    if not isinstance(model, keras.Sequential | keras.Function):
        rule = "a model must be Functional or Sequential, so that its shapes and its last layer are known"
        action = "build it from keras.Input and calls of layers"
        raise InputError(rule, f"the subclassed model {type(model).__name__}", action)
    if not model.built:
        raise InputError("a model function must return a built model", model.name, "begin it with keras.Input")
    if not isinstance(model, keras.Sequential) and not isinstance(model.output, keras.KerasTensor):
        action = "give keras.Model the tensor itself"
        raise InputError("the model's output must be one tensor", f"a {type(model.output).__name__}", action)
    _require_shapes(model, dataset)
    if dataset.task == "classification":
        _require_scores(model)
    return model


def _require_shapes(model: keras.Model, dataset: Dataset) -> None:
    """Require the data's input shape, and one output per class; two classes may have one output in all."""
    first = (dataset.input_shape[-1], *dataset.input_shape[:-1]) if dataset.layout else dataset.input_shape
    found = tuple(model.input_shape[1:]) if isinstance(model.input_shape, tuple) else ()
    if not (fits(found, dataset.input_shape) or fits(found, first)):
        rule = f"the model's input shape must be {dataset.input_shape} for {dataset.name}"
        raise InputError(rule, str(found), "change its input layer")
    has_two_classes = len(dataset.classes) == 2
    found = tuple(model.output_shape[1:])
    if found != (dataset.num_outputs,) and not (has_two_classes and found == (1,)):
        rule = f"the model's output shape must be ({dataset.num_outputs},) for {dataset.name}"
        action = f"change its output layer{': (1,) serves two classes too' if has_two_classes else ''}"
        raise InputError(rule, str(found), action)


def _require_scores(model: keras.Model) -> None:
    """Require outputs that are probabilities or logits: of all classes, or, where there is one, of the second."""
    from normlab.train.objective import ends_in, has_one_output

    if not has_one_output(model):
        if ends_in(model, "sigmoid"):
            rule = "a model of classes that exclude each other must end in a softmax, or in no activation"
            raise InputError(rule, f"a sigmoid at the end of {model.name}", "change its output layer")
        return
    for activation in NO_LOGITS:
        if ends_in(model, activation):
            rule = "a model with one output for two classes must end in a sigmoid, or in no activation"
            raise InputError(rule, f"{activation} at the end of {model.name}", "change its output layer")
