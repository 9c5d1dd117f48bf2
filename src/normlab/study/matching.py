"""Data and networks matched: whether inputs are scaled or handed over as stored, and what one output means.

It is decided here, once, before anything is placed on a device, from the models of all arms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from normlab.data.as_stored import are_whole, as_stored, channels_first, stored_inputs
from normlab.errors import InputError
from normlab.study.intake import Intake, intake_of
from normlab.study.lookups import require_rows

if TYPE_CHECKING:
    import keras

    from normlab.data import Dataset

_PROBED_SAMPLES = 2


def matched(dataset: Dataset, models: Mapping[str, keras.Model]) -> Dataset:
    """Return the data set as the models take it: scaled, unless they prepare their inputs themselves.

    - A model whose Input holds integers, or that looks its inputs up in a table, gets them as stored, as int32.
    - One that begins with a layer of its own that scales (`intake.intake_of`) gets them as stored, as numbers.
    - Images whose axis of channels was moved to the end get it back for a model with that input shape.
    - One output for two classes is the probability, or logit, of the second.

    Each is a note. Models that ask for nothing of it leave the data set as it is.

    Args:
        dataset: As loaded.
        models: By arm; they fit the data (`laboratory.fitting`).

    Raises:
        InputError: Arms take their inputs differently, or an input is no row of the table that it is looked up in.
    """
    first = next(iter(models.values()))
    dataset = _laid_out(dataset, models)
    samples = stored_inputs(dataset)["train"][:_PROBED_SAMPLES]
    intakes = {arm: intake_of(model, samples) for arm, model in models.items()}
    if len({bool(one.scaling or one.indexing or one.takes_integers) for one in intakes.values()}) > 1:
        received = "; ".join(f"{arm} {_words(one) or 'leaves them to be scaled'}" for arm, one in intakes.items())
        raise InputError("all arms must take their inputs alike", received, "begin every arm's model in the same way")
    dataset = _handed_over(dataset, intakes[next(iter(intakes))])
    require_rows(first, dataset)
    return _with_output(dataset, first)


def _handed_over(dataset: Dataset, intake: Intake) -> Dataset:
    why = _words(intake)
    if not why:
        return dataset
    integers = intake.takes_integers or (bool(intake.indexing) and not intake.scaling and are_whole(dataset))
    return as_stored(dataset, f"The model {why}", integers=integers)


def _words(intake: Intake) -> str:
    """Say why a model gets its inputs as stored; empty if it does not."""
    found = []
    if intake.scaling:
        found.append(f"prepares its inputs itself ({', '.join(intake.scaling)})")
    if intake.indexing:
        found.append(f"looks its inputs up ({', '.join(intake.indexing)})")
    if intake.takes_integers and not found:
        found.append(f"takes integers (Input of {intake.dtype})")
    return " and ".join(found)


def _laid_out(dataset: Dataset, models: Mapping[str, keras.Model]) -> Dataset:
    """Return the data set with its channels first again where the models' inputs have them there."""
    shape = tuple(next(iter(models.values())).input_shape[1:])
    if not dataset.layout or fits(shape, dataset.input_shape):
        return dataset
    return channels_first(dataset, f"Images keep their channels first, as the model's input of shape {shape} has them.")


def fits(declared: tuple[int | None, ...], shape: tuple[int, ...]) -> bool:
    """Return whether samples of a shape can go into an input that leaves some sizes open (None)."""
    return len(declared) == len(shape) and all(one in (None, size) for one, size in zip(declared, shape, strict=True))


def _with_output(dataset: Dataset, model: keras.Model) -> Dataset:
    from normlab.train.objective import ends_in, has_one_output

    if dataset.task != "classification" or not has_one_output(model):
        return dataset
    kind = "probability" if ends_in(model, "sigmoid") else "logit"
    note = (
        f"The model's one output is taken for the {kind} of class {dataset.classes[1]}, against "
        f"{dataset.classes[0]}: the loss is binary cross-entropy."
    )
    return replace(dataset, notes=(*dataset.notes, note))
