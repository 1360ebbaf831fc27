"""What `tito book` says where the book cannot be built; the built book is read in tests/browser."""

import json

import pytest

from tests.conftest import ROOT, Tito
from tito import book
from tito.errors import WorkplaceError


def test_a_course_without_its_book_says_so(tiny):
    said = tiny("book", "build", code=3).flat
    assert "has no book" in said and "a checkout of the course" in said


def test_missing_packages_are_named(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['myst_nb'] = None\n")
    said = Tito(tmp_path, ROOT)("book", "build", code=3, PYTHONPATH=f"{tmp_path}:{ROOT}").flat
    assert "not installed: myst_nb" in said and "pip install" in said


def test_a_missing_npm_and_an_unknown_version_are_named(tmp_path, monkeypatch):
    manifest = {"dependencies": {"mathjax": "0.0.0-none"}, "devDependencies": {}}
    (tmp_path / "package.json").write_text(json.dumps(manifest))
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho no such version >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with pytest.raises(WorkplaceError, match="npm, which fetches mathjax@0.0.0-none, is not on PATH"):
        book.fetch(tmp_path, "mathjax")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(WorkplaceError, match="could not fetch mathjax@0.0.0-none:\nno such version"):
        book.fetch(tmp_path, "mathjax")
    assert not [path for path in (tmp_path / "_build" / "npm").iterdir() if path.suffix != ".lock"]


def test_measurements_are_not_read_side_by_side():
    assert book.jobs(short=False) == 1 <= book.jobs(short=True)
