"""The claim that the bias of a layer before batch norm is redundant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from normlab.claims.claim import Claim
from normlab.claims.drawing import Drawing
from normlab.claims.finding import Finding, Verdict

if TYPE_CHECKING:
    import keras

    from normlab.claims.bench import Bench

WIDTH = 64
SEEDS = 3
# float32 rounds by 6e-8; sums over a batch, divided by a small deviation, lose two or three digits more.
TOLERANCE = 1e-4
# Batches seen after the bias was changed. Keras's running mean keeps 0.99 of itself at each.
BATCHES_SEEN = (0, 10, 30, 100, 300, 1000, 3000)


def measure(bench: Bench) -> pl.DataFrame:
    """Change the bias before the norm by δ, as large as the pre-activations' deviation, and differentiate by it.

    The network is Dense with bias, norm, ReLU, Dense, on one batch of the data, once with batch norm and once without.
    Its running statistics are at first those of the batch; then training-mode passes are made with the changed bias,
    the weights standing still.

    Returns:
        One row per arm, seed and quantity: arm, seed, quantity, batches_seen, value. Quantities: `training`, the
        largest change of an output in training mode; `evaluation`, likewise in evaluation mode after `batches_seen`
        batches (both divided by the outputs' standard deviation); `gradient`, ‖∂L/∂b‖ / ‖∂L/∂w‖ in training mode.
    """
    rows = []
    for arm in ("none", "batch"):
        network = _Network(bench, arm)
        for seed in bench.seeds[:SEEDS]:
            rows += [(arm, seed, *row) for row in network.measured(seed)]
    return pl.DataFrame(rows, schema=["arm", "seed", "quantity", "batches_seen", "value"], orient="row")


def judge(evidence: pl.DataFrame) -> Finding:
    """Exact, no test: refuted unless, in training mode, outputs and gradient stay at rounding level.

    If they do, it is supported if evaluation mode does not move either, and conditional on the mode if it does.
    """
    worst = {name: _largest(evidence, "batch", name) for name in ("training", "gradient")}
    at_once = _largest(evidence, "batch", "evaluation", 0)
    last = int(evidence["batches_seen"].max())  # type: ignore[arg-type]
    adapted = _largest(evidence, "batch", "evaluation", last)
    verdict: Verdict = "refuted"
    if max(worst.values()) <= TOLERANCE:
        verdict = "supported" if at_once <= TOLERANCE else "conditional"
    answer = (
        f"In training mode a change of the bias moves the outputs by {worst['training']:.1g} of their deviation, and "
        f"‖∂L/∂b‖ is {worst['gradient']:.1g} of ‖∂L/∂w‖ (without batch norm "
        f"{_largest(evidence, 'none', 'training'):.2g} and {_largest(evidence, 'none', 'gradient'):.2g}); in "
        f"evaluation mode it moves them by {at_once:.2g} at first, and by {adapted:.1g} after {last} more batches."
    )
    conditions = (
        "on the mode: redundant in training; in evaluation only once the running mean has adapted to the bias"
        if verdict == "conditional"
        else ""
    )
    return Finding(
        verdict,
        worst["gradient"],
        None,
        None,
        0,
        answer,
        conditions=conditions,
        would_change=f"A change or a relative gradient above {TOLERANCE:g} in training mode would refute it.",
        details={"training_change": worst["training"], "evaluation_change": at_once, "adapted_change": adapted},
    )


def draw(evidence: pl.DataFrame) -> Drawing:
    """Return the change of the outputs in both modes over the batches seen since the bias was changed."""
    batch = evidence.filter((pl.col("arm") == "batch") & (pl.col("quantity") != "gradient"))
    moved = batch.filter(pl.col("quantity") == "evaluation")
    rows = [
        {"series": "evaluation mode", "x": count, "y": _largest(evidence, "batch", "evaluation", count)}
        for count in sorted(moved["batches_seen"].unique())
    ]
    for arm, series in (("batch", "training mode"), ("none", "without batch norm")):
        change = _largest(evidence, arm, "training")
        rows += [{"series": series, "x": row["x"], "y": change} for row in rows if row["series"] == "evaluation mode"]
    return Drawing(
        "lines",
        "Change of the outputs by a bias before batch norm",
        "batches seen since the bias was changed",
        "largest change / standard deviation of the outputs",
        rows,
        "Largest over outputs and seeds. In training mode the batch's mean takes the bias away at once; in evaluation "
        "mode the running mean does, as far as it has adapted.",
        log_y=True,
    )


class _Network:
    """Dense with bias, norm, ReLU, Dense, and the batch that it is measured on."""

    def __init__(self, bench: Bench, arm: str) -> None:
        import jax
        import keras

        from normlab.claims.bench import as_norm
        from normlab.train.blueprint import blueprint
        from normlab.train.loop import scaled
        from normlab.train.objective import objective_for

        def build() -> keras.Model:
            layers = [
                keras.Input(bench.dataset.input_shape),
                keras.layers.Flatten(),
                keras.layers.Dense(WIDTH, kernel_initializer="he_normal", name="hidden"),
                as_norm(arm)(name="norm"),
                keras.layers.ReLU(),
                keras.layers.Dense(bench.dataset.num_outputs, name="head"),
            ]
            return keras.Sequential(layers)

        self.plan, self.values = blueprint(build), bench.values
        self.model = self.plan.model
        hidden = self.model.get_layer("hidden")
        places = {id(variable): index for index, variable in enumerate(self.model.trainable_variables)}
        self.bias, self.kernel = places[id(hidden.bias)], places[id(hidden.kernel)]
        self.x = scaled(jax.numpy.asarray(bench.dataset.train.x[: bench.batch_size]), bench.dataset.divisor)
        self.y = jax.numpy.asarray(bench.dataset.train.y[: bench.batch_size])
        self.objective = objective_for(bench.dataset.task, bench.dataset.num_outputs, self.model)
        self.passed = jax.jit(self._pass, static_argnames="training")
        self.seen = jax.jit(self._see)
        self.gradient = jax.jit(jax.grad(self._loss))

    def measured(self, seed: int) -> list[tuple[str, int, float]]:
        """Return (quantity, batches seen, value) for the initial values of one seed."""
        from normlab import seeding

        trainable, others = (
            [one[0] for one in self.values.stacked(self.plan, part, [seed])]
            for part in (self.model.trainable_variables, self.model.non_trainable_variables)
        )
        pre_activations = np.asarray(self.x).reshape(len(self.x), -1) @ trainable[self.kernel]
        delta = seeding.generator(seed, "claims", "redundant-bias").normal(size=WIDTH) * pre_activations.std(0)
        changed = list(trainable)
        changed[self.bias] = (trainable[self.bias] + delta).astype(np.float32)
        settled = self.seen(trainable, others, 10 * max(BATCHES_SEEN))
        rows = [("training", 0, self._change((trainable, settled), (changed, settled), training=True))]
        for count in BATCHES_SEEN:
            adapted = self.seen(changed, settled, count)
            rows.append(("evaluation", count, self._change((trainable, settled), (changed, adapted), training=False)))
        gradient = self.gradient(trainable, settled)
        sizes = [float(np.linalg.norm(gradient[index])) for index in (self.bias, self.kernel)]
        return [*rows, ("gradient", 0, sizes[0] / sizes[1])]

    def _change(self, before: tuple[Any, Any], after: tuple[Any, Any], training: bool) -> float:
        old, new = (np.asarray(self.passed(*values, training=training), float) for values in (before, after))
        return float(np.abs(new - old).max() / old.std())

    def _pass(self, trainable: list[Any], others: list[Any], *, training: bool) -> Any:
        return self.model.stateless_call(trainable, others, self.x, training=training)[0]

    def _see(self, trainable: list[Any], others: list[Any], count: Any) -> list[Any]:
        """Return the running statistics after `count` passes in training mode."""
        import jax

        def once(_: Any, state: list[Any]) -> list[Any]:
            return self.model.stateless_call(trainable, state, self.x, training=True)[1]

        return jax.lax.fori_loop(0, count, once, others)

    def _loss(self, trainable: list[Any], others: list[Any]) -> Any:
        outputs = self._pass(trainable, others, training=True)
        return self.objective.per_sample(outputs, self.y)[0].mean()


def _largest(evidence: pl.DataFrame, arm: str, quantity: str, batches_seen: int = 0) -> float:
    chosen = (pl.col("arm") == arm) & (pl.col("quantity") == quantity) & (pl.col("batches_seen") == batches_seen)
    return float(evidence.filter(chosen)["value"].max())  # type: ignore[arg-type]


CLAIM = Claim(
    id="redundant-bias",
    kind="property",
    statement="The bias of a layer before batch normalization is redundant.",
    protocol="a Dense layer with bias before batch norm, on one batch: the bias is changed by as much as the "
    "pre-activations vary, in training mode and in evaluation mode, there also while the running mean adapts",
    metric="‖∂L/∂b‖ / ‖∂L/∂w‖ of that layer in training mode, the largest over the seeds",
    expected="zero up to rounding in training mode; in evaluation mode a change moves the output until the running "
    "mean has adapted, by 0.99 to the power of the batches seen",
    source="Ioffe and Szegedy 2015, section 3.2: the bias can be ignored, since the mean subtraction cancels it",
    measure=measure,
    judge=judge,
    draw=draw,
    not_about="what training makes of the bias: the weights stand still, so that only the norm can take it away",
)
