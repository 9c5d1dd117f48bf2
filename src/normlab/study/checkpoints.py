"""The chunk under way: a file of tensors and a sealed JSON file that names it, replaced as training goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from normlab.store.files import make_folder, remove_file, write_file
from normlab.store.seals import listed, read_listed, read_sealed_json, sealed_json
from normlab.study.cells import Chunk
from normlab.study.names import CHECKPOINTS


class Checkpoints:
    """The newest checkpoint of every chunk under way in the folder of one study."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / CHECKPOINTS

    def names(self) -> list[str]:
        """Return the names of the chunks that have one."""
        return sorted(path.stem for path in self.folder.glob("*.json"))

    def write(self, chunk: Chunk, about: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
        """Put a checkpoint in place of the chunk's last one.

        The tensors are written under a name of their own first: until the JSON file names them, the last checkpoint
        stands.

        Raises:
            OSError: If it can't be written; the last checkpoint then stands, or the new one.
        """
        from safetensors.numpy import save

        make_folder(self.folder)
        before = sorted(self.folder.glob(f"{chunk.name}.*.safetensors"))
        number = int(before[-1].name.split(".")[1]) + 1 if before else 0
        content = save({name: np.ascontiguousarray(values) for name, values in tensors.items()})
        path = self.folder / f"{chunk.name}.{number:08d}.safetensors"
        write_file(path, content)
        entry = {**about, "tensors": path.name, **listed(content)}
        write_file(self._json(chunk.name), sealed_json({"checkpoint": entry}))
        for old in before:
            remove_file(old)

    def about(self, name: str) -> dict[str, Any]:
        """Return what a chunk's checkpoint says without its tensors; raises `DamagedError` if it is damaged."""
        return dict(read_sealed_json(self._json(name))["checkpoint"])

    def read(self, chunk: Chunk) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        """Return what a chunk's checkpoint says and its tensors, or None if it has none.

        Raises:
            DamagedError: If a file is.
        """
        from safetensors.numpy import load

        if chunk.name not in self.names():
            return None
        about = self.about(chunk.name)
        entry = {name: about.pop(name) for name in ("bytes", "sha256")}
        return about, load(read_listed(self.folder / about.pop("tensors"), entry))

    def drop(self, name: str) -> None:
        """Remove a chunk's checkpoint, if it has one."""
        for path in (self._json(name), *sorted(self.folder.glob(f"{name}.*.safetensors"))):
            remove_file(path)

    def drop_all_but(self, wanted: set[str]) -> None:
        """Remove the checkpoints of all other chunks."""
        for path in sorted(self.folder.glob("*.json")) + sorted(self.folder.glob("*.safetensors")):
            if path.name.split(".")[0] not in wanted:
                remove_file(path)

    def _json(self, name: str) -> Path:
        return self.folder / f"{name}.json"
