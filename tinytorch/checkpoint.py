"""Arrays and plain values in one file: whole or refused, and loading it never runs code.

The file is in the safetensors format, so that other programs can read the arrays. Its metadata have one entry,
`tinytorch`, with everything else as JSON, and in it a SHA-256 over the whole file, whose own 64 digits count as zeros.
"""

import contextlib
import errno
import hashlib
import json
import os
import pickletools
import re
import secrets
from pathlib import Path

import numpy as np

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

FORMAT = 1
_TYPES = frozenset(
    ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
    + ["float16", "float32", "float64"]
)
_NO_DIGEST = "0" * 64
_DIGEST = re.compile(rb'\\"sha256\\": \\"([0-9a-f]{64})\\"')  # JSON in a string of JSON; the first one in the file
_LONGEST_HEADER = 100_000_000  # of safetensors
_KINDS = (
    (b"PK\x03\x04", "is a zip archive, such as torch.save and numpy.savez write; it was not opened"),
    (b"\x93NUMPY", "is a NumPy array file; numpy.load reads it"),
    (b"\x1f\x8b", "is compressed by gzip; it was not opened"),
    (b"\x89HDF", "is an HDF5 file"),
)


class CheckpointError(ValueError):
    """What cannot be saved, or a file that is no whole checkpoint: the message names the file and what is wrong."""

    def __init__(self, path, what):
        super().__init__(f"{os.fspath(path)} {what}")
        self.path, self.what = path, what


def save(path, tensors, info=None):
    """Write one file exactly at `path`: after a crash there is the old file or the new one, never a part.

    tensors: dictionary of arrays by name.
    info: what JSON can hold. NaN and infinities are kept (as the tokens NaN and Infinity that Python's json reads),
        integers have any size, NumPy's numbers become Python's, and a tuple comes back as a list.
    Folders are made as needed, a link is followed, and a file that is replaced keeps its permissions. A writer that is
    killed leaves a hidden temporary file; the next save to the same path removes it (not on Windows).
    Raises: CheckpointError for what the format cannot hold; OSError where the disk fails; the old file then stays.
    """
    write_whole(_target(path), _pack(path, tensors, info))


def load(path):
    """What `save` was given: `(tensors, info)`, in the same order, bit for bit. The arrays can be written to.

    Raises: CheckpointError for a file that is damaged, or no checkpoint, or of a newer version; FileNotFoundError.
    """
    _require_regular(path)
    data = Path(path).read_bytes()
    document = _document(path, data)
    _require_format(path, document)
    _require_digest(path, data)
    return _unpack(path, data, document)


def make_folder_of(path):
    """Make the folder in which `path` lies, and those above. Raises: NotADirectoryError where a file is in the way."""
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        what = f"{Path(path).parent} cannot be a folder, because a file is in the way"
        raise NotADirectoryError(errno.ENOTDIR, what, os.fspath(path)) from error


def require_place(path):
    """Raise what `save` would raise, where that can be known before there is anything to save; makes the folder."""
    target = _target(path)
    make_folder_of(target)
    if not os.access(target.parent, os.W_OK):
        raise PermissionError(errno.EACCES, f"nothing can be written into the folder {target.parent}", os.fspath(path))


# --- bytes -----------------------------------------------------------------------------------------------------------


def _pack(path, tensors, info):
    """The bytes of the file, in pieces."""
    from safetensors import SafetensorError
    from safetensors.numpy import save as to_bytes

    arrays = {name: _storable(path, name, value) for name, value in tensors.items()}
    info = _plain(path, "info", info)
    document = {"format": FORMAT, "sha256": _NO_DIGEST, "names": list(arrays), "info": info}
    try:
        data = to_bytes(arrays, {"tinytorch": json.dumps(document)})
    except SafetensorError as error:
        raise CheckpointError(path, f"cannot be written: {error}; names and info may take 100 MB") from error
    before, after = _around(_DIGEST.search(data))
    return before, hashlib.sha256(data).hexdigest().encode(), after


def _around(found):
    """What stands before and after the digest that was found, without a copy."""
    start, end = found.span(1)
    return memoryview(found.string)[:start], memoryview(found.string)[end:]


def _storable(path, name, value):
    """`value` as an array in one piece. Raises CheckpointError that names it where the format cannot hold it."""
    if not isinstance(name, str):
        raise CheckpointError(path, f"cannot hold an array named {name!r}; a name is a string")
    if name == "__metadata__" or any("\ud800" <= letter <= "\udfff" for letter in name):
        raise CheckpointError(path, f"cannot hold an array named {name!r}; the format cannot store this name")
    array = np.asarray(value, order="C")
    if array.dtype.hasobject:
        raise CheckpointError(path, f"cannot hold {name!r}: it is an array of objects, and these would need pickle")
    if array.dtype.name not in _TYPES:
        raise CheckpointError(path, f"cannot hold {name!r}: its type is {array.dtype}; convert it with .astype first")
    return array


