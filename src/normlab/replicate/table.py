"""The replications by name: one literal table."""

from __future__ import annotations

from normlab.replicate import notebook
from normlab.replicate.replication import Replication

REPLICATIONS: dict[str, Replication] = {replication.id: replication for replication in (notebook.REPLICATION,)}
