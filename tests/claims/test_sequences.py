"""What claims about sequences share: which data has any, how long is trained, and the rate that is chosen."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest

from normlab.claims import sequences
from normlab.claims.bench import Bench
from normlab.claims.sequences import SAMPLES, length, no_sequence, sequence_program, train_tuned
from normlab.data import Part
from normlab.norms import NORMS
from normlab.train.order import epoch_order


def _with(tiny: Bench, **changes: int) -> Bench:
    bench = copy.copy(tiny)
    for name, value in changes.items():
        setattr(bench, name, value)
    return bench


def test_a_table_has_no_time_steps(tiny: Bench) -> None:
    assert no_sequence(tiny) == ""
    x = tiny.dataset.train.x
    bench = copy.copy(tiny)
    bench.dataset = replace(tiny.dataset, name="flat", train=Part(x.reshape(len(x), -1), tiny.dataset.train.y))
    assert no_sequence(bench).startswith("a sample of flat is one vector")


@pytest.mark.parametrize("batch_size", [1, 32, 100, 5000])
@pytest.mark.parametrize("epochs", [1, 8, 1000])
def test_epochs_are_whole_batches_within_the_samples_allowed(tiny: Bench, batch_size: int, epochs: int) -> None:
    count = len(tiny.dataset.train)
    samples, found = length(_with(tiny, batch_size=batch_size, epochs=epochs))
    assert samples % batch_size == 0 or samples == count < batch_size
    assert count - batch_size < samples <= count
    assert 1 <= found <= epochs
    assert samples * found <= SAMPLES["quick"]
    assert found == epochs or samples * (found + 1) > SAMPLES["quick"]


def test_orders_cut_to_whole_batches_still_hold_different_samples() -> None:
    cut = epoch_order(0, 0, 100)[:96]
    assert np.unique(cut).size == 96


@pytest.mark.parametrize("model", ["recurrent", "transformer"])
def test_networks_that_differ_in_the_lag_alone_have_equal_settled_scores(
    model: str, tiny: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They train as one: the momentum of the moving statistics, per time step too, is no part of training."""
    monkeypatch.setattr(sequences, "RATES", (0.01, 0.02))
    small = {
        "recurrent": {"cell": "simple", "units": 4, "statistics": "per-step"},
        "transformer": {"patch": 4, "dim": 4, "depth": 1, "heads": 1},
    }
    found = []
    for momentum in (0.5, 0.9999):
        norm = NORMS["batch"].with_options(momentum=momentum)
        found.append(train_tuned(tiny, sequence_program(tiny, norm, model, **small[model])))
    assert [one.rate for one in found[0]] == [one.rate for one in found[1]]
    for quick, slow in zip(*found, strict=True):
        np.testing.assert_array_equal(quick.settled, slow.settled)
        assert not np.array_equal(quick.running, slow.running)
