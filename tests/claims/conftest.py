"""A bench as small as a real one can be: digits, one narrow layer, two pairs, one epoch."""

from __future__ import annotations

import pytest

from normlab.claims.bench import Bench
from normlab.data import load


@pytest.fixture(scope="session")
def tiny_bench(_devices: None) -> Bench:
    """Return a bench whose programs and best rates the claims' tests share; nothing may change it."""
    bench = Bench(load("digits"), "mlp", {"widths": (16,)})
    bench.seeds, bench.tuning_seeds, bench.epochs = [0, 1], [1_000_000], 1
    return bench
