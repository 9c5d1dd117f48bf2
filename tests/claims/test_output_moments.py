"""The claim about the output's moments: true of batch norm, and refuted by layers that are off in one thing."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from normlab.claims.bench import Bench
from normlab.claims.output_moments import CLAIM, WIDTH


def test_it_holds_on_real_data(tiny: Bench) -> None:
    evidence = CLAIM.measure(tiny)
    finding = CLAIM.judge(evidence)
    assert finding.verdict == "supported"
    assert finding.effect is not None
    assert finding.effect < 1e-5
    assert evidence["moment"].to_list() == ["mean"] * WIDTH + ["deviation"] * WIDTH
    assert evidence["unit"].to_list() == [*range(WIDTH)] * 2
    # Gamma and beta are drawn, so that neither is what a layer begins with.
    expected = evidence["expected"].to_numpy()
    assert (np.abs(expected[:WIDTH]) > 1e-3).all()
    assert np.ptp(expected[WIDTH:]) > 0.5
    drawing = CLAIM.draw(evidence)
    assert {row["series"] for row in drawing.rows} == {"mean", "deviation"}


class _Planted(keras.layers.BatchNormalization):
    """Batch norm that is off in what a subclass says."""

    def call(self, x: Any, training: bool | None = None, mask: Any = None) -> Any:
        assert training
        return self.formula(x, ops.mean(x, 0), ops.var(x, 0))


class _WithoutBeta(_Planted):
    def formula(self, x: Any, mean: Any, variance: Any) -> Any:
        return self.gamma * (x - mean) / ops.sqrt(variance + self.epsilon)


class _WithoutGamma(_Planted):
    def formula(self, x: Any, mean: Any, variance: Any) -> Any:
        return (x - mean) / ops.sqrt(variance + self.epsilon) + self.beta


class _Unbiased(_Planted):
    def formula(self, x: Any, mean: Any, variance: Any) -> Any:
        return self.gamma * (x - mean) / ops.sqrt(variance * len(x) / (len(x) - 1) + self.epsilon) + self.beta


class _LargeEpsilon(_Planted):
    """It says that its ε is small."""

    def formula(self, x: Any, mean: Any, variance: Any) -> Any:
        return self.gamma * (x - mean) / ops.sqrt(variance + 1.0) + self.beta


class _OfSamples(_Planted):
    """It takes the moments over the units of a sample."""

    def formula(self, x: Any, mean: Any, variance: Any) -> Any:
        return self.gamma * (x - ops.mean(x, 1, keepdims=True)) / ops.std(x, 1, keepdims=True) + self.beta


@pytest.mark.parametrize("layer", [_WithoutBeta, _WithoutGamma, _Unbiased, _LargeEpsilon, _OfSamples])
def test_a_layer_that_is_off_refutes_it(layer: type, tiny: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.layers, "BatchNormalization", layer)
    assert CLAIM.judge(CLAIM.measure(tiny)).verdict == "refuted"
