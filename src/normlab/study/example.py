"""The worked example of a study: batch normalization of its own data's first mini-batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from normlab.errors import InputError
from normlab.models import mlp
from normlab.norms import NORMS
from normlab.study.design import Study

if TYPE_CHECKING:
    from normlab.data import Dataset


def first_batch_example(study: Study, dataset: Dataset) -> dict[str, Any] | None:
    """Return `probes.worked_example` on the first mini-batch of the study's first seed.

    None where batch normalization has nothing to show: for batches of one sample, or data beyond its range.

    The kernel is the initial one, for that seed, of the first hidden layer of the first arm with batch norm; where no
    arm has it, or the network is another, of normlab's mlp. `layer` says which.
    """
    from normlab.probes.worked_example import worked_example
    from normlab.train.blueprint import blueprint
    from normlab.train.initial import InitialValues
    from normlab.train.loop import scaled
    from normlab.train.order import epoch_order

    if study.batch_size == 1:  # only arms without batch norm train on these
        return None
    seed = study.report_seeds[0]
    arm = next((arm for arm in study.arms if arm.norm == "batch"), None) if study.model == "mlp" else None
    options = study.network_of(arm or study.baseline) if study.model == "mlp" else {}
    layer = f"the first Dense layer of the arm {arm.name}" if arm else "a Dense layer such as normlab's mlp begins with"
    plan = blueprint(lambda: mlp(NORMS["batch"], dataset.input_shape, dataset.num_outputs, **options))
    kernels = [v for v in plan.model.trainable_variables if v.name == "kernel"]
    kernel = InitialValues().stacked(plan, kernels[:1], [seed])[0][0]
    chosen = epoch_order(seed, 0, len(dataset.train))[: study.batch_size]
    x = np.asarray(scaled(dataset.train.x[chosen].reshape(len(chosen), -1), dataset.divisor), np.float32)
    try:
        worked = worked_example(kernel, x, dataset.train.y[chosen], num_outputs=dataset.num_outputs, task=dataset.task)
    except InputError:  # the study is trained by now: an example that can't be made is left out
        return None
    return {"layer": layer, **worked}
