"""Percent file, notebook, blank notebook and exported file: every change of form of a module.

The only file that knows jupytext and nbdev, and with `tito/grading` the only one that knows nbgrader's formats.
A notebook is the plain JSON dictionary of nbformat 4.5.
"""

import ast
import copy
import functools
import json
import os
import re
import secrets
import shutil
import sys
import tempfile
import textwrap
from pathlib import Path

from tito.errors import CourseError, TitoError

# jupytext, nbformat and nbgrader import a parser through this name that none of them needs here and that takes 2 s.
sys.modules.setdefault("rfc3987_syntax", None)

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
ANSWER = "*Write your answer here.*"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
_DIRECTIVE = re.compile(r"^#\|\s*(\w+)\s*([\w.]*)\s*$")
_MARKER = re.compile(r"^# %%")
# A cell is parsed once, however often its notebook is exported with another cell changed.
_once_for_each_cell = functools.lru_cache(maxsize=4096)


# --- reading ---------------------------------------------------------------------------------------------------------


def read(path):
    """Notebook from a `.ipynb` or percent `.py` file. Raises TitoError that names the file and the place."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise TitoError(f"{path} is not text in UTF-8 (byte {error.start})", "save it again as UTF-8") from error
    return from_percent(text) if path.suffix == ".py" else from_json(text, path)


def from_json(text, path="notebook"):
    try:
        notebook = json.loads(text)
        cells = notebook["cells"]
        for cell in cells:
            cell["source"] = "".join(cell["source"])
            cell["cell_type"], cell.setdefault("metadata", {}).get("nbgrader", {}).get("grade_id")
    except json.JSONDecodeError as error:
        raise TitoError(
            f"{path} is not a notebook: line {error.lineno} is not JSON ({error.msg})",
            "an earlier state can be brought back with: tito module undo",
        ) from error
    except (KeyError, TypeError, AttributeError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else "its parts are not what they should be"
        raise TitoError(
            f"{path} is JSON but not a notebook of format 4 ({what})",
            "open it in Jupyter and save it again, or: tito module undo",
        ) from error
    return notebook


def from_percent(text):
    import jupytext

    notebook = jupytext.reads(text, fmt="py:percent")
    cells = []
    for cell in notebook.cells:
        metadata = {key: cell.metadata[key] for key in ("nbgrader", "tags") if key in cell.metadata}
        cells.append({"cell_type": cell.cell_type, "metadata": metadata, "source": cell.source})
    return {"cells": cells, "metadata": {"kernelspec": KERNEL}, "nbformat": 4, "nbformat_minor": 5}


# --- writing ---------------------------------------------------------------------------------------------------------


def to_json(notebook):
    """The bytes of an `.ipynb`: the same notebook always gives the same bytes."""
    return (json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()


def to_percent(notebook):
    """The bytes of a percent `.py`, with the metadata in the short form in which authors write it."""
    import jupytext
    import nbformat

    short = {"cells": [], "metadata": {"kernelspec": KERNEL}, "nbformat": 4, "nbformat_minor": 5}
    short["metadata"]["jupytext"] = {"notebook_metadata_filter": "-all", "cell_metadata_filter": "nbgrader,tags"}
    for cell in notebook["cells"]:
        metadata = {}
        if cell["metadata"].get("nbgrader"):
            metadata["nbgrader"] = _shorten(cell)
        if cell["metadata"].get("tags"):
            metadata["tags"] = cell["metadata"]["tags"]
        new = nbformat.v4.new_code_cell if cell["cell_type"] == "code" else nbformat.v4.new_markdown_cell
        short["cells"].append(new(source=cell["source"], metadata=metadata))
    return jupytext.writes(nbformat.from_dict(short), fmt="py:percent").encode()


def _shorten(cell):
    full = cell["metadata"]["nbgrader"]
    short = {"grade_id": full["grade_id"]}
    if full.get("points") is not None:
        short["points"] = full["points"]
    if full.get("solution"):
        short["solution"] = True
    if cell["metadata"].get("tito", {}).get("optional") or full.get("optional"):
        short["optional"] = True
    return short


def write_atomically(path, data, durable=True):
    """Replace `path` by `data` (bytes) at once: after a crash there is the old file or the new one, never a part.

    durable: also when the power fails; waits for the disk.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")  # known before it exists, so that Ctrl-C
    try:  # at any moment still removes it
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)  # a full disk does not say which file
        raise


