"""The claims by name: one literal table, in the order in which they are answered."""

from __future__ import annotations

from normlab.claims import (
    batch_order,
    batch_size,
    initialization,
    memory,
    output_moments,
    redundant_bias,
    time,
)
from normlab.claims.claim import Claim

CLAIMS: dict[str, Claim] = {
    claim.id: claim
    for claim in (
        initialization.CLAIM,
        batch_size.CLAIM,
        memory.CLAIM,
        time.CLAIM,
        batch_order.CLAIM,
        redundant_bias.CLAIM,
        output_moments.CLAIM,
    )
}