def _plain(path, place, value):
    """`value` with Python's numbers in place of NumPy's. Raises CheckpointError with the place of what JSON lacks."""
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise CheckpointError(path, f"cannot hold {place}: its key {key!r} is not a string; try str(key)")
        return {key: _plain(path, f"{place}[{key!r}]", part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(path, f"{place}[{i}]", part) for i, part in enumerate(value)]
    if isinstance(value, np.bool | np.integer | np.floating):
        value = value.item()
    if value is None or isinstance(value, str | int | float):
        return value
    raise CheckpointError(path, f"cannot hold {place}: {type(value).__name__} is not JSON; arrays go among the tensors")


def _document(path, data):
    """What stands under `tinytorch` in the metadata, not verified yet. Raises: CheckpointError where nothing does."""
    if data[8:9] != b"{":
        raise CheckpointError(path, _looks_like(data))
    end = 8 + int.from_bytes(data[:8], "little")
    if end > min(len(data), _LONGEST_HEADER):
        raise CheckpointError(path, f"is cut short or damaged: {len(data)} bytes, and its header alone has {end}")
    try:
        metadata = json.loads(data[8:end].decode()).get("__metadata__")
        if isinstance(metadata, dict) and "tinytorch" in metadata:
            return json.loads(metadata["tinytorch"])
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(path, f"is damaged: its header is not JSON ({error})") from error
    raise CheckpointError(path, "is a safetensors file that tinytorch did not save; safetensors.numpy reads it")


def _require_format(path, document):
    version = document.get("format") if isinstance(document, dict) else None
    if version != FORMAT:
        what = f"has format {version!r}, and this tinytorch reads format {FORMAT}; a newer tinytorch may read it"
        raise CheckpointError(path, what)


def _looks_like(data):
    """What a file that is not in the format seems to be."""
    if not data:
        return "is empty"
    for start, what in _KINDS:
        if data.startswith(start):
            return what
    if _is_pickle(data):
        return "is a pickle; it was not opened, because opening a pickle runs code"
    beginning = data[:30].decode(errors="ignore")
    if not re.search(r"[\0-\x08]", beginning) and len(beginning.encode()) > len(data[:30]) - 4:
        return f"is text: it begins with {beginning!r}"
    return f"is no checkpoint, or one that is cut short or damaged ({len(data)} bytes)"


def _is_pickle(data):
    """Whether `data` begins like a pickle of protocol 2 to 5, or reads to its end as an older one. Runs nothing."""
    if data[:1] == b"\x80":
        return data[1:2] in (b"\2", b"\3", b"\4", b"\5")
    if not data.endswith(b"."):
        return False
    try:
        return any(operation.name == "STOP" for operation, _, _ in pickletools.genops(data))
    except ValueError:
        return False


def _require_digest(path, data):
    """Raise CheckpointError unless every byte is the one that was written."""
    found = _DIGEST.search(data)
    if not found:
        raise CheckpointError(path, "is damaged: it holds no SHA-256")
    before, after = _around(found)
    digest = hashlib.sha256(before)
    digest.update(_NO_DIGEST.encode())
    digest.update(after)
    if digest.hexdigest().encode() != found[1]:
        raise CheckpointError(path, "is cut short or damaged: its bytes do not have the SHA-256 that stands in it")


def _unpack(path, data, document):
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    try:
        arrays = from_bytes(data)
        return {name: arrays[name] for name in document["names"]}, document["info"]
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        what = f"has a right SHA-256, but tinytorch did not write it: {type(error).__name__} {error}"
        raise CheckpointError(path, what) from error


# --- files -----------------------------------------------------------------------------------------------------------


def _require_regular(path):
    os.fspath(path)  # a TypeError for what is no path; `exists` would take a number for an open file
    if os.path.exists(path) and not os.path.isfile(path):
        raise CheckpointError(path, "is a folder or a device; a checkpoint is one regular file")


def _target(path):
    """The file that `path` means, through links. Raises CheckpointError where no file can be put."""
    _require_regular(path)
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise CheckpointError(path, "is a link that leads back to itself")
    return target


def write_whole(target, pieces):
    """Write `pieces`, an iterable of bytes, to one file at `target`, as `save` does: all of them or nothing.

    What `pieces` raises is passed on, and OSError is raised where the disk fails; then `target` is as it was.
    """
    make_folder_of(target)
    _remove_abandoned(target)
    while not _replace(target, pieces):
        pass


def _prefix(target):
    """How the temporary files of `target` begin: of one length, however long its name is."""
    return f".tinytorch-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:12]}-"


def _replace(target, pieces):
    """Whether it was done: not where another save removed the temporary file as abandoned before it was locked."""
    temporary = target.with_name(f"{_prefix(target)}{secrets.token_hex(8)}.tmp")  # known before it exists, so that
    try:  # Ctrl-C at any moment still removes it
        with contextlib.ExitStack() as until_replaced:
            with open(temporary, "xb") as file:
                until_replaced.enter_context(_marked(file))
                if not temporary.exists():
                    return False
                if target.exists():
                    os.chmod(temporary, target.stat().st_mode & 0o777)
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        return True
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(target)  # a full disk does not say which file
            del error.filename2  # None would be shown
        raise


@contextlib.contextmanager
def _marked(file):
    """Lock `file`, so that others see that its writer lives, also after it is closed."""
    if fcntl is None:
        yield
        return
    mark = os.dup(file.fileno())
    try:
        _lock(mark, fcntl.LOCK_EX)
        yield
    finally:
        os.close(mark)


def _lock(descriptor, kind):
    """Whether the file could be locked: nobody else has, and its disk knows locks."""
    try:
        fcntl.flock(descriptor, kind)
    except OSError:
        return False
    return True


def _remove_abandoned(target):
    """Remove the temporary files of writers to `target` that were killed; none of them where locks are missing."""
    prefix = _prefix(target)
    for name in os.listdir(target.parent) if fcntl else ():
        if name.startswith(prefix):
            with contextlib.suppress(OSError):  # gone by now, or another user's: either does not hinder this save
                _remove_unless_locked(target.with_name(name))


def _remove_unless_locked(path):
    with open(path, "rb") as file:
        if _lock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB):
            path.unlink()
