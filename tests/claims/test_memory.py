"""The claim about memory: planted evidence and networks both ways, and what a network is known to hold."""

from __future__ import annotations

from functools import partial

import jax
import keras
import polars as pl
import pytest

from normlab.claims import memory
from normlab.claims.bench import Bench
from normlab.claims.device_memory import held_bytes
from normlab.claims.memory import CLAIM, FOLDED, HELD, NO_ACCELERATOR
from normlab.data import Dataset
from tests.claims.planted import PlantedBench


def _planted(ratio: float, rest: float = 0.0, device: tuple[float, str] = (0.0, NO_ACCELERATOR)) -> pl.DataFrame:
    rows = []
    for network, factor, running in (("none", 1.0, 0.0), ("batch", ratio, 80.0)):
        held = None if device[1] == NO_ACCELERATOR else 100.0 * (device[0] if network == "batch" else 1.0)
        rows += [
            (network, "saved_bytes_per_sample", 100 * factor, ""),
            (network, "saved_bytes", 3200 * factor, ""),
            (network, "temporary_bytes", 5000.0, ""),
            (network, "training_flops", 1e6, ""),
            (network, "parameter_bytes", 400.0, ""),
            (network, "running_bytes", running, ""),
            (network, "inference_scratch_bytes", 1600.0, ""),
            (network, HELD, held, device[1]),
        ]
    rows += [(FOLDED, "parameter_bytes", 400.0 + rest, ""), (FOLDED, "running_bytes", 0.0, "")]
    rows.append((FOLDED, "inference_scratch_bytes", 1600.0, ""))
    return pl.DataFrame(rows, schema=["network", "quantity", "value", "note"], orient="row")


@pytest.mark.parametrize(
    ("ratio", "rest", "device", "verdict"),
    [
        (2.5, 0.0, (0.0, NO_ACCELERATOR), "conditional"),
        (1.06, 0.0, (0.0, NO_ACCELERATOR), "conditional"),
        (1.04, 0.0, (0.0, NO_ACCELERATOR), "refuted"),
        (0.5, 0.0, (0.0, NO_ACCELERATOR), "refuted"),
        (2.5, 400.0, (0.0, NO_ACCELERATOR), "supported"),
        (0.5, 400.0, (0.0, NO_ACCELERATOR), "conditional"),
        (1.0, 0.0, (1.5, "GPU"), "conditional"),
        (1.0, 0.0, (1.0, "GPU"), "refuted"),
        (2.5, 400.0, (1.0, "GPU"), "conditional"),
    ],
)
def test_verdicts(ratio: float, rest: float, device: tuple[float, str], verdict: str) -> None:
    finding = CLAIM.judge(_planted(ratio, rest, device))
    assert (finding.verdict, finding.p_value, finding.pairs) == (verdict, None, 0)
    assert finding.effect == pytest.approx(ratio)
    assert bool(finding.conditions) == (verdict == "conditional")
    assert finding.details["ratios"]["inference once folded"] == pytest.approx(1 + rest / 2000)
    assert ("There is no accelerator here" in finding.answer) == (device[1] == NO_ACCELERATOR)
    assert finding.details["ratios"].get("training on GPU", 0.0) == device[0]


def test_conditions_name_both_sides() -> None:
    conditions = CLAIM.judge(_planted(2.5, device=(1.5, "GPU"))).conditions
    assert conditions == "supported at training, training on GPU; refuted at inference once folded"


def test_what_could_not_be_folded_is_said() -> None:
    assert "folded for inference they take 24 more than" in CLAIM.judge(_planted(2.0, rest=24.0)).answer
    assert "folded for inference they take no more than" in CLAIM.judge(_planted(2.0)).answer


def test_the_drawing_has_a_mark_per_network_and_kind() -> None:
    rows = CLAIM.draw(_planted(2.0)).rows
    kept = {row["series"]: row["y"] for row in rows if row["x"] == "kept for the backward pass"}
    assert kept == {"none": 3200, "batch": 6400}
    assert {row["series"] for row in rows if row["x"] == "parameters"} == {"none", "batch", FOLDED}


