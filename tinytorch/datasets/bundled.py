"""Small real data that come with the course. Nothing is read before it is asked for, and nothing is downloaded."""

import gzip
from pathlib import Path

import numpy as np

_HERE = Path(__file__).parent


def load_digits():
    """1,797 handwritten digits by 13 writers, in the order of the original file.

    Returns (images, labels).
    images: float32 (1797, 8, 8), row by row from the top. A value is a count, 0 to 16: how many of the 4 x 4 black
        and white pixels behind it were black. Divide by 16 for ink between 0 and 1.
    labels: int64 (1797,), the digit 0 to 9.
    Source: Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, the test set, UCI Machine Learning
        Repository, https://doi.org/10.24432/C50P49, CC BY 4.0; see LICENSE-digits.md.
    """
    with np.load(_HERE / "digits.npz", allow_pickle=False) as data:
        return data["images"].astype(np.float32), data["labels"].astype(np.int64)


def digits_split():
    """The one split of the digits that the whole course uses: (train_indices, test_indices).

    train_indices: int64 (1437,), test_indices: int64 (360,), both in random order and without overlap.
    The same writers are in both parts. `np.arange(1437)` and `np.arange(1437, 1797)` is the harder split.
    """
    order = np.loadtxt(_HERE / "digits-split.txt", dtype=np.int64)
    return order[360:], order[:360]


def load_names():
    """English first names: (names, lists), two lists of equal length, in alphabetical order.

    lists: "f", "m" or "fm" for each name: on the list of female names, of male names, or on both.
    Source: Ward 2002, Moby Word II, in the form of stdlib's data sets, CC0; see LICENSES-text.md.
    """
    lines = (_HERE / "names.tsv").read_text(encoding="utf-8").splitlines()
    names, lists = zip(*(line.split("\t") for line in lines))
    return list(names), list(lists)


def load_moby_dick():
    """The text of "Moby-Dick; or, The Whale", a string of 1.2 million characters: chapters 1 to 135.

    Source: Melville 1851, in the public domain, in the form of stdlib's data sets, CC0; see LICENSES-text.md.
    """
    with gzip.open(_HERE / "moby-dick.txt.gz", "rt", encoding="utf-8", newline="") as file:
        return file.read()
