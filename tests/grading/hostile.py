"""Submissions that attack the grader, for the tiny course: what they do, and what has to come of it.

Names in capitals (FILE, PORT, ...) are where the canaries are; `test_hostile.py` defines them in front of the code.
All but the honest ones have a right 01-1, so that 5 points are what the honest part earns.
"""

import textwrap
from dataclasses import dataclass

ONLY_THE_FIRST = ("graded", 5, 0)
BOTH = ("graded", 5, 5)
LOOP = "while True:\n    pass"


@dataclass(frozen=True)
class Hostile:
    """`body` replaces that of task 01-2. expected: status, points of 01-1 and 01-2; of several any."""

    name: str
    body: str
    expected: tuple = (ONLY_THE_FIRST,)
    below: str = ""  # code that follows the function in the same cell, and so runs when the module is imported

    @property
    def may_run_long(self):
        return any(status == "timeout" for status, *_ in self.expected)

    @property
    def student(self):
        return f"{'s' if self.may_run_long else 'd'}-{self.name}"


def attempt(expression, setup=""):
    """A body that tells when it got through: by an exception, whose text stands in the feedback. Else it is wrong."""
    return (
        f"{setup}\ntry:\n    got = {expression}\nexcept Exception:\n    return x\n"
        'raise RuntimeError(f"ESCAPED {got!r}"[:1500])'
    )


def lost(status):
    """The task has no mark, and the submission this status."""
    return ((status, 5, None),)


# writes to every descriptor there is
TO_ALL = """
import os
def tell(data):
    for number in range(64):
        try:
            os.write(number, data)
        except OSError:
            pass
"""
# the job, with its seed and probes, from the frames below
JOB = """
import sys
def job():
    frame = sys._getframe()
    while frame:
        if isinstance(frame.f_locals.get("job"), dict):
            return frame.f_locals["job"]
        frame = frame.f_back
"""
SYSCALL = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def did(result):
    assert result >= 0
    return result
"""

# every file outside of Python's own library that is called as one of the course's or of a class
WALK = """
import os
found = []
for top in ("/tmp", "/home", "/root", "/work", "/package", "/inside", "/srv", "/opt", "/var"):
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if name not in ("lib", "include", "proc")]
        wanted = {"double_dev.py", "probes.py", "misconceptions.py", "gradebook.db", "double.ipynb"}.intersection(names)
        for name in wanted:
            try:
                found.append(open(os.path.join(folder, name), "rb").read(100))
            except OSError:
                pass
