"""The section `norms`: the step time of every norm in two networks, as a ratio to the same network without norms."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median, quantiles
from typing import Any

Record = dict[str, Any]

HERE = Path(__file__).resolve().parent
TITLE = "Norms: the time of a training step"
NETWORKS = {
    "mlp": "mlp, 784-300-100-10, MNIST, batch 32, SGD",
    "convnet": "convnet, 6 convolutions, CIFAR-10, batch 64, SGD with momentum",
}
# Steps of one call, and calls of each norm.
STEPS = {"mlp": 50, "convnet": 2}
ROUNDS = {"mlp": 40, "convnet": 15}


def measure(rivals: str, data_dir: Path | None, quick: bool) -> list[Record]:  # noqa: ARG001 (as of all sections)
    """Time every norm in both networks, each network in a fresh process; `quick` as in the other sections."""
    records = []
    for network in NETWORKS:
        print(f"{network}: every norm", file=sys.stderr)
        steps, rounds = (1, 2) if quick else (STEPS[network], ROUNDS[network])
        command = [sys.executable, str(HERE / "norm_steps.py"), "--network", network]
        command += ["--steps", str(steps), "--rounds", str(rounds)]
        command += ["--data-dir", str(data_dir)] if data_dir else []
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        records += [json.loads(line) for line in printed.splitlines()]
    return records


def lines(records: list[Record]) -> list[str]:
    """Return one table of ratios, as lines of Markdown."""
    of = {(record["network"], record["norm"]): record for record in records}
    alone = {network: of[network, "none"]["seconds_per_step"] for network in NETWORKS}
    counts = " and ".join(str(len(seconds)) for seconds in alone.values())
    found = [
        "One run on one core. The median (and quartiles) of the ratios to the network without norms in the same round, "
        f"over {counts} rounds in which all norms took turns. Without norms a step takes "
        + " and ".join(f"{1000 * median(seconds):.2f} ms" for seconds in alone.values())
        + ".",
        "",
        "| norm | " + " | ".join(NETWORKS.values()) + " |",
        "|---|" + "---|" * len(NETWORKS),
    ]
    for norm in dict.fromkeys(record["norm"] for record in records):
        cells = [_ratio(of[network, norm].get("seconds_per_step"), alone[network]) for network in NETWORKS]
        found.append(f"| {norm} | " + " | ".join(cells) + " |")
    reasons = [f"- {r['norm']} in {r['network']}: {r['refused']}" for r in records if "refused" in r]
    return [*found, "", "Refused:", "", *reasons] if reasons else found


def _ratio(seconds: list[float] | None, alone: list[float]) -> str:
    if seconds is None:
        return "refused"
    low, middle, high = quantiles([a / b for a, b in zip(seconds, alone, strict=True)], n=4, method="inclusive")
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"
