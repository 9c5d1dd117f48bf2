"""A norm of the user's own, from `FILE.py:NAME`: the file is the user's code, and it runs."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from normlab.errors import InputError
from normlab.norms.norm import Norm
from normlab.norms.options import Value


def own_norm(reference: str) -> Norm:
    """Return the norm that `FILE.py:NAME` refers to.

    NAME is a Keras layer class, a function that takes `name=` and returns a layer, or a `Norm`. Keyword parameters with
    a number, boolean or text as default become the norm's options, without bounds. A class or function may carry
    attributes of `Norm` (`cancels_bias`, `couples_samples`, `differs_in_evaluation`, `per_unit`, `formula`); without
    them nothing is taken for granted: its layers get a bias, and it counts as coupling samples and as differing in
    evaluation.

    Raises:
        InputError: If the file can't be read or is no Python, or NAME is missing or can't be called with `name=`.
    """
    file, _, attribute = reference.rpartition(":")
    if not file.endswith(".py") or not attribute.isidentifier():
        raise InputError("a norm of your own must be FILE.py:NAME", repr(reference), "give such as my_file.py:MyNorm")
    module = _loaded(Path(file))
    found = getattr(module, attribute, None)
    if isinstance(found, Norm):
        return found
    if not callable(found):
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        action = f"choose among {', '.join(names)}" if names else "define it there"
        raise InputError(f"{file} must hold a layer class or function of that name", repr(attribute), action)
    return Norm(
        name=attribute,
        build=found,
        cancels_bias=getattr(found, "cancels_bias", False),
        formula=getattr(found, "formula", "see the file"),
        source=reference,
        per_unit=getattr(found, "per_unit", "see the file"),
        couples_samples=getattr(found, "couples_samples", True),
        differs_in_evaluation=getattr(found, "differs_in_evaluation", True),
        options=_options(found, reference),
    )


def _loaded(path: Path) -> ModuleType:
    """Run a file as a module; what its own code raises passes through, with its traceback."""
    if not path.is_file():
        raise InputError("the file of a norm must exist", str(path), "check its path")
    # The name tells files of one name apart, and a file from what it was before it was changed.
    name = f"{path.stem}_{hashlib.sha256(str(path.resolve()).encode() + path.read_bytes()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # the name ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and Keras's saving look a class's module up by name
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, SyntaxError | UnicodeDecodeError):
            raise InputError("the file of a norm must be Python", f"{path}: {error}", "mend that line") from None
        raise
    return module


def _options(build: Callable[..., Any], reference: str) -> Mapping[str, Value]:
    """Return the keyword parameters of a class or function that have plain defaults."""
    parameters = inspect.signature(build).parameters
    if "name" not in parameters and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        raise InputError("a norm of your own must take `name=`", reference, "add the parameter name=None")
    return {
        name: parameter.default
        for name, parameter in parameters.items()
        if name not in ("name", "dtype", "trainable") and isinstance(parameter.default, int | float | bool | str)
    }
