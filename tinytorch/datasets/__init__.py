"""Small real data that come with the course. Nothing is read before it is asked for, and nothing is downloaded."""

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
