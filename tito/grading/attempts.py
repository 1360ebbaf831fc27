"""What a level of isolation is proved with: hostile code that runs inside, as a module's probes would.

Each function tries one thing that student code must not be able to do, and returns what it got, or raises. `facts.json`
in the folder of the job says where the canaries are. Nothing of tito can be imported here.
"""

import ctypes
import glob
import json
import os
import signal
import socket
import sys
import threading

with open("facts.json", encoding="utf-8") as file:
    FACTS = json.load(file)


def read_a_file_outside():
    return _read(FACTS["file"])


def read_the_reference():
    found = [path for path in FACTS["reference"] if _can(_read, path)]
    return _or_refused(found)


def read_the_environment():
    return _or_refused([value for value in os.environ.values() if FACTS["canary"] in value])


def write_outside():
    for path in (FACTS["written"], os.path.join(os.path.dirname(sys.modules["tinytorch"].__file__), "written")):
        if _can(_write, path):
            return path
    raise PermissionError


def change_the_kernel():
    paths = ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/mm/transparent_hugepage/enabled")
    return _or_refused([path for path in paths if _can(_append_nothing, path)])


def open_a_socket():
    with socket.create_connection(("127.0.0.1", FACTS["port"]), timeout=1) as connection:
        connection.sendall(b"canary")


def see_other_processes():
    lines = []
    for path in glob.glob("/proc/[0-9]*/cmdline") + glob.glob("/proc/[0-9]*/environ"):
        if _can(_read, path):
            lines.append(_read(path))
    return _or_refused([line for line in lines if FACTS["canary"] in line])


def start_a_process():
    if os.fork() == 0:
        os._exit(0)


def run_a_program():
    os.posix_spawn(sys.executable, [sys.executable, "-V"], {})


def signal_the_parent():
    os.kill(os.getppid(), signal.SIGCONT)


def limit_the_parent():
    import resource

    resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE)


def read_memory_of_the_parent():
    here = ctypes.create_string_buffer(8)
    local = (ctypes.c_void_p * 2)(ctypes.addressof(here), 8)
    remote = (ctypes.c_void_p * 2)(id(None), 8)
    if ctypes.CDLL(None, use_errno=True).process_vm_readv(os.getppid(), local, 1, remote, 1, 0) == 8:
        return "process_vm_readv"
    with open(f"/proc/{os.getppid()}/mem", "rb") as file:
        file.seek(id(None))
        file.read(8)


def use_descriptors_of_the_parent():
    folder = f"/proc/{os.getppid()}/fd"
    return _or_refused([number for number in os.listdir(folder) if _can(os.readlink, f"{folder}/{number}")])


def use_inherited_descriptors():
    own = [number for number in range(3, 256) if _can(os.fstat, number)]
    return _or_refused(own[1:])  # one is the pipe for results


def become_another_user():
    os.setuid(0 if os.getuid() else 1)


def _read(path):
    with open(path, "rb") as file:
        return file.read(4000).decode(errors="replace")


def _write(path):
    with open(path, "w", encoding="utf-8") as file:
        file.write("written")


def _append_nothing(path):
    os.close(os.open(path, os.O_WRONLY))


def _can(action, *arguments):
    try:
        action(*arguments)
        return True
    except OSError:
        return False


def _or_refused(found):
    if not found:
        raise PermissionError
    return str(found)


ATTEMPTS = (
    read_a_file_outside,
    read_the_reference,
    read_the_environment,
    write_outside,
    change_the_kernel,
    open_a_socket,
    see_other_processes,
    start_a_process,
    run_a_program,
    signal_the_parent,
    limit_the_parent,
    read_memory_of_the_parent,
    use_descriptors_of_the_parent,
    use_inherited_descriptors,
    become_another_user,
)


def probe_00_1(tt, rng):
    """`(name, what was got)` for each attempt, None where it was refused; last, that threads still work."""
    for attempt in ATTEMPTS:
        try:
            got = f"got: {attempt()}"
        except OSError:
            got = None
        yield attempt.__name__, got
    ran = []
    thread = threading.Thread(target=lambda: ran.append(True))
    thread.start()
    thread.join()
    yield "threads", ran == [True]