# --- what a cell is --------------------------------------------------------------------------------------------------


def grade_id(cell):
    return cell["metadata"].get("nbgrader", {}).get("grade_id")


def is_solution(cell):
    return bool(cell["metadata"].get("nbgrader", {}).get("solution")) and cell["cell_type"] == "code"


def is_answer(cell):
    """A reflection question, graded by hand."""
    return bool(cell["metadata"].get("nbgrader", {}).get("solution")) and cell["cell_type"] == "markdown"


def is_test(cell):
    return cell["cell_type"] == "code" and str(grade_id(cell) or "").endswith("-test")


def is_locked(cell):
    return bool(cell["metadata"].get("nbgrader", {}).get("locked"))


def is_measure(cell):
    return "measure" in cell["metadata"].get("tags", [])


def is_optional(cell):
    return bool(cell["metadata"].get("tito", {}).get("optional"))


def export_target(cell):
    """Where the cell is exported to: a target's name, `""` for the default one, None when it is not exported."""
    if cell["cell_type"] != "code":
        return None
    for line in cell["source"].splitlines():
        directive = _DIRECTIVE.match(line)
        if directive and directive[1] == "export":
            return directive[2]
        if line.strip() and not line.startswith("#"):
            break
    return None


def default_target(notebook):
    for cell in notebook["cells"]:
        for line in cell["source"].splitlines() if cell["cell_type"] == "code" else ():
            directive = _DIRECTIVE.match(line)
            if directive and directive[1] == "default_exp" and directive[2]:
                return directive[2]
    return None


@_once_for_each_cell
def code_of(source):
    """Cell source with jupyter's magics made comments, so that line numbers stay."""
    try:
        ast.parse(source)
        return source  # here a line that begins with % is the rest of an expression
    except (SyntaxError, ValueError):
        pass
    return "\n".join(re.sub(r"^(\s*)([%!])", r"\1# \2", line) for line in source.split("\n"))


@_once_for_each_cell
def syntax_error(source):
    """What keeps a cell from being Python, or None."""
    try:
        ast.parse(code_of(source))
        return None
    except (SyntaxError, ValueError) as error:
        return error.with_traceback(None)


# --- compiling: the author's source to a complete notebook -----------------------------------------------------------


def compile_module(module):
    """The complete notebook of a module, solutions in, ids and metadata complete. Raises CourseError with the place."""
    return copy.deepcopy(_compiled(module, module.text))


@functools.lru_cache(maxsize=64)  # the gates of a module read every other module too
def _compiled(module, text):
    notebook = from_percent(text)
    places = [f"{module.source}:{line}" for line in lines_of_cells(module, notebook)]
    seen = {}
    for position, cell in enumerate(notebook["cells"]):
        place = places[position]
        short = cell["metadata"].get("nbgrader")
        if short is not None and not short.get("grade_id"):
            raise CourseError(place, "nbgrader metadata without a grade_id", 'write {"grade_id": "NN-k", ...}')
        identity = short["grade_id"] if short else f"{module.label}-c{position:03}"
        if identity in seen:
            raise CourseError(place, f"the id {identity} is already taken at {seen[identity]}")
        seen[identity] = place
        if cell["cell_type"] == "code":
            _require_syntax(cell, place)
            cell["outputs"], cell["execution_count"] = [], None
        cell["id"] = identity
        _complete(cell, identity)
    _lock_foundations(notebook["cells"])
    if default_target(notebook) is None:
        raise CourseError(module.source, "has no `#| default_exp`", "name the exported file in the first code cell")
    if not any(export_target(cell) == "" for cell in notebook["cells"]):
        raise CourseError(module.source, "exports nothing", "mark at least one code cell with `#| export`")
    return notebook


def lines_of_cells(module, notebook):
    """The line of the module's source in which each cell begins."""
    markers = [number for number, line in enumerate(module.text.splitlines(), 1) if _MARKER.match(line)]
    if len(markers) != len(notebook["cells"]):  # text before the first marker is a cell of its own
        markers = [1, *markers]
    return markers if len(markers) == len(notebook["cells"]) else [1] * len(notebook["cells"])


def _require_syntax(cell, place):
    try:
        ast.parse(code_of(cell["source"]))
    except SyntaxError as error:
        path, line = place.rsplit(":", 1)
        raise CourseError(f"{path}:{int(line) + (error.lineno or 1)}", f"syntax error: {error.msg}") from error


