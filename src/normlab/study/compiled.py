"""What a user's model was compiled with, against what a study trains: its loss must be the study's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from normlab.errors import InputError

if TYPE_CHECKING:
    import keras

# Losses of Keras that are the study's, whatever the form of the labels, as functions; classes go by snake case.
SAME_LOSSES = {
    "classification": ("sparse_categorical_crossentropy", "categorical_crossentropy"),
    "two classes, one output": ("binary_crossentropy",),
    "regression": ("mean_squared_error",),
}
# Settings at which these losses are the study's; `from_logits` is as the model ends.
SAME_SETTINGS = {"label_smoothing": 0.0, "ignore_class": None, "reduction": "sum_over_batch_size", "axis": -1}


def require_study_loss(model: keras.Model, loss: Any, task: str) -> None:
    """Raise `InputError` where a model was compiled with a loss other than the study's; no loss is none.

    The study minimizes the mean cross-entropy (of probabilities where the model ends in softmax, else of logits), the
    binary one where there is one output for two classes, or the mean squared error. Optimizer and metrics of `compile`
    are not looked at: a study has its own.

    Args:
        model: The model.
        loss: What it was compiled with, or what a .keras file records of it; None where there is nothing.
        task: "classification" or "regression".
    """
    from normlab.train.objective import ends_in, has_one_output

    if loss is None:
        return
    name, options = _described(_only(loss))
    is_binary = task == "classification" and has_one_output(model)
    end = "sigmoid" if is_binary else "softmax"
    is_probability = ends_in(model, end)
    wanted = SAME_LOSSES["two classes, one output" if is_binary else task]
    action = f"compile it with {wanted[0]}, or not at all: a study has a loss and an optimizer of its own"
    if name not in wanted:
        raise InputError("the loss that a model is compiled with must be the study's", name, action)
    expected = {**SAME_SETTINGS, "from_logits": not is_probability}
    if task == "classification":
        options = {"from_logits": False, **options}
    for option, value in options.items():
        if option in expected and value != expected[option]:
            received = f"{name} with {option}={value} for a model that ends in {'' if is_probability else 'no '}{end}"
            raise InputError("the loss that a model is compiled with must be the study's", received, action)


def _only(value: Any) -> Any:
    """Return the one entry of a list or of a mapping by outputs; a loss as Keras records it is no such mapping."""
    if isinstance(value, Mapping) and "class_name" not in value and len(value) == 1:
        return next(iter(value.values()))
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


def _described(loss: Any) -> tuple[str, dict[str, Any]]:
    """Return a loss's name in snake case with its settings; a user's own goes by its name, unlike any of Keras's."""
    import keras

    try:
        found = keras.losses.get(loss)
    except (TypeError, ValueError):
        found = loss
    if isinstance(found, keras.losses.Loss) and type(found).__module__.startswith("keras."):
        return found.name, found.get_config()
    if callable(found) and getattr(found, "__module__", "").startswith("keras."):
        return found.__name__, {}
    if isinstance(loss, Mapping):
        return f"the loss {loss.get('registered_name') or loss.get('class_name')}", {}
    return f"the loss {getattr(loss, '__name__', type(loss).__name__)}", {}
