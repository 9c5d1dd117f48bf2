"""A Python file of the user's own, run once as a module, and what it holds under a name."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from normlab.errors import InputError
from normlab.file_checks import is_file


def require_file(reference: str, kind: str, example: str) -> tuple[Path, str]:
    """Return file and name of `FILE.py:NAME` without running the file.

    Args:
        reference: What the user gave.
        kind: "norm" or "model", for the message.
        example: A good reference, for the message.

    Raises:
        InputError: If the reference has another form, or there is no such file.
    """
    file, _, name = reference.rpartition(":")
    if not file.endswith(".py") or not name.isidentifier():
        raise InputError(f"a {kind} of your own must be FILE.py:NAME", repr(reference), f"give such as {example}")
    if not is_file(Path(file)):
        raise InputError(f"the file of a {kind} must exist", file, "check its path")
    return Path(file), name


def own_object(reference: str, kind: str, example: str, wanted: str) -> Any:
    """Run the file of `FILE.py:NAME`, unless this process has run it already, and return what it calls NAME.

    What the file's own code raises passes through, with its traceback.

    Args:
        reference: What the user gave.
        kind: As in `require_file`.
        example: As in `require_file`.
        wanted: What NAME must be, for the message.

    Raises:
        InputError: As `require_file`; if the file is no Python, or holds nothing callable of that name.
    """
    path, name = require_file(reference, kind, example)
    module = _loaded(path, kind)
    found = getattr(module, name, None)
    if not callable(found):
        names = ", ".join(_callables(module))
        raise InputError(
            f"{path} must hold {wanted} of that name", repr(name), f"choose among {names}" if names else "define it"
        )
    return _guarded(found, path, kind) if inspect.isfunction(found) else found


@functools.cache  # the same function each time
def _guarded(function: Callable[..., Any], path: Path, kind: str) -> Callable[..., Any]:
    """Return the function with a call of `sys.exit` inside it turned into one line."""

    @functools.wraps(function)
    def call(*positional: Any, **named: Any) -> Any:
        try:
            return function(*positional, **named)
        except SystemExit as error:
            raise _ended(path, kind, error) from None

    return call


def _loaded(path: Path, kind: str) -> ModuleType:
    # The name tells files of one name apart, and a file from what it was before it was changed.
    name = f"{path.stem}_{hashlib.sha256(str(path.resolve()).encode() + path.read_bytes()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # the name ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    os.environ.setdefault("KERAS_BACKEND", "jax")  # the file may be the first to import Keras
    sys.modules[name] = module  # dataclasses and Keras's saving look a class's module up by name
    sys.path.insert(0, str(path.resolve().parent))  # as for a script: it may import what lies beside it
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, SyntaxError | UnicodeDecodeError):
            raise InputError(f"the file of a {kind} must be Python", f"{path}: {error}", "mend that line") from None
        if isinstance(error, SystemExit):
            raise _ended(path, kind, error) from None
        raise
    finally:
        sys.path.remove(str(path.resolve().parent))
    return module


def _ended(path: Path, kind: str, error: SystemExit) -> InputError:
    rule = f"the file of a {kind} must not end the program"
    return InputError(rule, f"sys.exit({error.code!r}) in {path}", "remove it, or call it under __name__ == '__main__'")


def _callables(module: ModuleType) -> list[str]:
    """Return the names of what can be called in a file, without what it only imports."""

    def is_imported(value: Any) -> bool:
        has_home = inspect.isclass(value) or inspect.isroutine(value)
        return has_home and getattr(value, "__module__", None) != module.__name__

    found = {name: value for name, value in vars(module).items() if callable(value) and not name.startswith("_")}
    return [name for name, value in found.items() if not is_imported(value)]
