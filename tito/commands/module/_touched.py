"""Which tests an edit touches: read from the names that cells define and use."""

import ast
import functools
import re

from tito import notebook as nb

_DEFINED = re.compile(r"^(?:def|class)\s+(\w+)", re.MULTILINE)
_PLAIN = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)


def touched(before, after):
    """Ids of the test cells that an edit may change the result of; None when that cannot be told, so all.

    before, after: rebuilt notebooks. A test is touched when it, or exported code that it reaches by name, uses what a
    changed cell defines.
    """
    old, new = _sources(before), _sources(after)
    changed = [identity for identity in new if old.get(identity) != new[identity]]
    if not changed or old.keys() != new.keys() or any(identity.startswith("own-") for identity in changed):
        return None
    names = set()
    for identity in changed:
        if not (_only_defines(old[identity]) and _only_defines(new[identity])):
            return None
        names |= _defines(old[identity]) | _defines(new[identity])
    names = _reached(names, new)
    tests = [cell for cell in after["cells"] if nb.is_test(cell)]
    return {
        nb.grade_id(cell)
        for cell in tests
        if nb.grade_id(cell).removesuffix("-test") in changed or _uses(cell["source"]) & names
    }


def _sources(notebook):
    """Id -> source of the code cells that are exported."""
    return {cell["id"]: cell["source"] for cell in notebook["cells"] if nb.export_target(cell) is not None}


def _reached(names, sources):
    """The names, and those of all exported code that uses one of them, however indirectly."""
    cells = [(_defines(source), _uses(source)) for source in sources.values()]
    while True:
        more = names.union(*(defined for defined, used in cells if used & names))
        if more == names:
            return names
        names = more


@functools.lru_cache(maxsize=4096)
def _parsed(source):
    try:
        return ast.parse(nb.code_of(source))
    except (SyntaxError, ValueError):
        return None


def _only_defines(source):
    """Whether running the cell does nothing but give values to names; one that does not parse does nothing at all."""
    tree = _parsed(source)
    return tree is None or all(_is_definition(node) for node in tree.body)


def _is_definition(node):
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)  # a docstring
    if isinstance(node, ast.Assign):
        return all(isinstance(target, ast.Name) for target in node.targets)
    if isinstance(node, ast.FunctionDef):
        return all(_added_to(decorator) for decorator in node.decorator_list)
    return isinstance(node, _PLAIN)


def _added_to(decorator):
    """The class under `@add_to(Class)`, else None."""
    is_call = isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "add_to" and decorator.args
    return getattr(decorator.args[0], "id", None) if is_call else None


def _defines(source):
    """Names that a cell gives a value, a class that it adds to among them."""
    tree = _parsed(source)
    if tree is None:
        return set(_DEFINED.findall(source))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    names |= {_added_to(d) for node in tree.body if isinstance(node, ast.FunctionDef) for d in node.decorator_list}
    names |= {
        node.id
        for statement in tree.body
        if not isinstance(statement, ast.FunctionDef | ast.ClassDef)
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return names - {None}


def _uses(source):
    """Every name and attribute that a cell mentions."""
    tree = _parsed(source)
    if tree is None:
        return set(re.findall(r"\w+", source))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return names | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