"""

TIME = [
    Hostile("endless", LOOP, lost("timeout")),
    Hostile(
        "endless-catching-all",
        "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass",
        lost("timeout"),
    ),
    Hostile(
        "endless-without-alarm", f"import signal\nsignal.setitimer(signal.ITIMER_REAL, 0)\n{LOOP}", lost("timeout")
    ),
    Hostile("endless-in-c", "return sum(range(10**12))", lost("timeout")),
    Hostile("asleep", "import time\ntime.sleep(10**6)", lost("timeout")),
    Hostile("endless-on-import", "return x", lost("timeout"), below=LOOP),
    Hostile(
        "endless-thread",
        "import threading\ndef spin():\n    while True:\n        pass\n"
        "threading.Thread(target=spin, daemon=True).start()\nreturn x",
    ),
]

MEMORY = [
    Hostile("list-without-end", "found = []\nwhile True:\n    found.append(bytearray(1 << 24))", lost("memory")),
    Hostile("large-array", "return np.ones(1 << 38)", lost("memory")),
    Hostile("maps", "import mmap\nfound = []\nwhile True:\n    found.append(mmap.mmap(-1, 1 << 26))"),
    Hostile(
        "threads-without-end",
        "import threading, time\nwhile True:\n    threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
        (ONLY_THE_FIRST, *lost("timeout"), *lost("memory")),
    ),
    Hostile("recursion", "import sys\nsys.setrecursionlimit(10**9)\ndef f(n):\n    return f(n + 1) + 1\nreturn f(0)",
            (ONLY_THE_FIRST, *lost("crashed"), *lost("memory"), *lost("timeout"))),
    Hostile("stack", "import sys\nsys.setrecursionlimit(10**9)\nfound = []\nfor _ in range(10**6):\n"
            "    found = [found]\nreturn repr(found)", (ONLY_THE_FIRST, *lost("crashed"), *lost("timeout"))),
]  # fmt: skip

DISK = [
    Hostile(
        "fill-the-disk",
        "for i in range(10**6):\n    with open(f'{i}', 'wb') as file:\n        file.write(bytes(1 << 20))\nreturn x",
        (ONLY_THE_FIRST, *lost("crashed")),
    ),
    Hostile("large-file", "with open('x', 'wb') as file:\n    while True:\n        file.write(bytes(1 << 20))"),
    Hostile(
        "many-files",
        "for i in range(1500):\n    open(f'{i}', 'w').close()\nreturn double(double(x))",
        (BOTH, *lost("timeout")),
    ),
    Hostile(
        "deep-folders",
        "import os\nfor i in range(1200):\n    os.mkdir('d')\n    os.chdir('d')\nreturn double(double(x))",
        (BOTH, *lost("timeout")),
    ),
    Hostile(
        "locked-folder",
        "import os\na = f'a{len(os.listdir())}'\nos.makedirs(f'{a}/b')\nopen(f'{a}/b/c', 'w').close()\n"
        "os.chmod(f'{a}/b', 0)\nos.chmod(a, 0)\nreturn double(double(x))",
        (BOTH,),
    ),
]

PROCESSES = [
    Hostile("fork", attempt("os.fork() or os._exit(0)", "import os")),
    Hostile("fork-bomb", "import os\nwhile True:\n    os.fork()"),
    Hostile("vfork-by-number", attempt("did(libc.syscall(58))", SYSCALL)),
    Hostile("clone-by-number", attempt("did(libc.syscall(56, 17, 0, 0, 0, 0))", SYSCALL)),
    Hostile("program", attempt("subprocess.run(['/bin/true'], check=True)", "import subprocess")),
    Hostile("shell", attempt("1 / (os.system('true') == 0)", "import os")),
    Hostile("exec", attempt("os.execv('/bin/true', ['true'])", "import os")),
    Hostile("spawn", attempt("os.posix_spawn('/bin/true', ['true'], {})", "import os")),
    Hostile("multiprocessing", attempt("mp.Pool(2).map(abs, [1])", "import multiprocessing as mp")),
    Hostile("kill-parent", attempt("os.kill(os.getppid(), 9)", "import os")),
    Hostile("stop-parent", attempt("os.kill(os.getppid(), signal.SIGSTOP)", "import os, signal")),
    Hostile("kill-all", attempt("os.kill(-1, 9)", "import os")),
    Hostile("kill-group", attempt("os.killpg(os.getpgid(os.getppid()), 9)", "import os")),
    Hostile("signal-by-descriptor", attempt(
        "(fcntl.fcntl(r, 10, 9), fcntl.fcntl(r, 8, os.getppid()))", "import fcntl, os\nr, w = os.pipe()")),
    Hostile("limit-parent", attempt(
        "resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (0, 0))", "import resource, os")),
    Hostile("slow-parent", attempt("os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)", "import os")),
    Hostile("trace-parent", attempt("did(libc.ptrace(16, os.getppid(), 0, 0))", f"import os\n{SYSCALL}")),
    Hostile("memory-of-parent", attempt("open(f'/proc/{os.getppid()}/mem', 'rb').read(1)", "import os")),
    Hostile("descriptors-of-parent", attempt(
        "[os.readlink(f'/proc/{os.getppid()}/fd/{n}') for n in range(3)]", "import os")),
    Hostile("exit", "import os\nos._exit(3)", lost("crashed")),
    Hostile("exit-as-if-done", f"{TO_ALL}\ntell(b'{{\"whole\": true}}\\n')\nos._exit(0)", lost("crashed")),
    Hostile("exit-on-import", "return x", lost("crashed"), below="import os\nos._exit(0)"),
    Hostile("segfault", "import ctypes\nctypes.string_at(0)", lost("crashed")),
    Hostile("abort", "import os\nos.abort()", lost("crashed")),
    Hostile("kill-itself", "import os\nos.kill(os.getpid(), 9)", lost("memory")),
    Hostile("system-exit", "import sys\nsys.exit(0)"),
    Hostile("keyboard-interrupt", "raise KeyboardInterrupt"),
]  # fmt: skip

OUTPUT = [
    Hostile("print-flood", "for i in range(2000):\n    print('x' * 50000)\nreturn x"),
    Hostile("stderr-flood", "import os\nfor i in range(2000):\n    os.write(2, bytes(50000))\nreturn x"),
    Hostile("flood-of-frames", f"{TO_ALL}\nwhile True:\n    tell(b' ' * 60000)", (("tampered", None, None),)),
    Hostile("garbage", f"{TO_ALL}\ntell(b'this is no frame\\n')\nreturn x", (("tampered", None, None),)),
    Hostile(
        "deep-frame", f"{TO_ALL}\ntell(b'[' * 100000 + b'\\n')\nreturn x", (("tampered", None, None),)
    ),
    Hostile(
        "infinite-seed", f"{TO_ALL}\ntell(b'{{\"task\": \"01-2\", \"seed\": 1e999}}\\n')\nreturn x",
        (("tampered", None, None),),
    ),
    Hostile(
        "forged-end",
        f"import json\n{TO_ALL}\n{JOB}\nkey = {{'task': '01-2', 'seed': job()['seeds'][0]}}\n"
        "tell((json.dumps({**key, 'end': True, 'error': None}) + '\\n').encode())\nreturn x",
        (("tampered", None, None),),
    ),
    Hostile(
        "forged-value",
        f"import json\n{TO_ALL}\n{JOB}\nkey = {{'task': '01-2', 'seed': job()['seeds'][0]}}\n"
        "for name in ('a number', 'an array'):\n"
        "    frame = {**key, 'name': name, 'value': {'plain': True}, 'ok': True, 'points': 5}\n"
        "    tell((json.dumps(frame) + '\\n').encode())\nreturn x",
    ),
    Hostile(
        "forged-other-task", f"{TO_ALL}\ntell(b'{{\"task\": \"02-1\", \"seed\": 0, \"end\": true}}\\n')\nreturn x",
        (("tampered", None, None),),
    ),
    Hostile(
        "forged-tests",
        f"{TO_ALL}\nfor text in (b'{{\"test\": 5}}', b'{{\"test\": {{\"done\": [1], \"status\": {{}}}}}}'):\n"
        "    tell(text + b'\\n')\nreturn x",
        (("tampered", None, None), ONLY_THE_FIRST),
    ),
    Hostile("forged-result-file", "for name in ('result.json', 'marks.json', '../result.json'):\n    try:\n"
            "        open(name, 'w').write('{\"points\": 5}')\n    except OSError:\n        pass\nreturn x"),
    Hostile("control-characters", "raise ValueError('\\x1b[2J\\x1b[31m \\u202e <script>alert(1)</script>')"),
]  # fmt: skip

CHECKS = [
    Hostile("allclose", "np.allclose = np.array_equal = lambda *a, **k: True\nreturn x"),
    Hostile("numpy-inside", "np.asarray = np.array = lambda *a, **k: x\nnp.ndarray.__eq__ = 1\nreturn x"),
    Hostile("isinstance", "import builtins\nbuiltins.isinstance = lambda *a: True\nreturn x",
            (ONLY_THE_FIRST, *lost("crashed"))),
    Hostile("builtins", "import builtins\nfor name in ('len', 'str', 'abs', 'compile', 'exec'):\n"
            "    setattr(builtins, name, lambda *a, **k: x)\nreturn x",
            (ONLY_THE_FIRST, *lost("crashed"))),
    Hostile("assert", "import ast\nast.parse = lambda *a, **k: ast.Module([], [])\nreturn x"),
    Hostile("ipython", "get_ipython().ast_transformers.append(lambda tree: None)\nreturn x"),
    Hostile("testing", "import tinytorch.testing as t\nt.check = t.check_close = lambda *a, **k: None\nreturn x"),
    Hostile("json", "import json\njson.dumps = lambda *a, **k: '{\"ok\": true}'\nreturn x",
            (("tampered", None, None), ONLY_THE_FIRST, *lost("crashed"))),
    Hostile("encode", "import sys\nmain = sys.modules['__main__']\n"
            "main.encode = lambda value: {'plain': True}\nreturn x"),
    Hostile("sys-modules", "import sys\nfor name in list(sys.modules):\n"
            "    if name.startswith(('tinytorch', 'worker', 'guards', 'json')):\n"
            "        del sys.modules[name]\nreturn x"),
    Hostile("import-hook", "import sys\nclass Hook:\n    @staticmethod\n    def find_spec(*a):\n"
            "        raise SystemExit(0)\nsys.meta_path.insert(0, Hook)\nsys.modules.pop('json', None)\nreturn x",
            (ONLY_THE_FIRST, *lost("crashed"))),
    Hostile("atexit", "import atexit\natexit.register(print, 'x')\nimport os\nos._exit = lambda code: None\nreturn x",
            (ONLY_THE_FIRST, *lost("crashed"))),
    Hostile("signals", "import signal\nfor n in range(1, 32):\n    try:\n        signal.signal(n, lambda *a: None)\n"
            "    except (OSError, ValueError):\n        pass\nreturn x"),
    Hostile("draws", f"{JOB}\nimport numpy.random as r\nr.default_rng = lambda *a: None\nreturn x"),
    Hostile("limits", attempt("resource.setrlimit(resource.RLIMIT_AS, (1 << 60, 1 << 60))", "import resource")),
]  # fmt: skip

VALUES = [
    Hostile("huge-array", "return np.zeros(10**7)"),
    Hostile("nan", "return np.full(np.shape(x), np.nan)"),
    Hostile("infinite", "return np.full(np.shape(x), np.inf)"),
    Hostile("objects", "return np.full(np.shape(x), None, dtype=object)"),
    Hostile("records", "return np.zeros(np.shape(x), dtype='f8,i4')"),
    Hostile("complex", "return np.asarray(x) * 4j"),
    Hostile("subclass", "class Liar(np.ndarray):\n    def __eq__(self, other):\n        return True\n"
            "    def tobytes(self, *a):\n        return b''\n    def astype(self, *a, **k):\n        return self\n"
            "return np.asarray(x).view(Liar)"),
    Hostile("equal-to-all", "class Liar:\n    def __eq__(self, other):\n        return True\n"
            "    def __array__(self, *a, **k):\n        raise SystemExit\nreturn Liar()"),
    Hostile("float-subclass", "class Liar(float):\n    def __array__(self, *a, **k):\n        return np.zeros(10**9)\n"
            "return Liar(4)"),
    Hostile("text-subclass", "class Liar(str):\n    def __getitem__(self, key):\n        return [self] * 1000\n"
            "return Liar('x')"),
    Hostile("endless-list", "class Liar(list):\n    def __len__(self):\n        return 1\n"
            "    def __iter__(self):\n        while True:\n            yield 1\nreturn Liar()",
            (*lost("memory"), *lost("timeout"), ONLY_THE_FIRST)),
    Hostile("in-itself", "found = []\nfound.append(found)\nreturn found"),
    Hostile("nothing", "pass"),
]  # fmt: skip

SECRETS = [
    Hostile("read-file", attempt("open(FILE).read()")),
    Hostile("read-by-link", attempt("os.symlink(FILE, 'link') or open('link').read()", "import os")),
    Hostile("read-by-hard-link", attempt("os.link(FILE, 'link') or open('link').read()", "import os")),
    Hostile("passwords", attempt("open('/etc/passwd').read()")),
    Hostile("gradebook", attempt("open(GRADEBOOK, 'rb').read(100)")),
    Hostile("gradebook-write", attempt(
        "sqlite3.connect(GRADEBOOK).execute('UPDATE grade SET auto_score = 100').fetchall()", "import sqlite3")),
    Hostile("another-submission", attempt("open(OTHER).read()")),
    Hostile("results", attempt("open(RESULT).read()")),
    Hostile("reference", attempt("[open(path).read() for path in REFERENCE]")),
    Hostile("reference-anywhere", attempt("1 / len(found)", WALK)),
    Hostile("reference-by-import", attempt(
        "importlib.reload(importlib.import_module('tinytorch.core.double')).quadruple(x) / 0", "import importlib")),
    Hostile("tool", attempt("importlib.import_module('tito.course')", "import importlib")),
    Hostile("environment", attempt("1 / len([v for v in os.environ.values() if CANARY in v])", "import os")),
    Hostile("environment-of-others", attempt(
        "1 / len([p for p in glob.glob('/proc/*/environ') if open(p, 'rb').read()])", "import glob")),
    Hostile("own-memory-file", attempt("open('/proc/self/mem', 'rb').read(1)")),
    Hostile("reference-of-siblings", "import inspect\nraise RuntimeError(inspect.getsource(double))"),
    Hostile("shared-memory", attempt("SharedMemory(create=True, size=99).name",
            "from multiprocessing.shared_memory import SharedMemory")),
    Hostile("system-v-memory", attempt("did(libc.shmget(1234, 4096, 0o1666))", SYSCALL)),
]  # fmt: skip

NETWORK = [
    Hostile("tcp", attempt("socket.create_connection(('127.0.0.1', PORT), 1)", "import socket")),
    Hostile("udp", attempt(
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT))", "import socket")),
    Hostile("local-socket", attempt("socket.socketpair()", "import socket")),
    Hostile("look-up", attempt(
        "socket.getaddrinfo('localhost', 80, type=socket.SOCK_DGRAM) and socket.socket()", "import socket")),
    Hostile("download", attempt(
        "urllib.request.urlopen(f'http://127.0.0.1:{PORT}', timeout=1)", "import urllib.request")),
]  # fmt: skip

KERNEL = [
    Hostile("mount", attempt("did(libc.mount(b'none', b'/', b'tmpfs', 0, None))", SYSCALL)),
    Hostile("namespaces", attempt("did(libc.unshare(0x10000000))", SYSCALL)),
    Hostile("root", attempt("os.setuid(0) or open('/etc/shadow').read()", "import os")),
    Hostile("io-uring", attempt("did(libc.syscall(425, 8, bytes(200)))", SYSCALL)),
    Hostile("anonymous-file", attempt("os.memfd_create('x')", "import os")),
    Hostile("other-numbers", attempt("did(libc.syscall(0x40000000 + 57))", SYSCALL)),
    Hostile("device", attempt("os.mknod('zero', 0o20666, os.makedev(1, 5))", "import os")),
]

# one after the other in one sandbox: the first leaves something, the others look for it
LEAVE = """
import os, threading
for folder in PLACES:
    for name in ("left", ".left"):
        try:
            open(os.path.join(folder, name), "w").close()
        except OSError:
            pass
