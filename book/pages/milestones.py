"""The milestones: run when the book is built, told with what came out."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sphinx.util import logging

from book.pages.course import BOOK, course, fingerprint, library_below, link_to
from tito.milestone import needed

log = logging.getLogger(__name__)
ALL = 100  # above every module's number


def pages(app):
    rows = ["| Year | Milestone | Measured | Needed | Stands on modules |", "|---|---|--:|--:|---|"]
    for milestone in course().milestones:
        facts, picture = measured(milestone, app.config.book_short, Path(app.config.book_cache))
        yield f"milestones/{milestone.slug}.md", "\n".join(story(milestone, facts)) + "\n"
        yield f"milestones/{milestone.slug}.png", picture
        rows.append(row(milestone, facts))
    yield "milestones.md", "\n".join(rows) + "\n"


def measured(milestone, short, cache):
    """`(what tito says of a run, the picture)`; runs it unless this milestone on this library was run before."""
    files = sorted(path for path in milestone.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    kind = "short" if short else "full"
    kept = cache / "milestones" / f"{milestone.slug}-{kind}-{fingerprint([*files, *library_below(ALL)])}"
    if not kept.is_dir():
        log.info("running milestone %s (%s)", milestone.slug, kind)
        with tempfile.TemporaryDirectory() as folder:
            run(milestone, short, Path(folder))
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(Path(folder) / "kept", kept)
    return json.loads((kept / "facts.json").read_text(encoding="utf-8")), (kept / "picture.png").read_bytes()


def run(milestone, short, folder):
    """Reach a milestone as a student would who borrows every module; leaves `kept/` in the folder."""
    last = max(module.number for module in needed(course(), milestone))
    tito("init", folder / "work", at=folder)
    tito("module", "borrow", f"01-{last:02}", at=folder / "work")
    said = tito("milestone", "run", milestone.label, "--json", *(["--short"] if short else []), at=folder / "work")
    facts = json.loads(said)
    if facts["picture"] is None:
        raise RuntimeError(f"milestone {milestone.label}: {'; '.join(facts['remarks'])}")
    kept = folder / "kept"
    kept.mkdir()
    (kept / "facts.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    shutil.move(folder / "work" / facts["picture"], kept / "picture.png")


def tito(*arguments, at):
    """What a command prints. With the bundled data only, so that the book is the same wherever it is built."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TITO_")}
    environment |= {"TITO_COURSE": str(course().root), "TINYTORCH_DATA": str(at / "no-data")}
    line = [sys.executable, "-m", "tito.cli", *map(str, arguments)]
    done = subprocess.run(line, cwd=at, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(
            f"tito {' '.join(map(str, arguments))} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return done.stdout


def row(milestone, facts):
    link = f"[{milestone.settings['title']}](/generated/milestones/{milestone.slug}.md)"
    needs = ", ".join(f"{number:02}" for number in milestone.needs)
    value = f"{facts['metric']:.3f}{' (short run)' * facts['short']}"
    return f"| {milestone.settings['year']} | {link} | {value} | {facts['at_least']:g} | {needs} |"


def story(milestone, facts):
    settings = milestone.settings
    yield f"# {settings['year']}. {settings['title']}"
    yield ""
    yield " ".join(settings["history"].split())
    yield ""
    yield f"*Source:* {settings['source']}"
    yield ""
    yield f"## What this run measured{' (a short run: little training)' * facts['short']}"
    yield ""
    yield f"Data: {facts['data']}"
    yield ""
    yield "| Seed | " + " | ".join(str(seed) for seed in facts["seeds"]) + " | median | needed |"
    yield "|---|" + "--:|" * (len(facts["seeds"]) + 2)
    values = " | ".join(f"{value:.3f}" for value in facts["metrics"])
    yield f"| {facts['metric_name']} | {values} | {facts['metric']:.3f} | {facts['at_least']:g} |"
    yield ""
    yield f"All seeds together took {facts['seconds']:.1f} s on the machine that built this book."
    yield ""
    yield f"![{settings.get('picture', settings['title'])}]({milestone.slug}.png)"
    yield ""
    if settings.get("question"):
        yield "## A question"
        yield ""
        yield " ".join(settings["question"].split())
        yield ""
    yield "## Do it yourself"
    yield ""
    links = [link_to(module, f"{module.label} {module.name}") for module in needed(course(), milestone)]
    yield f"With modules {', '.join(links)} in your package:"
    yield ""
    yield "```text"
    yield f"tito milestone run {milestone.label}"
    yield "```"
    yield ""
    yield "## The program"
    yield ""
    yield "```{literalinclude} " + os.path.relpath(milestone.folder / "run.py", BOOK / "generated" / "milestones")
    yield ":language: python"
    yield "```"
