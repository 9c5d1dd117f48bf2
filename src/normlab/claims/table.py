"""The claims by name: one literal table, in the order in which they are answered."""

from __future__ import annotations

from normlab.claims import initialization, output_moments
from normlab.claims.claim import Claim

CLAIMS: dict[str, Claim] = {
    claim.id: claim
    for claim in (
        initialization.CLAIM,
        output_moments.CLAIM,
    )
}
