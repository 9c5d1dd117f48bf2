"""The commands `normlab swap` and `normlab fold`: files in, files out, bad files refused."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from normlab import cli
from normlab.surgery.files import open_model
from normlab.surgery.kinds import norm_classes
from tests.surgery.networks import Dense, L, nested, outputs, samples, sequential, shared, trained

# Keras warns so when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")


def _normlab(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run the command in this process and return its exit status."""
    monkeypatch.setattr(sys, "argv", ["normlab", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return int(left.value.code or 0)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    trained(sequential()).save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def test_fold_writes_the_model_and_prints_its_proof(
    saved: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, data = saved.parent / "folded.keras", saved.parent / "data.npz"
    np.savez(data, x_test=np.random.default_rng(0).normal(0, 1, (30, 5)), y_test=np.zeros(30))
    assert _normlab(monkeypatch, "fold", saved, "--out", out, "--data", data) == 0
    text = capsys.readouterr().out
    assert "folded into second" in text
    assert "max difference" in text
    assert [line.split()[1] for line in text.splitlines() if line.startswith((" random", " data"))] == ["30"]
    old, new = open_model(saved), open_model(out)
    inputs = samples(old)
    np.testing.assert_allclose(outputs(new, inputs)[0], outputs(old, inputs)[0], rtol=1e-4, atol=1e-5)
    assert new.count_params() < old.count_params()


def test_data_for_several_inputs_come_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(shared()).save(tmp_path / "model.keras")
    arguments = ("fold", tmp_path / "model.keras", "--data", tmp_path / "data.npz", "--out", tmp_path / "new.keras")
    np.savez(tmp_path / "data.npz", left=np.ones((3, 4)), right=np.zeros((3, 4)))
    assert _normlab(monkeypatch, *arguments) == 0
    (tmp_path / "new.keras").unlink()
    np.savez(tmp_path / "data.npz", x=np.ones((3, 4)))
    assert _normlab(monkeypatch, *arguments) == 2
    assert not (tmp_path / "new.keras").exists()


def test_swap_writes_the_model_and_prints_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(nested()).save(tmp_path / "model.keras")
    out = tmp_path / "bare.keras"
    assert _normlab(monkeypatch, "swap", tmp_path / "model.keras", "--norm", "none", "--out", out) == 0
    assert "trunk/block/inner_norm" in capsys.readouterr().out
    assert not any(isinstance(layer, norm_classes()) for layer in open_model(out)._flatten_layers())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bare.keras", "model.keras"]


def _with_lambda(path: Path) -> None:
    keras.Sequential([keras.Input((3,)), L.Lambda(lambda x: x), Dense(2)]).save(path)


def _of_unknown_class(path: Path) -> None:
    class Strange(keras.layers.Layer):
        def call(self, x: object) -> object:
            return x

    keras.Sequential([keras.Input((3,)), Strange(), Dense(2)]).save(path)


def _without_weights(path: Path) -> None:
    sequential().save(path.with_name("whole.keras"))
    with zipfile.ZipFile(path.with_name("whole.keras")) as whole, zipfile.ZipFile(path, "w") as broken:
        for name in ("config.json", "metadata.json"):
            broken.writestr(name, whole.read(name))


def _with_broken_weights(path: Path) -> None:
    _without_weights(path)
    with zipfile.ZipFile(path, "a") as broken:
        broken.writestr("model.weights.h5", b"\x89HDF\r\n\x1a\n no weights")


def _with_broken_config(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{")
        archive.writestr("metadata.json", "{}")


def _truncated(path: Path) -> None:
    sequential().save(path)
    path.write_bytes(path.read_bytes()[:2000])


def _text(path: Path) -> None:
    path.write_text("no archive", encoding="utf-8")


def _absent(path: Path) -> None:
    assert not path.exists()


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
@pytest.mark.parametrize(
    ("write", "words"),
    [
        (_with_lambda, "safe mode"),
        (_of_unknown_class, "Strange"),
        (_without_weights, "safe mode"),
        (_with_broken_weights, "safe mode"),
        (_with_broken_config, "safe mode"),
        (_truncated, "must be a .keras archive"),
        (_text, "must be a .keras archive"),
        (_absent, "must be a file"),
    ],
)
@pytest.mark.parametrize("command", ["swap", "fold"])
def test_bad_files_end_in_one_line_and_status_2(
    write: object,
    words: str,
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, out = tmp_path / "model.keras", tmp_path / "new.keras"
    write(path)
    norm = ("--norm", "none") if command == "swap" else ()
    assert _normlab(monkeypatch, command, path, *norm, "--out", out) == 2
    message = capsys.readouterr().err
    assert words in message
    assert message.count("\n") == 1
    assert not out.exists()


def test_wrong_arguments_are_told_before_keras_is_imported(saved: Path) -> None:
    old = saved.with_name("old.keras")
    old.write_bytes(b"precious")
    cases = [
        (["swap", saved, "--norm", "no-such", "--out", saved.with_name("new.keras")], "choose one of none, batch"),
        (["swap", saved, "--norm", "batch", "--out", old], "--out must not exist yet"),
        (["fold", saved, "--out", saved.with_name("new.h5")], "--out must end in .keras, got"),
        (["fold", saved, "--out", saved.parent / "no" / "new.keras"], "folder that exists"),
        (["fold", saved, "--out", saved.with_name("new.keras"), "--data", "no.npz"], "--data must be a .npz file"),
    ]
    program = f"""
import sys
from normlab import cli
for arguments in {[list(map(str, arguments)) for arguments, _ in cases]!r}:
    sys.argv = ["normlab", *arguments]
    try:
        cli.main()
    except SystemExit as left:
        print(left.code, "keras" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:-1] == ["2 False"] * len(cases)
    for line, (_, words) in zip(done.stderr.splitlines(), cases, strict=True):
        assert words in line
    assert old.read_bytes() == b"precious"