def _complete(cell, identity):
    """Fill in the fields on which nbgrader insists, and lock what students are not meant to change."""
    short = cell["metadata"].pop("nbgrader", None)
    if short is None:
        if cell["cell_type"] == "code" and not is_measure(cell) and _defines(cell):
            short = {"grade_id": identity}
        else:
            return
    points, solution = short.get("points"), bool(short.get("solution"))
    full = {"grade_id": identity, "schema_version": 3, "task": False, "solution": solution}
    full["grade"] = points is not None
    full["locked"] = not solution
    if points is not None:
        full["points"] = points
    if short.get("optional"):
        cell["metadata"]["tito"] = {"optional": True}
    cell["metadata"]["nbgrader"] = full


def _lock_foundations(cells):
    """Lock, too, what binds a name at top level that a locked cell further down uses: tests must not lose it."""
    needed = set()
    for cell in reversed(cells):
        if cell["cell_type"] != "code" or is_measure(cell):
            continue
        binds, uses = top_level_names(code_of(cell["source"]))
        if binds & needed and not is_locked(cell) and not is_solution(cell):
            cell["metadata"]["nbgrader"] = {"grade_id": cell["id"]}
            _complete(cell, cell["id"])
        if is_locked(cell):
            needed = (needed - binds) | (uses - binds)


@_once_for_each_cell
def top_level_names(source):
    """Names that a cell binds, and names of other cells that it uses, also inside its functions."""
    import symtable

    table = symtable.symtable(source, "cell", "exec")
    binds = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
    uses = {s.get_name() for s in table.get_symbols() if s.is_referenced()}
    waiting = list(table.get_children())
    while waiting:
        inner = waiting.pop()
        uses |= {s.get_name() for s in inner.get_symbols() if s.is_global() and s.is_referenced()}
        waiting += inner.get_children()
    return binds, uses


def _defines(cell):
    """Whether later cells may stand on this one: it is exported, imports or defines something."""
    definitions = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    tree = ast.parse(code_of(cell["source"]))
    return export_target(cell) is not None or any(isinstance(node, definitions) for node in tree.body)


# --- stripping: the complete notebook to the student's ---------------------------------------------------------------


def strip(notebook):
    """The student's blank notebook, which is also the assignment that nbgrader releases."""
    import nbformat
    from nbgrader.preprocessors import CheckCellMetadata, ComputeChecksums, LockCells

    blank = nbformat.from_dict(with_here(notebook))
    resources = {}
    for preprocessor in (_clear_solutions(), LockCells(), ComputeChecksums(), CheckCellMetadata()):
        blank, resources = preprocessor.preprocess(blank, resources)
    return json.loads(json.dumps(blank))


def _clear_solutions():
    from nbgrader.preprocessors import ClearMarkScheme, ClearSolutions

    class ClearToStubs(ClearSolutions):
        """nbgrader's own, with a stub that names the task, and questions that keep their text."""

        mark_schemes = ClearMarkScheme(enforce_metadata=False)

        def preprocess_cell(self, cell, resources, cell_index):
            if is_answer(cell):
                self.mark_schemes.preprocess_cell(cell, resources, cell_index)
                if not cell.source.rstrip().endswith(ANSWER):  # a kit's blank already has the line
                    cell.source = f"{cell.source.rstrip()}\n\n{ANSWER}"
            elif is_solution(cell) and BEGIN in cell.source:
                self.code_stub = {"python": stub(cell)}
                self._replace_solution_region(cell, "python")
            return cell, resources

    return ClearToStubs()


def stub(cell):
    """What stands in a blank: `raise NotImplementedError("07-1 CosineSchedule.get_lr")`."""
    return f'raise NotImplementedError("{grade_id(cell)} {symbol(cell)}")'


def symbol(cell):
    """The function or `Class.method` in which a solution region stands."""
    line = next((n for n, text in enumerate(cell["source"].split("\n"), 1) if BEGIN in text), None)
    tree = ast.parse(cell["source"])
    if line is None:
        return tree.body[-1].name
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.lineno <= line <= node.end_lineno
    ]
    # the region may end after the last statement, where no node reaches
    around = around or [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)][-1:]
    return ".".join(node.name for node in sorted(around, key=lambda node: node.lineno)[:2])


