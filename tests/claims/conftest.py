"""A bench as small as can be: digits, one hidden layer of 16 units, two seeds."""

from __future__ import annotations

import pytest

from normlab.claims.bench import Bench
from normlab.data import load


@pytest.fixture(scope="session")
def tiny(_devices: None) -> Bench:
    """Return the bench that tests of claims share; what it has compiled it keeps."""
    bench = Bench(load("digits"), "mlp", {"widths": (16,)}, "quick")
    bench.seeds, bench.tuning_seeds, bench.epochs = [0, 1], [1_000_000], 1
    return bench
