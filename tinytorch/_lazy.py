"""Names that are looked up when they are first used, so that a package of which only some modules are built imports."""

import importlib
import sys


def lazy(namespace, targets, submodules=()):
    """`(__getattr__, __dir__, __all__)` for the module whose `globals()` are `namespace`; see PEP 562.

    targets: dictionary from the module that defines names to a tuple of these names.
    submodules: modules below this one, found as attributes; `import *` leaves them out, for one is called `random`.
    """
    module = namespace["__name__"]
    owners = {name: target for target, names in targets.items() for name in names}

    def find(name):
        if name in owners:
            value = getattr(importlib.import_module(owners[name]), name)
        elif name in submodules:
            value = importlib.import_module(f"{module}.{name}")
        else:  # with `obj`, Python suggests a name that exists
            raise AttributeError(f"module {module!r} has no attribute {name!r}", name=name, obj=sys.modules[module])
        namespace[name] = value
        return value

    def names():
        return sorted({*namespace, *owners, *submodules})

    return find, names, list(owners)
