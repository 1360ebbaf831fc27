"""Optimizers under the names that PyTorch gives them; module 06 of the course defines them."""

from tinytorch._lazy import lazy

_NAMES = {"tinytorch.core.optimizers": ("Optimizer", "SGD", "RMSprop", "Adam", "AdamW", "Adagrad")}
_SUBMODULES = ("functional",)
__getattr__, __dir__, __all__ = lazy(globals(), _NAMES, _SUBMODULES)
