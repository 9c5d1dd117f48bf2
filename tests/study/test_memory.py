"""Parameters are counted before their values are created."""

from __future__ import annotations

import keras
import pytest

from normlab.errors import InputError
from normlab.study.memory import bounded_parameters


def _network(width: int) -> keras.Model:
    return keras.Sequential([keras.Input((10,)), keras.layers.Dense(width), keras.layers.Dense(width)])


def test_parameters_beyond_the_limit_are_refused_and_none_is_created(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second layer has 100 x 100 weights and 100 biases beside the first one's 1,100."""
    needed = 4 * (11 * 100 + 101 * 100)
    with bounded_parameters(needed):
        assert _network(100).count_params() == needed / 4
    rule = r"--max-memory must hold the parameters of the network, got at least 11,200 parameters"
    with pytest.raises(InputError, match=rule), bounded_parameters(needed - 4):
        _network(100)
    assert _network(100).count_params() == needed / 4  # nothing is counted outside


def test_a_network_beyond_the_machine_is_refused_at_once() -> None:
    rule = r"^memory must hold the parameters of the network, got at least"
    with pytest.raises(InputError, match=rule), bounded_parameters(None):
        keras.Sequential([keras.Input((10,)), *(keras.layers.Dense(10**7) for _ in range(2))])
