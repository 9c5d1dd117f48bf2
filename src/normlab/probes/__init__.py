"""What is measured inside a network: the probes by name, and the worked example of batch normalization."""

from __future__ import annotations

from normlab.probes.probe import Probe, Row, rows
from normlab.probes.table import PROBES

__all__ = ["PROBES", "Probe", "Row", "rows"]
