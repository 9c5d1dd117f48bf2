"""Augmentation: against slow NumPy with the same draws, in a population, alone, and in both layouts."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import jax
import numpy as np
import pytest

from normlab.data import Part
from normlab.study.design import Study
from normlab.train.augment import AUGMENTATIONS, augmented, epoch_draws, pad_of
from normlab.train.blueprint import Blueprint
from normlab.train.device_data import place
from normlab.train.devices import run_mesh
from normlab.train.epochs import EpochRecord
from normlab.train.layouts import choose_layout
from normlab.train.order import epoch_order
from normlab.train.population import Layout, Population
from tests.train.setting import leaves, plan, population, small_digits

DIGITS = small_digits(16 * 4 + 5)
NUM = len(DIGITS.train)
SEEDS, RATES = [0, 1, 2], [0.05, 0.1, 0.2]


def _reference(name: str, images: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Mirror, pad, cut: image by image."""
    pad = pad_of(images.shape[1:])
    found = []
    for image, (mirror, top, left) in zip(images, draws, strict=True):
        if "flip" in name and mirror:
            image = image[:, ::-1]
        if "crop" in name:
            width = [(pad, pad), (pad, pad)] + [(0, 0)] * (image.ndim - 2)
            image = np.pad(image, width)[top : top + images.shape[1], left : left + images.shape[2]]
        found.append(image)
    return np.stack(found)


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name != "none"])
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((8, 8), "uint8"), ((28, 28), "float32"), ((32, 32, 3), "uint8"), ((5, 12, 1), "float32"), ((1, 3), "uint8")],
)
def test_images_are_those_of_slow_numpy(name: str, shape: tuple[int, ...], dtype: str) -> None:
    images = np.random.default_rng(0).integers(1, 256, size=(40, *shape)).astype(dtype)
    draws = epoch_draws(3, 1, 40, shape)
    found = jax.jit(augmented, static_argnums=0)(AUGMENTATIONS[name], images, draws)
    assert found.dtype == dtype
    assert np.array_equal(found, _reference(name, images, draws))
    assert not np.array_equal(found, images)


@pytest.mark.parametrize(
    ("shape", "pad"), [((32, 32, 3), 4), ((28, 28), 4), ((64, 96, 3), 4), ((16, 16), 2), ((8, 8), 1), ((3, 40), 1)]
)
def test_the_pad_is_an_eighth_of_the_shorter_side_at_most_four(shape: tuple[int, ...], pad: int) -> None:
    assert pad_of(shape) == pad


def test_all_outcomes_are_equally_likely_and_every_seed_and_epoch_has_its_own() -> None:
    draws = epoch_draws(0, 0, 90_000, (28, 28))
    assert draws.dtype == np.uint8
    for column, outcomes in enumerate((2, 9, 9)):
        counts = np.bincount(draws[:, column], minlength=outcomes)
        # Five standard deviations of a binomial count.
        assert np.abs(counts - 90_000 / outcomes).max() < 5 * np.sqrt(90_000 / outcomes)
        assert len(counts) == outcomes
    cases = list(itertools.product(range(3), range(3)))
    found = {case: epoch_draws(*case, 50, (28, 28)).tobytes() for case in cases}
    assert len(set(found.values())) == len(cases)
    assert {case: epoch_draws(*case, 50, (28, 28)).tobytes() for case in reversed(cases)} == found


def test_a_study_knows_the_same_names() -> None:
    assert set(AUGMENTATIONS) == set(Study.model_fields["augment"].annotation.__args__)  # type: ignore[union-attr]


def _trained(pop: Population, seeds: list[int], rates: list[float]):
    state = pop.start(seeds, rates)
    for epoch in range(2):
        orders = [epoch_order(seed, epoch, NUM) for seed in seeds]
        draws = [epoch_draws(seed, epoch, NUM, (8, 8)) for seed in seeds]
        state, record = pop.train(state, orders, draws=draws)
    return state, record


@pytest.fixture(scope="module")
def beforehand() -> list[tuple[Any, EpochRecord]]:
    """Runs 0 and 2 alone, in a plain program that is handed images augmented by NumPy, epoch by epoch."""
    plain, trained = population(plan("batch", widths=(12,)), DIGITS, 1, num_devices=1), []
    for run in (0, 2):
        state = plain.start([SEEDS[run]], [RATES[run]])
        for epoch in range(2):
            images = _reference("flip-crop", DIGITS.train.x, epoch_draws(SEEDS[run], epoch, NUM, (8, 8)))
            plain.data = place(Part(images, DIGITS.train.y), DIGITS.validation, DIGITS.test, run_mesh(1))
            state, record = plain.train(state, [epoch_order(SEEDS[run], epoch, NUM)])
        trained.append((state, record))
    return trained


@pytest.mark.parametrize("layout", ["map", "vmap"])
def test_a_run_trains_on_its_own_images_and_is_evaluated_on_those_stored(
    layout: Layout, beforehand: list[tuple[Any, EpochRecord]]
) -> None:
    """Each run of a population is the run alone on images augmented beforehand; validation images are not."""
    pop = _augmenting(3, layout)
    state = pop.start(SEEDS, RATES)
    for epoch in range(2):
        orders = [epoch_order(seed, epoch, NUM) for seed in SEEDS]
        state, record = pop.train(state, orders, draws=[epoch_draws(seed, epoch, NUM, (8, 8)) for seed in SEEDS])
    for run, (plain, expected) in zip((0, 2), beforehand, strict=True):
        for ours, theirs in zip(leaves(state, run), leaves(plain, 0), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
        assert record.loss[run] == pytest.approx(expected.loss[0], rel=1e-4)
        assert record.val_loss[run] == pytest.approx(expected.val_loss[0], rel=1e-4)


def test_the_layout_is_measured_with_augmentation() -> None:
    smallest = plan("none", widths=(2,))
    chosen, seconds = choose_layout(lambda layout: _augmenting(2, layout, smallest))
    assert set(seconds) == {"map", "vmap"}
    assert chosen.layout == min(seconds, key=lambda name: seconds[name])


def test_draws_are_never_forgotten() -> None:
    pop = _augmenting(1)
    with pytest.raises(ValueError, match="draws must come with an augmentation"):
        pop.train(pop.start([0], [0.1]), [epoch_order(0, 0, NUM)])


def _augmenting(capacity: int, layout: Layout = "map", blueprint_: Blueprint | None = None) -> Population:
    pop = population(blueprint_ or plan("batch", widths=(12,)), DIGITS, capacity, layout=layout, num_devices=1)
    pop.trainer = dataclasses.replace(pop.trainer, augmentation=AUGMENTATIONS["flip-crop"])
    return pop
