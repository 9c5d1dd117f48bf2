"""Imports go downward only, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import Finished

SOURCE = Path(__file__).resolve().parents[1] / "src" / "normlab"
BASE = ("errors", "file_checks", "version", "visible")
# Each part with those it may import; a part may import itself. Nothing imports upward, siblings stay apart.
ALLOWED: dict[str, tuple[str, ...]] = {
    "errors": (),
    "store": ("errors",),
    "file_checks": ("errors",),
    "version": (),
    "visible": (),
    "own_file": BASE,
    "keras_names": (),
    "norms": ("own_file", *BASE),
    "stats": (),
    "seeding": BASE,
    "data": ("norms", "seeding", *BASE),
    "models": ("norms", "own_file", "seeding", *BASE),
}
ALLOWED["surgery"] = ("store", "data", "norms", "keras_names", "seeding", *BASE)
ALLOWED["train"] = ("models", "keras_names", "data", "norms", "seeding", *BASE)
ALLOWED["probes"] = ("train", *ALLOWED["train"])
ALLOWED["study"] = ("store", "train", "probes", "stats", "surgery", *ALLOWED["train"])
ALLOWED["report"] = ("study", *ALLOWED["study"])
ALLOWED["export"] = ("study", *ALLOWED["study"])
ALLOWED["claims"] = ("study", *ALLOWED["study"])
ALLOWED["result"] = ("report", *ALLOWED["report"])
ALLOWED["compare"] = ("result", *ALLOWED["result"])
ALLOWED["replicate"] = ("compare", "claims", *ALLOWED["compare"])
ALLOWED["attribute"] = ("compare", *ALLOWED["compare"])
ALLOWED["terminal"] = ("compare", *ALLOWED["compare"])
ALLOWED["cli"] = ("terminal", "export", "attribute", "replicate", "claims", *ALLOWED["terminal"])
ALLOWED["__init__"] = ("compare", *ALLOWED["compare"])
ALLOWED["__main__"] = ("cli",)
FILES = sorted(SOURCE.rglob("*.py"))
FRAMEWORKS = ("jax", "keras", "tensorflow", "torch", "ray")
HEAVY = (*FRAMEWORKS, "sklearn", "altair", "polars", "scipy", "statsmodels", "vl_convert")


def _part(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def _imported(path: Path) -> set[str]:
    """Full names of all modules that a file imports, in functions and under TYPE_CHECKING too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_every_part_is_in_the_table() -> None:
    assert {_part(path) for path in FILES} == set(ALLOWED)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_downward_only(path: Path) -> None:
    part = _part(path)
    siblings = {name.split(".")[1] for name in _imported(path) if name.startswith("normlab.")} - {part}
    assert siblings <= set(ALLOWED[part])


@pytest.mark.parametrize("part", ["report", "stats"])
def test_reports_and_statistics_know_no_jax(part: str) -> None:
    for path in (SOURCE / part).glob("*.py"):
        assert not {name.split(".")[0] for name in _imported(path)} & {"jax", "keras"}, path


def _python(code: str, *arguments: str | Path) -> str:
    ended = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()[-1]


def test_a_page_and_a_table_are_made_without_jax(finished: Finished) -> None:
    code = """
import sys
sys.modules["jax"] = sys.modules["keras"] = sys.modules["sklearn"] = None
from pathlib import Path
from normlab.result import Result
result = Result(sys.argv[1])
print(result.report(sys.argv[2]).read_text(encoding="utf-8").count("<svg") > 0, result.summary().height > 0)
"""
    assert _python(code, finished.folder, finished.folder.parent / "without.html") == "True True"


def test_statistics_need_neither_jax_nor_tables() -> None:
    code = """
import importlib, pathlib, sys
sys.modules["jax"] = sys.modules["keras"] = sys.modules["polars"] = None
import normlab.stats
names = [path.stem for path in pathlib.Path(normlab.stats.__file__).parent.glob("*.py")]
print(len([importlib.import_module(f"normlab.stats.{name}") for name in names if name != "__init__"]))
"""
    assert _python(code) == str(len(list((SOURCE / "stats").glob("*.py"))) - 1)


LIGHT = {
    "import": ([], "none"),
    "help": (["--help"], "0"),
    "help of run": (["run", "--help"], "0"),
    "version": (["--version"], "0"),
    "unknown option": (["run", "--nope"], "2"),
    "wrong setting": (["run", "--seeds", "0"], "2"),
    "no study file": (["run", "nowhere.toml"], "2"),
    "unknown norm": (["run", "--arms", "none,bathc"], "2"),
    "list": (["data", "list"], "0"),
    "status of nothing": (["status", "nowhere"], "2"),
    "verification of nothing": (["verify", "nowhere"], "2"),
    "unknown format": (["export", "nowhere", "--to", "xml"], "2"),
}


@pytest.mark.parametrize("case", LIGHT)
def test_nothing_heavy_is_imported_before_it_is_needed(case: str) -> None:
    arguments, status = LIGHT[case]
    code = f"""
import sys
import normlab
status = "none"
if sys.argv[1:]:
    from normlab.cli import main
    try:
        main()
        status = 0
    except SystemExit as leaving:
        status = leaving.code
print()
print(status, [name for name in {HEAVY!r} if name in sys.modules])
"""
    assert _python(code, *arguments) == f"{status} []"
