"""From an exception to what happened, the likely cause, and what to try."""

import ast
import difflib
import re
from dataclasses import dataclass, field

from tito import notebook

VALUE_RTOL, VALUE_ATOL = 1e-4, 1e-6


@dataclass
class Result:
    """How one cell went. `status` is ok, todo, failed, error, timeout or crashed."""

    id: str
    status: str
    title: str = ""
    task: str | None = None
    optional: bool = False
    happened: str = ""
    where: str = ""
    line: str = ""
    cause: str = ""
    hint: str = ""
    output: str = ""
    seconds: float = 0.0
    points: float = 0.0
    mistake: str = ""
    error: dict = field(default_factory=dict, repr=False)

    @property
    def ok(self):
        return self.status == "ok"

    def as_json(self):
        return {key: value for key, value in vars(self).items() if key != "error" and value not in ("", None)}


def status_of_error(error):
    """The status of a Result whose error is this: of an exception outside of any test."""
    kind, message = error.get("type", ""), str(error.get("message", ""))
    if kind == "CellTimeout":
        return "timeout"
    return "todo" if kind == "NotImplementedError" and re.match(r"\d\d-\d+ ", message) else "error"


def explain(result, fingerprints=(), own_cells=(), exported=()):
    """Fill in what a failed Result says to the student.

    fingerprints: of known mistakes. own_cells: the student's cells that are not exported.
    exported: `(path, text)` of the exported files, to turn a line there into a line of a cell.
    """
    error = result.error
    kind, message = error.get("type", ""), error.get("message", "")
    where, line = _place(error.get("frames", []), exported)
    result.where, result.line = where or result.where, line or result.line
    if result.status == "todo":
        blank = message.split(" ", 1)[0]
        waits = result.task is not None and blank != result.task
        result.happened = f"waits for {message}" if waits else f"not written yet: {message}"
    elif result.status == "timeout":
        result.happened = f"ran too long and was stopped: {message}"
        result.cause = "a loop that does not end, most often because its condition never changes"
    elif result.status == "crashed":
        result.happened = message
        if "SIGKILL" in message:
            result.cause = "the machine ended it, most often because it filled the memory"
    elif kind == "CheckFailed":
        result.happened = error["promise"] + (f": {error['what']}" if error["what"] else "")
    elif kind == "SystemExit":
        result.happened = "the cell ended the program (exit was called)"
        result.hint = "return from the function instead, or raise an error"
    else:
        result.happened = f"{kind}: {message}" if message else kind
        result.cause, result.hint = _cause(error, own_cells)
    match = named(result, fingerprints)
    if match:
        result.mistake = match
        result.cause = f"this is what comes out when {match}"
    return result


def _place(frames, exported):
    """The innermost frame in code of the student: `cell 01-3, line 4`, and that line."""
    texts = dict(exported)
    for frame in reversed(frames):
        if frame["file"] in texts:
            cell, line = notebook.cell_at(texts[frame["file"]], frame["line"])
            return cell_name(cell) + _inside(frame["function"]), frame["text"] or ""
    for frame in reversed(frames):
        if frame["file"].startswith("<") and re.match(r"<\d\d-", frame["file"]):
            return f"cell {frame['file'][1:-1]}, line {frame['line']}", frame["text"] or ""
    return "", ""


def cell_name(cell):
    """What to call a cell before the student."""
    own = re.fullmatch(r"own-(\d+)", str(cell))
    return f"your own exported cell number {own[1]}" if own else f"cell {cell}"


def _inside(function):
    return "" if function == "<module>" else f", in {function}"


def _cause(error, own_cells):
    kind, message = error.get("type", ""), error.get("message", "")
    if kind == "NameError":
        name = error.get("name") or ""
        for cell in own_cells:
            if name in _defined(cell["source"]):
                return f"{name} is defined in a cell of yours that is not exported", "begin that cell with: #| export"
        return f"nothing named {name} is defined or imported at that point", "look for a typing error"
    if kind == "NotBuiltError":
        return "", ""
    if kind == "MemoryError":
        return "an array or a list that grows without end, or is far larger than meant", "print the shapes just before"
    if kind == "UnboundLocalError":
        return "a name is used before the line that gives it a value", "follow the branches: which one skips that line?"
    if kind == "RecursionError":
        return "a function calls itself without end", "what should stop it?"
    if kind == "TypeError" and "NoneType" in message:
        return "something is None, often the result of a function without a return", "does every branch return?"
    if kind == "ValueError" and "broadcast" in message:
        return "two shapes do not fit together", "print both shapes just before that line"
    if kind in ("AttributeError", "ModuleNotFoundError", "ImportError") and "'" in message:
        return "a name that does not exist there", "look for a typing error"
    return "", ""


def _defined(source):
    try:
        tree = ast.parse(notebook.code_of(source))
    except SyntaxError:
        return set()
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    names |= {
        alias.asname or alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    return names | {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


# --- fingerprints ----------------------------------------------------------------------------------------------------


def fingerprint(error):
    """What identifies a mistake: the check where it fails, and the value or the exception there."""
    at = next((f["text"] for f in reversed(error.get("frames", [])) if re.match(r"<\d\d-.*-test>", f["file"])), "")
    if error.get("type") == "CheckFailed":
        return {"promise": error["promise"], "at": at, "got": error.get("got"), "what": error.get("what", "")}
    return {"type": error.get("type"), "message": error.get("message"), "at": at}


def same_fingerprint(a, b):
    if a.keys() != b.keys() or a["at"] != b["at"]:
        return False
    if "promise" not in a:
        return (a["type"], a["message"]) == (b["type"], b["message"])
    if a["promise"] != b["promise"]:
        return False
    if a["got"] is None or b["got"] is None:
        return a["got"] is None and b["got"] is None and a["what"] == b["what"]
    return a["got"]["shape"] == b["got"]["shape"] and _same_values(a["got"]["values"], b["got"]["values"])


def _same_values(a, b):
    return len(a) == len(b) and all(_same_value(x, y) for x, y in zip(a, b, strict=True))


def _same_value(x, y):
    if isinstance(x, str) or isinstance(y, str):  # nan and inf travel as text
        return x == y
    return abs(x - y) <= VALUE_ATOL + VALUE_RTOL * abs(y)


def named(result, fingerprints):
    """The known mistake that a failed result shows, as a clause, or an empty string."""
    mistakes = names_of(result, fingerprints)
    return mistakes[0] if len(mistakes) == 1 else ""


def names_of(result, fingerprints):
    """Every known mistake with the fingerprint of this result."""
    if result.status in ("ok", "todo") or not result.error:
        return []
    mine = fingerprint(result.error)
    known = (f for f in fingerprints if f["task"] == result.task)
    return [f["mistake"] for f in known if same_fingerprint(mine, f["fingerprint"])]


def did_you_mean(word, words):
    close = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return close[0] if close else None
