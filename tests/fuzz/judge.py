"""What holds for any input: a result or an error of ours, within a stated memory; and how many were tried."""

from __future__ import annotations

import os
import re
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, settings

from normlab.errors import InputError

MOST_BYTES = 256 * 2**20
# The one number that decides how many inputs are tried; shared out among the kinds.
NUM_INPUTS = 10_000 if os.environ.get("NORMLAB_TORTURE") == "1" else 800

settings.register_profile(
    "fuzz",
    database=None,
    deadline=None,
    derandomize=os.environ.get("NORMLAB_TORTURE") != "1",
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)

results: Counter[str] = Counter()
refusals: Counter[str] = Counter()
peaks: Counter[str] = Counter()

_PEAK = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
# Longer messages are no line to read: three parts of at most `normlab.errors.MOST_CHARACTERS`.
_MOST_CHARACTERS = 6_500


def share(fraction: float) -> settings:
    """Return the settings of a test that tries this part of the inputs."""
    return settings(settings.get_profile("fuzz"), max_examples=round(fraction * NUM_INPUTS))


def judge(kind: str, call: Callable[[], object]) -> None:
    """Call with one input: it has to return, or raise `InputError`, and take no more than `MOST_BYTES` meanwhile."""
    before = _reset_peak()
    try:
        call()
    except InputError as error:
        refusals[kind] += 1
        message = str(error)
        assert ", got " in message
        assert "; " in message
        assert len(message) <= _MOST_CHARACTERS
    else:
        results[kind] += 1
    taken = _peak() - before
    peaks[kind] = max(peaks[kind], taken)
    assert taken <= MOST_BYTES, f"{taken:,} bytes taken"


def line() -> str:
    """Return what was tried so far, in one line."""
    kinds = sorted(results | refusals)
    parts = [f"{kind} {results[kind] + refusals[kind]:,} ({refusals[kind]:,} refused)" for kind in kinds]
    total, most = results.total() + refusals.total(), max(peaks.values(), default=0) / 2**20
    return f"inputs tried: {total:,}, other errors: 0, most memory {most:.0f} MiB over the start: {', '.join(parts)}"


def _reset_peak() -> int:
    """Start to measure; return the bytes in use. The kernel's count includes what Rust and C take."""
    if os.access(_PEAK, os.W_OK):
        _PEAK.write_text("5")
        return _status("VmRSS")
    tracemalloc.start()
    return 0


def _peak() -> int:
    if os.access(_PEAK, os.W_OK):
        return _status("VmHWM")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def _status(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    assert found is not None
    return 1024 * int(found[1])
