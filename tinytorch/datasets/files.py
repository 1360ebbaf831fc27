"""Files of known content: found on this machine, or downloaded; whole and right, or refused.

A file has a size and a SHA-256 of what it holds *unpacked*, so that it does not matter who packed it, and with what. It
gets to its place by a rename after both were checked: there is the right file or none.
"""

import contextlib
import gzip
import hashlib
import http.client
import os
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zlib
from dataclasses import dataclass
from pathlib import Path

from tinytorch._progress import somebody_looks

TIMEOUT = 10  # seconds without a byte
_PIECE = 1 << 18
_A_DAY = 86400
_BAD_SOURCE = (OSError, EOFError, zlib.error, http.client.HTTPException, tarfile.TarError)


class DatasetError(OSError):
    """Data that are not to be had, or not what they should be: the message says what was tried, and what to try."""


class DamagedFileError(DatasetError):
    """A file in the data folder that is not the one its name says. It may be precious, so nobody removes it."""


class _Unfit(OSError):
    """What arrived is not the file."""


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
    try:
        with open(path, "rb") as stream:
            _checked(stream, file, lambda piece: None)
    except _Unfit as error:
        raise DamagedFileError(f"{path} {error}; remove it, and it is fetched again") from error


def _bring(collection, file, home, download):
    """Put the file into its place, from the first source that has it. Raises: DatasetError that lists all of them."""
    _remove_abandoned(home / collection.name)
    failed = []
    for source in [*_local_sources(collection, file, home), *(_remote_sources(collection, file) if download else ())]:
        try:
            with _opened(source) as stream:
                install(collection, file, stream, str(source), home)
            return
        except _BAD_SOURCE as error:
            failed.append(f"{source}: {_reason(error)}")
    raise DatasetError(_advice(collection, file, home, download, failed))


def _reason(error):
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
        return f"{which}, and nothing was downloaded, as asked{tried}\n  try: python -m tinytorch.datasets --get"
    package = collection.npm or collection.debian
    also = f"; it is also in the package {package}: python -m tinytorch.datasets --get {collection.name}"
    return (
        f"{which}, and nobody had it:{tried or ' there is no mirror'}\n"
        "  without a network: copy the file there, packed or not, from a machine that has it, or name a folder that "
        f"has it in TINYTORCH_DATA{also if package else ''}"
    )


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
        with tqdm.wrapattr(stream, "read", total=length, desc=name, unit="B", unit_scale=True, leave=False) as wrapped:
            yield wrapped
    else:
        size = f" ({length / 1e6:.1f} MB)" if length else ""
        print(f"downloading {source}{size}", file=sys.stderr)
        yield stream


# --- into place ------------------------------------------------------------------------------------------------------


def install(collection, file, stream, source, home):
    """Put what `stream` holds into its place in the data folder `home`; an archive puts all its files there.

    source: path or URL; its ending says how the stream is packed.
    Raises: OSError and others of what may be wrong with a stream; then no file is there that was not before.
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
    with _temporary(path) as part:
        _checked(stream, file, part.write)


@contextlib.contextmanager
def _temporary(path):
    """A file to write to, which takes the place of `path` at the end, or is removed if there is an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".part")
    try:
        with open(handle, "wb") as part:
            yield part
            part.flush()
            os.fsync(handle)
        os.chmod(name, 0o644)  # a temporary file is for its owner alone
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _checked(stream, file, write):
    """Pass the stream on to `write`. Raises: _Unfit unless it was the file; no more than its size is read."""
    digest, size = hashlib.sha256(), 0
    while piece := stream.read(_PIECE):
        size += len(piece)
        if size > file.size:
            raise _Unfit(f"is longer than the {file.size:,} bytes of {file.name}")
        digest.update(piece)
        write(piece)
    if size < file.size:
        raise _Unfit(f"is cut short: {size:,} of {file.size:,} bytes")
    if digest.hexdigest() != file.sha256:
        raise _Unfit(f"is not {file.name}: its SHA-256 is {digest.hexdigest()[:12]}..., not {file.sha256[:12]}...")


def _remove_abandoned(folder):
    """Remove the parts of downloads that were killed more than a day ago."""
    for part in folder.glob(".*.part"):
        with contextlib.suppress(OSError):  # gone by now, or another user's
            if time.time() - part.stat().st_mtime > _A_DAY:
                part.unlink()
