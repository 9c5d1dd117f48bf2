"""What a norm is, outside any network: a name, how to build its layer, and what that keeps, couples and needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from normlab.errors import InputError
from normlab.norms.options import BOUNDS, Bounds, Value, require_option

if TYPE_CHECKING:
    import keras

Shape = tuple[int | None, ...]
# (norm, shape of one sample, samples per batch or None where unknown); raises `InputError` for a degenerate use.
Rule = Callable[["Norm", Shape, int | None], None]


@dataclass(frozen=True)
class Norm:
    """A named way to normalize, called once for every place in a network where it stands.

    A builder writes `norm.wrap(Dense(...))` and then `norm(name=...)`. For most norms `wrap` returns the layer as it
    came. Norms of weights act there, and their own place holds an identity.

    Attributes:
        name: The name in `NORMS`.
        build: Returns a new Keras layer from `name=` and, unless there is a wrapper, every option as a keyword.
        cancels_bias: Whether the gradient with respect to a constant per unit, added to the input, is zero in training,
            so that the layer before needs no bias. True where a mean per unit is subtracted.
        formula: What the layer computes, in one line.
        source: Where it comes from, and its defaults.
        per_unit: What it keeps per unit: parameters (trained) and statistics (not trained).
        couples_samples: Whether the other samples of a batch affect a sample's output or gradient in training.
        differs_in_evaluation: Whether training and evaluation compute different functions.
        options: Parameters that a study file may set, with the values that `build` gets.
        bounds: Of options by name; one without need only be of its default's type.
        wrapper: Returns a layer around a Dense or convolution, from that layer and every option; None for layers that
            stand after it.
        replaces_activation: Whether the published form contains the activation, so that none need follow.
        recomputes: Whether its statistics are to be computed over the training set before an evaluation, by
            `normlab.norms.precise`.
        rules: What must hold where it stands; see `normlab.norms.check`.
    """

    name: str
    build: Callable[..., keras.layers.Layer]
    cancels_bias: bool
    formula: str
    source: str
    per_unit: str = "nothing"
    couples_samples: bool = False
    differs_in_evaluation: bool = False
    options: Mapping[str, Value] = field(default_factory=dict, hash=False)
    bounds: Mapping[str, Bounds] = field(default_factory=lambda: BOUNDS, hash=False, compare=False, repr=False)
    wrapper: Callable[..., keras.layers.Layer] | None = None
    replaces_activation: bool = False
    recomputes: bool = False
    rules: tuple[Rule, ...] = ()

    def __call__(self, name: str | None = None) -> keras.layers.Layer:
        """Return a new layer, called `name` where one is given."""
        return self.build(name=name, **(self.options if self.wrapper is None else {}))

    def wrap(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        """Return the layer with this norm on its weights, or the layer itself where the norm is no norm of weights.

        The wrapped layer keeps its name and the paths of its variables.

        Raises:
            InputError: If the norm is one of weights and the layer is no Dense or convolution, or is built already.
        """
        return layer if self.wrapper is None else self.wrapper(layer, **self.options)

    def with_options(self, **options: Any) -> Norm:
        """Return this norm with some options set.

        Raises:
            InputError: For an unknown option, or a value outside its bounds.
        """
        for name, value in options.items():
            if name not in self.options:
                known = f"choose among {', '.join(self.options)}" if self.options else "leave it out: it has none"
                raise InputError(f"an option of the norm {self.name} must be a known one", name, known)
            if name in self.bounds:
                require_option(name, value)
            elif type(value) is not type(self.options[name]):
                kind = type(self.options[name]).__name__
                raise InputError(f"{name} must be of type {kind}", value, f"give one such as {self.options[name]!r}")
        return replace(self, options={**self.options, **options})