np.left = os.left = threading.left = "HONEST" + "WORK"
os.environ["LEFT"] = "HONEST" + "WORK"
return double(double(x))
"""
LOOK = """
import gc, os, sys
left = chr(72) + "ONESTWORK"
found = [name for folder in PLACES if os.path.isdir(folder) and os.access(folder, os.R_OK)
         for name in os.listdir(folder) if name in ("left", ".left")]
found += [value for value in (getattr(np, "left", 0), getattr(os, "left", 0), os.environ.get("LEFT")) if value]
found += [o for o in gc.get_objects() if isinstance(o, (dict, list, tuple)) and left in str(o)[:10**6]]
"""
IN_ORDER = [Hostile("1-leaves", LEAVE, (BOTH,)), Hostile("2-looks", attempt("1 / len(found)", LOOK))]

ALL = [*TIME, *MEMORY, *DISK, *PROCESSES, *OUTPUT, *CHECKS, *VALUES, *SECRETS, *NETWORK, *KERNEL]


def source(hostile, facts):
    """The cell of task 01-2 as this student hands it in."""
    body = textwrap.indent(hostile.body.strip("\n"), "    ")
    known = "".join(f"{name} = {value!r}\n" for name, value in facts.items())
    return f"#| export\n{known}\ndef quadruple(x):\n{body}\n\n{hostile.below}\n"
