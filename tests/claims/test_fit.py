"""Watched runs: what is seen of them, with running and with settled statistics."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.claims.bench import Bench
from normlab.claims.fit import curves, watched
from normlab.claims.settled import settled_error


def test_curves_end_with_the_test_and_begin_before_training(tiny: Bench) -> None:
    trained = watched(tiny, "none", 0.1)
    seen = curves(trained)
    assert seen.shape == (tiny.epochs + 1, 5, len(tiny.seeds))
    np.testing.assert_allclose(seen[-1, 1], trained.test_loss)
    np.testing.assert_allclose(seen[-1, 2], trained.test_accuracy)
    program = tiny.program("none")
    before = program.evaluate(program.start(tiny.seeds, [0.1] * 2), 2, "train")[0]
    np.testing.assert_allclose(seen[0, 0], before)
    assert (seen[-1, 0] < before).all()
    np.testing.assert_array_equal(seen, curves(trained, recomputed=True))  # it keeps no statistics


def test_curves_with_recomputed_statistics_end_with_the_settled_error(tiny: Bench) -> None:
    trained = watched(tiny, "batch", 0.1)
    error = settled_error(tiny, tiny.program("batch"), trained)
    np.testing.assert_allclose(1 - curves(trained, recomputed=True)[-1, 2], error, atol=1e-6)
    assert (np.abs(1 - curves(trained)[-1, 2] - error) > 0.01).any()


def test_what_is_watched_depends_on_rate_norm_and_length(tiny: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    one = watched(tiny, "none", 0.1)
    assert watched(tiny, "none", 0.1) is one
    assert watched(tiny, "none", 0.3) is not one
    assert watched(tiny, "batch", 0.1) is not one
    monkeypatch.setattr(tiny, "epochs", tiny.epochs + 1)
    assert len(curves(watched(tiny, "none", 0.1))) == tiny.epochs + 1
