"""Two folders that tests of files share: a finished study of two chunks, and the same one stopped in its second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from normlab.study.limits import Limits
from normlab.study.progress import Interrupted, Progress, ignore_progress

# With three runs a chunk, on three devices: chunks of seeds 0-2 and 3. Four batches in an epoch.
SETTINGS: dict[str, Any] = {
    "data": "wine",
    "network": {"widths": [8]},
    "epochs": 2,
    "rates": [0.1],
    "seeds": 4,
    "batch_size": 30,
    "probes": ["gradients"],
}


def train(
    folder: Path, watch: Callable[[Progress], None] = ignore_progress, limits: Limits | None = None
) -> dict[str, Any]:
    """Run the study in a folder, or go on with it, and return its summary."""
    from normlab.compare import prepare_training
    from normlab.study import execute, laboratory, sizing
    from normlab.study.design import make_study
    from normlab.study.store import Store

    study = make_study(SETTINGS)
    dataset = prepare_training(study)
    plan = laboratory.named_model(study, dataset)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(execute, "first_batch_example", lambda *_: {"what": "nothing of it is looked at"})
        patched.setattr(sizing, "MOST_CHUNK_RUNS", 3)
        patched.setattr(sizing, "FEWEST_CHUNK_RUNS", 3)
        return execute.execute(study, dataset, plan, Store(folder), limits=limits, watch=watch)


@pytest.fixture(scope="session")
def whole_folder(_devices: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the finished study, with its page and an attribution's files; nothing may change it."""
    from normlab.report.page import write_document
    from normlab.store.files import write_file
    from normlab.store.seals import sealed_json
    from normlab.study.names import ATTRIBUTION, ATTRIBUTION_PAGE, REPORT

    folder = tmp_path_factory.mktemp("whole") / "study"
    train(folder)
    write_document("<p>a page</p>", folder / REPORT)
    write_document("<p>another page</p>", folder / ATTRIBUTION_PAGE)
    write_file(folder / ATTRIBUTION, sealed_json({"shares": [0.25, 0.75]}))
    return folder


@pytest.fixture(scope="session")
def stopped_folder(_devices: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the study stopped in the last epoch of its second chunk; nothing may change it."""
    folder = tmp_path_factory.mktemp("stopped") / "study"

    def stop(now: Progress) -> None:
        if now.runs_done == 6 and (now.arm, now.epoch) == ("batch", 2):
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        train(folder, stop, Limits(checkpoint_seconds=1e-9))
    return folder
