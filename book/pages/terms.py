"""One spelling for each term, in all prose: `terms.toml` says which, and which others are not it."""

import functools
import re
import tomllib

from sphinx.util import logging

from book.pages.course import BOOK

log = logging.getLogger(__name__)
_CODE = re.compile(r"^(`{3,}|~{3,}).*?^\1|`[^`\n]*`|\$[^$]*\$|\]\([^)]*\)", re.MULTILINE | re.DOTALL)
_CELL = re.compile(r"^# %%(.*)$", re.MULTILINE)


def setup(app):
    app.connect("source-read", warn)


def warn(app, docname, content):
    is_module = str(app.env.doc2path(docname)).endswith(".py")
    for line, found, right in misspelled(prose_of_module(content[0]) if is_module else content[0]):
        log.warning("%r is spelled %r in this book", found, right, location=(docname, line), type="book")


def misspelled(text):
    """`[(line, what stands there, how the term is spelled)]` in the prose of a Markdown text."""
    prose = _CODE.sub(blanked, text)
    return sorted(
        (prose.count("\n", 0, match.start()) + 1, match[0], right)
        for right, wrong in table()
        for match in wrong.finditer(prose)
    )


@functools.cache
def table():
    """`[(right spelling, pattern of the wrong ones)]`."""
    terms = tomllib.loads((BOOK / "terms.toml").read_text(encoding="utf-8"))["terms"]
    return [
        (right, re.compile(r"\b(?:" + "|".join(re.sub(r"\s+", r"\\s+", w) for w in wrong) + r")", re.MULTILINE))
        for right, wrong in terms.items()
    ]


def blanked(match):
    """Nothing but the line breaks, so that the lines keep their numbers."""
    return re.sub(r"[^\n]", " ", match[0])


def prose_of_module(text):
    """A module's text with all but its Markdown cells blanked out."""
    starts = [match.start() for match in _CELL.finditer(text)] + [len(text)]
    return "".join(prose_of_cell(text[start:end]) for start, end in zip(starts, starts[1:]))


def prose_of_cell(cell):
    is_prose = "[markdown]" in cell.split("\n")[0]
    return re.sub(r"^# ?", "", cell, flags=re.MULTILINE) if is_prose else re.sub(r"[^\n]", " ", cell)
