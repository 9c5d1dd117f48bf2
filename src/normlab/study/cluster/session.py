"""Ray's side of a run: a Ray of our own that nobody else can reach, or a cluster that is joined."""

from __future__ import annotations

import ipaddress
import logging
import os
import secrets
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from normlab.errors import InputError
from normlab.study.engine import EngineWarning

# Read by Ray when it is imported: no statistics to its makers, and no upload of the driver's environment.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
# Without it Ray replaces 127.0.0.1 by the machine's address, and its servers listen on every interface.
_ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
_LOOPBACK = "127.0.0.1"
# Ray itself tries for minutes.
_ANSWER_SECONDS = 10


@contextmanager
def ray_session(address: str | None) -> Iterator[None]:
    """Be connected to Ray inside the block; one that this process has started or joined before is used and left as is.

    Args:
        address: Of a cluster to join, as of `ray start`; None for a Ray of our own, which ends with the block.

    Raises:
        InputError: If the cluster can't be joined, or a Ray of our own can't be kept to this machine.
    """
    with ExitStack() as stack:
        stack.enter_context(_environment(_QUIET if address else {**_QUIET, **_ALONE}))
        import ray

        if ray.is_initialized():
            if address is not None:
                rule = "--address must be left out where this process is connected to Ray already"
                raise InputError(rule, address, "leave it out")
        else:
            # Registered first, so that a start that is broken off is cleaned up too.
            stack.callback(ray.shutdown)
            if address is None:
                _start(stack)
            else:
                _join(address)
        yield


def is_loopback(address: str) -> bool:
    """Return whether HOST:PORT, with or without ray://, is this machine under a name that no other can reach."""
    host = _host_and_port(address)[0]
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _start(stack: ExitStack) -> None:
    import ray

    from normlab.train.devices import num_cores

    where = ray.util.get_node_ip_address()  # where its servers would listen
    if not is_loopback(f"{where}:0"):
        rule = "a Ray of normlab's own must listen on this machine alone, so ray must not be imported before the study"
        raise InputError(rule, f"a ray that listens at {where}", "import it later, or call ray.init before the study")
    if not _has_token():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)  # of this process and those it starts
    # Sockets and logs, which Ray would leave in a folder that every user can write to. Their paths must be short.
    root = "/tmp" if os.name == "posix" else None
    folder = tempfile.TemporaryDirectory(prefix=f"normlab-{os.getpid()}-", dir=root, ignore_cleanup_errors=True)
    stack.callback(folder.cleanup)
    stack.callback(ray.shutdown)  # again, for callbacks run last first: Ray ends before its folder goes
    ray.init(
        "local",
        num_cpus=num_cores(),
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _node_ip_address=_LOOPBACK,
        _temp_dir=folder.name,
    )


def _join(address: str) -> None:
    import ray

    try:
        if address != "auto":
            host, port = _host_and_port(address)
            socket.create_connection((host, int(port)), _ANSWER_SECONDS).close()
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        received = f"{address} ({' '.join(str(error).split())[:200]})"
        rule = "--address must be that of a Ray cluster which this machine is part of"
        action = "check the address, and RAY_AUTH_MODE and the token where the cluster asks for one"
        raise InputError(rule, received, action) from error
    where = ray.get_runtime_context().gcs_address if address == "auto" else address
    if not is_loopback(where) and os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
        warnings.warn(
            f"the Ray cluster at {where} takes no token: whoever reaches it can run code there; start it and normlab "
            "with RAY_AUTH_MODE=token",
            EngineWarning,
            stacklevel=2,
        )


def _host_and_port(address: str) -> tuple[str, str]:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    return host.strip("[]"), port


def _has_token() -> bool:
    """Return whether Ray would find a token that the user has set up; it is not looked at."""
    named = any(name in os.environ for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    return named or (Path.home() / ".ray" / "auth_token").exists()


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables inside the block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
