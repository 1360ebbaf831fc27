"""Checkpoints come back bit for bit or are refused, whatever happens to the file, and reading one never runs code."""

import contextlib
import gzip
import io
import json
import os
import pickle
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinytorch import checkpoint
from tinytorch.checkpoint import CheckpointError, load, save

TYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", ">f4", ">i8"]
ARRAYS = hnp.arrays(st.sampled_from(TYPES), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
NAMES = st.text(max_size=8).filter(lambda name: name != "__metadata__")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(2**63, 2**130) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
OLD, NEW = {"w": np.zeros(3, np.float32)}, {"w": np.ones(3, np.float32)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "best.pkl"


def bits(tensors):
    return [(name, a.dtype.newbyteorder("="), a.shape, a.astype(a.dtype.newbyteorder("<")).tobytes())
            for name, a in tensors.items()]  # fmt: skip


def temporaries(folder):
    return [name for name in os.listdir(folder) if name.endswith(".tmp")]


def require_refused(path, *words):
    """Loading raises a CheckpointError that names the file and holds each of the words."""
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert str(caught.value).startswith(str(path))
    for word in words:
        assert word in str(caught.value)


# --- round trips -----------------------------------------------------------------------------------------------------


@given(st.dictionaries(NAMES, ARRAYS, max_size=5), VALUES)
def test_everything_comes_back_bit_for_bit_and_in_order(tmp_path_factory, tensors, info):
    path = tmp_path_factory.getbasetemp() / "round"
    save(path, tensors, info)
    got, plain = load(path)
    assert bits(got) == bits(tensors)
    assert repr(plain) == repr(info)  # NaN does not equal itself, and -0.0 equals 0.0


@pytest.mark.parametrize(
    "array",
    [
        np.float32(0.1),
        np.array(2**64 - 1, np.uint64),
        np.zeros((2, 0, 3)),
        np.arange(12.0).reshape(3, 4).T,
        np.arange(12)[::-2],
        np.broadcast_to(np.float32(3), (2, 5)),
        np.array([np.nan, -np.nan, np.inf, -0.0], np.float32),
    ],
    ids=["scalar", "uint64", "empty", "transposed", "backwards", "broadcast", "special"],
)
def test_arrays_of_unusual_layout(path, array):
    save(path, {"x": array})
    assert bits(load(path)[0]) == bits({"x": np.asarray(array)})


def test_a_generator_goes_on_where_it_stood(path):
    rng = np.random.default_rng(0)
    rng.random(5, dtype=np.float32)
    save(path, {}, {"random": rng.bit_generator.state})
    other = np.random.default_rng(99)
    other.bit_generator.state = load(path)[1]["random"]
    np.testing.assert_array_equal(other.random(100, dtype=np.float32), rng.random(100, dtype=np.float32))


def test_numbers_of_numpy_and_tuples_become_plain(path):
    save(path, {}, {"a": np.float32(0.1), "b": np.int64(-1), "c": np.bool(True), "betas": (0.9, 0.999)})
    info = load(path)[1]
    assert info == {"a": float(np.float32(0.1)), "b": -1, "c": True, "betas": [0.9, 0.999]}
    assert [type(value) for value in info.values()] == [float, int, bool, list]


def test_what_is_loaded_can_be_written_to(path):
    save(path, OLD)
    load(path)[0]["w"][0] = 5
    assert load(path)[0]["w"][0] == 0


def test_saving_twice_gives_the_same_bytes(path):
    save(path, OLD | NEW, {"epoch": 3})
    first = path.read_bytes()
    save(path, OLD | NEW, {"epoch": 3})
    assert path.read_bytes() == first


def test_other_programs_can_read_the_arrays(path):
    from safetensors import safe_open
    from safetensors.numpy import load_file

    tensors = {"layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "é": np.array(True)}
    save(path, tensors, {"loss": [2.5]})
    read = load_file(path)
    assert bits({name: read[name] for name in tensors}) == bits(tensors)
    assert json.loads(safe_open(path, "np").metadata()["tinytorch"])["info"] == {"loss": [2.5]}


# --- what is refused at save -----------------------------------------------------------------------------------------


class Opaque:
    pass


@pytest.mark.parametrize(
    ("tensors", "info", "words"),
    [
        ({"moments": np.array([Opaque()])}, None, ["'moments'", "objects", "pickle"]),
        ({"z": np.array([1j])}, None, ["'z'", "complex128"]),
        ({"z": np.array(["text"])}, None, ["'z'", "<U4"]),
        ({"z": np.array(1, np.longdouble)}, None, ["'z'", np.dtype(np.longdouble).name]),
        ({3: np.zeros(2)}, None, ["3", "string"]),
        ({"__metadata__": np.zeros(2)}, None, ["'__metadata__'"]),
        ({"\ud800": np.zeros(2)}, None, ["'\\ud800'"]),
        ({}, {"state": {0: 1.0}}, ["info['state']", "key 0", "str(key)"]),
        ({}, {"a": [1, Opaque()]}, ["info['a'][1]", "Opaque"]),
        ({}, {"best": np.zeros(3)}, ["info['best']", "ndarray", "tensors"]),
        ({}, {"x": np.longdouble(1)}, ["info['x']", "longdouble"]),
        ({"w": np.zeros(2)}, "x" * 100_000_000, ["100 MB"]),
    ],
)
def test_what_the_format_cannot_hold_is_named_and_the_old_file_stays(path, tensors, info, words):
    save(path, OLD)
    with pytest.raises(CheckpointError) as caught:
        save(path, tensors, info)
    for word in [str(path), *words]:
        assert word in str(caught.value)
    assert bits(load(path)[0]) == bits(OLD) and os.listdir(path.parent) == ["best.pkl"]


# --- what is refused at load -----------------------------------------------------------------------------------------


@pytest.fixture
def small(path):
    """The bytes of a small checkpoint whose header is padded, so that the padding is tested too."""
    save(path, {"w": np.arange(3, dtype=np.float32), "n": np.array(7)}, {"epoch": 3})
    data = path.read_bytes()
    assert b"}   " in data
    return data


def test_a_changed_byte_is_refused(path, small):
    changes = [[byte ^ 1 << bit for bit in range(8)] + [byte ^ 0xFF, *b'\n\t 0"{'] for byte in small]
    for place, values in enumerate(changes):
        for value in set(values) - {small[place]}:
            path.write_bytes(small[:place] + bytes([value]) + small[place + 1 :])
            with pytest.raises(CheckpointError, match="best.pkl"):
                load(path)
    path.write_bytes(small)
    assert load(path)[1] == {"epoch": 3}


def test_a_file_cut_short_anywhere_is_refused(path, small):
    for length in range(len(small)):
        path.write_bytes(small[:length])
        require_refused(path, *(["cut short"] if length > 8 else []))
    path.write_bytes(small + b"\0")
    require_refused(path, "damaged")


class Bomb:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_not_opened(path, tmp_path, protocol):
    path.parent.mkdir()
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "marker"), protocol))
    require_refused(path, "is a pickle; it was not opened, because opening a pickle runs code")
    assert not (tmp_path / "marker").exists()
    pickle.loads(path.read_bytes())
    assert (tmp_path / "marker").exists(), "the bomb would not have gone off"


