"""What PyTorch keeps under `utils`: here, the data."""

from tinytorch._lazy import lazy

_NAMES = {}
_SUBMODULES = ("data",)
__getattr__, __dir__, __all__ = lazy(globals(), _NAMES, _SUBMODULES)
