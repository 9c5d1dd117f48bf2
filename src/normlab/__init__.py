"""normlab: does a normalization layer help my network, which one, and why?"""

from __future__ import annotations

from normlab.compare import compare
from normlab.errors import InputError
from normlab.result import Result
from normlab.version import __version__

__all__ = ["InputError", "Result", "__version__", "compare"]
