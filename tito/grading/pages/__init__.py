"""Pages for people, from templates that stand beside this file: one file each, which loads nothing from elsewhere."""

from pathlib import Path

import jinja2

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
)
_ENVIRONMENT.filters["number"] = lambda points: f"{points:g}"


def render(name, **facts):
    """The page `name.html.j2` with these facts; everything in them is taken for text."""
    return _ENVIRONMENT.get_template(f"{name}.html.j2").render(**facts)
