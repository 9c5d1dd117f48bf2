"""Joining a cluster: who is warned, who is refused, and what is left to others."""

from __future__ import annotations

import re
import warnings
from unittest import mock

import pytest

from normlab import InputError
from normlab.study.cluster import session
from normlab.study.engine import EngineWarning
from tests.study.cluster.planted import ray


@pytest.mark.usefixtures("_session")
def test_a_process_that_is_connected_to_ray_takes_no_address() -> None:
    with pytest.raises(InputError, match="--address must be left out"), session.ray_session("10.0.0.5:6379"):
        pass
    with session.ray_session(None):
        pass
    assert ray.is_initialized()  # what others have started is left to them


ADDRESSES = {
    "127.0.0.1:6379": True,
    "localhost:6379": True,
    "[::1]:6379": True,
    "ray://127.0.0.1:10001": True,
    "10.0.0.5:6379": False,
    "[2001:db8::5]:6379": False,
    "head.example:6379": False,
    "localhost.example:6379": False,
    "ray://head.example:10001": False,
}


@pytest.mark.parametrize("mode", [None, "disabled", "token"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_cluster_that_others_can_reach_without_a_token_is_warned_of(
    address: str, mode: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = []
    monkeypatch.setattr(session.socket, "create_connection", mock.Mock())
    monkeypatch.setattr(ray, "init", lambda where, **_: joined.append(where))
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    if mode is not None:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        session._join(address)
    assert joined == [address]
    warned = [str(one.message) for one in caught if issubclass(one.category, EngineWarning)]
    assert len(warned) == (not ADDRESSES[address] and mode != "token")
    assert all(f"the Ray cluster at {address} takes no token" in message for message in warned)


def test_a_cluster_that_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session.socket, "create_connection", mock.Mock())
    monkeypatch.setattr(ray, "init", mock.Mock(side_effect=ConnectionError("no\ntoken")))
    with pytest.raises(InputError, match=r"must be that of a Ray cluster.*got 10\.0\.0\.5:6379 \(no token\); check"):
        session._join("10.0.0.5:6379")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1", "127.0.0.1:http", "somewhere.invalid:6379"])
def test_a_cluster_that_is_not_there_is_one_line_at_once(address: str) -> None:
    with pytest.raises(InputError, match=rf"must be that of a Ray cluster.*got {re.escape(address)} \(.*\); check"):
        session._join(address)
