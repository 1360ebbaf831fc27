"""The course that this book is about, and what its pages stand on."""

import functools
import hashlib
import platform
from importlib.metadata import version
from pathlib import Path

from tito.course import Course
from tito.overlay import target_path

BOOK = Path(__file__).resolve().parent.parent


@functools.cache
def course():
    return Course.find(BOOK)


def page_of(module):
    """The document of a module."""
    return f"modules/{module.slug}/{module.name}"


def link_to(module, text):
    """A link to a module's page. (Links to files do not do: MyST follows the symbolic link to outside of the book.)"""
    return f"{{doc}}`{text} </{page_of(module)}>`"


def library_below(number):
    """Files of the reference library that code may use which stands on modules with lower numbers only."""
    later = {target_path(course().root, t) for t, module in course().owners.items() if module.number >= number}
    files = course().reference.rglob("*")
    return sorted(p for p in files if p.is_file() and "__pycache__" not in p.parts and p not in later)


def fingerprint(paths):
    """A hash of files, and of what else decides which numbers come out."""
    digest = hashlib.sha256(f"python {platform.python_version()} numpy {version('numpy')}".encode())
    for path in sorted(paths):
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]
