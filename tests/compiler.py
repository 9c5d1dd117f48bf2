"""How the tests' programs are compiled: without optimizations, unless `NORMLAB_TORTURE` is set."""

from __future__ import annotations

import os

# Two thirds of the suite's time would go into optimizing programs that then run for some milliseconds.
UNOPTIMIZED = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"


def flags() -> str:
    """Return the value of XLA_FLAGS for the tests; `make torture` tests programs as users get them."""
    given = os.environ.get("XLA_FLAGS", "")
    return given if "NORMLAB_TORTURE" in os.environ else f"{given} {UNOPTIMIZED}".strip()
