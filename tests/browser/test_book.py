"""The built book in a real browser: every page opens without an error and without asking another host.

The book is built in its short form: all cells but those that measure are run, and milestones train little.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading

import filelock
import pytest

from tests.chromium import new_page, outside, shoot
from tests.conftest import ROOT
from tito.commands.book.serve import server
from tito.course import Course

if importlib.util.find_spec("sphinx") is None or importlib.util.find_spec("myst_nb") is None:
    pytest.skip("Sphinx and myst-nb are not installed: pip install -e '.[book]'", allow_module_level=True)
if shutil.which("npm") is None:
    pytest.skip("npm, which fetches MathJax and mermaid, is not on PATH", allow_module_level=True)

from tito.book import build, fetch, source

COURSE = Course(ROOT)
PHONE = 390


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the built pages; built once, whoever comes first."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "book"  # of all workers of this run
    with filelock.FileLock(f"{folder}.lock"):
        if not folder.exists():
            made = build(COURSE, short=True, to=folder.with_name("book-unfinished"))
            assert made.pages > len(COURSE.modules) + len(COURSE.milestones)
            made.folder.rename(folder)
    return folder


@pytest.fixture(scope="session")
def address(site):
    """Where the pages are served."""
    with server(site) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


@pytest.fixture
def reader(chromium_running):
    """A page that also notes what its console says and which requests failed."""

    def open_(**settings):
        page = new_page(chromium_running, **settings)
        page.on("console", lambda said: page.faults.append(said.text) if said.type == "error" else None)
        page.on("response", lambda got: page.faults.append(f"{got.status} {got.url}") if got.status >= 400 else None)
        page.on("requestfailed", lambda request: page.faults.extend(unanswered(request)))
        return page

    return open_


def unanswered(request):
    """A request that failed, unless it was given up because the reader went on."""
    return [] if request.failure == "net::ERR_ABORTED" else [f"{request.failure} {request.url}"]


def pages_of(site):
    return sorted(p.relative_to(site).as_posix() for p in site.rglob("*.html") if "_static" not in p.parts)


def module_page(module):
    return f"modules/{module.slug}/{module.name}.html"


# what must be there and have a size: each formula, each diagram, each picture
NOT_DRAWN = """() => {
  const empty = box => box.width < 1 || box.height < 1
  const faults = []
  const look = (what, element) => {
    const open = element.closest('details:not([open])')
    if (!open && empty(element.getBoundingClientRect())) faults.push(what)
  }
  for (const formula of document.querySelectorAll('.math')) {
    const drawn = formula.querySelector('mjx-container svg')
    drawn ? look('formula ' + formula.textContent, drawn) : faults.push('no formula for ' + formula.textContent)
    if (formula.querySelector('[data-mml-node=merror]')) faults.push('formula with an error ' + formula.textContent)
  }
  for (const diagram of document.querySelectorAll('.mermaid')) {
    const drawn = diagram.querySelector('svg')
    drawn ? look('diagram', drawn) : faults.push('no diagram')
  }
  for (const image of document.querySelectorAll('article img')) {
    look('image ' + image.src, image)
    if (!image.naturalWidth) faults.push('no image ' + image.src)
    if (!image.alt) faults.push('no text for the image ' + image.src)
  }
  return faults
}"""
DRAWN = """() => (!document.querySelector('.math') || window.MathJax?.startup?.promise)
  && [...document.querySelectorAll('.mermaid')].every(each => each.querySelector('svg'))"""


def open_page(page, url):
    """Go to a page and wait until formulas and diagrams are drawn."""
    page.goto(url)
    page.wait_for_function(DRAWN)
    page.evaluate("() => document.querySelector('.math') ? MathJax.startup.promise : null")


def test_every_page_opens_without_a_fault_for_whoever_reads_it(site, address, reader, tmp_path):
    page, axe = reader(), axe_core()
    formulas = diagrams = 0
    found = {}
    for name in pages_of(site):
        open_page(page, f"{address}/{name}")
        found[name] = page.evaluate(NOT_DRAWN) + page.faults + grave(page, axe, {"color-contrast": {"enabled": False}})
        page.faults.clear()
        formulas += page.locator(".math").count()
        diagrams += page.locator(".mermaid").count()
    assert not {name: faults for name, faults in found.items() if faults}
    assert formulas > 100 and diagrams > 0
    assert page.asked and not outside(page, int(address.rpartition(":")[2]))
    page.goto(f"{address}/index.html")
    shoot(page, tmp_path, "book-start")


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_colours_can_be_told_apart(address, reader, mode):
    """On one page of each kind: all of them have the same style, and this rule takes seconds on a long page."""
    page, axe = reader(color_scheme=mode), axe_core()
    milestone = COURSE.milestones[0]
    pages = ["index", "students", "differences", "glossary", "search", "genindex", "generated/reference/tinytorch.nn"]
    pages += [f"generated/milestones/{milestone.slug}", module_page(COURSE.modules[0]).removesuffix(".html")]
    found = {}
    for name in pages:
        open_page(page, f"{address}/{name}.html")
        found[name] = grave(page, axe)
    assert not {name: faults for name, faults in found.items() if faults}


def axe_core():
    return fetch(source(COURSE), "axe-core") / "axe.min.js"


def grave(page, axe, rules=None):
    """What axe-core finds on a page that is serious or critical: rule, how often, first place."""
    page.add_script_tag(path=axe)
    options = {"resultTypes": ["violations"], "rules": rules or {}}
    result = page.evaluate("options => axe.run(document, options)", options)
    return [
        (violation["id"], len(violation["nodes"]), violation["nodes"][0]["target"])
        for violation in result["violations"]
        if violation["impact"] in ("serious", "critical")
    ]


def test_no_page_is_wider_than_a_phone(site, address, reader, tmp_path):
    page = reader(width=PHONE, height=800)
    widths = {}
    for name in pages_of(site):
        page.goto(f"{address}/{name}", wait_until="domcontentloaded")
        widths[name] = page.evaluate("document.documentElement.scrollWidth")
    assert not {name: width for name, width in widths.items() if width > PHONE}
    page.goto(f"{address}/{module_page(COURSE.modules[0])}")
    shoot(page, tmp_path, "book-phone")


def test_the_search_finds_a_word_of_each_module(site, address, reader):
    page = reader()
    for module in COURSE.modules:
        word = re.findall(r"\w+", module.title)[-1]
        page.goto(f"{address}/search.html?q={word}")
        page.locator(f"#search-results a[href*='{module_page(module)}']").first.wait_for()
    assert not page.faults


def test_one_reads_on_from_module_to_module_copies_code_and_chooses_dark(site, address, reader, tmp_path):
    page = reader(permissions=["clipboard-read", "clipboard-write"])
    first, *others = COURSE.modules
    page.goto(f"{address}/{module_page(first)}")
    page.locator(".theme-switch-button").first.click()
    page.locator(".theme-change-button[data-mode=dark]").first.click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    shoot(page, tmp_path, "book-dark")
    cell = page.locator("div.cell .highlight", has_text="#| default_exp").first
    cell.hover()
    cell.locator("button.copybtn").click()
    page.wait_for_function("() => navigator.clipboard.readText().then(text => text.startsWith('#| default_exp'))")
    for module in others:
        page.locator("a.right-next").click()
        page.wait_for_url(f"**/{module_page(module)}")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert not page.faults


def test_a_solution_is_folded_and_opens(site, address, reader, tmp_path):
    page = reader()
    module = COURSE.modules[0]
    page.goto(f"{address}/{module_page(module)}")
    assert page.locator(".solution").count() == len(module.tasks)
    solution = page.locator(".solution", has_text=f"Solution of task {module.tasks[0].id}").first
    assert not solution.locator("pre").is_visible()
    solution.locator("summary").click()
    assert solution.locator("pre").is_visible()
    solution.scroll_into_view_if_needed()
    shoot(page, tmp_path, "book-solution")


def texts_of(folder):
    """Every file of a site as text, without tags and without what separates words."""
    for path in folder.rglob("*"):
        if (
            path.suffix in (".html", ".js", ".txt", ".inv", ".json", ".svg", ".ipynb", ".py")
            and "_static" not in path.parts
        ):
            yield path, squeezed(re.sub(r"<[^>]*>", "", path.read_text(encoding="utf-8", errors="replace")))


def squeezed(text):
    return re.sub(r"[\W_]+", "", text.replace("&lt;", "").replace("&gt;", "").replace("&amp;", "")).lower()


def secrets():
    """Lines of the mark schemes, and the names of known mistakes, long enough to be nothing else."""
    for module in COURSE.modules:
        schemes = re.findall(r"### BEGIN MARK SCHEME(.*?)### END MARK SCHEME", module.text, re.DOTALL)
        lines = [line for scheme in schemes for line in scheme.split("\n")]
        lines += re.findall(r'"mistake": "(.*)"', (module.folder / "misconceptions.py").read_text(encoding="utf-8"))
        yield from (squeezed(line) for line in lines if len(squeezed(line)) > 40)


def test_mark_schemes_and_known_mistakes_are_nowhere(site):
    found = list(secrets())
    assert len(found) > 10 * len(COURSE.modules)
    for path, text in texts_of(site):
        assert not [line for line in found if line in text], path


def test_the_students_view_has_no_solution(site, tmp_path):
    module = COURSE.modules[0]
    only = f"include_patterns=index.md,modules/{module.slug}/*_dev.py"
    command = [sys.executable, "-m", "sphinx", "--quiet", "--tag=short", "--tag=student", "-D", only]
    command += [str(ROOT / "book"), str(tmp_path / "html")]
    subprocess.run(command, check=True, capture_output=True)
    page = (tmp_path / "html" / module_page(module)).read_text(encoding="utf-8")
    assert page.count("NotImplementedError") >= len(module.tasks) and "Solution of task" not in page
    with_solutions = (site / module_page(module)).read_text(encoding="utf-8")
    assert page.count("NotImplementedError") == with_solutions.count("NotImplementedError")


def test_a_cell_that_raises_ends_the_build(site, tmp_path):
    """On a copy of the course, which takes the milestones as the build of `site` left them."""
    module = COURSE.modules[0]
    for name in ("book", "milestones", "modules", "tinytorch"):
        shutil.copytree(
            ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("_build", "generated", "__pycache__")
        )
    for name in ("settings.ini", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    for part in ("npm", "cache/milestones"):
        shutil.copytree(ROOT / "book" / "_build" / part, tmp_path / "book" / "_build" / part)
    with open(tmp_path / module.source.relative_to(ROOT), "a", encoding="utf-8") as file:
        file.write("\n# %%\n1 / 0\n")
    only = f"include_patterns=index.md,modules/{module.slug}/*_dev.py"
    command = [sys.executable, "-m", "sphinx", "--quiet", "--tag=short", "-D", only]
    command += [str(tmp_path / "book"), str(tmp_path / "html")]
    ended = subprocess.run(command, capture_output=True, text=True)
    said = ended.stdout + ended.stderr  # what the cell raised itself stands in the report that this names
    assert ended.returncode and "ExecutionError" in said and module.source.name in said
    assert not (tmp_path / "html" / module_page(module)).exists()
