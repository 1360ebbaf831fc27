"""Sphinx's configuration. `tito book build` may pass the tags `student`, without solutions, and `short`, for tests."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from tito.book import fetch_scripts  # noqa: E402

project = "tinytorch"
author = "The tinytorch authors"
html_title = "tinytorch: build the framework"
language = "en"
extensions = [
    "myst_nb",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinxcontrib.mermaid",
    "book.pages",
]
include_patterns = ["*.md", "modules/*/*_dev.py", "generated/milestones/*.md", "generated/reference/*.md"]

# what the book's own extension is told
book_short = tags.has("short")  # noqa: F821  # measurements are not run, milestones train little
book_solutions = not tags.has("student")  # noqa: F821
book_cache = str(HERE / "_build" / "cache")

# cells are run once and kept; one that raises ends the build
nb_execution_mode = "cache"
nb_execution_cache_path = str(Path(book_cache) / "cells")
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_merge_streams = True

myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
add_module_names = False
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

# everything a page needs comes from its own host
html_static_path = ["static", str(fetch_scripts(HERE))]
templates_path = ["templates"]
html_css_files = ["book.css"]
html_js_files = ["book.js"]
html_favicon = "static/favicon.svg"
html_context = {"default_mode": "auto"}
highlight_language = "none"  # of fences that do not say which
mathjax_path = "mathjax/tex-svg-full.js"
mathjax3_config = {"options": {"enableMenu": False}}
mermaid_use_local = "mermaid/mermaid.esm.min.mjs"
mermaid_height = "auto"
mermaid_fullscreen = False

html_theme = "sphinx_book_theme"
html_theme_options = {
    "home_page_in_toc": True,
    "navbar_persistent": [],  # the search is in the sidebar
    "show_toc_level": 2,
    "use_download_button": False,  # what can be downloaded here is the site
    "use_fullscreen_button": False,
}
html_copy_source = False  # the sources have mark schemes
html_show_sourcelink = False
html_last_updated_fmt = ""
copybutton_exclude = ".linenos, .gp, .go"
