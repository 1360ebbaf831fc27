"""Importing tinytorch makes glibc keep freed memory, can be told not to, and disturbs nothing elsewhere."""

import ctypes
import os
import subprocess
import sys
import time

import pytest

from tinytorch import _memory

FAULTS = """
import sys
import numpy as np
if "plain" not in sys.argv:
    import tinytorch
import resource

def work():
    for size in (2**17, 2**18, 2**20):  # 0.5, 1 and 4 MB
        np.ones(size, np.float32) + 1

work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(30):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
glibc = pytest.mark.skipif(not _memory._has_glibc(), reason="this system has another allocator")


def faults(*arguments, **environment):
    """Page faults of thirty rounds of large temporaries, in a process of its own."""
    kept = {k: v for k, v in os.environ.items() if k != "TINYTORCH_MALLOC"}
    command = [sys.executable, "-c", FAULTS, *arguments]
    done = subprocess.run(command, env={**kept, **environment}, capture_output=True, text=True, timeout=120, check=True)
    return int(done.stdout)


@glibc
def test_large_temporaries_cost_no_page_faults_unless_told_otherwise():
    with_it, without, switched_off = faults(), faults("plain"), faults(TINYTORCH_MALLOC="default")
    assert without > 5_000, "without the setting these arrays have to fault, else this test shows nothing"
    assert with_it < without / 20
    assert switched_off > without / 2


@glibc
def test_it_says_whether_it_did_anything(monkeypatch):
    monkeypatch.delenv("TINYTORCH_MALLOC", raising=False)
    assert _memory.keep_freed_memory() is True
    monkeypatch.setenv("TINYTORCH_MALLOC", "default")
    monkeypatch.setattr(ctypes, "CDLL", None)
    assert _memory.keep_freed_memory() is False


@pytest.mark.parametrize("answer", [None, "", "musl 1.2", OSError(22, "Invalid argument"), ValueError("unknown name")])
def test_without_glibc_nothing_is_done(monkeypatch, answer):
    def confstr(name):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(os, "confstr", confstr, raising=False)
    monkeypatch.setattr(ctypes, "CDLL", None)
    assert _memory.keep_freed_memory() is False


def test_without_confstr_nothing_is_done(monkeypatch):
    monkeypatch.delattr(os, "confstr", raising=False)
    monkeypatch.setattr(ctypes, "CDLL", None)
    assert _memory.keep_freed_memory() is False


@glibc
def test_an_older_glibc_gets_a_smaller_threshold(monkeypatch):
    calls = []

    class Libc:
        @staticmethod
        def mallopt(parameter, value):
            calls.append((parameter, value))
            return int(parameter != -3 or value <= 32 * 2**20)

    monkeypatch.delenv("TINYTORCH_MALLOC", raising=False)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Libc)
    assert _memory.keep_freed_memory() is True
    assert calls == [(-3, 2**30), (-3, 2**25), (-1, 2**30), (-2, 2**26)]


def test_it_takes_less_than_a_millisecond():
    seconds = []
    for _ in range(20):
        start = time.perf_counter()
        _memory.keep_freed_memory()
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1e-3