def with_here(notebook):
    """A copy with the cell that selects the student's own package before the first code cell, unless it is there."""
    notebook = copy.deepcopy(notebook)
    if any(is_here(cell) for cell in notebook["cells"]):
        return notebook
    first = next(i for i, cell in enumerate(notebook["cells"]) if cell["cell_type"] == "code")
    identity = f"{notebook['cells'][first]['id'].split('-')[0]}-here"
    cell = {
        "cell_type": "code",
        "id": identity,
        "metadata": {},
        "source": "import tito\n\ntito.here()",
        "outputs": [],
        "execution_count": None,
    }
    _complete(cell, identity)
    notebook["cells"].insert(first, cell)
    return notebook


def is_here(cell):
    return str(grade_id(cell) or "").endswith("-here")


# --- folding and exporting: a notebook to files of the package -------------------------------------------------------


def fold(cells):
    """Move functions under `@add_to(Class)` into the class, so that the package has one ordinary class.

    Returns new cells of one target; each moved method keeps a comment that says which cell it came from.
    """
    kept, homes, methods = [], {}, {}
    for cell in cells:
        method = _added_method(cell["source"])
        if method is None:
            homes.update(dict.fromkeys(_classes_in(cell["source"]), len(kept)))
            kept.append(dict(cell))
            continue
        name, body = method
        if name not in homes:
            raise TitoError(f"cell {cell['id']} adds a method to {name}, which no earlier exported cell defines")
        text = textwrap.indent(f"\n# %% {cell['id']}\n{body}", "    ", lambda line: line.strip() != "")
        methods.setdefault((homes[name], name), []).extend(text.split("\n"))
    for (place, name), added in methods.items():
        lines = kept[place]["source"].split("\n")
        tree = ast.parse(kept[place]["source"])
        home = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
        lines[home.end_lineno : home.end_lineno] = added
        kept[place]["source"] = "\n".join(lines)
    return kept


@_once_for_each_cell
def _classes_in(source):
    return [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]


@_once_for_each_cell
def _added_method(source):
    """`(class name, method source)` when the cell is one function under `@add_to(Class)`, else None."""
    body = [node for node in ast.parse(source).body if not isinstance(node, ast.Import | ast.ImportFrom)]
    if len(body) != 1 or not isinstance(body[0], ast.FunctionDef) or not body[0].decorator_list:
        return None
    decorator = body[0].decorator_list[0]
    if not (isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "add_to"):
        return None
    lines = source.split("\n")
    others = [ast.get_source_segment(source, d) for d in body[0].decorator_list[1:]]
    text = "\n".join([*(f"@{other}" for other in others), *lines[body[0].lineno - 1 : body[0].end_lineno]])
    return decorator.args[0].id, text


def export(notebook, package, origin, summary=""):
    """Write the exported cells to files below `package` with nbdev; returns their paths by target.

    Each file begins with where it comes from, and each cell with a comment `# %% id`.
    Raises: TitoError when a target would be empty.
    """
    from nbdev.export import nb_export

    written = {}
    package = Path(package)
    with tempfile.TemporaryDirectory(prefix="tito-export-") as folder:
        for target, cells in _exported_cells(notebook, package.name, origin).items():
            staged = Path(folder) / package.name / f"{target.replace('.', '/')}.py"
            path = Path(folder) / f"{target}.ipynb"
            path.write_bytes(to_json(_nbdev_notebook(target, cells, summary)))
            nb_export(str(path), lib_path=str(Path(folder) / package.name))
            text = _rename_origin(staged.read_text(encoding="utf-8"), origin)
            written[target] = package / f"{target.replace('.', '/')}.py"
            write_atomically(written[target], text.encode(), durable=False)
    return written


def texts_to_run(notebook, package, origin):
    """What `export` writes, by target, without what only readers need. Not by nbdev, which parses each cell anew."""
    exported = _exported_cells(notebook, package, origin).items()
    return {target: "\n\n".join(f"# %% {cell['id']}\n{cell['source']}" for cell in cells) for target, cells in exported}


