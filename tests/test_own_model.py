"""A network of the user's own by the command: the notebook's, as it stands, and everything wrong with a reference."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from normlab.surgery.files import open_model
from tests.command import command, refused

# Keras warns so when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

NOTEBOOK = Path(__file__).resolve().parents[1] / "examples" / "notebook_model.py"
L = keras.layers


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test writes into the project."""
    monkeypatch.chdir(tmp_path)


def test_the_notebooks_network_runs_as_it_stands(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "images.npz", x=rng.integers(0, 256, (100, 28, 28)).astype(np.uint8), y=np.arange(100) % 10)
    options = ("--data", "images.npz", "--rates", "0.1", "--seeds", "2", "--epochs", "1", "--batch-size", "16")
    ended = command("run", "--model", f"{NOTEBOOK}:network", *options, "--out", "out")
    assert ended.status == 0, ended.err
    names = [f"batch_normalization{suffix}" for suffix in ("", "_1", "_2")]
    said = " ".join(ended.out.split())
    assert "notebook_model.py:network, the user’s own." in said
    assert f"Note: none: {', '.join(names)} removed." in said
    assert f"Note: batch: {', '.join(names)} replaced by BatchNormalization." in said
    assert "Parameters are drawn anew for every seed" in said
    pairing = json.loads(Path("out/summary.json").read_text())["pairing"]
    assert len(pairing["shared_parameters"]) == 6  # kernel and bias of the three Dense layers
    assert pairing["initial_values_equal"] is True
    page = Path("out/report.html").read_text(encoding="utf-8")
    assert f"{NOTEBOOK.name}:network, the user’s own." in page
    assert "Its arms are one model with its norms exchanged." in page
    # Another network in the same file is another study.
    before = Path("out/study.json").read_bytes()
    Path("narrow.py").write_text(NOTEBOOK.read_text().replace("300", "20"))
    again = command("run", "--model", "narrow.py:network", *options, "--out", "out")
    refused(again, "hold this same study", "models.batch, models.none, own_files, study.model", "choose another --out")
    assert Path("out/study.json").read_bytes() == before


FILE = """
import keras
from keras.layers import Dense

L = keras.layers

def two(norm, width): return None
def number(): return 3
def fails(): return 1 / 0
def sequence(*layers): return keras.Sequential([keras.Input((8, 8)), L.Flatten(), *layers])
def unbuilt(): return keras.Sequential([Dense(10)])
def narrow(): return keras.Sequential([keras.Input((3,)), Dense(8, activation="relu"), Dense(10)])
def binary(): return sequence(Dense(8, activation="relu"), Dense(1, activation="sigmoid"))
def chances(): return sequence(Dense(8, activation="relu"), Dense(10), L.Activation("sigmoid"))
def named(): return keras.Model(x := keras.Input((8, 8)), {"out": Dense(10)(L.Flatten()(x))})
def linear(): return sequence(Dense(8), Dense(10))
def ignores(norm): return sequence(Dense(8), Dense(10))
def good(): return sequence(Dense(8, activation="relu"), Dense(10))

def compiled():
    model = good()
    model.compile("sgd", "mse")
    return model

class Mine(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = Dense(10)
    def call(self, x):
        return self.dense(x)
"""


def _network(*layers: keras.layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((8, 8)), L.Flatten(), *layers, L.Dense(10, kernel_initializer="ones")])


class _Strange(L.Layer):
    def call(self, x: object) -> object:
        return x


def _compiled() -> keras.Model:
    model = _network(L.BatchNormalization())
    model.compile("sgd", "mse")
    return model


SAVED: dict[str, Callable[[], keras.Model]] = {
    "lambda": lambda: _network(L.Lambda(lambda x: x)),
    "strange": lambda: _network(_Strange()),
    "compiled": _compiled,
    "other": lambda: keras.Sequential([keras.Input((3,)), L.Dense(10, kernel_initializer="ones")]),
}


@pytest.fixture(scope="module")
def wrong_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    (folder / "mine.py").write_text(FILE)
    (folder / "broken.py").write_text("def network(:\n")
    (folder / "text.keras").write_text("no archive")
    for name, build in SAVED.items():
        build().save(folder / f"{name}.keras")
    (folder / "short.keras").write_bytes((folder / "other.keras").read_bytes()[:900])
    return folder


