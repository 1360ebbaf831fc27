"""What authors need: exporting the reference library."""

import tempfile
from pathlib import Path

from tito import notebook as nb


def origin_of(course, module):
    return module.source.relative_to(course.root).as_posix()


def export_module(course, module, package=None):
    """Export a module's reference into `package` (the course's own by default); returns the files."""
    notebook = nb.compile_module(module)
    summary = module.settings.get("summary", "")
    return list(nb.export(notebook, package or course.reference, origin_of(course, module), summary).values())


def stale_targets(course, module):
    """Files of the library that differ from what the module exports."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / course.reference.name
        fresh = export_module(course, module, package)
        pairs = [(course.reference / path.relative_to(package), path) for path in fresh]
        return [old for old, new in pairs if not old.exists() or old.read_bytes() != new.read_bytes()]
