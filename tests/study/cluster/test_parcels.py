"""A study reaches a worker as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from normlab.study.cluster.parcels import packed_study, unpacked_study
from normlab.study.design import make_study
from tests.study.cluster.planted import MODEL

STUDIES: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "of looks": {"seeds": "auto", "max_seeds": 23, "probes": ["gradients"], "data_dir": "somewhere"},
    "of rates": {"rates": [1e-3, 0.1 + 0.2], "seeds": 3, "reach": 0.7, "schedule": "cosine", "warmup": 0.5},
    "of arms": {
        "arms": ["none", {"norm": "group", "groups": 4, "name": "four"}, {"norm": "batch", "activation": "elu"}]
    },
}


@pytest.mark.parametrize("case", STUDIES)
def test_a_study_reaches_a_worker_as_it_is(case: str) -> None:
    study = make_study(STUDIES[case])
    assert unpacked_study(json.loads(json.dumps(packed_study(study)))) == study


def test_files_of_the_users_own_reach_a_worker_by_their_whole_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.py").write_text(MODEL + "\nMine = Twice\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    packed = packed_study(make_study({"model": "own.py:network", "arms": ["none", "own.py:Mine"]}))
    monkeypatch.chdir("/")
    assert packed["model"] == f"{tmp_path}/own.py:network"
    study = unpacked_study(packed)
    assert [arm.name for arm in study.arms] == ["none", "own.py:Mine"]
    assert study.arms[1].norm == f"{tmp_path}/own.py:Mine"
