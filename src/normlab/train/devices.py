"""The devices that runs are spread over, and the settings that must stand before JAX starts."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from normlab.errors import InputError

if TYPE_CHECKING:
    from jax.sharding import Mesh

# One thread per device: a CPU with n cores counts as n devices, and no barrier stands between them.
XLA_FLAG = "--xla_cpu_multi_thread_eigen=false"


def prepare(cache_dir: Path | None = None, num_cpu_devices: int | None = None) -> None:
    """Set up Keras on JAX with one device per CPU core and a compilation cache; call before the first computation.

    A process in which JAX already computes keeps its devices; runs are then spread over those.

    Args:
        cache_dir: Where compiled programs are kept between calls; default: the user's cache folder.
        num_cpu_devices: Devices that the CPU counts as; default: `num_cores()`.

    Raises:
        InputError: If Keras was already imported with a backend other than JAX.
    """
    if "keras" in sys.modules:
        backend = sys.modules["keras"].backend.backend()
        if backend != "jax":
            raise InputError(
                "normlab trains on Keras's JAX backend, so Keras must be imported with it",
                f"the backend {backend}",
                "set the environment variable KERAS_BACKEND=jax before the first import of keras",
            )
    os.environ["KERAS_BACKEND"] = "jax"
    if XLA_FLAG not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {XLA_FLAG}".strip()
    # Where TensorFlow is installed too, keep its notices off the terminal.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

    import jax

    with contextlib.suppress(RuntimeError):  # where JAX already computes in this process, its devices stand
        jax.config.update("jax_num_cpu_devices", num_cpu_devices or num_cores())
    jax.config.update("jax_compilation_cache_dir", str(cache_dir or default_cache_dir()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def default_cache_dir() -> Path:
    """Return the folder for compiled programs in the user's cache; `NORMLAB_CACHE` names another cache."""
    import platformdirs

    return Path(os.environ.get("NORMLAB_CACHE") or platformdirs.user_cache_dir("normlab")) / "xla"


def num_cores() -> int:
    """Return the number of CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_mesh(num_devices: int | None = None) -> Mesh:
    """Return devices in a row, by default all of them; runs are spread along its one axis, `run`."""
    import jax

    devices = jax.devices()[:num_devices]
    return jax.make_mesh((len(devices),), ("run",), axis_types=(jax.sharding.AxisType.Auto,), devices=devices)


@contextlib.contextmanager
def narrowing_integers() -> Iterator[None]:
    """Keep JAX from warning that an `Input` of int64 holds int32: normlab hands over no integer beyond that."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Explicitly requested dtype u?int64", category=UserWarning)
        yield
