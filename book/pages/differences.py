"""The table of deliberate differences from PyTorch: each row stands in the module it is about."""

import re
from typing import NamedTuple

from book.pages.course import BOOK, course, link_to

_ROW = re.compile(r"^(?:# )?\|(.*)\|\s*$")
_BAR = re.compile(r"(?<!\\)\|(?=(?:[^`]*`[^`]*`)*[^`]*$)")  # not the ones inside of code
OWN = BOOK / "differences.md"  # has those of the library that belong to no module


class Row(NamedTuple):
    """One difference: what it is about, what PyTorch does, what we do, and why where it is said."""

    what: str
    torch: str
    here: str
    why: str = ""


def pages(app):
    yield "differences.md", "\n".join(sections()) + "\n"


def sections():
    for module in course().modules:
        rows = differences(module.text)
        if rows:
            yield f"## {link_to(module, module.title)}"
            yield ""
            yield "| About | PyTorch | tinytorch |"
            yield "|---|---|---|"
            yield from (f"| {row.what} | {row.torch} | {row.here}{f' ({row.why})' * bool(row.why)} |" for row in rows)
            yield ""


def differences(text):
    """The rows of all tables in a text whose columns are headed PyTorch and `here` or `tinytorch`."""
    rows, inside = [], False
    for line in text.splitlines():
        match = _ROW.match(line)
        cells = [cell.strip() for cell in _BAR.split(match[1])] if match else []
        if cells[1:3] in (["PyTorch", "here"], ["PyTorch", "tinytorch"]):
            inside = True
        elif not cells:
            inside = False
        elif inside and not set("".join(cells)) <= set("-:"):
            rows.append(Row(*cells))
    return rows
