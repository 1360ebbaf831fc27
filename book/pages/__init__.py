"""What this book adds to Sphinx: pages made of the course's own files, so that nothing is written twice."""

from pathlib import Path

from book.pages import commands, differences, links, milestones, modules, rates, reference, solutions, terms
from book.pages.course import fingerprint

GENERATED = "generated"  # folder of pages that are written at each build; no part of the tree


def setup(app):
    app.add_config_value("book_short", False, "env", types=(bool,))
    app.add_config_value("book_cache", "", "", types=(str,))
    code = fingerprint(Path(__file__).parent.glob("*.py"))
    app.add_config_value("book_code", code, "env", types=(str,))  # pages are read again when these files change
    app.connect("builder-inited", generate)
    for part in (modules, solutions, links, terms):
        part.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def generate(app):
    """Write the generated pages; a page that stays the same is not touched, so that Sphinx does not read it again."""
    folder = Path(app.srcdir) / GENERATED
    written = set()
    for part in (modules, commands, rates, reference, differences, milestones):
        for name, data in part.pages(app):
            written.add(folder / name)
            write_if_changed(folder / name, data if isinstance(data, bytes) else data.encode())
    for path in folder.rglob("*"):
        if path.is_file() and path not in written:
            path.unlink()


def write_if_changed(path, data):
    if not path.exists() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
