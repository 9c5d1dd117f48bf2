"""The arms of a network of the user's own: the norm handed to a function, or put in by surgery."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normlab.errors import InputError
from normlab.models.own import KERAS_SUFFIX, compiled_loss, own_function, takes_norm
from normlab.study.arm import Arm
from normlab.study.compiled import require_study_loss
from normlab.study.design import Study
from normlab.study.laboratory import PlanBuilder, fitting

if TYPE_CHECKING:
    import keras

    from normlab.data import Dataset
    from normlab.norms import Norm
    from normlab.surgery.swapplan import Row
    from normlab.train.blueprint import Blueprint


def own_model(study: Study, dataset: Dataset, source: str | Callable[..., Any]) -> PlanBuilder:
    """Return the builder of the arms of a user's own network.

    A function that takes a norm builds every arm itself. A model that comes whole (from a function that takes nothing,
    or a file) gets its norms by surgery: the arm `none` has none, any other arm its own in their place, or where there
    are none, where `normlab.surgery.swap` inserts them.

    Args:
        study: The study. Its `weights` say whether the values that a whole model comes with are used: `keep` begins
            every run with them; `redraw` draws every parameter anew, but for those of layers in which nothing trains.
        dataset: Its data.
        source: A function, `FILE.py:FUNCTION` or `FILE.keras`.

    Raises:
        InputError: If the function is missing or takes something else, the model does not fit the data, is compiled
            with another loss, has no place for an arm's norm, or `weights` are to be kept where there are none.
    """
    from normlab.train.blueprint import blueprint

    if isinstance(source, str) and source.endswith(KERAS_SUFFIX):
        base = blueprint(lambda: _opened(Path(source), dataset))
        return _by_surgery(study, base, {id(variable) for variable in base.model.variables})
    function = own_function(source) if isinstance(source, str) else source
    if _is_model(function) or not takes_norm(function):
        base = blueprint(lambda: _checked(function if _is_model(function) else function(), dataset))
        return _by_surgery(study, *_settled(base, _given(base)))
    if study.weights == "keep":
        rule = "weights can be kept of a model that comes whole: from FILE.keras, or a function that takes nothing"
        raise InputError(rule, "keep for a function that takes a norm", "leave weights out")

    def build(arm: Arm) -> Blueprint:
        norm = arm.build_norm()
        return blueprint(lambda: with_norm(function, norm, dataset))

    return build


def with_norm(function: Callable[[Norm], Any], norm: Norm, dataset: Dataset) -> keras.Model:
    """Return the model that a user's function builds with a norm.

    Raises:
        InputError: If it does not fit the data, is compiled with another loss, or does not use the norm.
    """
    model = _checked(function(norm), dataset)
    _require_norm(norm, model)
    return model


def _is_model(source: object) -> bool:
    import keras

    return isinstance(source, keras.Model)


def _checked(model: Any, dataset: Dataset) -> keras.Model:
    fitted = fitting(model, dataset)
    require_study_loss(fitted, fitted.loss, dataset.task)
    return fitted


def _opened(path: Path, dataset: Dataset) -> keras.Model:
    from normlab.surgery.files import open_model

    model = fitting(open_model(path), dataset)
    require_study_loss(model, compiled_loss(path), dataset.task)
    return model


def _require_norm(norm: Norm, model: keras.Model) -> None:
    """Require that a function has used the norm it was given: else its arm is the one without."""
    import keras

    layer = norm() if norm.wrapper is None else norm.wrap(keras.layers.Dense(1))
    if isinstance(layer, keras.layers.Identity):
        return
    if not any(type(found) is type(layer) for found in model._flatten_layers(include_self=False)):
        how = "norm() at every place" if norm.wrapper is None else "norm.wrap(layer) on every Dense and convolution"
        received = f"a model without {type(layer).__name__} for the norm {norm.name}"
        raise InputError("a model function must use the norm that it is given", received, f"call {how}")


def _given(plan: Blueprint) -> set[int]:
    """Return the variables that have a value of their own, rather than one to be drawn."""
    return {id(variable) for variable in plan.model.variables if id(variable) not in plan.initializers}


def _settled(base: Blueprint, given: set[int]) -> tuple[Blueprint, set[int]]:
    """Return the model with names that do not depend on what else the process has built, and what was given there."""
    from normlab.surgery.naming import with_settled_names
    from normlab.train.blueprint import derived

    plan = derived(lambda: with_settled_names(base.model), given)
    return plan, _given(plan)


def _by_surgery(study: Study, base: Blueprint, given: set[int]) -> PlanBuilder:
    from normlab.surgery.swapping import plan_swap
    from normlab.train.blueprint import derived

    untrained = _untrained(base.model)
    kept = given if study.weights == "keep" else given & {id(v) for layer in untrained for v in layer.variables}

    def build(arm: Arm) -> Blueprint:
        swap_plan = plan_swap(base.model, arm.build_norm())
        notes = _changes(swap_plan.rows)
        gone = {id(row.old) for row in swap_plan.rows}
        names = [x.name for x in untrained if id(x) not in gone and any(id(v) in kept for v in x.weights)]
        if names and study.weights == "redraw":
            notes.append(f"nothing trains in {', '.join(names)}: the values they came with are kept")
        return derived(swap_plan.build, kept, tuple(notes))

    return build


def _untrained(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers that have variables, of which none is trained: frozen ones, and such as Normalization.

    Models within the model are not among them, their layers are.
    """
    from normlab.surgery.graph import leaves

    layers = {id(layer): layer for _, layer, _, _ in leaves(model) if getattr(layer, "weights", ())}.values()
    return [x for x in layers if not (model.trainable and any(variable.trainable for variable in x.variables))]


def _changes(rows: Sequence[Row]) -> list[str]:
    """Return what surgery does to a model, in clauses."""
    from normlab.surgery.kinds import norms_of_weights

    places: dict[tuple[bool, str], list[str]] = {}
    for row in rows:
        new = type(row.new).__name__
        if row.old is None:
            done = f"{new} {'on' if isinstance(row.new, norms_of_weights()) else 'after'}"
        else:
            done = "removed" if row.new is None else f"replaced by {new}"
        places.setdefault((row.old is None, done), []).append(row.path)
    clauses = [
        f"{done} {', '.join(paths)}" if is_added else f"{', '.join(paths)} {done}"
        for (is_added, done), paths in places.items()
    ]
    return clauses + [f"at {row.path}: {row.note}" for row in rows if row.note]
