"""No pickle anywhere: no call of it in the source, none while a study runs, is written and read back."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "normlab"
# Modules whose reading runs what the file says.
RUNS_CODE = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "torch"}


def wrong_lines(code: str) -> list[str]:
    """Return what in a file's code could unpickle, by line."""
    found = []
    for node in ast.walk(ast.parse(code)):
        imported: set[str] = set()
        if isinstance(node, ast.Import):
            imported = {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported = {(node.module or "").split(".")[0]}
        elif isinstance(node, ast.Call) and _unpickles(node):
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
        found += [f"line {node.lineno}: import of {name}" for name in sorted(imported & RUNS_CODE)]
    return found


def _unpickles(call: ast.Call) -> bool:
    """Whether a call allows pickles, is NumPy's `load` without `allow_pickle=False`, or imports by name."""
    pickles = [keyword.value for keyword in call.keywords if keyword.arg == "allow_pickle"]
    refuses = any(isinstance(value, ast.Constant) and value.value is False for value in pickles)
    if pickles and not refuses:
        return True
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    if name == "load" and isinstance(owner, ast.Name) and owner.id in ("np", "numpy"):
        return not refuses
    first = call.args[0] if call.args else None
    is_module = isinstance(first, ast.Constant) and str(first.value).split(".")[0] in RUNS_CODE
    return name in ("read_pickle", "to_pickle") or (name in ("__import__", "import_module") and is_module)


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_file_of_the_source_can_unpickle(path: Path) -> None:
    assert wrong_lines(path.read_text(encoding="utf-8")) == []


CASES = {
    "import pickle": "import of pickle",
    "def f():\n    from joblib import load": "import of joblib",
    "import torch.nn": "import of torch",
    "import numpy as np\nnp.load(path)": "np.load(path)",
    "import numpy as np\nnp.load(path, allow_pickle=True)": "np.load(path, allow_pickle=True)",
    "np.lib.format.read_array(stream, allow_pickle=flag)": "allow_pickle=flag",
    "frame.to_pickle(path)": "frame.to_pickle(path)",
    "import importlib\nimportlib.import_module('dill')": "import_module('dill')",
}


@pytest.mark.parametrize("code", CASES)
def test_what_could_unpickle_is_found(code: str) -> None:
    (line,) = wrong_lines(code)
    assert CASES[code] in line


def test_what_refuses_pickles_is_no_fault() -> None:
    assert wrong_lines("np.load(path, allow_pickle=False)\njson.load(file)\nimport json\nmodule.load(path)") == []


# Libraries may import the module pickle. What is counted is its use: every pickler and unpickler made, whichever way
# it is reached, and every class that an unpickler looks up (an audit event, which C code raises too).
WATCHED = """
import _pickle, json, pickle, sys, traceback
events = []
def note(what):
    frames = [frame for frame in traceback.extract_stack() if "importlib" not in frame.filename]
    events.append([what, frames[-3].filename])
sys.addaudithook(lambda event, args: note(event) if event == "pickle.find_class" else None)
def watched(name, original):
    if isinstance(original, type):
        def __init__(self, *args, **kwargs):
            note(name)
            original.__init__(self, *args, **kwargs)
        return type(name, (original,), {"__init__": __init__})
    def call(*args, **kwargs):
        note(name)
        return original(*args, **kwargs)
    return call
for module in (pickle, _pickle):
    for name in ("load", "loads", "dump", "dumps", "Unpickler", "Pickler"):
        setattr(module, name, watched(name, getattr(module, name)))
"""
STUDY = """
from pathlib import Path
import numpy as np
from normlab.cli import main
from normlab.data import load
from normlab.result import Result
out = Path(sys.argv[1])
np.savez(out.with_suffix(".npz"), x=np.random.default_rng(0).normal(size=(60, 3)), y=np.arange(60) % 2)
def run(*arguments):
    sys.argv = ["normlab", *map(str, arguments)]
    try:
        main()
    except SystemExit as leaving:
        assert not leaving.code, leaving.code
small = ("--widths", 8, "--epochs", 1, "--seeds", 2, "--rates", 0.1)
run("run", "--data", "wine", *small, "--out", out)
run("run", "--data", "wine", *small, "--out", out)  # once more: from the records alone
load(out.with_suffix(".npz"))
result = Result(out)
result.report(out / "again.html")
tables = (result.summary().to_dicts(), result.epochs.to_dicts(), result.runs.to_dicts())
print()
print(json.dumps(events))
"""
# Break it on purpose: each of these has to be seen.
BREACHES = {
    "loads": "pickle.loads(b'I1\\n.')",
    "from _pickle": "from _pickle import Unpickler; import io; Unpickler(io.BytesIO(b'I1\\n.')).load()",
    "numpy": (
        "import io, numpy as np; file = io.BytesIO(); np.save(file, np.array([{}], dtype=object), allow_pickle=True);"
        "events.clear(); file.seek(0); np.load(file, allow_pickle=True)"
    ),
    "find_class": "original = pickle._Unpickler; import io; original(io.BytesIO(b'cdatetime\\ndate\\n.')).load()",
}


def _events(code: str, *arguments: str | Path) -> list[list[str]]:
    ended = subprocess.run(
        [sys.executable, "-c", WATCHED + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def test_a_study_is_run_written_and_read_without_a_pickle(tmp_path: Path) -> None:
    events = _events(STUDY, tmp_path / "study")
    assert (tmp_path / "study" / "again.html").is_file()
    # Jinja, which Altair imports, pickles its own version number twice when it is imported, and reads neither.
    libraries = [event for event in events if Path(event[1]).match("jinja2/bccache.py")]
    assert [name for name, _ in libraries] in ([], ["dumps", "dumps"])
    assert [event for event in events if event not in libraries] == []


@pytest.mark.parametrize("case", BREACHES)
def test_a_pickle_would_be_seen(case: str) -> None:
    assert _events(f"{BREACHES[case]}\nprint(json.dumps(events))") != []
