"""A norm with an activation of its own takes the place of the rectifier directly behind it, and of nothing else."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest

from normlab.surgery import swap
from normlab.surgery.graph import calls
from normlab.surgery.kinds import is_activation
from tests.surgery.networks import Conv2D, Dense, L, outputs, samples, trained


def _sequence(*behind: keras.layers.Layer, activation: object = None, norm: bool = True) -> Callable[[], keras.Model]:
    def build() -> keras.Model:
        norms = [L.BatchNormalization(name="norm")] if norm else []
        conv = Conv2D(4, 3, activation=activation, name="conv")
        copies = [type(layer).from_config(layer.get_config()) for layer in behind]
        return keras.Sequential([keras.Input((6, 6, 2)), conv, *norms, *copies, L.Flatten(), Dense(2, name="head")])

    return build


def _graph(wiring: Callable[[object, keras.layers.Layer], object]) -> Callable[[], keras.Model]:
    def build() -> keras.Model:
        inputs = keras.Input((6, 6, 2))
        x = L.BatchNormalization(name="norm")(Conv2D(4, 3, name="conv")(inputs))
        return keras.Model(inputs, Dense(2, name="head")(L.Flatten()(wiring(x, L.ReLU(name="relu")))))

    return build


RELU = L.ReLU(name="relu")
# What stands there, which activations are left, and the table's note.
CASES: dict[str, tuple[Callable[[], keras.Model], list[str], str]] = {
    "ReLU": (_sequence(RELU), [], "replaces relu"),
    "leaky": (_sequence(L.LeakyReLU(name="leaky")), [], "replaces leaky"),
    "gelu": (_sequence(L.Activation("gelu", name="gelu")), [], "replaces gelu"),
    "a gate": (_sequence(L.Activation("tanh", name="tanh")), ["tanh"], ""),
    "with weights": (_sequence(L.PReLU(alpha_initializer="ones", name="prelu")), ["prelu"], ""),
    "with a penalty": (_sequence(L.ReLU(activity_regularizer="l2", name="penalized")), ["penalized"], ""),
    "not directly behind": (_sequence(L.MaxPooling2D(2), RELU), ["relu"], ""),
    "a second one": (_sequence(RELU, L.ReLU(name="second")), ["second"], "replaces relu"),
    "fused": (_sequence(activation="relu", norm=False), [], "replaces the activation of conv"),
    "fused gate": (_sequence(RELU, activation="tanh", norm=False), ["conv_activation", "relu"], ""),
    "inserted": (_sequence(RELU, norm=False), [], "replaces relu"),
    "of keras.ops": (_graph(lambda x, relu: keras.ops.relu(x)), [], "replaces relu"),
    "two consumers": (_graph(lambda x, relu: L.Add()([x, relu(x)])), ["relu"], ""),
    "shared with another place": (_graph(lambda x, relu: relu(L.MaxPooling2D(2)(relu(x)))), ["relu"], ""),
}


@pytest.mark.parametrize("case", CASES)
def test_the_rectifier_behind_the_norm_goes_and_others_stay(case: str) -> None:
    build, left, note = CASES[case]
    model = trained(build())
    swapped = swap(model, "frn")
    found = {call.layer.name for call in calls(swapped.model) if is_activation(call.layer)}
    assert sorted(found) == sorted(left)
    said = swapped.changes[0].note
    assert said.startswith(note) if "of keras.ops" in case else said == note
    assert np.all(np.isfinite(outputs(swapped.model, samples(model))[0]))
    # A norm without an activation of its own leaves all of them.
    kept = {layer.name for layer in model.layers if isinstance(layer, L.ReLU | L.Activation | L.LeakyReLU | L.PReLU)}
    assert kept <= {layer.name for layer in swap(model, "batch").model.layers}