def _npz():
    file = io.BytesIO()
    np.savez(file, w=np.zeros(3))
    return file.getvalue()


def _npy():
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", ["is empty"]),
        (_npz(), ["zip archive"]),
        (_npy(), ["NumPy"]),
        (gzip.compress(b"abc", mtime=0), ["gzip"]),
        (b"epoch,loss\n0,2.3\n", ["is text", "epoch,loss"]),
        ("é".encode() * 40 + b".", ["is text"]),
        (b"\x89HDF\r\n\x1a\n" + bytes(8), ["HDF5"]),
        (bytes(range(256)), ["no checkpoint", "256 bytes"]),
        (b"12345678{", ["cut short or damaged", "9 bytes"]),
        (b"\2" + bytes(7) + b"{]", ["header is not JSON"]),
        (b"\x40\x0d\x03" + bytes(5) + b'{"a":' * 40_000, ["header is not JSON"]),
    ],
)
def test_other_files_are_recognised(path, data, words):
    path.parent.mkdir()
    path.write_bytes(data)
    require_refused(path, *words)


@given(st.binary(max_size=60) | st.binary(max_size=20).map(lambda data: data + b"."))
def test_any_bytes_give_a_checkpoint_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "noise"
    path.write_bytes(data)
    require_refused(path)


