"""Models in .keras files, opened in Keras's safe mode and written whole or not at all; inputs in .npz files."""

from __future__ import annotations

import math
import os
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normlab.errors import InputError
from normlab.file_checks import SMALL_BYTES, is_file, require_plain_members, require_true_sizes
from normlab.store.files import require_writable, writing_to

if TYPE_CHECKING:
    import keras
    import numpy as np

SUFFIX = ".keras"
# Names of inputs in a .npz file for a model with one input, besides the input's own, the first that is there.
_INPUT_NAMES = ("x", "x_test", "x_val", "x_train")
_TARGET_NAMES = ("y", "y_test", "y_val", "y_train")
# What Keras raises for a broken archive, an unknown class, code in the file, or weights that do not fit.
_UNREADABLE = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError, MemoryError, NameError),
    *(OSError, RuntimeError, TypeError, ValueError, zipfile.BadZipFile, zlib.error),
)
_AGAIN = "write it again with model.save('model.keras')"
# Weights in memory over weights in the file: 8 for numbers of one byte that a model holds as doubles.
_MOST_WIDENING = 8


def require_files(source: Path, target: Path, data: Path | None = None) -> None:
    """Check paths before anything heavy is imported.

    Raises:
        InputError: If `source` is no .keras archive, `target` is there already or cannot be made, or `data` is absent.
    """
    if not is_file(source):
        raise InputError("the model must be a file", str(source), "give the path of a .keras file")
    if source.suffix != SUFFIX or not zipfile.is_zipfile(source):
        raise InputError("the model must be a .keras archive", str(source), "write it with model.save('model.keras')")
    if target.suffix != SUFFIX:
        raise InputError("--out must end in .keras", str(target), f"name it {target.with_suffix(SUFFIX).name}")
    with writing_to(target):
        is_taken = target.exists()
    if is_taken:
        raise InputError("--out must not exist yet", str(target), "choose another name or remove it")
    if not target.parent.is_dir():
        raise InputError("--out must lie in a folder that exists", str(target), f"make {target.parent} first")
    require_writable(target.parent)
    if data is not None and not is_file(data):
        raise InputError("--data must be a .npz file", str(data), "give the path of a file")


def open_model(path: Path) -> keras.Model:
    """Open a .keras file in safe mode, in which no code of the file runs; layers of `NORMS` are known.

    Raises:
        InputError: If the file is broken, holds Python code, needs classes that are not Keras's or normlab's, or
            unpacks to more than its size allows, or to a network with far more weights than it holds.
    """
    os.environ.setdefault("KERAS_BACKEND", "jax")  # the backend that comes with normlab; surgery works on any
    import keras

    import normlab.norms.layers  # noqa: F401  # registers the classes, so that files that hold them open
    from normlab.surgery.kinds import norm_classes

    norm_classes()
    try:
        with zipfile.ZipFile(path) as archive:
            require_plain_members(archive, path, _AGAIN)
            require_true_sizes(archive)
            num_bytes = sum(info.file_size for info in archive.infolist())
        with _weights_of_at_most(SMALL_BYTES + _MOST_WIDENING * num_bytes):
            return keras.saving.load_model(path, compile=False, safe_mode=True)
    except InputError:
        raise
    except _UNREADABLE as error:
        raise InputError(
            f"{path} must be a whole model that Keras opens in safe mode, with layers of Keras or normlab alone",
            f"{type(error).__name__}: {_reason(error)}",
            "for a model with code of your own, use normlab.surgery from Python",
        ) from error


def save_model(model: keras.Model, path: Path) -> None:
    """Write a model to a new .keras file; a failure leaves nothing at `path`."""
    with writing_to(path), tempfile.TemporaryDirectory(dir=path.parent, prefix=".normlab-") as folder:
        part = Path(folder) / path.name
        model.save(part)
        part.rename(path)


def open_inputs(path: Path, model: keras.Model) -> list[np.ndarray]:
    """Read a model's inputs from a .npz file: arrays named as the inputs, or for one input x, x_test, x_val or x_train.

    Raises:
        InputError: If the file is unreadable or lacks an input.
    """
    from normlab.data.npz import read_npz

    names = [tensor.name for tensor in model.inputs]
    arrays = read_npz(path, (*names, *_INPUT_NAMES, *_TARGET_NAMES))
    if all(name in arrays for name in names):
        return [arrays[name] for name in names]
    found = next((name for name in _INPUT_NAMES if name in arrays), None)
    if found is None or len(names) != 1:
        wanted = ", ".join(names) if len(names) > 1 else f"{names[0]}, or one of {', '.join(_INPUT_NAMES)}"
        raise InputError(f"{path} must hold the model's inputs", ", ".join(arrays) or "no array", f"save {wanted}")
    return [arrays[found]]


@contextmanager
def _weights_of_at_most(num_bytes: int) -> Iterator[None]:
    """Refuse, while a model is built inside this context, the weight that takes it beyond `num_bytes`.

    Layers are built as the file's configuration asks, before its weights are read: three lines of it can ask for any
    amount of memory.
    """
    import keras

    left = num_bytes
    original = keras.layers.Layer.add_weight

    def add_weight(self: Any, shape: Any = None, *positional: Any, **options: Any) -> Any:
        nonlocal left
        left -= 4 * math.prod(shape or ())
        if left < 0:
            raise ValueError(f"{self.name} asks for more weights than the file holds")
        return original(self, shape, *positional, **options)

    keras.layers.Layer.add_weight = add_weight
    try:
        yield
    finally:
        keras.layers.Layer.add_weight = original


def _reason(error: Exception) -> str:
    """Return the sentence that names the cause; Keras wraps it in the whole configuration of the model."""
    text = " ".join(str(error).split())
    unknown = re.search(r"Could not locate (class|function) '[^']*'", text)
    return unknown[0] if unknown else text.split(". ")[0].rstrip(".")
