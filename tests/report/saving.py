"""Records written to a folder as a study writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from normlab.report.records import Records
from normlab.store.files import write_file
from normlab.store.seals import sealed_json
from normlab.study.names import EPOCHS, EXAMPLE, PROBES, RUNS, STUDY, SUMMARY
from normlab.study.store import Store


def save(records: Records, folder: Path) -> None:
    """Write what `read_records` reads."""
    results: dict[str, Any] = {EPOCHS: records.epochs, RUNS: records.runs, SUMMARY: records.summary}
    optional = {PROBES: records.probes, EXAMPLE: records.example}
    write_file(folder / STUDY, sealed_json(records.study))
    Store(folder).write_results(
        results | {name: value for name, value in optional.items() if value is not None}, complete=True
    )
