"""The student's `tinytorch`: hand-written files from the course, built files from the student, placeholders for the rest."""

import os
import shutil
from pathlib import Path

from tito.notebook import copy_tree, write_atomically

PLACEHOLDER_MARK = "# placeholder"


def lay(course, folder):
    """Make or refresh `folder/tinytorch`: all but what modules build comes from the course, and is put back if changed."""
    package = Path(folder) / "tinytorch"
    built = {f"{target.replace('.', '/')}.py" for target in course.owners}
    for path in sorted(course.library.rglob("*")):
        name = path.relative_to(course.library).as_posix()
        if path.is_file() and name not in built and "__pycache__" not in name:
            _copy_if_different(path, package / name)
    for target, module in course.owners.items():
        path = target_path(folder, target)
        if not path.exists() or is_placeholder(path):
            write_atomically(path, _placeholder(target, module).encode())
    return package


def _copy_if_different(source, destination):
    data = source.read_bytes()
    if not destination.exists() or destination.read_bytes() != data:
        write_atomically(destination, data)


def _placeholder(target, module):
    name, number = f"tinytorch.{target}", module.label
    message = f"{name} is module {number}, not built yet: tito module start {number}, or tito module borrow {number}"
    return (
        f'"""Module {number} builds this file."""\n\n{PLACEHOLDER_MARK}\n'
        f"from tinytorch import NotBuiltError\n\nraise NotBuiltError({message!r})\n"
    )


def target_path(folder, target):
    return Path(folder) / "tinytorch" / f"{target.replace('.', '/')}.py"


def is_placeholder(path):
    return PLACEHOLDER_MARK in Path(path).read_text(encoding="utf-8").splitlines()


def is_built(folder, module):
    """Whether every target of the module is there and is not a placeholder."""
    paths = [target_path(folder, target) for target in module.targets]
    return all(path.exists() and not is_placeholder(path) for path in paths)


def stage(course, folder, destination):
    """A copy of the overlay in `destination`, with the course's hand-written files as they should be."""
    copy_tree(Path(folder) / "tinytorch", Path(destination) / "tinytorch")
    lay(course, destination)
    return Path(destination)


def commit(staged, folder):
    """Put the staged package in place of the student's. A crash in between is mended by `recover`."""
    live, previous = Path(folder) / "tinytorch", Path(folder) / ".tito" / "previous"
    shutil.rmtree(previous, ignore_errors=True)
    os.replace(live, previous)
    os.replace(Path(staged) / "tinytorch", live)


def recover(folder):
    """Undo a `commit` that was cut off between its two renames."""
    live, previous = Path(folder) / "tinytorch", Path(folder) / ".tito" / "previous"
    if not live.exists() and previous.exists():
        os.replace(previous, live)
