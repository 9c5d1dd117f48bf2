"""Runs all engines one after the other on the same data, prints seconds and ratios, keeps them in `results/`.

`make bench`, or `python benchmarks/run.py [--data-dir DIR] [--rivals PYTHON]`. The rivals (Keras `fit` on TensorFlow,
eager PyTorch) run in an environment of their own, each in a fresh process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
NEIGHBOUR_DATA = HERE.parent.parent / "shared" / "data"
# A rival that needs longer than this for a few epochs has lost; the limit is recorded in its place.
LIMIT_SECONDS = 60
EPOCHS = {"notebook": 4, "small": 12}
RUNS = {"notebook": 10, "small": 64}
TARGETS = {("notebook", "keras"): 8.0, ("notebook", "torch"): 1.7, ("small", "keras"): 50.0}
MOST_STEP_RATIO = 1.5

Record = dict[str, Any]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=_default_data_dir())
    parser.add_argument(
        "--rivals", default=sys.executable, help="the Python of an environment with tensorflow and torch"
    )
    parser.add_argument("--out", type=Path, default=HERE / "results")
    options = parser.parse_args()
    records = []
    with tempfile.TemporaryDirectory() as folder:
        for pair in ("notebook", "small"):
            data = Path(folder) / f"{pair}.npz"
            machine = _write_data(pair, options.data_dir, data)
            for arm in ("none", "batch"):
                records += rivals(options.rivals, f"{pair}-{arm}", EPOCHS[pair], data)
            records += ours(pair, options.data_dir)
    options.out.mkdir(parents=True, exist_ok=True)
    stem = options.out / f"{datetime.now(UTC):%Y-%m-%d}-{machine['cores']}-cores"
    result = {"measured": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine, "records": records}
    stem.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    lines = report(records)
    print("\n".join(lines))
    stem.with_suffix(".md").write_text("\n".join(_heading(machine, records) + lines) + "\n", encoding="utf-8")
    print(f"Written: {stem}.json and .md")


def rivals(python: str, network: str, epochs: int, data: Path) -> list[Record]:
    """Time Keras and PyTorch, the latter in each of its settings."""
    cores = str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    settings = {
        "keras": ["keras_fit.py"],
        "torch, 1 thread": ["torch_eager.py", "--threads", "1"],
        "torch, all threads": ["torch_eager.py", "--threads", "all"],
        "torch, a process per core": ["torch_eager.py", "--threads", "1", "--processes", cores],
    }
    common = ["--network", network, "--epochs", str(epochs), "--data", str(data)]
    records = []
    for name, (script, *flags) in settings.items():
        print(f"{network}: {name}", file=sys.stderr)
        command = [python, str(HERE / script), *flags, *common]
        try:
            done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT_SECONDS)
            records.append({**json.loads(done.stdout.splitlines()[-1]), "rival": name})
        except subprocess.CalledProcessError as error:
            sys.exit(f"{name} failed on {network}:\n{error.stderr}")
        except subprocess.TimeoutExpired:
            over = {"seconds_per_epoch_and_run": [], "note": f"not done in {LIMIT_SECONDS} s, so not timed"}
            records.append({"network": network, "rival": name, **over})
    return records


def ours(pair: str, data_dir: Path | None) -> list[Record]:
    """Time normlab on both arms of a pair."""
    print(f"{pair}: normlab", file=sys.stderr)
    command = [sys.executable, str(HERE / "population.py"), "--pair", pair]
    command += ["--runs", str(RUNS[pair]), "--epochs", str(EPOCHS[pair])]
    command += ["--data-dir", str(data_dir)] if data_dir else []
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [{**json.loads(line), "rival": "normlab"} for line in printed.splitlines()]


def report(records: list[Record]) -> list[str]:
    """Return a table of medians and the ratios to reach, as Markdown lines."""
    seconds = {
        (record["network"], record["rival"]): median(record["seconds_per_epoch_and_run"])
        for record in records
        if record["seconds_per_epoch_and_run"]
    }
    networks = list(dict.fromkeys(record["network"] for record in records))
    names = list(dict.fromkeys(record["rival"] for record in records))
    lines = ["Seconds per epoch and run (median over epochs, validation included):", ""]
    lines += ["| engine | " + " | ".join(networks) + " |", "|---|" + "---|" * len(networks)]
    for name in names:
        cells = [_cell(seconds.get((network, name))) for network in networks]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "Ratios (rival / normlab; to reach in brackets):", ""]
    for network in networks:
        mine = seconds[network, "normlab"]
        torch = {name: s for (net, name), s in seconds.items() if net == network and name.startswith("torch")}
        timed = {"keras": ("keras", seconds[network, "keras"])} if (network, "keras") in seconds else {}
        if torch:
            best = min(torch, key=lambda name: torch[name])
            timed["torch"] = (best, torch[best])
        for rival, (name, value) in timed.items():
            wanted = TARGETS.get((network.split("-")[0], rival))
            lines.append(f"- {network}: {value / mine:.1f} x {name}" + (f" (at least {wanted:g})" if wanted else ""))
    for pair in ("notebook", "small"):
        ratio = seconds[f"{pair}-batch", "normlab"] / seconds[f"{pair}-none", "normlab"]
        limit = f" (at most {MOST_STEP_RATIO:g})" if pair == "notebook" else ""
        lines.append(f"- {pair}: with batch norms {ratio:.2f} x without{limit}")
    return lines


def _cell(seconds: float | None) -> str:
    return "over the limit" if seconds is None else f"{seconds:.4f}"


def _heading(machine: dict[str, Any], records: list[Record]) -> list[str]:
    versions = {name: version for record in records for name, version in record.get("versions", {}).items()}
    return [
        f"# Benchmark, {datetime.now(UTC):%Y-%m-%d}",
        "",
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}; "
        + ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
        + ". One engine after the other in one call.",
        "",
    ]


def _default_data_dir() -> Path | None:
    return NEIGHBOUR_DATA if "NORMLAB_DATA" not in os.environ and NEIGHBOUR_DATA.is_dir() else None


def _write_data(pair: str, data_dir: Path | None, path: Path) -> dict[str, Any]:
    """Write what the rivals read, the same parts as normlab trains on; return the machine."""
    from normlab.data import load
    from normlab.study.provenance import machine

    dataset = load("mnist", data_dir=data_dir) if pair == "notebook" else load("digits")
    train, validation = dataset.train, dataset.validation
    np.savez(
        path,
        x_train=train.x,
        y_train=train.y,
        x_val=validation.x,
        y_val=validation.y,
        divisor=np.float32(dataset.divisor),
    )
    return machine()


if __name__ == "__main__":
    main()
