"""Watched runs: what is seen of them, and that claims which ask for the same ones share them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from normlab.claims import faster_convergence, generalization
from normlab.claims.bench import Bench
from normlab.claims.fit import curves, watched


def test_curves_end_with_the_test_and_begin_before_training(tiny: Bench) -> None:
    trained = watched(tiny, "none", 0.1)
    seen = curves(trained)
    assert seen.shape == (tiny.epochs + 1, 3, len(tiny.seeds))
    np.testing.assert_allclose(seen[-1, 1], trained.test_loss)
    np.testing.assert_allclose(seen[-1, 2], trained.test_accuracy)
    program = tiny.program("none")
    before = program.evaluate(program.start(tiny.seeds, [0.1] * 2), 2, "train")[0]
    np.testing.assert_allclose(seen[0, 0], before)
    assert (seen[-1, 0] < before).all()


def test_what_is_watched_depends_on_rate_norm_and_length(tiny: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    one = watched(tiny, "none", 0.1)
    assert watched(tiny, "none", 0.1) is one
    assert watched(tiny, "none", 0.3) is not one
    assert watched(tiny, "batch", 0.1) is not one
    monkeypatch.setattr(tiny, "epochs", tiny.epochs + 1)
    assert len(curves(watched(tiny, "none", 0.1))) == tiny.epochs + 1


def test_claims_about_speed_and_generalization_share_their_runs(tiny: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny, "watched", {})
    speed = faster_convergence.CLAIM.measure(tiny)
    assert len(tiny.watched) == 2
    kept = dict(tiny.watched)
    fit = generalization.CLAIM.measure(tiny)
    assert len(tiny.watched) == 2 + len(generalization.GHOSTS)
    assert all(tiny.watched[key] is one for key, one in kept.items())
    for arm in ("none", "batch"):
        rates = speed.filter(pl.col("arm") == arm, pl.col("stage") == "fresh")["rate"].unique()
        assert rates.to_list() == fit.filter(pl.col("arm") == arm)["rate"].unique().to_list()
