"""The claim that batch norm costs memory: while a network trains, once it is folded, and on an accelerator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from normlab.claims.claim import Claim
from normlab.claims.device_memory import held_bytes
from normlab.claims.drawing import Drawing
from normlab.claims.finding import Finding, Verdict
from normlab.claims.one_run import model_of

if TYPE_CHECKING:
    import keras

    from normlab.claims.bench import Bench

# A twentieth more would hardly ever decide which batch fits a machine.
MARGIN = 0.05
FOLDED = "batch, folded"
PRIMARY = "saved_bytes_per_sample"
HELD = "accelerator_bytes_per_sample"
NO_ACCELERATOR = "no accelerator here"
# Samples of one inference, all of them if there are fewer: scratch memory grows with them.
INFERENCE_SAMPLES = 1000


def measure(bench: Bench) -> pl.DataFrame:
    """Count what one step of each arm keeps, and what inference takes before and after folding; nothing trains.

    Returns:
        One row per network (none, batch, and batch folded for inference) and quantity: network, quantity, value, note.
        Quantities of training: those of `normlab.probes.memory`, and what an accelerator holds per sample between
        forward and backward pass, see `device_memory`; without one the value is null and the note says so. Of
        inference: parameter_bytes, running_bytes and inference_scratch_bytes (as XLA plans it).
    """
    import jax
    import jax.numpy as jnp

    from normlab.probes import memory
    from normlab.surgery import fold

    rows: list[tuple[str, str, float | None, str]] = []
    train = bench.dataset.train
    x, y = jnp.asarray(train.x[: bench.batch_size]), jnp.asarray(train.y[: bench.batch_size])
    models = {}
    for arm in ("none", "batch"):
        program = bench.program(arm, runs=1, layout="map")
        state = program.start([bench.seeds[0]], [0.0])
        measured = memory.measure(program.trainer, state, x, y)
        rows += [(arm, name, float(value), "") for name, value in measured.items()]
        held = held_bytes(program.trainer, program.place(state), x, y)
        note = NO_ACCELERATOR if held is None else jax.local_devices()[0].device_kind
        rows.append((arm, HELD, None if held is None else held / len(x), note))
        models[arm] = model_of(bench, arm, state)
    models[FOLDED] = fold(models["batch"]).model
    rows += [
        (FOLDED, "parameter_bytes", float(_bytes(models[FOLDED].trainable_variables)), ""),
        (FOLDED, "running_bytes", float(_bytes(models[FOLDED].non_trainable_variables)), ""),
    ]
    rows += [(name, "inference_scratch_bytes", _inference_scratch(bench, model), "") for name, model in models.items()]
    schema = {"network": pl.String, "quantity": pl.String, "value": pl.Float64, "note": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def judge(evidence: pl.DataFrame) -> Finding:
    """Return what costs more bytes than the margin allows: training, inference once folded, an accelerator; no test."""
    values = {network: _values(evidence, network) for network in ("none", "batch", FOLDED)}
    plain, normed = values["none"], values["batch"]
    stored = {name: own["parameter_bytes"] + own["running_bytes"] for name, own in values.items()}
    inference = {name: stored[name] + own["inference_scratch_bytes"] for name, own in values.items()}
    ratios = {
        "training": normed[PRIMARY] / plain[PRIMARY],
        "inference once folded": inference[FOLDED] / inference["none"],
    }
    device = evidence.filter(pl.col("quantity") == HELD)["note"][0]
    if device == NO_ACCELERATOR:
        on_device = "There is no accelerator here: what one would hold was not measured."
    else:
        ratios[f"training on {device}"] = normed[HELD] / plain[HELD]
        on_device = (
            f"{device} itself holds {normed[HELD]:,.0f} bytes per sample against {plain[HELD]:,.0f} between forward "
            "and backward pass."
        )
    scratch = normed["temporary_bytes"] / max(plain["temporary_bytes"], 1.0)
    answer = (
        f"For its backward pass a step keeps {normed[PRIMARY]:,.0f} bytes per sample with batch norm and "
        f"{plain[PRIMARY]:,.0f} without, {ratios['training']:.2f} times as many (the compiled gradient's scratch "
        f"memory is {scratch:.2f} times as large). The variables take {stored['batch']:,.0f} bytes against "
        f"{stored['none']:,.0f}; folded for inference they take {_more(stored[FOLDED] - stored['none'])}, and with "
        f"scratch memory {ratios['inference once folded']:.2f} times as many bytes. {on_device}"
    )
    costs = {name: ratio > 1 + MARGIN for name, ratio in ratios.items()}
    verdict: Verdict = "supported" if all(costs.values()) else "conditional" if any(costs.values()) else "refuted"
    sides = {side: [name for name, more in costs.items() if more == is_cost] for side, is_cost in _SIDES.items()}
    return Finding(
        verdict,
        ratios["training"],
        None,
        None,
        0,
        answer,
        conditions="; ".join(f"{side} at {', '.join(names)}" for side, names in sides.items())
        if verdict == "conditional"
        else "",
        would_change=f"A ratio of at most {1 + MARGIN:g} under every condition would refute it, a larger one under "
        "every one support it.",
        details={
            "ratios": ratios,
            "accelerator": device,
            "temporary_bytes_ratio": scratch,
            "variables_bytes": stored,
            "inference_bytes": inference,
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
        "inference_scratch_bytes": "scratch of inference",
    }
    rows = [
        {"series": network, "x": titles[quantity], "y": value}
        for network, quantity, value, _ in evidence.iter_rows()
        if quantity in titles
    ]
    return Drawing(
        "points",
        "Memory of one training step, and of inference",
        "what for",
        "bytes",
        rows,
        "One step on one batch; kept: as JAX hands it from the forward to the backward pass; scratch: as XLA plans the "
        f"compiled gradient, or inference of {INFERENCE_SAMPLES} samples, on this machine. Folded: the network for "
        "inference, batch norm folded into its neighbours.",
    )


_SIDES = {"supported": True, "refuted": False}


def _inference_scratch(bench: Bench, model: keras.Model) -> float:
    """Return the bytes of scratch memory of the compiled forward pass; its weights are arguments."""
    import jax

    from normlab.train.loop import scaled

    x = jax.numpy.asarray(bench.dataset.test.x[:INFERENCE_SAMPLES])
    values = [[v.value for v in part] for part in (model.trainable_variables, model.non_trainable_variables)]

    def infer(own: list[jax.Array], others: list[jax.Array], inputs: jax.Array) -> jax.Array:
        return model.stateless_call(own, others, scaled(inputs, bench.dataset.divisor), training=False)[0]

    analysis: Any = jax.jit(infer).lower(*values, x).compile().memory_analysis()
    return float(analysis.temp_size_in_bytes)


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
    protocol="bytes kept for the backward pass of one training step, with and without; parameters, running statistics "
    "and scratch memory of inference after folding; where there is an accelerator, the bytes in use that it reports "
    "between forward and backward pass",
    metric="bytes kept per sample, ratio of batch to none; bytes of inference, ratio of folded to none",
    expected="more while training, since the normalized values are kept beside the layer's own; computing activations "
    "anew saves up to half of a network's training memory; nothing more for inference once folded",
    source="Rota Bulo, Porzi, Kontschieder 2018, arXiv:1712.02616",
    measure=measure,
    judge=judge,
    draw=draw,
    not_about="how well or how fast a network trains: shapes alone decide, so no training, rate or seed can move it",
)
