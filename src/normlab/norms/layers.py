"""The Keras layers of this package. Importing this module registers them, so that `keras.models.load_model` knows them.

import keras
from normlab.norms.layers import GhostBatchNormalization

model = keras.Sequential([keras.layers.Dense(64), GhostBatchNormalization(16), keras.layers.ReLU()])
"""

from __future__ import annotations

from normlab.norms.center_only import CenterOnlyBatchNormalization
from normlab.norms.dyt import DynamicTanh
from normlab.norms.evo import EvoNormS0
from normlab.norms.frn import FilterResponseNormalization
from normlab.norms.frozen import FrozenBatchNormalization
from normlab.norms.ghost import GhostBatchNormalization
from normlab.norms.noisy import NoisyBatchNormalization
from normlab.norms.power import PowerNormalization
from normlab.norms.precise import PreciseBatchNormalization
from normlab.norms.renorm import BatchRenormalization
from normlab.norms.scale_only import ScaleOnlyBatchNormalization
from normlab.norms.standardization import WeightStandardization
from normlab.norms.weight import WeightNormalization

__all__ = [
    "BatchRenormalization",
    "CenterOnlyBatchNormalization",
    "DynamicTanh",
    "EvoNormS0",
    "FilterResponseNormalization",
    "FrozenBatchNormalization",
    "GhostBatchNormalization",
    "NoisyBatchNormalization",
    "PowerNormalization",
    "PreciseBatchNormalization",
    "ScaleOnlyBatchNormalization",
    "WeightNormalization",
    "WeightStandardization",
]
