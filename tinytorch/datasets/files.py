"""Files of known content: found on this machine, or downloaded; whole and right, or refused.

A file has a size and a SHA-256 of what it holds *unpacked*, so that it does not matter who packed it, and with what. It
gets to its place by a rename after both were checked: there is the right file or none. What a killed process leaves is
hidden, and removed when the same file is fetched again (not on Windows).
"""

import contextlib
import gzip
import hashlib
import http.client
import os
import sys
import tarfile
import urllib.error
import urllib.request
import zlib
from dataclasses import dataclass
from pathlib import Path

from tinytorch._progress import somebody_looks
from tinytorch.checkpoint import write_whole

TIMEOUT = 10  # seconds without a byte
_PIECE = 1 << 18


class DatasetError(OSError):
    """Data that are not to be had, or not what they should be: the message says what was tried, and what to try."""


class FolderError(DatasetError):
    """The data folder is at fault, so that no other source would help: a damaged file, or nothing can be written."""


class _Unfit(Exception):
    """What arrived is not the file."""


BAD_SOURCE = (OSError, EOFError, zlib.error, http.client.HTTPException, tarfile.TarError, _Unfit)


@dataclass(frozen=True)
class DataFile:
    """A file as it is stored: unpacked. sha256: of its content."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Collection:
    """Files that belong together.

    mirrors: URLs with {name} for a file's name; what ends in .gz is unpacked. With `archive` they are tar files that
        hold all files.
    places: folders in which other programs keep the files; relative ones below the data folder or the current one.
    archive: name of a tar file that may lie in the data folder.
    npm, debian: packages that hold the files.
    """

    name: str
    files: tuple
    mirrors: tuple = ()
    places: tuple = ()
    archive: str = ""
    npm: str = ""
    debian: str = ""

    def file(self, name):
        return next((file for file in self.files if file.name == name), None)


def data_folder():
    """Where data are kept: `$TINYTORCH_DATA`, else a folder for caches of this user."""
    named = os.environ.get("TINYTORCH_DATA")
    if named:
        return Path(named).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "tinytorch"


def obtain(collection, names, folder=None, download=True):
    """Paths of the files `names`, checked; those that are missing are taken from this machine, else downloaded.

    folder: the data folder, in place of `data_folder()`.
    Raises: DatasetError where a file is damaged, or is not to be had.
    """
    home = Path(folder).expanduser() if folder else data_folder()
    for file in map(collection.file, names):
        path = home / collection.name / file.name
        if path.exists():
            _require_whole(path, file)
        else:
            _bring(collection, file, home, download)
    return [home / collection.name / name for name in names]


def _require_whole(path, file):
    """Read the file once. Raises: FolderError unless it is the one; it may be precious, so nobody removes it."""
    try:
        with open(path, "rb") as stream:
            for _ in _checked(stream, file):
                pass
    except _Unfit as error:
        raise FolderError(f"{path} {error}; remove it, and it is fetched again") from error


def _bring(collection, file, home, download):
    """Put the file into its place, from the first source that has it. Raises: DatasetError that lists all of them."""
    failed = []
    for source in [*_local_sources(collection, file, home), *(_remote_sources(collection, file) if download else ())]:
        try:
            with _opened(source) as stream:
                install(collection, file, stream, str(source), home)
            return
        except FolderError:
            raise
        except BAD_SOURCE as error:
            failed.append(f"{source}: {reason(error)}")
    raise DatasetError(_advice(collection, file, home, download, failed))


def reason(error):
    """What a person should know of an error in a source."""
    if isinstance(error, EOFError):
        return "is cut short"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection broke off"
    if isinstance(error, urllib.error.HTTPError):
        return f"the server says {error.code} {error.reason}"
    return str(getattr(error, "reason", error)) or type(error).__name__


def _advice(collection, file, home, download, failed):
    tried = "".join(f"\n  {line}" for line in failed)
    which = f"{collection.name}: {file.name} is not in {home / collection.name}"
    if not download:
        return f"{which}, and nothing was downloaded, as asked{tried}\n  try: {_get(collection)}"
    package = collection.npm or collection.debian
    also = f"; it is also in the package {package}: {_get(collection)}"
    return (
        f"{which}, and nobody had it:{tried or ' there is no mirror'}\n"
        "  without a network: copy the file there, packed or not, from a machine that has it, or name a folder that "
        f"has it in TINYTORCH_DATA{also if package else ''}"
    )


def _get(collection):
    return f"python -m tinytorch.datasets --get {collection.name}"


# --- sources ---------------------------------------------------------------------------------------------------------


def _local_sources(collection, file, home):
    """Files on this machine that may hold the file: packed or not, alone or in an archive."""
    names = [file.name, f"{file.name}.gz", *([collection.archive] if collection.archive else [])]
    folders = [home / collection.name, home, *map(Path, collection.places), *(home / p for p in collection.places)]
    found = dict.fromkeys(folder / name for folder in folders for name in names)
    return [path for path in found if path.is_file() and path != home / collection.name / file.name]


def _remote_sources(collection, file):
    """URLs; first that of `$TINYTORCH_MIRROR`, a server of somebody's data folder: `python -m http.server` there."""
    own = os.environ.get("TINYTORCH_MIRROR")
    if own:
        yield f"{own.rstrip('/')}/{collection.name}/{file.name}"
    for mirror in collection.mirrors:
        yield mirror.format(name=file.name)


