"""The claims by name: one literal table, in the order in which they are answered."""

from __future__ import annotations

from normlab.claims import (
    attention,
    batch_order,
    batch_size,
    covariate_shift,
    faster_convergence,
    generalization,
    gradient_flow,
    higher_learning_rates,
    initialization,
    less_tuning,
    memory,
    output_moments,
    recurrent,
    redundant_bias,
    smoothness,
    time,
)
from normlab.claims.claim import Claim

CLAIMS: dict[str, Claim] = {
    claim.id: claim
    for claim in (
        faster_convergence.CLAIM,
        higher_learning_rates.CLAIM,
        generalization.CLAIM,
        gradient_flow.CLAIM,
        initialization.CLAIM,
        less_tuning.CLAIM,
        covariate_shift.CLAIM,
        smoothness.CLAIM,
        batch_size.CLAIM,
        memory.CLAIM,
        time.CLAIM,
        batch_order.CLAIM,
        recurrent.CLAIM,
        attention.CLAIM,
        redundant_bias.CLAIM,
        output_moments.CLAIM,
    )
}
