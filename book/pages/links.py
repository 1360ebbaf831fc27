"""After a build: every link inside the book leads somewhere; links to other hosts are listed, not followed."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.util import logging

log = logging.getLogger(__name__)
EXTERNAL = "external-links.txt"  # beside the pages, not among them


def setup(app):
    app.connect("build-finished", check)


class Page(HTMLParser):
    """The links of a page, and the places in it that can be linked to."""

    def __init__(self, path):
        super().__init__()
        self.path, self.links, self.anchors = path, [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors |= {attributes[key] for key in ("id", "name") if attributes.get(key)}
        self.links += [attributes[key] for key in ("href", "src") if attributes.get(key)]


def check(app, exception):
    if exception is not None or app.builder.format != "html":
        return
    root = Path(app.outdir)
    broken, external = examine(root)
    for page, link in broken:
        log.warning("%s: leads nowhere: %s", page, link, type="book", subtype="link")
    lines = [f"{link}  {' '.join(sorted(pages))}" for link, pages in sorted(external.items())]
    (root.parent / EXTERNAL).write_text("\n".join(lines) + "\n", encoding="utf-8")


def examine(root):
    """`([(page, link that leads nowhere)], {link to another host: pages})` of a folder of pages."""
    pages = {path: Page(path) for path in sorted(root.rglob("*.html")) if "_static" not in path.parts}
    broken, external = [], {}
    for page in pages.values():
        name = page.path.relative_to(root).as_posix()
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                external.setdefault(link, set()).add(name)
            elif not leads_somewhere(page, parts, pages):
                broken.append((name, link))
    return broken, {link: names for link, names in external.items() if not link.startswith("data:")}


def leads_somewhere(page, parts, pages):
    target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
    if target.is_dir():
        target /= "index.html"
    if not parts.fragment or target not in pages:
        return target.is_file()
    return unquote(parts.fragment) in pages[target].anchors