def test_a_safetensors_file_of_others(path):
    from safetensors.numpy import save_file

    path.parent.mkdir()
    for metadata in (None, {"format": "pt"}):
        save_file(OLD, path, metadata)
        require_refused(path, "tinytorch did not save")


def test_a_newer_format(path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    save(path, OLD)
    monkeypatch.undo()
    require_refused(path, "format 2", "reads format 1")


def test_a_right_digest_does_not_make_a_checkpoint(path, monkeypatch):
    honest = json.dumps
    for change in ({"names": ["v"]}, {"names": 3}, {"names": [[]]}):
        monkeypatch.setattr(json, "dumps", lambda document, change=change: honest(document | change))
        save(path, OLD)
        monkeypatch.undo()
        require_refused(path, "right SHA-256", "tinytorch did not write it")


def test_a_missing_file_is_a_file_not_found_error(path):
    with pytest.raises(FileNotFoundError, match="best.pkl"):
        load(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_only_regular_files_are_read_and_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for place in (tmp_path, pipe):
        with pytest.raises(CheckpointError, match="one regular file"):
            save(place, OLD)
        require_refused(place, "one regular file")
    assert stat.S_ISFIFO(pipe.stat().st_mode) and os.listdir(tmp_path) == ["pipe"]


# --- where and how it is written -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["best.pkl", "best", "best.safetensors", "é" * 127, "[a]*?.ckpt", ".hidden"])
def test_one_file_exactly_at_the_path(tmp_path, name):
    save(tmp_path / "new" / "folders" / name, OLD)
    assert os.listdir(tmp_path / "new" / "folders") == [name]
    assert bits(load(str(tmp_path / "new" / "folders" / name))[0]) == bits(OLD)


def test_the_bytes_are_on_the_disk_before_the_old_file_goes(path, monkeypatch):
    order, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (order.append(os.fstat(file).st_size), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda *names: (order.append("replace"), replace(*names)))
    save(path, OLD)
    assert order == [path.stat().st_size, "replace"]


@pytest.mark.skipif(os.name == "nt", reason="permissions as on POSIX")
def test_permissions_are_those_of_an_ordinary_file(tmp_path):
    previous = os.umask(0o027)
    try:
        save(tmp_path / "a", OLD)
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
    (tmp_path / "a").chmod(0o600)
    save(tmp_path / "a", NEW)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_links_are_followed(tmp_path):
    real, link, around = tmp_path / "disk" / "real", tmp_path / "link", tmp_path / "around"
    link.symlink_to(real)
    for tensors in (OLD, NEW):  # the first time the link leads to nothing
        save(link, tensors)
        assert link.is_symlink() and real.is_file() and bits(load(link)[0]) == bits(tensors)
    around.symlink_to(around)
    with pytest.raises(CheckpointError, match="leads back to itself"):
        save(around, OLD)


def test_an_interrupt_at_any_line_leaves_old_or_new_and_nothing_else(path):
    save(path, OLD)
    line, finished = 0, False
    while not finished:
        line += 1
        finished = interrupted_save(path, line)
        assert os.listdir(path.parent) == ["best.pkl"], f"interrupted at line {line}"
        assert bits(load(path)[0]) in (bits(OLD), bits(NEW))
        save(path, OLD)
    assert line > 50


def interrupted_save(path, count):
    """Save NEW with Ctrl-C at the count-th line; whether it came to its end before."""

    def trace(frame, event, _):
        nonlocal count
        if frame.f_code.co_filename != checkpoint.__file__:
            return None
        if event == "line":
            count -= 1
            if count == 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        save(path, NEW)
    except KeyboardInterrupt:
        return False
    finally:
        sys.settrace(None)
    return True


def filled(value):
    return {"w": np.full(300_000, value, np.float32), "b": np.full(7, value)}


def require_whole(path):
    """The file at `path` is one of those that `filled` makes; returns its number."""
    tensors, info = load(path)
    assert bits(tensors) == bits(filled(info["value"]))
    return info["value"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_in_the_middle_of_writing(path):
    save(path, filled(0), {"value": 0})
    in_the_middle = 0
    for round in range(50):
        writer = os.fork()
        if writer == 0:
            save_for_ever(path, round)
        wait_for_a_write(path.parent, random.Random(round).uniform(0, 3e-3))
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        require_whole(path)
        left = temporaries(path.parent)
        assert len(left) <= 1
        in_the_middle += len(left)
    assert in_the_middle >= 10, "the test has to hit a write now and then"
    save(path, filled(-1), {"value": -1})
    assert os.listdir(path.parent) == ["best.pkl"]


def save_for_ever(path, round):
    try:
        for value in range(1000 * round, 1000 * round + 1000):
            save(path, filled(value), {"value": value})
    finally:
        os._exit(1)


def wait_for_a_write(folder, seconds):
    """Until a temporary file is there, and then a little."""
    end = time.monotonic() + 10
    while not temporaries(folder):
        assert time.monotonic() < end, "the writer does not write"
    time.sleep(seconds)


def test_saves_at_the_same_time(path):
    save(path, filled(0), {"value": 0})
    program = """if True:
        import sys
        from tests.library.test_checkpoint import filled, save
        for value in range(int(sys.argv[2]), int(sys.argv[2]) + 30):
            save(sys.argv[1], filled(value), {"value": value})
    """
    root = Path(__file__).resolve().parents[2]
    writers = [subprocess.Popen([sys.executable, "-c", program, path, str(1 + 100 * k)], cwd=root) for k in range(2)]
    threads = [threading.Thread(target=save, args=(path, filled(k), {"value": k})) for k in (300, 301)]
    for thread in threads:
        thread.start()
    seen = set()
    while any(writer.poll() is None for writer in writers):
        seen.add(require_whole(path))
    for thread in threads:
        thread.join()
    assert [writer.returncode for writer in writers] == [0, 0]
    assert require_whole(path) in (30, 130) and len(seen) > 3
    assert os.listdir(path.parent) == ["best.pkl"]


@pytest.mark.skipif(checkpoint.fcntl is None, reason="no locks here, and nothing is removed")
def test_only_what_a_killed_writer_left_is_removed(path):
    save(path, OLD)
    prefix = checkpoint._prefix(path)
    left, empty, live = (path.with_name(f"{prefix}{kind}.tmp") for kind in ("left", "empty", "live"))
    others = path.with_name(".tinytorch-0123456789ab-1.tmp")
    left.write_bytes(b"half")
    others.write_bytes(b"half")
    empty.touch()
    with open(live, "xb") as file, checkpoint._marked(file):
        file.close()
        save(path, NEW)
        assert sorted(os.listdir(path.parent)) == sorted(["best.pkl", others.name, live.name])


@pytest.mark.skipif(checkpoint.fcntl is None, reason="no locks here, and nothing is removed")
def test_another_save_cleans_up_before_the_new_file_is_locked(path, monkeypatch):
    save(path, OLD)
    times, marked = [], checkpoint._marked

    def cleaned_first(file):
        if len(times) < 2:
            checkpoint._remove_abandoned(path)
        times.append(file.name)
        return marked(file)

    monkeypatch.setattr(checkpoint, "_marked", cleaned_first)
    save(path, NEW)
    assert len(set(times)) == 3
    assert os.listdir(path.parent) == ["best.pkl"] and bits(load(path)[0]) == bits(NEW)


@pytest.mark.skipif(checkpoint.fcntl is None, reason="no locks here")
def test_a_disk_without_locks(path, monkeypatch):
    def refuse(*_):
        raise OSError("no locks available")

    monkeypatch.setattr(checkpoint.fcntl, "flock", refuse)
    save(path, OLD)
    left = path.with_name(f"{checkpoint._prefix(path)}left.tmp")
    left.touch()  # its writer may be alive
    save(path, NEW)
    assert left.exists() and bits(load(path)[0]) == bits(NEW)


@contextlib.contextmanager
def small_disk(folder):
    """A disk of 1 MB at `folder`."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk_names_the_file_and_keeps_the_old_one(tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        save(disk / "best", OLD)
        with pytest.raises(OSError, match="No space left on device: '.*best'$"):
            save(disk / "best", filled(1), {"value": 1})
        assert os.listdir(disk) == ["best"] and bits(load(disk / "best")[0]) == bits(OLD)


def test_importing_it_does_not_import_safetensors():
    program = "import sys, tinytorch.checkpoint; print('safetensors' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False\n"
