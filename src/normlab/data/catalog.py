"""The data sets that have a name: where each comes from, and the SHA-256 of its contents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from normlab.data.dataset import Task


@dataclass(frozen=True)
class Content:
    """One file's contents once unzipped; the gzip or tar wrapper around them is not checked."""

    name: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True)
class Source:
    """A named data set.

    Args:
        task: Classification or regression.
        kind: How it is read: from scikit-learn, idx files, or the CIFAR-10 binary layout.
        num_samples: Of the training, validation and test part.
        input_shape: Of one sample.
        classes: Names of the classes.
        origin: One sentence on where it comes from, with the citation.
        licence: What it may be used under.
        contents: What its files hold.
        downloads: Names of the files that the mirrors serve.
        mirrors: Addresses of folders that serve them, tried in this order.
    """

    task: Task
    kind: Literal["embedded", "idx", "cifar"]
    num_samples: tuple[int, int, int]
    input_shape: tuple[int, ...]
    classes: tuple[str, ...]
    origin: str
    licence: str
    contents: tuple[Content, ...] = ()
    downloads: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()


_DIGITS = tuple(str(digit) for digit in range(10))
_IDX_DOWNLOADS = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
# 16 (8) bytes of header, then 60,000 or 10,000 images of 784 bytes (labels of one byte).
_IDX_BYTES = (47_040_016, 60_008, 7_840_016, 10_008)
# 10,000 records of one label byte and 3,072 pixel bytes.
_CIFAR_BYTES = 30_730_000

DATASETS: dict[str, Source] = {
    "digits": Source(
        task="classification",
        kind="embedded",
        num_samples=(1079, 359, 359),
        input_shape=(8, 8),
        classes=_DIGITS,
        origin="Optical recognition of handwritten digits, test part (E. Alpaydin, C. Kaynak, UCI 1998), "
        "as shipped with scikit-learn.",
        licence="CC BY 4.0",
    ),
    "breast-cancer": Source(
        task="classification",
        kind="embedded",
        num_samples=(343, 113, 113),
        input_shape=(30,),
        classes=("malignant", "benign"),
        origin="Breast cancer Wisconsin, diagnostic (W. Wolberg, O. Mangasarian, N. Street, W. Street, UCI 1995), "
        "as shipped with scikit-learn.",
        licence="CC BY 4.0",
    ),
    "wine": Source(
        task="classification",
        kind="embedded",
        num_samples=(106, 36, 36),
        input_shape=(13,),
        classes=("class_0", "class_1", "class_2"),
        origin="Wine recognition (S. Aeberhard, M. Forina, UCI 1992), as shipped with scikit-learn.",
        licence="CC BY 4.0",
    ),
    "mnist": Source(
        task="classification",
        kind="idx",
        num_samples=(55_000, 5_000, 10_000),
        input_shape=(28, 28),
        classes=_DIGITS,
        origin="MNIST (Y. LeCun, C. Cortes, C. Burges; LeCun et al. 1998).",
        licence="CC BY-SA 3.0",
        contents=(
            Content(
                "train-images-idx3-ubyte",
                _IDX_BYTES[0],
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            ),
            Content(
                "train-labels-idx1-ubyte",
                _IDX_BYTES[1],
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
            Content(
                "t10k-images-idx3-ubyte",
                _IDX_BYTES[2],
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            ),
            Content(
                "t10k-labels-idx1-ubyte",
                _IDX_BYTES[3],
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        ),
        downloads=_IDX_DOWNLOADS,
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
    ),
    "fashion-mnist": Source(
        task="classification",
        kind="idx",
        num_samples=(55_000, 5_000, 10_000),
        input_shape=(28, 28),
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        origin="Fashion-MNIST (H. Xiao, K. Rasul, R. Vollgraf 2017, arXiv:1708.07747).",
        licence="MIT",
        contents=(
            Content(
                "train-images-idx3-ubyte",
                _IDX_BYTES[0],
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            ),
            Content(
                "train-labels-idx1-ubyte",
                _IDX_BYTES[1],
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            ),
            Content(
                "t10k-images-idx3-ubyte",
                _IDX_BYTES[2],
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            ),
            Content(
                "t10k-labels-idx1-ubyte",
                _IDX_BYTES[3],
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
        ),
        downloads=_IDX_DOWNLOADS,
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ),
    ),
    "cifar10": Source(
        task="classification",
        kind="cifar",
        num_samples=(45_000, 5_000, 10_000),
        input_shape=(32, 32, 3),
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        origin="CIFAR-10 (A. Krizhevsky, Learning multiple layers of features from tiny images, 2009).",
        licence="none stated; cite Krizhevsky 2009",
        contents=(
            Content(
                "data_batch_1.bin", _CIFAR_BYTES, "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"
            ),
            Content(
                "data_batch_2.bin", _CIFAR_BYTES, "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"
            ),
            Content(
                "data_batch_3.bin", _CIFAR_BYTES, "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"
            ),
            Content(
                "data_batch_4.bin", _CIFAR_BYTES, "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"
            ),
            Content(
                "data_batch_5.bin", _CIFAR_BYTES, "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"
            ),
            Content("test_batch.bin", _CIFAR_BYTES, "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
        ),
        downloads=("cifar-10-binary.tar.gz",),
        mirrors=("https://www.cs.toronto.edu/~kriz/",),
    ),
}
