"""Data for the course: small real data that come with it, larger ones that are found or fetched, and made-up tasks.

Nothing is read before it is asked for. `python -m tinytorch.datasets` says what is where, and brings what is missing.
"""

from tinytorch._lazy import lazy

_NAMES = {
    "tinytorch.datasets.bundled": ("load_digits", "digits_split", "load_names", "load_moby_dick"),
    "tinytorch.datasets.images": (
        *("load_mnist", "load_fashion_mnist", "load_cifar10", "read_idx", "read_cifar10"),
        *("FASHION_MNIST_CLASSES", "CIFAR10_CLASSES"),
    ),
    "tinytorch.datasets.reasoning": ("object_tracking", "pair_matching", "babi_simple", "nth_farthest"),
    "tinytorch.datasets.files": ("DatasetError", "data_folder"),
}
__getattr__, __dir__, __all__ = lazy(globals(), _NAMES)
