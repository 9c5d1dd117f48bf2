"""The order of samples: a permutation from (seed, epoch) alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from normlab.train.order import epoch_order


@pytest.mark.parametrize("num_samples", [1, 2, 17, 1000])
def test_an_order_holds_every_sample_once(num_samples: int) -> None:
    order = epoch_order(3, 0, num_samples)
    assert order.dtype == np.int32
    assert sorted(order) == list(range(num_samples))


def test_every_seed_and_epoch_has_its_own_order_whatever_was_drawn_before() -> None:
    cases = list(itertools.product(range(5), range(5)))
    orders = {case: epoch_order(*case, 50).tobytes() for case in cases}
    assert len(set(orders.values())) == len(cases)
    assert {case: epoch_order(*case, 50).tobytes() for case in reversed(cases)} == orders
