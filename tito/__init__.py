"""The course's one tool. `tito.here()` is the first cell of every student notebook."""

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

    Raises: RuntimeError outside a workspace, or when another tinytorch was imported before.
    """
    workspace = find_workspace()
    if workspace is None:
        raise RuntimeError(f"no tito workspace above {Path.cwd()}; open this notebook inside one, or run: tito init")
    if not (workspace / WORKSPACE_MARK).is_dir():
        raise RuntimeError(f"TITO_OVERLAY is {workspace}, which is not a tito workspace; unset it, or run: tito init")
    package = workspace / "tinytorch"
    loaded = sys.modules.get("tinytorch")
    if loaded is not None and Path(loaded.__file__).resolve().parent != package.resolve():
        raise RuntimeError(
            f"this kernel already imported tinytorch from {loaded.__file__}, which is not yours; "
            "restart the kernel and run this cell first"
        )
    if not (package / "__init__.py").exists():
        raise RuntimeError(f"there is no package at {package}; run: tito doctor")
    path = str(workspace)
    sys.path[:] = [path, *(entry for entry in sys.path if entry != path)]
    os.environ["PYTHONPATH"] = path
    print(f"tinytorch is yours: {package}")
