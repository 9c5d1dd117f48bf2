"""One session of claims: data and network loaded, every claim answered, the answers in one JSON file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from normlab.claims.answer import Answer, answer
from normlab.claims.bench import SEEDS, Bench, Budget
from normlab.claims.claim import Claim
from normlab.claims.network import require_network
from normlab.claims.table import CLAIMS
from normlab.errors import require_known
from normlab.version import __version__


def choose(ids: Sequence[str]) -> list[Claim]:
    """Return the claims of these names in the table's order; all of them for no name.

    Raises:
        InputError: For an unknown name.
    """
    for name in ids:
        require_known("claim", name, CLAIMS)
    return [claim for name, claim in CLAIMS.items() if not ids or name in ids]


def answer_claims(
    claims: Sequence[Claim],
    folder: Path,
    *,
    data: str = "digits",
    data_dir: Path | None = None,
    target: str | None = None,
    table: Mapping[str, Any] | None = None,
    model: str = "mlp",
    network: Mapping[str, Any] | None = None,
    budget: Budget = "quick",
    watch: Callable[[list[Answer]], None] = lambda _: None,
    notify: Callable[[str], None] = lambda _: None,
) -> list[Answer]:
    """Answer claims on data and a network, and write `claims.json` and the evidence behind it after each of them.

    Args:
        claims: Which.
        folder: New, empty, or that of the same session, which goes on: what is measured there is judged as it is.
        data: A name or a file, as in a study.
        data_dir: Folder of the named data sets.
        target: Target column of a table.
        table: What else is said of a table: `missing`, `drop`, `keep` and `task`, as `normlab.data.load` takes them.
        model: A name in `normlab.models.MODELS`, or `FILE.py:FUNCTION`: a function of the user's that takes a norm and
            returns a Keras model. Its file runs.
        network: Options of a named model.
        budget: `quick` or `full`.
        watch: Called after each claim with the answers so far.
        notify: Called, before anything is measured, with each note on what was inferred from data and model.

    Raises:
        InputError: For wrong data, model, option, budget or folder; nothing is written then.
    """
    require_known("budget", budget, SEEDS)
    require_network(model, network or {})
    from normlab.claims.record import Record

    record = Record(folder)
    record.require_usable()
    from normlab.data import load

    dataset = load(data, data_dir=data_dir, target=target, **(table or {}))
    from normlab.train.devices import prepare

    prepare()
    bench = Bench(dataset, model, network, budget)
    for norm in ("none", "batch"):  # a function of the user's that does not fit is refused before anything is written
        bench.build(norm)
    with record.opened(_identity(bench, data), _about()):
        for note in bench.dataset.notes:
            notify(note)
        return answer(claims, bench, record, watch)


def _identity(bench: Bench, data: str) -> dict[str, Any]:
    """Return what makes two sessions the same, so that one may go on with what the other measured."""
    from normlab.study.provenance import code_sha256, files_of, versions

    dataset = bench.dataset
    return {
        "normlab": __version__,
        "data": {
            "given": data,
            "name": dataset.name,
            "task": dataset.task,
            "input_shape": list(dataset.input_shape),
            "counts": {name: len(part) for name, part in dataset.parts.items()},
            "notes": list(dataset.notes),
            "hashes": dataset.hashes,
        },
        "model": bench.model,
        "network": bench.network,
        "budget": bench.budget,
        "seeds": len(bench.seeds),
        "epochs": bench.epochs,
        "batch_size": bench.batch_size,
        "own_files": files_of([bench.model]),
        "code_sha256": code_sha256(),
        "versions": versions(),
    }


def _about() -> dict[str, Any]:
    from normlab.study.provenance import machine

    return {"started": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine()}
