"""The images that the benchmarks of convolutions train on: the first ones of CIFAR-10's parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from normlab.data import Dataset

BATCH_SIZE = 64
LEARNING_RATE = 0.01
MOMENTUM = 0.9


def first_images(data_dir: Path | None, num_steps: int) -> Dataset:
    """Return CIFAR-10 with as many training images as so many batches take, and a ninth of that to validate on.

    A ninth is what validation has of the whole training part: 5,000 of 45,000.
    """
    from normlab.data import load
    from normlab.data.dataset import Part

    whole = load("cifar10", data_dir=data_dir)
    count = num_steps * BATCH_SIZE

    def first(part: Part, length: int) -> Part:
        return Part(part.x[:length], part.y[:length])

    held_out = count // 9
    return replace(
        whole,
        train=first(whole.train, count),
        validation=first(whole.validation, held_out),
        test=first(whole.test, held_out),
    )
