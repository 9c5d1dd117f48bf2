"""The replications by name: one literal table."""

from __future__ import annotations

from normlab.replicate import bjorck, ghost, gradient_rate, ioffe, notebook, per_timestep, santurkar, small_batch
from normlab.replicate.replication import Replication

REPLICATIONS: dict[str, Replication] = {
    replication.id: replication
    for replication in (
        notebook.REPLICATION,
        gradient_rate.REPLICATION,
        bjorck.REPLICATION,
        small_batch.REPLICATION,
        ghost.REPLICATION,
        ioffe.REPLICATION,
        per_timestep.REPLICATION,
        santurkar.REPLICATION,
    )
}