# The model, and what the line must say: rule, value received, next action.
WRONG: dict[str, tuple[str, str, str, str]] = {
    "no file": ("nowhere.py:network", "the file of a model must exist", "nowhere.py", "check its path"),
    "no name": ("mine.py", "a model of your own must be FILE.py:NAME", "'mine.py'", "my_file.py:network"),
    "no such function": (
        "mine.py:netwrok",
        "mine.py must hold a function of that name",
        "'netwrok'",
        "two, number, fai",
    ),
    "no Python": ("broken.py:network", "the file of a model must be Python", "broken.py: ", "mend that line"),
    "module in it": ("mine.py:keras", "must hold a function of that name", "'keras'", "choose among"),
    "function alone": ("function", "a model function must be handed over", "its name alone", "FILE.py:FUNCTION"),
    "two parameters": ("mine.py:two", "one parameter, the norm, or none", "two with norm, width", "give the others"),
    "no model": ("mine.py:number", "must return a Keras model", "int", "return the model it builds"),
    "unbuilt": ("mine.py:unbuilt", "must return a built model", "sequential", "begin it with keras.Input"),
    "subclassed": ("mine.py:Mine", "must be Functional or Sequential", "subclassed model Mine", "keras.Input"),
    "other input": ("mine.py:narrow", "input shape must be (8, 8) for digits", "(3,)", "change its input layer"),
    "other output": ("mine.py:binary", "output shape must be (10,) for digits", "(1,)", "change its output layer"),
    "classes apart": (
        "mine.py:chances",
        "must end in a softmax, or in no",
        "a sigmoid at the end",
        "change its output",
    ),
    "outputs by name": ("mine.py:named", "output must be one tensor", "a dict", "give keras.Model the tensor itself"),
    "no place": ("mine.py:linear", "must have a place for one", "without such a place", "put the norms into the code"),
    "no norm used": ("mine.py:ignores", "must use the norm", "without BatchNormalization", "call norm() at every"),
    "compiled": ("mine.py:compiled", "must be the study's", "mean_squared_error", "compile it with sparse_categorical"),
    "no .keras file": ("nowhere.keras", "the file of a model must exist", "nowhere.keras", "check its path"),
    "text as .keras": ("text.keras", "a whole archive of a model", "text.keras (BadZipFile)", "model.save"),
    "short .keras file": ("short.keras", "a whole archive of a model", "short.keras (BadZipFile)", "model.save"),
    "code in a file": ("lambda.keras", "opens in safe mode", "ValueError: ", "code of your own"),
    "class in a file": ("strange.keras", "opens in safe mode", "Could not locate class '_Strange'", "code of your own"),
    "compiled in a file": ("compiled.keras", "must be the study's", "mean_squared_error", "compile it with"),
    "other input of a file": ("other.keras", "input shape must be (8, 8) for digits", "(3,)", "change its input layer"),
}


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_model_is_one_line_and_leaves_nothing(
    case: str, wrong_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, rule, received, action = WRONG[case]
    monkeypatch.chdir(wrong_files)
    refused(command("run", "--model", model, "--out", tmp_path / "deep" / "out"), rule, received, action)
    assert list(tmp_path.iterdir()) == []


OPTIONS: dict[str, tuple[tuple[str, ...], str, str, str]] = {
    "widths": (("--model", "mine.py:good", "--widths", "8"), "the whole network", "options widths", "leave them out"),
    "network": (("--model", "mine.py:good", "--network", "depth=3"), "the whole network", "options depth", "leave"),
    "options and a file": (("--model", "text.keras", "--input-norm"), "the whole network", "input_norm", "leave"),
    "weights of a name": (("--weights", "keep"), "weights can be kept", "keep for the model mlp", "leave weights out"),
    "other weights": (("--model", "mine.py:good", "--weights", "all"), "'redraw' or 'keep'", "'all'", "change weights"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_wrong_options_of_an_own_model(case: str, wrong_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments, rule, received, action = OPTIONS[case]
    monkeypatch.chdir(wrong_files)
    refused(command("run", *arguments), rule, received, action)


def test_what_the_users_own_code_raises_passes_with_its_traceback(wrong_files: Path, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        command("run", "--model", f"{wrong_files / 'mine.py'}:fails", "--out", tmp_path / "out")
    assert Path(raised.traceback[-1].path) == wrong_files / "mine.py"
    assert list(tmp_path.iterdir()) == []


def test_swap_takes_a_norm_of_ones_own(tmp_path: Path) -> None:
    _network(L.BatchNormalization(name="norm")).save("model.keras")
    Path("mine.py").write_text(
        "import keras\n\ndef grouped(name=None, groups=8):\n"
        "    return keras.layers.GroupNormalization(groups=groups, name=name)\n"
    )
    ended = command("swap", "model.keras", "--norm", "mine.py:grouped", "--out", "new.keras")
    assert ended.status == 0, ended.err
    assert "GroupNormalization" in ended.out
    assert open_model(tmp_path / "new.keras").get_layer("norm").groups == 8
    missing = command("swap", "model.keras", "--norm", "mine.py:other", "--out", "third.keras")
    refused(missing, "mine.py must hold a layer class or function", "'other'", "choose among grouped")
    assert not Path("third.keras").exists()
