"""Runs the sections of the benchmark, prints their tables, and keeps them in `results/`.

`make bench`, or `python benchmarks/run.py [--only SECTION] [--data-dir DIR] [--rivals PYTHON]`. A section that is
measured again takes the place of what stands in the results; the others stay, so that sections can be run one by one.
The rivals (Keras `fit` on TensorFlow, eager PyTorch) run in an environment of their own. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import convolutions
import mnist
import norms

HERE = Path(__file__).resolve().parent
NEIGHBOUR_DATA = HERE.parent.parent / "shared" / "data"
SECTIONS = {"mnist": mnist, "convolutions": convolutions, "norms": norms}

Section = dict[str, Any]


def main() -> None:
    """Measure, print, write, section by section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SECTIONS, help="default: all sections, one after the other")
    parser.add_argument("--data-dir", type=Path, default=_default_data_dir(), help="folder of MNIST and CIFAR-10")
    parser.add_argument(
        "--rivals", default=sys.executable, help="the Python of an environment with tensorflow and torch"
    )
    parser.add_argument("--out", type=Path, help="the results, without suffix; default: results/DATE-CORES")
    parser.add_argument("--quick", action="store_true", help="only see that all runs; --out must say where to")
    options = parser.parse_args()
    if options.data_dir is None and "NORMLAB_DATA" not in os.environ:
        parser.error(f"--data-dir must be given where {NEIGHBOUR_DATA} is absent; name the folder of MNIST, CIFAR-10.")
    if options.quick and options.out is None:
        parser.error("--out must be given with --quick; name a file outside of results/.")
    from normlab.study.provenance import machine

    now = f"{datetime.now(UTC):%Y-%m-%d}"
    stem = options.out or HERE / "results" / f"{now}-{machine()['cores']}-cores"
    for name in [options.only] if options.only else SECTIONS:
        records = SECTIONS[name].measure(options.rivals, options.data_dir, options.quick)
        keep(stem, name, {"measured": now, "machine": machine(), "records": records})
        print("\n".join(SECTIONS[name].lines(records)))
    print(f"Written: {stem}.json and .md")


def keep(stem: Path, name: str, section: Section) -> None:
    """Put a section into the results, and write them as JSON and as a page."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    path = stem.with_name(f"{stem.name}.json")
    kept = json.loads(path.read_text(encoding="utf-8"))["sections"] if path.exists() else {}
    sections = {key: section if key == name else kept[key] for key in SECTIONS if key == name or key in kept}
    path.write_text(json.dumps({"sections": sections}, indent=1) + "\n", encoding="utf-8")
    stem.with_name(f"{stem.name}.md").write_text("\n".join(page(sections)) + "\n", encoding="utf-8")


def page(sections: dict[str, Section]) -> list[str]:
    """Return all sections with their conditions, as lines of Markdown."""
    found = ["# Benchmark"]
    for name, section in sections.items():
        machine, records = section["machine"], section["records"]
        versions = {package: number for record in records for package, number in record.get("versions", {}).items()}
        conditions = f"{section['measured']}. {machine['processor']}, {machine['cores']} cores, {machine['system']}; "
        conditions += ", ".join(f"{package} {number}" for package, number in sorted(versions.items())) + "."
        found += ["", f"## {SECTIONS[name].TITLE}", "", conditions, "", *SECTIONS[name].lines(records)]
    return found


def _default_data_dir() -> Path | None:
    return NEIGHBOUR_DATA if "NORMLAB_DATA" not in os.environ and NEIGHBOUR_DATA.is_dir() else None


if __name__ == "__main__":
    main()
