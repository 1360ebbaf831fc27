"""A peer runs in a process of its own that stays alive and is asked for one thing at a time.

So no peer's import, allocator or threads disturb another, and yet they can be visited in turn. Every process makes the
settings of the memory allocator that importing tinytorch makes (`tinytorch/_memory.py`), or none does.
"""

import importlib.util
import math
import multiprocessing
import os
import platform
import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
PROVING = 3  # steps whose losses and gradients are compared
LOSS_TOLERANCE, NORM_TOLERANCE = 1e-4, 1e-3  # relative


class Peer:
    """The caller's side of a process that has loaded the file `path`."""

    def __init__(self, path):
        self.path, self.name = Path(path), Path(path).stem.removeprefix("peer_")
        spawn = multiprocessing.get_context("spawn")
        self.pipe, theirs = spawn.Pipe()
        self.process = spawn.Process(target=serve, args=(theirs, self.path), daemon=True)
        self.process.start()
        theirs.close()
        self.missing = self.receive()  # name of a library that it needs and that is not installed

    def ask(self, question, *details):
        """The answer of one of the functions in QUESTIONS."""
        self.pipe.send((question, details))
        return self.receive()

    def receive(self):
        try:
            return self.pipe.recv()
        except EOFError:
            sys.exit(f"peer {self.name} stopped; what it said stands above ({self.path})")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.pipe.close()  # which ends the process
        self.process.join()


def load(path):
    """The peer in the file `path` as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def serve(pipe, path):
    """The peer's side: answer until the caller closes the pipe."""
    sys.path.insert(0, str(ROOT))
    from tinytorch._memory import keep_freed_memory

    keep_freed_memory()
    try:
        peer = load(path)
    except ModuleNotFoundError as error:
        if error.name.split(".")[0] == "tinytorch":
            raise
        pipe.send(error.name)
        return
    pipe.send(None)
    while True:
        try:
            question, details = pipe.recv()
        except EOFError:
            return
        pipe.send(QUESTIONS[question](peer, *details))


def offers(peer, work):
    """Whether the peer can do this workload."""
    return hasattr(peer, type(work).__name__)


def start(peer, work):
    return getattr(peer, type(work).__name__)(work)


def evidence(peer, work):
    """Losses of the first steps, and for each of these the norms of the gradients."""
    import numpy as np

    run, losses, norms = start(peer, work), [], []
    for _ in range(PROVING):
        losses.append(run.step())
        norms.append([float(np.linalg.norm(g)) for g in run.gradients()])
    return losses, norms


def seconds(peer, work, steps):
    """Processor seconds of a step, in a new run that has made its first steps."""
    run = start(peer, work)
    for _ in range(PROVING):
        run.step()
    began = time.process_time()
    make_steps(run, steps)
    return (time.process_time() - began) / steps


def make_steps(run, steps):
    """That many steps, in one call where the peer has one for it."""
    if hasattr(run, "steps"):
        run.steps(steps)
        return
    for _ in range(steps):
        run.step()


def memory(peer, work, steps):
    """Bytes by which a training run raises the peak of the process's resident memory; None where it is not told."""
    _ = work.parameters, getattr(work, "batches", None)  # made before, for they are the same for every peer
    before = peak_resident()
    run = start(peer, work)
    make_steps(run, steps)
    return None if before is None else peak_resident() - before


def peak_resident():
    """What ru_maxrss says, but without the share that a process inherits from its parent. Linux only."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def facts(peer):
    """What the figures depend on besides the peers."""
    import numpy as np

    from tinytorch._memory import keep_freed_memory

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": f"{blas['name']} {blas['version']}",
        "threads": {name: os.environ.get(name) for name in THREADS},
        "freed_memory_kept": keep_freed_memory(),
        "tiny_add_us": tiny_add(np.ones(8, dtype=np.float32)) * 1e6,
    }


def processor():
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def tiny_add(a, count=2000):
    """Median seconds of `a + a`."""
    times = [time.process_time()]
    for _ in range(25):
        for _ in range(count):
            a + a
        times.append(time.process_time())
    return statistics.median(after - before for before, after in pairwise(times)) / count


def disagreements(got, expected):
    """Lines that say where losses and norms of a peer differ from the floor's; none if it does the same work."""
    lines = []
    for kind, tolerance, ours, theirs in zip(("loss", "norms"), (LOSS_TOLERANCE, NORM_TOLERANCE), got, expected):
        for step, (a, b) in enumerate(zip(ours, theirs), start=1):
            if not agree(a, b, tolerance):
                lines.append(f"step {step}, {kind}: {shown(a)}, and the floor has {shown(b)}")
    return lines


def agree(a, b, tolerance):
    if isinstance(b, list):
        return len(a) == len(b) and all(agree(x, y, tolerance) for x, y in zip(a, b))
    return math.isclose(a, b, rel_tol=tolerance)


def shown(value):
    return " ".join(f"{x:.6g}" for x in value) if isinstance(value, list) else f"{value:.6g}"


QUESTIONS = {f.__name__: f for f in (offers, evidence, seconds, memory, facts)}
