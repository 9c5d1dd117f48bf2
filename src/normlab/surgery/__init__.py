"""Surgery on a user's Keras model: swap its norms for others, insert norms, fold batch norm into its neighbours."""

from __future__ import annotations

from normlab.surgery.folding import Folded, fold
from normlab.surgery.swapped import Swapped
from normlab.surgery.swapping import swap

__all__ = ["Folded", "Swapped", "fold", "swap"]