def _exported_cells(notebook, package, origin):
    """`{target: cells}`: the code of each file to be written, in order. Raises: TitoError."""
    default, by_target = default_target(notebook), {}
    for cell in notebook["cells"]:
        target = export_target(cell)
        if target is not None:
            by_target.setdefault(target or default, []).append(cell)
    for target, cells in by_target.items():
        cells = [{**cell, "source": exported_source(cell["source"])} for cell in cells]
        by_target[target] = fold([cell for cell in cells if _holds_code(cell["source"])])
    found = {target: _imports_from_siblings(target, by_target, package) + cells for target, cells in by_target.items()}
    for target, cells in found.items():
        if not cells:
            raise TitoError(f"{origin}: nothing to export to {target}: every `#| export` cell is empty")
    return found


@_once_for_each_cell
def _holds_code(source):
    return bool(ast.parse(source).body)


def _imports_from_siblings(target, by_target, package):
    """In a notebook with several targets all names are at hand; in its files they must be imported. One cell or none.

    Raises: TitoError when two files would import each other.
    """
    needs = _siblings(target, by_target)
    for sibling in needs:
        if target in _siblings(sibling, by_target):
            raise TitoError(f"{target} and {sibling} use names of each other; move a cell to the other target")
    lines = [f"from {package}.{sibling} import {', '.join(sorted(names))}" for sibling, names in needs.items()]
    return [{"id": "siblings", "source": "\n".join(lines)}] if lines else []


def _siblings(target, by_target):
    """Other targets of the same notebook -> names that `target` uses and only they define."""
    binds, uses = _names_of_cells(by_target[target])
    others = {
        other: _names_of_cells(cells)[0] & (uses - binds) for other, cells in by_target.items() if other != target
    }
    imported = {name for cells in by_target.values() for cell in cells for name in _imported_names(cell["source"])}
    return {other: names - imported for other, names in others.items() if names - imported}


def _names_of_cells(cells):
    binds, uses = set(), set()
    for cell in cells:
        its_binds, its_uses = top_level_names(cell["source"])
        binds, uses = binds | its_binds, uses | its_uses
    return binds, uses


@_once_for_each_cell
def _imported_names(source):
    imports = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    return {alias.asname or alias.name.split(".")[0] for node in imports for alias in node.names}


@_once_for_each_cell
def exported_source(source):
    """Cell source as it goes into the package: without directives and without the solution's markers."""
    lines = [line for line in source.split("\n") if line.strip() not in (BEGIN, END) and not _DIRECTIVE.match(line)]
    return code_of("\n".join(lines)).strip("\n")


def _nbdev_notebook(target, cells, summary):
    head = {"cell_type": "markdown", "metadata": {}, "source": f"# {target}\n\n> {summary}", "id": "title"}
    first = {"cell_type": "code", "source": f"#| default_exp {target}", "id": "default"}
    body = [{"cell_type": "code", "source": f"#| export\n{cell['source']}", "id": cell["id"]} for cell in cells]
    for cell in (first, *body):
        cell.update(metadata={}, outputs=[], execution_count=None)
    cells = [*([head] if summary else []), first, *body]
    return {"cells": cells, "metadata": {"kernelspec": KERNEL}, "nbformat": 4, "nbformat_minor": 5}


def _rename_origin(text, origin):
    """nbdev names its temporary notebook; name the module's file and the cells' ids instead."""
    text = re.sub(
        r"^# AUTOGENERATED!.*$", f"# AUTOGENERATED! DO NOT EDIT! File to edit: {origin}.", text, flags=re.MULTILINE
    )
    return re.sub(r"^# %% \S+\.ipynb #?(\S+)$", lambda match: f"# %% {match[1]}", text, flags=re.MULTILINE)


def cell_at(text, line):
    """Id of the cell, and the line inside it, from which line `line` of an exported file comes."""
    lines = text.splitlines()
    for number in range(min(line, len(lines)), 0, -1):
        marker = re.match(r"\s*# %% (\S+)$", lines[number - 1])
        if marker:
            return marker[1], line - number
    return None, line


def copy_tree(source, destination, skip=()):
    """Copy a folder. Raises the first OSError as it is; shutil's own gathers them as texts."""
    failures = []

    def copy(one, other):
        try:
            return shutil.copy2(one, other)
        except OSError as error:
            failures.append(error)
            raise

    ignore = shutil.ignore_patterns("__pycache__", *skip)
    try:
        shutil.copytree(source, destination, dirs_exist_ok=True, ignore=ignore, copy_function=copy)
    except shutil.Error as error:
        raise (failures or [error])[0] from error
