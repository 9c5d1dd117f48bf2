"""The engines by name, `local` and `ray`: what each needs, and how one is had for the length of a study."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from normlab.errors import InputError, require_known

if TYPE_CHECKING:
    from normlab.study.engine import Engine, EngineMaker, Work

ENGINES = ("local", "ray")


def require_engine(name: str, address: str | None) -> None:
    """Raise `InputError` for an engine that there is not, or an address that it does not take; no heavy imports."""
    require_known("--engine", name, ENGINES)
    if name != "ray" and address is not None:
        raise InputError("--address must come with --engine ray", address, "add --engine ray, or leave it out")
    if name == "ray":
        try:
            version("ray")
        except PackageNotFoundError:
            raise InputError("--engine ray needs Ray", "none installed", "pip install normlab[ray]") from None


def require_portable(name: str, model: str | Callable[..., Any]) -> None:
    """Raise `InputError` where an engine's workers could not build a network again from what the user gave."""
    if name == "ray" and not isinstance(model, str):
        rule = "workers build the network themselves, so it must be a name, FILE.py:FUNCTION or FILE.keras"
        raise InputError(rule, f"{getattr(model, '__name__', type(model).__name__)} from memory", "put it into a file")


@contextmanager
def running_engine(name: str, address: str | None) -> Iterator[EngineMaker]:
    """Have what an engine runs on inside the block; yields what makes one for a study.

    Raises:
        InputError: As `normlab.study.cluster.session.ray_session`.
    """
    if name == "local":
        from normlab.study.local import LocalEngine

        yield LocalEngine
        return
    from normlab.study.cluster.driver import RayEngine
    from normlab.study.cluster.session import ray_session

    made: list[RayEngine] = []

    def make(work: Work) -> Engine:
        made[:] = [RayEngine(work)]  # the one before was cancelled at its end, and holds a laboratory
        return made[-1]

    with ray_session(address):
        try:
            yield make
        finally:
            for engine in made:
                engine.cancel()
