"""A small deep-learning framework on NumPy, built module by module in the course that carries it.

Names are looked up when they are first used, so that a package of which only some modules are built still imports.
Importing it sets the allocator of glibc for the whole process: see `tinytorch._memory`.
"""

from tinytorch._lazy import lazy
from tinytorch._memory import keep_freed_memory

__version__ = "0.1.0"

_NAMES = {
    "tinytorch.core.tensor": ("Tensor", "concatenate", "stack", "where"),
    "tinytorch.core.autograd": ("Variable", "no_grad"),
    "tinytorch.random": ("default_generator", "manual_seed"),
}
_SUBMODULES = (
    *("checkpoint", "core", "datasets", "nn", "optim", "random", "solver", "testing"),
    *("training_utils", "utils"),
)
__getattr__, __dir__, __all__ = lazy(globals(), _NAMES, _SUBMODULES)
__all__ += ["NotBuiltError"]


class NotBuiltError(ImportError):
    """A module of the course that is not built yet; the message says which and how to build or borrow it."""


keep_freed_memory()
