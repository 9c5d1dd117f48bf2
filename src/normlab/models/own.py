"""A network of the user's own by reference: `FILE.py:FUNCTION`, whose file runs, or `FILE.keras`."""

from __future__ import annotations

import inspect
import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from normlab.errors import InputError
from normlab.file_checks import is_file, require_plain_members
from normlab.own_file import own_object, require_file

KERAS_SUFFIX = ".keras"
_EXAMPLE = "my_file.py:network"
_SAVE = "write it with model.save('model.keras')"
# Of a network with thousands of layers.
_MOST_CONFIGURATION_BYTES = 16 * 2**20
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError, RuntimeError)


def is_reference(model: str) -> bool:
    """Return whether a study's `model` refers to a file rather than to a name in `MODELS`."""
    return model.endswith((".py", KERAS_SUFFIX)) or ".py:" in model


def require_reference(model: str) -> None:
    """Check a reference without running or opening its file.

    Raises:
        InputError: If it has another form, or there is no such file, or a .keras file is no archive of a model.
    """
    if not model.endswith(KERAS_SUFFIX):
        require_file(model, "model", _EXAMPLE)
        return
    if not is_file(Path(model)):
        raise InputError("the file of a model must exist", model, "check its path")
    try:
        _configuration(Path(model))
    except InputError:
        raise
    except (*_DAMAGED, ValueError) as error:
        reason = f"{model} ({type(error).__name__})"
        raise InputError("a .keras file must be a whole archive of a model", reason, _SAVE) from None


def compiled_loss(path: Path) -> Any:
    """Return the loss that the model in a .keras file was compiled with, as Keras records it; None where it was not."""
    compiled = _configuration(path).get("compile_config")
    return compiled.get("loss") if isinstance(compiled, dict) else None


def _configuration(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        require_plain_members(archive, path, _SAVE)
        member = archive.getinfo("config.json")
        if member.file_size > _MOST_CONFIGURATION_BYTES:
            raise ValueError("a configuration of more than 16 MiB")
        with archive.open(member) as stream:
            content = json.loads(stream.read(member.file_size))
    if not isinstance(content, dict):
        raise ValueError("a configuration that is no object")
    return content


def own_function(reference: str) -> Callable[..., Any]:
    """Run the file of `FILE.py:FUNCTION` and return its function.

    Raises:
        InputError: As `normlab.own_file.own_object`.
    """
    return own_object(reference, "model", _EXAMPLE, "a function")


def takes_norm(function: Callable[..., Any]) -> bool:
    """Return whether a model function takes a norm, or nothing.

    Raises:
        InputError: If it needs something else.
    """
    parameters = inspect.signature(function).parameters.values()
    needed = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if len(needed) > 1 or any(p.kind is p.KEYWORD_ONLY for p in needed):
        raise InputError(
            "a model function must need one parameter, the norm, or none",
            f"{getattr(function, '__name__', function)} with {', '.join(p.name for p in needed)}",
            "give the others defaults",
        )
    return bool(needed)
