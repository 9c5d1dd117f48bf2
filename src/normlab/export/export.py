"""From a study's folder to a format that other programs read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from normlab.errors import InputError, require_known
from normlab.export.event_files import write_events
from normlab.export.material import Material, read_material
from normlab.export.mlflow_store import write_mlflow
from normlab.export.tables import write_csv, write_json, write_parquet
from normlab.export.target import made_aside


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        write: Takes what is exported and the path to put it at, a file or a folder, where nothing is.
        ending: Of the default target's name.
        needs: Modules that must be there, which come with the extra of the format's name.
    """

    write: Callable[[Material, Path], None]
    ending: str
    needs: tuple[str, ...] = ()


FORMATS = {
    "csv": Format(write_csv, "-csv"),
    "parquet": Format(write_parquet, "-parquet"),
    "json": Format(write_json, ".json"),
    "tensorboard": Format(write_events, "-tensorboard", ("tensorboard",)),
    "mlflow": Format(write_mlflow, "-mlflow.db", ("mlflow", "sqlalchemy", "alembic")),
}


def export(folder: str | Path, to: str, out: str | Path | None = None) -> tuple[Path, tuple[str, ...]]:
    """Export what is whole of a study, finished or not; return where it is, and what was left out and why.

    Args:
        folder: The study's.
        to: Key of `FORMATS`.
        out: The target, at which nothing may be yet; default: beside the study's folder, named after it.

    Raises:
        InputError: If one of these breaks a rule, a library is missing, nothing is whole, or the target can't be
            written; nothing is left at the target then.
    """
    require_known("format", to, FORMATS)
    chosen = FORMATS[to]
    missing = [name for name in chosen.needs if find_spec(name) is None]
    if missing:
        action = f"install it: pip install 'normlab[{to}]'"
        raise InputError(f"an export to {to} needs its extra", f"no {', '.join(missing)}", action)
    home = Path(folder).absolute()
    target = home.with_name(f"{home.name}{chosen.ending}") if out is None else Path(out).absolute()
    if target.resolve().is_relative_to(home.resolve()):
        raise InputError("an export must lie outside the study's folder", str(target), "choose another --out")
    material = read_material(Path(folder))
    with made_aside(target) as aside:
        chosen.write(material, aside)
    return target, material.left_out
