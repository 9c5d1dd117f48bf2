"""Fuzzed study files, settings, network options, and references to models and norms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from normlab.cli.screen import named_values
from normlab.models import MODELS
from normlab.norms import NORMS
from normlab.study.design import Study, make_study, read_study_file
from tests.fuzz.damage import RARELY, SIZES, damage
from tests.fuzz.judge import judge, share

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        SIZES,
        st.integers(-5, 40),
        st.floats(),
        st.booleans(),
        st.none(),
        st.text(max_size=8),
        st.sampled_from(
            [*NORMS, *MODELS, "tuned", "auto", "adam", "cosine", "relu", "before", "keep", "drop", "1e999"]
        ),
        st.sampled_from([2**1100, -(2**70), 1e400]),
        st.just(20_000).map(lambda bits: 2**bits),  # more digits than Python writes
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["norm", "name", "groups", "widths", "epsilon", "x", ""]), inner, max_size=3),
    ),
    max_leaves=5,
)
PLAUSIBLE: dict[str, st.SearchStrategy[Any]] = {
    "data": st.sampled_from(["digits", "a.csv", "", "\x00"]),
    "model": st.sampled_from([*MODELS, "function", "nope.keras", "nope.py:f", ".py:", "a\x00.keras"]),
    "arms": st.lists(st.sampled_from([*NORMS, "nope.py:f"]), max_size=3),
    "network": st.dictionaries(st.sampled_from(["widths", "depth", "cell", "units", "placement"]), VALUES, max_size=2),
    "rates": st.one_of(st.just("tuned"), st.lists(st.floats(), max_size=2)),
    "seeds": st.one_of(st.just("auto"), st.integers(-1, 60)),
    "epochs": st.integers(-1, 9),
    "batch_size": st.integers(-1, 64),
}
NAMES = st.one_of(st.sampled_from(sorted(Study.model_fields)), st.sampled_from(sorted(PLAUSIBLE)), st.text(max_size=3))


@st.composite
def drawn_settings(draw: st.DrawFn) -> dict[str, Any]:
    """Settings with known names, most of plausible values."""
    names = draw(st.lists(NAMES, max_size=4, unique=True))
    return {name: draw(VALUES if draw(RARELY) else PLAUSIBLE.get(name, VALUES)) for name in names}


@pytest.fixture(autouse=True, scope="module")
def _elsewhere(folder: Path) -> Any:
    """References to files are looked up in an empty folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield


@share(0.06)
@given(settings=drawn_settings())
def test_settings(settings: dict[str, Any]) -> None:
    judge("settings", lambda: make_study(settings))


def _toml(value: Any) -> str:
    """A value as TOML, or as text that only looks like it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(name)} = {_toml(item)}" for name, item in value.items()) + "}"
    return f"{value:#x}" if isinstance(value, int) and abs(value) > 2**1000 else str(value)


STUDY = b"""data = "digits"
arms = ["none", {norm = "group", groups = 4, name = "g"}]
rates = [0.1, 1e-2]
seeds = 4
[network]
widths = [8, 8]
placement = "after"
"""
STUDY_FILES = st.one_of(
    damage(STUDY),
    drawn_settings().map(
        lambda settings: "\n".join(f"{_toml(k)} = {_toml(v)}" for k, v in settings.items()).encode("utf-8", "replace")
    ),
    drawn_settings()
    .map(lambda settings: "\n".join(f"{k} = {_toml(v)}" for k, v in settings.items()).encode("utf-8", "replace"))
    .flatmap(damage),
)


@share(0.06)
@given(content=STUDY_FILES)
@example(content=b"seeds = " + b"9" * 5000)
@example(content=b"network = " + b"[" * 5000)
@example(content=b"epochs = 1" + b"0" * 400)
def test_study_files(content: bytes, folder: Path) -> None:
    path = folder / "study.toml"
    path.write_bytes(content)
    judge("study files", lambda: make_study(read_study_file(path)))


PLAIN = st.sampled_from(["8", "8,8", "14", "relu", "before", "true", "gru", "0.1", "[8, 8]"])
OPTION_VALUES = st.one_of(
    PLAIN, PLAIN, VALUES.map(_toml), st.text(max_size=12), st.lists(SIZES.map(str), max_size=3).map(",".join)
)
OPTION_NAMES = st.sampled_from(["widths", "depth", "activation", "placement", "cell", "units", "", "x"])
OPTIONS = st.one_of(st.builds("{}={}".format, OPTION_NAMES, OPTION_VALUES), st.text(max_size=8))


@share(0.04)
@given(texts=st.lists(OPTIONS, max_size=2), model=st.sampled_from(sorted(MODELS)))
@example(texts=["widths=" + "[" * 5000], model="mlp")
@example(texts=["widths=" + "9" * 5000], model="mlp")
@example(texts=["widths=8," + "9" * 5000], model="mlp")
@example(texts=["widths=8\nvalue = 3"], model="mlp")
def test_network_options(texts: list[str], model: str) -> None:
    judge("network options", lambda: make_study({"model": model, "network": named_values(texts)}))


REFERENCES = st.builds(
    lambda folder, stem, end, name: f"{folder}{stem}{end}{name}",
    st.sampled_from(["", "./", "/", "../", "~/", "~nobody/", "C:\\", "a/" * 2000, "\x00"]),
    st.one_of(st.text(max_size=5), st.just("x" * 300), st.just("x" * 5000)),
    st.sampled_from([".py:", ".py", ".keras", ".keras:", ".py::", ":"]),
    st.one_of(st.just(""), st.just("f"), st.text(max_size=4)),
)


@share(0.04)
@given(reference=REFERENCES, is_norm=st.booleans())
@example(reference="x" * 300 + ".keras", is_norm=False)
@example(reference="x" * 300 + ".py:f", is_norm=True)
def test_references(reference: str, is_norm: bool) -> None:
    changes: dict[str, Any] = {"arms": ["none", reference]} if is_norm else {"model": reference}
    judge("references", lambda: make_study(changes))
