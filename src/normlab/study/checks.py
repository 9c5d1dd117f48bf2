"""What can be known to be wrong with a study before anything is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normlab.errors import InputError
from normlab.norms import needs_several_samples
from normlab.study.design import Study

if TYPE_CHECKING:
    from normlab.data import Dataset


def check(study: Study, dataset: Dataset) -> None:
    """Raise `InputError` where a study can't be run on its data."""
    num_samples = len(dataset.train)
    if study.batch_size > num_samples:
        raise InputError(
            f"batch size must be at most the {num_samples} samples of the training part",
            study.batch_size,
            "choose a smaller --batch-size",
        )
    rest = num_samples % study.batch_size
    coupled = [arm for arm in study.arms if needs_several_samples(arm.build_norm())]
    if coupled and 1 in (rest, study.batch_size):
        what = "a batch of one" if study.batch_size == 1 else f"a last batch of one ({num_samples} samples)"
        raise InputError(
            f"{coupled[0].norm} norm (arm {coupled[0].name}) needs at least two samples in every training batch: over "
            "one, its moments are those of the sample alone",
            f"batch size {study.batch_size} with {what}",
            f"choose another --batch-size, such as {_batch_size_without_single(num_samples, study.batch_size)}",
        )
    if study.label_smoothing and dataset.task == "regression":
        rule = "label_smoothing must be 0 for regression, which has no labels to smooth"
        raise InputError(rule, study.label_smoothing, "leave it out")
    if study.augment != "none" and len(dataset.input_shape) not in (2, 3):
        raise InputError(
            "augment must be none unless inputs are images, (height, width) or (height, width, channels)",
            f"{study.augment} for inputs of shape {dataset.input_shape}",
            "leave it out",
        )
    if study.reach is not None and dataset.task == "classification" and study.reach > 1:
        raise InputError("reach must be an accuracy of at most 1", study.reach, "give a share such as 0.95")


def require_images(study: Study, loaded: Dataset, matched: Dataset) -> None:
    """Raise `InputError` where images are to be augmented that the model takes with their channels first."""
    if study.augment != "none" and matched.input_shape != loaded.input_shape:
        rule = "augment must be none for a model that takes images with their channels first"
        received = f"{study.augment} for inputs of shape {matched.input_shape}"
        raise InputError(rule, received, f"leave it out, or give the model an input of shape {loaded.input_shape}")


def _batch_size_without_single(num_samples: int, near: int) -> int:
    sizes = [size for size in range(2, num_samples + 1) if num_samples % size != 1]
    return min(sizes, key=lambda size: abs(size - near), default=num_samples)
