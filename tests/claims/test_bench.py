"""The bench: the batch size that every claim trains with."""

from __future__ import annotations

import pytest

from normlab.claims.bench import Bench
from normlab.errors import InputError
from tests.claims.conftest import drawn_data


@pytest.mark.usefixtures("_devices")
@pytest.mark.parametrize(("num_training", "batch_size"), [(64, 32), (65, 33), (33, 33), (20, 32), (1057, 34)])
def test_no_data_leave_a_last_batch_of_one(num_training: int, batch_size: int) -> None:
    """One in 32 data sets would: batch norm refuses it, and claims have no option to change the batch size."""
    bench = Bench(drawn_data(num_training), "mlp", {"widths": (4,)}, "quick")
    assert bench.batch_size == batch_size
    bench.program("batch", runs=1, layout="map")


def test_a_norm_that_recomputes_is_refused(tiny: Bench) -> None:
    """Runs are evaluated with the statistics they have: a precise arm would be plain batch norm under its name."""
    with pytest.raises(InputError, match=r"must be evaluated with the statistics it keeps.*got precise"):
        tiny.program("precise")
