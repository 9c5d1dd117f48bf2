"""The data of a study on the devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
from jax.sharding import NamedSharding, PartitionSpec

if TYPE_CHECKING:
    from jax.sharding import Mesh

Arrays = tuple[jax.Array, jax.Array]


@dataclass(frozen=True)
class DeviceData:
    """The parts of a data set, as stored, on every device; all arms use the same copy."""

    train: Arrays
    validation: Arrays
    test: Arrays
    mesh: Mesh


def place(train: Any, validation: Any, test: Any, mesh: Mesh) -> DeviceData:
    """Copy three parts (each with `x` and `y`) to all devices of the mesh."""
    everywhere = NamedSharding(mesh, PartitionSpec())
    parts = jax.device_put([(part.x, part.y) for part in (train, validation, test)], everywhere)
    return DeviceData(parts[0], parts[1], parts[2], mesh)