@contextlib.contextmanager
def _opened(source):
    """A path or URL as a stream of bytes; downloads show their progress."""
    if isinstance(source, Path):
        with open(source, "rb") as stream:
            yield stream
        return
    request = urllib.request.Request(source, headers={"User-Agent": "tinytorch"})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        length = response.headers.get("Content-Length")
        with _shown(response, source, int(length) if length else None) as stream:
            yield stream


@contextlib.contextmanager
def _shown(stream, source, length):
    """The same stream; a bar shows what was read of it, where somebody looks and tqdm is there, else one line."""
    if somebody_looks():
        from tqdm.auto import tqdm

        name = source.rsplit("/", 1)[-1]
        look = {"desc": name, "unit": "B", "unit_scale": True, "leave": False}
        with tqdm.wrapattr(stream, "read", total=length, bytes=False, **look) as wrapped:  # bytes: 1 M is 1024 K
            yield wrapped
    else:
        size = f" ({length / 1e6:.1f} MB)" if length else ""
        print(f"downloading {source}{size}", file=sys.stderr)
        yield stream


# --- into place ------------------------------------------------------------------------------------------------------


def install(collection, file, stream, source, home):
    """Put what `stream` holds into its place in the data folder `home`; an archive puts all its files there.

    source: path or URL; its ending says how the stream is packed.
    Raises: FolderError, and BAD_SOURCE for what may be wrong with a stream; what is in place is whole all the same.
    """
    if collection.archive and source.endswith(collection.archive):
        with tarfile.open(fileobj=stream, mode="r|*") as archive:
            install_members(collection, archive, home)
        if not (home / collection.name / file.name).exists():
            raise _Unfit(f"holds no {file.name}")
    else:
        _install_one(file, _unpacked(stream, source), home / collection.name / file.name)


def install_members(collection, archive, home):
    """Put every file of the collection that the open tar file holds, packed or not, into its place; returns names.

    Only the last part of a member's name counts, and nothing else is unpacked, so nothing can land anywhere else.
    """
    found = []
    for member in archive:
        name = member.name.rsplit("/", 1)[-1]
        file = collection.file(name.removesuffix(".gz"))
        if file and member.isfile():
            path = home / collection.name / file.name
            _install_one(file, _unpacked(archive.extractfile(member), name), path)
            found.append(file.name)
    return found


def _unpacked(stream, name):
    return gzip.GzipFile(fileobj=stream) if name.endswith(".gz") else stream


def _install_one(file, stream, path):
    pieces = _checked(stream, file)
    try:
        write_whole(path, pieces)
    except OSError as error:  # of the disk: those of the stream have become _Unfit
        advice = "make room there, or allow writing, or name another folder in TINYTORCH_DATA"
        raise FolderError(f"{file.name} cannot be written: {error}; {advice}") from error


def _checked(stream, file):
    """The pieces of the stream. Raises: _Unfit unless it is the file; no more than its size is read."""
    digest, size = hashlib.sha256(), 0
    for piece in _pieces(stream):
        size += len(piece)
        if size > file.size:
            raise _Unfit(f"is longer than the {file.size:,} bytes of {file.name}")
        digest.update(piece)
        yield piece
    if size < file.size:
        raise _Unfit(f"is cut short: {size:,} of {file.size:,} bytes")
    if digest.hexdigest() != file.sha256:
        raise _Unfit(f"is not {file.name}: its SHA-256 is {digest.hexdigest()[:12]}..., not {file.sha256[:12]}...")


def _pieces(stream):
    """What the stream holds. Raises: _Unfit for whatever goes wrong on the way."""
    try:
        while piece := stream.read(_PIECE):
            yield piece
    except BAD_SOURCE as error:
        raise _Unfit(reason(error)) from error
