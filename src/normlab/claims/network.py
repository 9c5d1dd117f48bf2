"""The network that claims are put to: one of normlab's by name and options, or a function of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from normlab.errors import InputError, require_known
from normlab.models import MODELS
from normlab.models.own import KERAS_SUFFIX, is_reference, own_function, require_reference, takes_norm

if TYPE_CHECKING:
    import keras

    from normlab.data import Dataset
    from normlab.norms import Norm


@dataclass(frozen=True)
class Network:
    """What builds the network with any norm.

    Attributes:
        name: In `normlab.models.MODELS`, or `FILE.py:FUNCTION`.
        options: All of that model's; none of a function.
        function: The user's, from a norm to a Keras model; None for a model of normlab's.
    """

    name: str
    options: Mapping[str, Any]
    function: Callable[[Norm], Any] | None = None

    def build(self, norm: Norm, dataset: Dataset, model: str | None = None, **options: Any) -> keras.Model:
        """Return the network with a norm; `options` replace its own, or are those of another `model`.

        Raises:
            InputError: If the user's function returns what does not fit the data, or does not use the norm.
        """
        if self.function and model in (None, self.name):
            from normlab.study.own import with_norm

            return with_norm(self.function, norm, dataset)
        name = model or self.name
        resolved = MODELS[name].resolve({**(self.options if name == self.name else {}), **options})
        return MODELS[name].build(norm, dataset.input_shape, dataset.num_outputs, **resolved)

    def matched(self, dataset: Dataset) -> Dataset:
        """Return the data as a function of the user's own takes them (`normlab.study.matching`).

        Raises:
            InputError: As `build`; or if an input is no row of the table that it is looked up in.
        """
        if self.function is None:
            return dataset
        from normlab.norms import NORMS
        from normlab.study.matching import matched

        return matched(dataset, {name: self.build(NORMS[name], dataset) for name in ("none", "batch")})


def require_network(model: str, options: Mapping[str, Any]) -> None:
    """Check a model and its options without running a file of the user's.

    Raises:
        InputError: For an unknown model or option, options of a model of the user's own, a file that does not exist, or
            one that holds a single model: claims need the network with several norms.
    """
    if not is_reference(model):
        require_known("model", model, MODELS)
        MODELS[model].resolve(options)
        return
    if options:
        received = f"the network options {', '.join(options)}"
        raise InputError("a model of your own must be the whole network", received, "leave them out, or name a model")
    if model.endswith(KERAS_SUFFIX):
        raise _needs_a_function(model)
    require_reference(model)


def network_of(model: str, options: Mapping[str, Any]) -> Network:
    """Return the network; the file of `FILE.py:FUNCTION` runs.

    Raises:
        InputError: As `require_network`; and if the function is missing, or takes no norm.
    """
    require_network(model, options)
    if not is_reference(model):
        return Network(model, MODELS[model].resolve(options))
    function = own_function(model)
    if not takes_norm(function):
        raise _needs_a_function(f"{model}, which takes nothing")
    return Network(model, {}, function)


def _needs_a_function(received: str) -> InputError:
    rule = "a model of your own must be FILE.py:FUNCTION, a function that takes a norm: claims build it with several"
    return InputError(rule, received, "write such a function, or study the model by normlab run")
