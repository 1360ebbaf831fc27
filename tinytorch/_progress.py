"""Whether progress is drawn: where somebody looks, and tqdm is there to draw it."""

import sys
from importlib.util import find_spec


def somebody_looks():
    """Whether to draw bars: on a terminal, or in a notebook that has widgets."""
    return bool(find_spec("tqdm")) and (sys.stderr.isatty() or _in_notebook())


def _in_notebook():
    """Whether this process is the kernel of a notebook; that one of its libraries was imported says nothing."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel") and find_spec("ipywidgets") is not None
