"""The course's one tool. `tito.here()` is the first cell of every student notebook."""

import importlib.util
import os
import sys
from pathlib import Path

__version__ = "0.1.0"

WORKSPACE_MARK = ".tito"


def find_workspace(start=None):
    """`$TITO_OVERLAY`, else the nearest folder upwards with `.tito`; None where there is none."""
    named = os.environ.get("TITO_OVERLAY")
    if named:
        return Path(named).resolve()
    here = Path(start or Path.cwd()).resolve()
    return next((folder for folder in (here, *here.parents) if (folder / WORKSPACE_MARK).is_dir()), None)


def here():
    """Make `import tinytorch` mean the student's own package, and say where it is.

    Raises: RuntimeError outside a workspace, when another tinytorch was imported before, or when the package is the
    reference.
    """
    workspace = find_workspace()
    if workspace is None:
        raise RuntimeError(f"no tito workspace above {Path.cwd()}; open this notebook inside one, or run: tito init")
    if not (workspace / WORKSPACE_MARK).is_dir():
        raise RuntimeError(f"TITO_OVERLAY is {workspace}, which is not a tito workspace; unset it, or run: tito init")
    package = workspace / "tinytorch"
    if is_reference(package):
        raise RuntimeError(f"{package} is the course's reference, not yours; work in a folder made by: tito init")
    if not (package / "__init__.py").exists():
        raise RuntimeError(f"there is no package at {package}; run: tito doctor")
    for name, module in sorted(sys.modules.items()):
        if name == "tinytorch" or (name.startswith("tinytorch.") and getattr(module, "__file__", None)):
            _require_below(package, getattr(module, "__file__", None), f"this kernel already imported {name}")
    path = str(workspace)
    sys.path[:] = [path, *(entry for entry in sys.path if entry != path)]
    os.environ["PYTHONPATH"] = path
    importlib.invalidate_caches()
    spec = importlib.util.find_spec("tinytorch")
    _require_below(package, spec and spec.origin, "an import hook of this Python would take tinytorch")
    print(f"tinytorch is yours: {package}")


def is_reference(package):
    """Whether a package is what the course's modules were exported to, by whatever path it is reached."""
    package = Path(package).resolve()
    beside_course = (package.parent / "settings.ini").is_file() and (package.parent / "modules").is_dir()
    return beside_course or package == Path(__file__).resolve().parent.parent / "tinytorch"


def _require_below(package, file, what):
    if file is None or not Path(file).resolve().is_relative_to(package.resolve()):
        raise RuntimeError(
            f"{what} from {file or 'a place without a file'}, which is not yours; "
            "restart the kernel and run this cell first"
        )
