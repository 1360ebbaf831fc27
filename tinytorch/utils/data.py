"""Datasets, loaders and transforms under the names that PyTorch gives them; module 08 of the course defines them."""

from tinytorch._lazy import lazy

_NAMES = {
    "tinytorch.core.dataloader": (
        *("Dataset", "TensorDataset", "Subset", "DataLoader", "random_split"),
        *("collate", "shuffled_stream"),
        *("Compose", "Normalize", "RandomCrop", "RandomHorizontalFlip"),
    ),
}
__getattr__, __dir__, __all__ = lazy(globals(), _NAMES)
