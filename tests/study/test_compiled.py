"""A model compiled with the study's loss passes, with another is refused; the optimizer is not looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest

from normlab.errors import InputError
from normlab.models.own import compiled_loss
from normlab.study.compiled import require_study_loss

LOSSES = keras.losses


def _model(activation: str | None, num_outputs: int = 3) -> keras.Model:
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(num_outputs, activation=activation, kernel_initializer="ones")]
    )


def _mine(y_true: Any, y_pred: Any) -> Any:
    return keras.ops.mean(y_pred)


class _Mine(LOSSES.SparseCategoricalCrossentropy):
    pass


SAME: dict[str, tuple[str, str | None, Any]] = {
    "by name": ("classification", "softmax", "sparse_categorical_crossentropy"),
    "by class": ("classification", "softmax", LOSSES.SparseCategoricalCrossentropy()),
    "one-hot": ("classification", "softmax", LOSSES.CategoricalCrossentropy()),
    "function": ("classification", "softmax", LOSSES.sparse_categorical_crossentropy),
    "list": ("classification", "softmax", ["sparse_categorical_crossentropy"]),
    "logits": ("classification", None, LOSSES.SparseCategoricalCrossentropy(from_logits=True)),
    "squared error": ("regression", None, "mse"),
    "squared error by class": ("regression", None, LOSSES.MeanSquaredError()),
    "none": ("classification", None, None),
}
OTHER: dict[str, tuple[str, str | None, Any, str]] = {
    "squared error": ("classification", "softmax", "mse", r"must be the study's, got mean_squared_error; compile it"),
    "binary": ("classification", "softmax", LOSSES.BinaryCrossentropy(), r"got binary_crossentropy; compile it with"),
    "absolute error": ("regression", None, "mae", r"got mean_absolute_error; compile it with mean_squared_error, or"),
    "own function": ("classification", "softmax", _mine, r"got the loss .*_mine; compile"),
    "own class": ("classification", "softmax", _Mine(), r"got the loss .*_Mine; compile"),
    "smoothed": (
        "classification",
        "softmax",
        LOSSES.CategoricalCrossentropy(label_smoothing=0.1),
        r"categorical_crossentropy with label_smoothing=0\.1 for a model that ends in softmax",
    ),
    "summed": ("regression", None, LOSSES.MeanSquaredError(reduction="sum"), r"with reduction=sum"),
    "probabilities of logits": (
        "classification",
        None,
        "sparse_categorical_crossentropy",
        r"with from_logits=False for a model that ends in no softmax",
    ),
    "logits of probabilities": (
        "classification",
        "softmax",
        LOSSES.SparseCategoricalCrossentropy(from_logits=True),
        r"with from_logits=True for a model that ends in softmax",
    ),
}


@pytest.mark.parametrize("case", SAME)
def test_the_studys_own_loss_passes(case: str) -> None:
    task, activation, loss = SAME[case]
    model = _model(activation)
    model.compile("adam", loss)
    require_study_loss(model, model.loss, task)


@pytest.mark.parametrize("case", OTHER)
def test_another_loss_is_refused(case: str) -> None:
    task, activation, loss, message = OTHER[case]
    model = _model(activation)
    model.compile("adam", loss)
    with pytest.raises(InputError, match=message) as caught:
        require_study_loss(model, model.loss, task)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
@pytest.mark.parametrize("loss", ["mse", LOSSES.SparseCategoricalCrossentropy(from_logits=True), _mine])
def test_the_loss_of_a_file_is_looked_at_too(loss: Any, tmp_path: Path) -> None:
    model = _model("softmax")
    model.compile("adam", loss)
    model.save(tmp_path / "model.keras")
    with pytest.raises(InputError, match="that a model is compiled with must be the study's"):
        require_study_loss(model, compiled_loss(tmp_path / "model.keras"), "classification")
    model.compile("adam", LOSSES.SparseCategoricalCrossentropy())
    model.save(tmp_path / "same.keras")
    require_study_loss(model, compiled_loss(tmp_path / "same.keras"), "classification")


ONE_OUTPUT: dict[str, tuple[str | None, Any, str]] = {
    "sigmoid": ("sigmoid", "binary_crossentropy", ""),
    "sigmoid by class": ("sigmoid", LOSSES.BinaryCrossentropy(), ""),
    "logit": (None, LOSSES.BinaryCrossentropy(from_logits=True), ""),
    "logit taken for a probability": (None, "binary_crossentropy", r"from_logits=False for .* ends in no sigmoid"),
    "probability taken for a logit": (
        "sigmoid",
        LOSSES.BinaryCrossentropy(from_logits=True),
        r"from_logits=True for a model that ends in sigmoid",
    ),
    "of several outputs": ("sigmoid", "sparse_categorical_crossentropy", r"compile it with binary_crossentropy, or"),
    "smoothed": ("sigmoid", LOSSES.BinaryCrossentropy(label_smoothing=0.1), r"label_smoothing=0\.1"),
}


@pytest.mark.parametrize("case", ONE_OUTPUT)
def test_one_output_for_two_classes_has_the_binary_loss(case: str) -> None:
    activation, loss, message = ONE_OUTPUT[case]
    model = _model(activation, 1)
    if not message:
        require_study_loss(model, loss, "classification")
        return
    with pytest.raises(InputError, match=message):
        require_study_loss(model, loss, "classification")