def _network(dataset: Dataset, last: str, units: int = 256) -> keras.Model:
    """Return Dense and what stands `last`: nothing, a batch norm that folds, or one between two activations."""
    activated = [keras.layers.ReLU()] if last == "stays" else []
    normed = [keras.layers.BatchNormalization()] if last != "nothing" else []
    return keras.Sequential(
        [
            keras.Input(dataset.input_shape),
            keras.layers.Dense(units, name="head"),
            *activated,
            *normed,
            keras.layers.ReLU(),
            keras.layers.Dense(3),
        ]
    )


def _measured(none: str, batch: str) -> dict[tuple[str, str], float]:
    bench = PlantedBench({"none": partial(_network, last=none), "batch": partial(_network, last=batch)})
    evidence = CLAIM.measure(bench)
    return {(network, quantity): value for network, quantity, value, _ in evidence.iter_rows()}


@pytest.mark.usefixtures("_devices")
def test_planted_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What folds leaves nothing behind; what does not, keeps its four vectors; more is kept in training either way."""
    vectors = 4 * 4 * 256
    monkeypatch.setattr(memory, "held_bytes", lambda *_: 3200)  # as an accelerator would count
    folds, stays = _measured("nothing", "folds"), _measured("nothing", "stays")
    for found, left in ((folds, 0), (stays, vectors)):
        stored = {
            name: found[name, "parameter_bytes"] + found[name, "running_bytes"] for name in ("none", "batch", FOLDED)
        }
        assert stored["batch"] - stored["none"] == vectors
        assert stored[FOLDED] - stored["none"] == left
        assert found["batch", "saved_bytes"] > found["none", "saved_bytes"]
        assert found["batch", HELD] == found["none", HELD] == 100  # of 32 samples
        assert found[FOLDED, "inference_scratch_bytes"] >= found["none", "inference_scratch_bytes"] > 0


def test_bytes_of_a_network_are_those_of_its_layers(tiny: Bench) -> None:
    """64 inputs, 16 units and 10 classes in float32; a norm has gamma, beta, mean, variance and spares the bias."""
    evidence = CLAIM.measure(tiny)
    values = {(network, quantity): value for network, quantity, value, _ in evidence.iter_rows()}
    dense = 4 * (64 * 16 + 16 + 16 * 10 + 10)
    assert values["none", "parameter_bytes"] == values[FOLDED, "parameter_bytes"] == dense
    assert values["batch", "parameter_bytes"] == dense + 4 * 16
    assert values["batch", "running_bytes"] == 4 * 2 * 16
    assert values["none", "running_bytes"] == values[FOLDED, "running_bytes"] == 0
    assert values["batch", "saved_bytes_per_sample"] == values["batch", "saved_bytes"] / tiny.batch_size
    assert evidence.filter(pl.col("quantity") == HELD)["note"].to_list() == [NO_ACCELERATOR] * 2
    finding = CLAIM.judge(evidence)
    assert (finding.verdict, finding.effect > 1.05) == ("conditional", True)


def test_what_a_device_holds_is_read_from_its_own_count(tiny: Bench) -> None:
    """A device that counts, here all arrays that are alive: batch norm holds more between forward and backward pass."""

    def in_use() -> dict[str, int]:
        return {"bytes_in_use": sum(array.nbytes for array in jax.live_arrays())}

    held, train = {}, tiny.dataset.train
    for arm in ("none", "batch"):
        program = tiny.program(arm, runs=1, layout="map")
        state = program.place(program.start([0], [0.0]))
        batch = (program.trainer, state, train.x[:32], train.y[:32])
        held[arm] = held_bytes(*batch, stats=in_use)
        assert held_bytes(*batch, stats=lambda: None) is None
    assert 32 * 4 * 16 <= held["none"] < held["batch"] < 10 * held["none"]
    gradient_alone = 4 * (64 * 16 + 16 + 16 * 10 + 10)
    assert held["none"] > 2 * gradient_alone  # what is kept for 32 samples, and not the gradient that comes of it
