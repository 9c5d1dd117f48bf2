"""Everything wrong that `normlab run` may be given: a folder of wrong files, and what must be said about each case."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np

from normlab.data.catalog import DATASETS

ROWS = 60


def _table(path: Path, change: Callable[[list[list[str]]], None] = lambda rows: None) -> None:
    rng = np.random.default_rng(0)
    rows = [["a", "b", "y"]] + [
        [f"{a:.3f}", f"{b:.3f}", "pq"[i % 2]] for i, (a, b) in enumerate(rng.normal(size=(ROWS, 2)))
    ]
    change(rows)
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")


def _set(row: int, column: int, value: str) -> Callable[[list[list[str]]], None]:
    def change(rows: list[list[str]]) -> None:
        rows[row][column] = value

    return change


def _one_class(rows: list[list[str]]) -> None:
    for row in rows[1:]:
        row[2] = "p"


def write_wrong_files(folder: Path) -> None:
    """All the wrong files that the cases below name."""
    _table(folder / "good.csv")
    _table(folder / "text.csv", _set(3, 0, "abc"))
    _table(folder / "missing.csv", _set(4, 1, ""))
    _table(folder / "nan.csv", _set(4, 1, "NaN"))
    _table(folder / "one.csv", _one_class)
    _table(folder / "rare.csv", _set(7, 2, "r"))
    x, y = np.random.default_rng(0).normal(size=(ROWS, 2)), np.arange(ROWS) % 2
    parts = {"x_train": x, "y_train": y, "x_test": x, "y_test": y}
    np.savez(folder / "absent.npz", **(parts | {"y_test": y * 0}))
    np.savez(folder / "nan.npz", x=np.where(x == x[5, 1], np.nan, x), y=y)
    (folder / "broken.npz").write_bytes(b"PK")
    (folder / "folder.csv").mkdir()
    for name, content in TOML.items():
        (folder / f"{name}.toml").write_text(content, encoding="utf-8")
    for name in ("altered", "truncated", "empty"):
        (folder / name).mkdir()
    idx = DATASETS["mnist"].contents[0]
    zipped = gzip.compress(bytes(idx.num_bytes), 1)
    for name, content in (("altered", zipped), ("truncated", zipped[: len(zipped) // 2])):
        for other in DATASETS["mnist"].contents:
            (folder / name / f"{other.name}.gz").write_bytes(content)


TOML = {
    "unknown": "learning_rate = 1",
    "unknown-arm": 'arms = ["none", {norm = "batch", width = 3}]',
    "broken": "seeds = ",
    "twice": 'arms = ["none", "none"]',
    "network": "network = 3",
    "text-rate": 'rates = "0.1"',
    "two-lines": 'arms = ["none", {norm = "batch", name = "a\\nb"}]',
}
MNIST_SHA256 = DATASETS["mnist"].contents[0].sha256
# What is given to `normlab run`, and what the line must say: rule, value received, next action.
WRONG: dict[str, tuple[tuple[str, ...], str, str, str]] = {
    "data set": (("--data", "minst"), "data must be a known name", "'minst'", "choose one of digits, breast-cancer"),
    "model": (("--model", "mpl"), "model must be a known name", "'mpl'", "choose one of mlp"),
    "norm": (("--arms", "none,bathc"), "norm must be a known name", "'bathc'", "choose one of none, batch"),
    "empty norm": (("--arms", ""), "norm must be a known name", "''", "choose one of none, batch"),
    "one arm": (("--arms", "none"), "at least two arms", "['none']", "add one"),
    "same arm twice": (("--arms", "batch,batch"), "different names", "['batch', 'batch']", "give each its own"),
    "optimizer": (("--optimizer", "sdg"), "'sgd', 'momentum', 'adam' or 'adamw'", "'sdg'", "change optimizer"),
    "activation": (("--activation", "rleu"), "activation must be a known name", "'rleu'", "choose one of relu"),
    "initializer": (("--initializer", "he"), "initializer must be a known name", "'he'", "choose one of he_normal"),
    "placement": (("--placement", "in"), "placement must be a known name", "'in'", "choose one of before, after"),
    "schedule": (("--schedule", "cos"), "'constant', 'cosine' or 'step'", "'cos'", "change schedule"),
    "warm-up of all epochs": (("--warmup", "10"), "warmup must be shorter than the training", "10.0", "shorten the"),
    "label smoothing": (("--label-smoothing", "1"), "label_smoothing must be less than 1", "1.0", "change label"),
    "label smoothing of a regression": (
        ("--data", "good.csv", "--target", "a", "--label-smoothing", "0.1"),
        "label_smoothing must be 0 for regression",
        "0.1",
        "leave it out",
    ),
    "augmentation": (("--augment", "mirror"), "'none', 'flip', 'crop' or 'flip-crop'", "'mirror'", "change augment"),
    "augmentation of a table": (
        ("--data", "good.csv", "--target", "y", "--augment", "flip"),
        "augment must be none unless inputs are images",
        "flip for inputs of shape (2,)",
        "leave it out",
    ),
    "missing values": (("--missing", "median"), "'error', 'drop', 'mean' or 'category'", "'median'", "change missing"),
    "target of a name": (("--target", "y"), "target must be left out", "'y'", "leave target out"),
    "rate as text": (("--rates", "fast"), "--rates must be tuned or numbers", "'fast'", "give 0.001,0.01"),
    "no rate": (("--rates", ""), "--rates must be tuned or numbers", "''", "give 0.001,0.01"),
    "tuned and a rate": (("--rates", "tuned,0.1"), "--rates must be tuned or numbers", "'tuned,0.1'", "give 0.001"),
    "rate of zero": (("--rates", "0"), "every rate must be a positive number", "0.0", "give rates such as"),
    "negative rate": (("--rates", "0.1,-1"), "every rate must be a positive number", "-1.0", "give rates such as"),
    "rate nan": (("--rates", "nan"), "every rate must be a positive number", "nan", "give rates such as"),
    "rate inf": (("--rates", "inf"), "every rate must be a positive number", "inf", "give rates such as"),
    "rate twice": (("--rates", "0.1,0.10"), "rates must differ", "[0.1, 0.1]", "name each rate once"),
    "no seeds": (("--seeds", "0"), "seeds must be greater than or equal to 1", "0", "change seeds"),
    "negative seeds": (("--seeds", "-3"), "seeds must be greater than or equal to 1", "-3", "change seeds"),
    "seeds as a word": (("--seeds", "many"), "seeds must be a whole number or auto", "'many'", "such as 10 or auto"),
    "auto at several rates": (
        ("--seeds", "auto", "--rates", "0.1,0.2"),
        "seeds can be auto only where rates are tuned or one is given",
        "2 rates",
        "give one rate, or a number of seeds",
    ),
    "a budget of a number": (
        ("--max-seeds", "20"),
        "max_seeds must be left out unless seeds is auto",
        "20",
        "leave it",
    ),
    "a budget below the first look": (
        ("--seeds", "auto", "--max-seeds", "9"),
        "max_seeds must be greater than or equal to 10",
        "9",
        "change max_seeds",
    ),
    "probe": (("--probes", "gradient"), "probe must be a known name", "'gradient'", "choose one of activations"),
    "no probe": (("--probes", ""), "probe must be a known name", "''", "choose one of activations"),
    "probe twice": (
        ("--probes", "memory,memory"),
        "probes must differ",
        "['memory', 'memory']",
        "name each probe once",
    ),
    "probe without a layer": (
        ("--probes", "statistics-gap", "--widths", "8", "--arms", "none,layer"),
        "statistics-gap needs a layer with running statistics",
        "(in each of the arms none, layer)",
        "measure a network with batch norm or its kin",
    ),
    "probe without a second batch": (
        ("--probes", "companions", "--widths", "8", "--batch-size", "600"),
        "companions needs at least two batches, 1200 samples",
        "1079 samples (in each of the arms none, batch)",
        "give more samples or a smaller batch size",
    ),
    "no tuning seeds": (("--tuning-seeds", "0"), "tuning_seeds must be greater", "0", "change tuning_seeds"),
    "no epochs": (("--epochs", "0"), "epochs must be greater than or equal to 1", "0", "change epochs"),
    "batch size of zero": (("--batch-size", "0"), "batch_size must be greater", "0", "change batch_size"),
    "split seed": (("--split-seed", "-1"), "split_seed must be greater", "-1", "change split_seed"),
    "width of zero": (("--widths", "0"), "each from 1 to 100,000", "[0]", "give counts such as 300,100"),
    "no width": (("--widths", ""), "--widths must be whole numbers", "''", "give 300,100"),
    "half a width": (("--widths", "8.5"), "--widths must be whole numbers", "'8.5'", "give 300,100"),
    "margin of zero": (("--margin", "0"), "margin must be greater than 0", "0.0", "change margin"),
    "reach above one": (("--reach", "1.5"), "reach must be an accuracy of at most 1", "1.5", "give a share such as"),
    "batch beyond the part": (("--batch-size", "1080"), "at most the 1079 samples", "1080", "smaller --batch-size"),
    "last batch of one": (("--batch-size", "77"), "at least two samples", "a last batch of one (1079", "such as 76"),
    "batch of one": (("--batch-size", "1"), "at least two samples", "batch size 1 with a batch of one", "such as 3"),
    "no data file": (("--data", "nowhere.csv"), "the data file must exist", "nowhere.csv", "check the path"),
    "folder as data": (("--data", "folder.csv"), "the data file must exist", "folder.csv", "check the path"),
    "folder without ending": (("--data", "."), "data must be a known name or a path", "'.'", "give such a path"),
    "no target": (("--data", "good.csv"), "target must be a column of good.csv", "none", "choose one of 'a', 'b', 'y'"),
    "other target": (("--data", "good.csv", "--target", "z"), "target must be a column", "'z'", "choose one of 'a'"),
    "text in numbers": (
        ("--data", "text.csv", "--target", "y"),
        "column 'a' must hold numbers alike, or text",
        "'abc' in row 3",
        "correct these cells",
    ),
    "missing cell": (("--data", "missing.csv", "--target", "y"), "no missing values", "1 in 'b'", "missing='drop'"),
    "nan in a table": (("--data", "nan.csv", "--target", "y"), "no missing values", "row 4", "missing='drop'"),
    "nan in arrays": (
        ("--data", "nan.npz"),
        "x must hold finite numbers",
        "(nan) at (5, 1)",
        "correct, fill or remove",
    ),
    "broken archive": (("--data", "broken.npz"), "must be a readable .npz file", "BadZipFile", "write it again"),
    "one class": (("--data", "one.csv", "--target", "y"), "at least 2 classes", "only 'p'", "two or more classes"),
    "rare class": (
        ("--data", "rare.csv", "--target", "y"),
        "every class must have at least 3",
        "'r' with 1",
        "add samples",
    ),
    "absent class": (("--data", "absent.npz"), "every class must be in every part", "'1' in the test part", "add some"),
    "no files": (
        ("--data", "mnist", "--data-dir", "empty"),
        "files of mnist must be in",
        "no train-images",
        "data get",
    ),
    "no folder": (
        ("--data", "mnist", "--data-dir", "nope"),
        "files of mnist must be in",
        "no train-images",
        "data get",
    ),
    "truncated file": (
        ("--data", "mnist", "--data-dir", "truncated"),
        "truncated/train-images-idx3-ubyte.gz must be readable to its end",
        "EOFError",
        "get it again",
    ),
    "altered file": (
        ("--data", "mnist", "--data-dir", "altered"),
        f"altered/train-images-idx3-ubyte.gz must have SHA-256 {MNIST_SHA256}",
        "",
        "get it again",
    ),
    "no network": (("--data", "mnist"), "a mirror of mnist must serve", "127.0.0.1", "with a network connection"),
    "no study file": (("nowhere.toml",), "study file must be readable", "nowhere.toml (No such file", "check its path"),
    "folder as study file": ((".",), "study file must be readable", "Is a directory", "check its path"),
    "broken study file": (("broken.toml",), "study file must be valid TOML", "broken.toml: ", "mend that line"),
    "unknown setting": (("unknown.toml",), "every setting must be a known one", "learning_rate", "choose among data"),
    "unknown setting of an arm": (
        ("unknown-arm.toml",),
        "every setting must be a known one",
        "width in an arm",
        "norm, name",
    ),
    "arms of one name in a file": (("twice.toml",), "arms must have different names", "['none', 'none']", "its own"),
    "network as a number": (("network.toml",), "network must be", "3", "change network"),
    "rate as text in a file": (("text-rate.toml",), "rates must be tuned or numbers", "'0.1'", "give rates such as"),
    "name over two lines": (("two-lines.toml",), "must be one line of text", "'a\\nb'", "choose another name"),
}
