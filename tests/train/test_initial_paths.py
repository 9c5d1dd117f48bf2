"""Variables of one shape and initializer, in one network and one run, are drawn apart: each by its own path."""

from __future__ import annotations

import numpy as np

from normlab.models import mlp
from normlab.norms import NORMS
from normlab.train.blueprint import blueprint
from normlab.train.initial import InitialValues


def test_layers_of_one_shape_start_with_values_of_their_own() -> None:
    plan = blueprint(lambda: mlp(NORMS["none"], (6,), 6, widths=(6, 6)))
    kernels = [v for v in plan.model.trainable_variables if v.name == "kernel"]
    drawn = [values[0] for values in InitialValues().stacked(plan, kernels, [3])]
    assert len(drawn) == 3
    assert len({values.tobytes() for values in drawn}) == 3
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not np.isclose(drawn[one], drawn[other]).any()
