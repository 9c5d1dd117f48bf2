"""How fast gradients grow towards the input of a wide network at initialization: mean field theory beside the probe."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from normlab.replicate.replication import Checked, Replication, Setting

if TYPE_CHECKING:
    from normlab.train.blueprint import Blueprint

# Measured, this size moves the growths by less than one percent. Inputs have as many features as layers have units: of
# fewer, say r, a nearly linear activation keeps the rank, and variances that differ from unit to unit raise the
# growth by a factor of 1 + 2/r (with 64 features by 1.5 % for sigmoid).
WIDTH, BATCH, DEPTH = 512, 512, 20
CLASSES = 10
SEEDS = {"quick": 4, "full": 16}
# Relative, on the growth per layer.
TOLERANCE = 0.03
# The theory has none; Keras's 1e-3 beside a variance of 0.09 (sigmoid) would count as one percent.
EPSILON = 1e-6


class Moments(NamedTuple):
    """Of an activation φ at z ~ N(0, 1): E[φ], E[φ²] and E[φ'²]."""

    mean: float
    square: float
    slope_square: float


@dataclass(frozen=True)
class Case:
    """A network, and its growth in the limit of infinite width and batch.

    Attributes:
        norm: A name in `NORMS`, before every activation.
        activation: A name in `FUNCTIONS`.
        formula: Of the growth, in words.
        growth: (moments of the activation) -> growth of ‖∂L/∂h_l‖² per layer towards the input.
    """

    norm: str
    activation: str
    formula: str
    growth: Callable[[Moments], float]


def _sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


# φ and φ' by the activation's name; a kink, where there is one, is at zero.
FUNCTIONS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "relu": (lambda z: max(z, 0.0), lambda z: float(z > 0)),
    "tanh": (math.tanh, lambda z: 1 - math.tanh(z) ** 2),
    "sigmoid": (_sigmoid, lambda z: _sigmoid(z) * (1 - _sigmoid(z))),
}


def _over_variance(m: Moments) -> float:
    return m.slope_square / (m.square - m.mean**2)


def _over_square(m: Moments) -> float:
    return m.slope_square / m.square


def _he(m: Moments) -> float:
    return 2 * m.slope_square


CASES = (
    Case("batch", "relu", "E[φ'²]/Var[φ] = π/(π-1)", _over_variance),
    Case("batch", "tanh", "E[φ'²]/Var[φ]", _over_variance),
    Case("batch", "sigmoid", "E[φ'²]/Var[φ]", _over_variance),
    # Over the units of a wide layer, weights with mean zero give products with mean zero: the norm divides by E[φ²].
    Case("layer", "relu", "E[φ'²]/E[φ²] = 1", _over_square),
    Case("none", "relu", "2 E[φ'²] = 1 with the weights of He et al. 2015", _he),
)


def moments(activation: str) -> Moments:
    """Return the moments of an activation at z ~ N(0, 1), by adaptive quadrature on both sides of zero."""
    from scipy.integrate import quad

    function, derivative = FUNCTIONS[activation]

    def mean(of: Callable[[float], float]) -> float:
        def weighed(z: float) -> float:
            return of(z) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

        return float(sum(quad(weighed, *ends, epsabs=1e-12)[0] for ends in ((-12.0, 0.0), (0.0, 12.0))))

    return Moments(mean(function), mean(lambda z: function(z) ** 2), mean(lambda z: derivative(z) ** 2))


def network(case: Case, width: int, depth: int) -> Blueprint:
    """Return the network of a case: `depth` hidden layers as wide as the input, weights of He et al. 2015, a head."""
    from normlab.models import mlp
    from normlab.norms import NORMS
    from normlab.train.blueprint import blueprint

    norm = NORMS[case.norm]
    norm = norm.with_options(epsilon=EPSILON) if "epsilon" in norm.options else norm
    return blueprint(lambda: mlp(norm, (width,), CLASSES, widths=(width,) * depth, activation=case.activation))


def squared_gradients(plan: Blueprint, seeds: Sequence[int], batch: int) -> np.ndarray:
    """Return ‖∂L/∂h_l‖² of every hidden layer at initialization, first layer first; shape (seeds, depth).

    L is the cross-entropy of one batch of standard normal inputs with classes drawn at random.
    """
    import jax

    from normlab import seeding
    from normlab.probes import gradients
    from normlab.probes.alone import alone
    from normlab.train.initial import InitialValues

    trainer, state = alone(plan.model)
    values = InitialValues()
    measure = jax.jit(lambda state, x, y: gradients.measure(trainer, state, x, y)["output_gradient"])
    rows = []
    for seed in seeds:
        drawn = [value[0] for value in values.stacked(plan, plan.model.trainable_variables, [seed])]
        random = seeding.generator(seed, "replicate", "gradient-rate")
        x = random.standard_normal((batch, *plan.model.input_shape[1:])).astype(np.float32)
        y = random.integers(CLASSES, size=batch).astype(np.int32)
        names = gradients.layers(trainer, x)["output_gradient"] or ()
        found = np.asarray(measure(state._replace(trainable=drawn), x, y), np.float64)
        rows.append([value**2 for name, value in zip(names, found, strict=True) if name.startswith("activation_")])
    return np.array(rows)


def growth(squares: np.ndarray) -> np.ndarray:
    """Return the geometric mean growth per layer towards the input, (seeds,), of squares, (seeds, depth)."""
    return (squares[:, 0] / squares[:, -1]) ** (1 / (squares.shape[1] - 1))


def checked(measured: Mapping[Case, np.ndarray], tolerance: float = TOLERANCE) -> list[Checked]:
    """Return every case's derived growth beside the mean of the measured ones, given by seed."""
    figures = []
    for case, values in measured.items():
        derived, mean = case.growth(moments(case.activation)), float(np.mean(values))
        deviation = f"sd {np.std(values, ddof=1):.4f} over {len(values)} seeds; " if len(values) > 1 else ""
        away = mean / derived - 1
        figures.append(
            Checked(
                f"growth per layer of ‖∂L/∂h‖² towards the input: {case.norm} norm, {case.activation}",
                f"{derived:.4f} = {case.formula}",
                f"{mean:.4f} ({deviation}{away:+.1%})",
                f"{tolerance:.0%} of it",
                bool(abs(away) <= tolerance),
            )
        )
    return figures


def run(setting: Setting) -> list[Checked]:
    """Measure the growth of every case over seeds; no data and no training."""
    from normlab.train.devices import prepare

    prepare()
    seeds = range(SEEDS[setting.budget] if setting.seeds is None else setting.seeds)
    return checked({case: growth(squared_gradients(network(case, WIDTH, DEPTH), seeds, BATCH)) for case in CASES})


REPLICATION = Replication(
    id="gradient-rate",
    title="gradients grow by π/(π-1) per layer with batch norm and ReLU, at initialization",
    source="Yang, Pennington, Rao, Sohl-Dickstein, Schoenholz 2019, arXiv:1902.08129 (batch norm); for layer norm and "
    "none derived likewise; the limit of wide layers and large batches",
    run=run,
    usual="full",
)
