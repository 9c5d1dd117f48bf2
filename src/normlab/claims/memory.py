"""The claim that batch norm costs memory while a network trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from normlab.claims.claim import Claim
from normlab.claims.drawing import Drawing
from normlab.claims.finding import Finding
from normlab.claims.one_run import model_of

if TYPE_CHECKING:
    import keras

    from normlab.claims.bench import Bench

# A twentieth more would hardly ever decide which batch fits a machine.
MARGIN = 0.05
FOLDED = "batch, folded"
PRIMARY = "saved_bytes_per_sample"


def measure(bench: Bench) -> pl.DataFrame:
    """Count what one step of each arm keeps, and what is left after folding; shapes alone decide, nothing trains.

    Returns:
        One row per network (none, batch, and batch folded for inference) and quantity: network, quantity, value; the
        quantities of `normlab.probes.memory`, for the folded network its variables alone.
    """
    import jax.numpy as jnp

    from normlab.probes import memory
    from normlab.surgery import fold

    rows = []
    train = bench.dataset.train
    x, y = jnp.asarray(train.x[: bench.batch_size]), jnp.asarray(train.y[: bench.batch_size])
    for arm in ("none", "batch"):
        program = bench.program(arm, runs=1, layout="map")
        state = program.start([bench.seeds[0]], [0.0])
        measured = memory.measure(program.trainer, state, x, y)
        rows += [(arm, name, float(value)) for name, value in measured.items()]
    folded = fold(model_of(bench, "batch", state)).model
    rows += [
        (FOLDED, "parameter_bytes", float(_bytes(folded.trainable_variables))),
        (FOLDED, "running_bytes", float(_bytes(folded.non_trainable_variables))),
    ]
    return pl.DataFrame(rows, schema=["network", "quantity", "value"], orient="row")


def judge(evidence: pl.DataFrame) -> Finding:
    """Return `supported` if batch norm keeps more bytes per sample than the margin allows; exact, no test."""
    plain, normed, folded = (_values(evidence, network) for network in ("none", "batch", FOLDED))
    ratio = normed[PRIMARY] / plain[PRIMARY]
    stored = {
        name: sum(values[part] for part in ("parameter_bytes", "running_bytes"))
        for name, values in (("none", plain), ("batch", normed), ("folded", folded))
    }
    scratch = normed["temporary_bytes"] / max(plain["temporary_bytes"], 1.0)
    rest = stored["folded"] - stored["none"]
    answer = (
        f"For its backward pass a step keeps {normed[PRIMARY]:,.0f} bytes per sample with batch norm and "
        f"{plain[PRIMARY]:,.0f} without, {ratio:.2f} times as many (the compiled gradient's scratch memory is "
        f"{scratch:.2f} times as large); the variables take {stored['batch']:,.0f} bytes "
        f"against {stored['none']:,.0f}, and folded for inference {_more(rest)}."
    )
    return Finding(
        "supported" if ratio > 1 + MARGIN else "refuted",
        ratio,
        None,
        None,
        0,
        answer,
        would_change=f"A ratio of at most {1 + MARGIN:g} would refute it.",
        details={
            "temporary_bytes_ratio": scratch,
            "variables_bytes": stored,
            "training_flops_ratio": normed["training_flops"] / plain["training_flops"],
        },
    )


def draw(evidence: pl.DataFrame) -> Drawing:
    """Return bytes by quantity, a mark per network."""
    titles = {
        "saved_bytes": "kept for the backward pass",
        "temporary_bytes": "scratch at the peak",
        "parameter_bytes": "parameters",
        "running_bytes": "running statistics",
    }
    rows = [
        {"series": network, "x": titles[quantity], "y": value}
        for network, quantity, value in evidence.iter_rows()
        if quantity in titles
    ]
    return Drawing(
        "points",
        "Memory of one training step",
        "what for",
        "bytes",
        rows,
        "One step on one batch; kept: as JAX hands it from the forward to the backward pass; scratch: as XLA plans the "
        "compiled gradient on this machine. Folded: the network for inference, batch norm folded into its neighbours.",
    )


def _bytes(variables: list[keras.Variable]) -> int:
    return sum(variable.value.nbytes for variable in variables)


def _values(evidence: pl.DataFrame, network: str) -> dict[str, float]:
    return dict(evidence.filter(pl.col("network") == network).select("quantity", "value").iter_rows())


def _more(rest: float) -> str:
    return "no more than those without" if rest <= 0 else f"{rest:,.0f} more than those without"


CLAIM = Claim(
    id="memory",
    kind="limit",
    statement="Batch normalization costs memory.",
    protocol="bytes kept for the backward pass of one training step, with and without; parameters, running statistics, "
    "scratch memory of the compiled gradient; the same after folding for inference",
    metric="bytes kept per sample, ratio of batch to none",
    expected="more while training, since the normalized values are kept beside the layer's own; computing activations "
    "anew saves up to half of a network's training memory; nothing more for inference once folded",
    source="Rota Bulo, Porzi, Kontschieder 2018, arXiv:1712.02616",
    measure=measure,
    judge=judge,
    draw=draw,
)
