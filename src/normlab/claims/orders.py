"""Orders of the training samples that put likes together or apart, from (seed, epoch) alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from normlab.train.order import epoch_order

if TYPE_CHECKING:
    from normlab.claims.bench import Order
    from normlab.data import Dataset

# Regression has no classes; this many equally large parts by the target stand for them.
NUM_PARTS = 16


def orders_of(dataset: Dataset, num_epochs: int) -> dict[str, Order]:
    """Return five orders by name; every epoch has each sample once.

    - `shuffled`: anew every epoch.
    - `fixed`: the first epoch's, in every epoch.
    - `sorted`: by class, from the first to the last; inside a class shuffled anew. Regression: by target.
    - `pairs`: two samples of a class side by side, and the pairs in rounds: each round has one pair of every class, in
      random order, while it lasts. A batch of 32 then holds 16 classes by 2; with C < 16 classes, 2 samples of each
      class first, and the rest of the batch is filled from the next rounds; what is left of a class with an odd number
      of samples comes as one, in its last round. Regression: the classes are parts by the target.
    - `mended`: sorted in the first half of `num_epochs`, rounded down, and shuffled from then on.
    """
    ranks = dataset.train.y if dataset.task == "regression" else dataset.train.y.astype(np.int64)
    classes = _parts(ranks) if dataset.task == "regression" else ranks

    def fixed(seed: int, _: int, count: int) -> np.ndarray:
        return epoch_order(seed, 0, count)

    def by_class(seed: int, epoch: int, count: int) -> np.ndarray:
        order = epoch_order(seed, epoch, count)
        return order[np.argsort(ranks[order], kind="stable")]

    def pairs(seed: int, epoch: int, count: int) -> np.ndarray:
        order = epoch_order(seed, epoch, count)
        grouped = order[np.argsort(classes[order], kind="stable")]
        _, first, sizes = np.unique(classes[grouped], return_index=True, return_counts=True)
        rounds = (np.arange(count) - np.repeat(first, sizes)) // 2
        # A class's place in a round: that of the first sample of its pair in the random order.
        place = np.empty(count, np.int64)
        place[order] = np.arange(count)
        leader = grouped[np.repeat(first, sizes) + 2 * rounds]
        return grouped[np.lexsort((place[leader], rounds))]

    def mended(seed: int, epoch: int, count: int) -> np.ndarray:
        return (by_class if epoch < num_epochs // 2 else epoch_order)(seed, epoch, count)

    return {"shuffled": epoch_order, "fixed": fixed, "sorted": by_class, "pairs": pairs, "mended": mended}


def _parts(targets: np.ndarray) -> np.ndarray:
    places = np.empty(len(targets), np.int64)
    places[np.argsort(targets, kind="stable")] = np.arange(len(targets))
    return places * NUM_PARTS // len(targets)
