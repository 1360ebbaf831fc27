"""A small deep-learning framework on NumPy, built module by module in the course that carries it.

Names are looked up when they are first used, so that a package of which only some modules are built still imports.
"""

import importlib

__version__ = "0.1.0"

# name -> module that defines it
_NAMES = {
    "Tensor": "tinytorch.core.tensor",
    "concatenate": "tinytorch.core.tensor",
    "stack": "tinytorch.core.tensor",
    "where": "tinytorch.core.tensor",
    "default_generator": "tinytorch.random",
    "manual_seed": "tinytorch.random",
}
_SUBMODULES = ("core", "datasets", "random", "testing")
__all__ = [*_NAMES, *_SUBMODULES, "NotBuiltError"]


class NotBuiltError(ImportError):
    """A module of the course that is not built yet; the message says which and how to build or borrow it."""


def __getattr__(name):
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    elif name in _SUBMODULES:
        return importlib.import_module(f"tinytorch.{name}")
    else:
        raise AttributeError(f"module 'tinytorch' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
