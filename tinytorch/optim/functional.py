"""Update rules as functions, `(w, dw, config=None) -> (next_w, config)`; module 06 of the course defines them."""

from tinytorch._lazy import lazy

_NAMES = {"tinytorch.core.optimizers": ("sgd", "sgd_momentum", "rmsprop", "adam")}
__getattr__, __dir__, __all__ = lazy(globals(), _NAMES)
