"""The replications by name: one literal table."""

from __future__ import annotations

from normlab.replicate import gradient_rate, notebook
from normlab.replicate.replication import Replication

REPLICATIONS: dict[str, Replication] = {
    replication.id: replication for replication in (notebook.REPLICATION, gradient_rate.REPLICATION)
}
