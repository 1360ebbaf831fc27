"""The library's reference: a page for each of its files, from signatures and docstrings."""

import importlib
import inspect
import itertools
import re
import textwrap

from book.pages.course import course, link_to

_ITEM = re.compile(r"(?P<names>\*{0,2}\w+(?:, \*{0,2}\w+)*): (?P<text>.*)")
_CODE = re.compile(r"(`[^`]+`)")
_SIZE = r"(?:\w+(?:\[\w+\])?|\.\.\.)(?: ?[*+/-]+ ?\w+)*"
_SHAPE = re.compile(rf"\((?:{_SIZE}, )+{_SIZE}\)|\({_SIZE},\)")
_MARKUP = re.compile(r"([\\*_$<>\[\]{}|#~])")
WIDTH = 112  # a docstring's line that leaves more room than the next word needs ends there on purpose


def pages(app):
    rows = ["| Module | What it has |", "|---|---|"]
    for name in names():
        module = importlib.import_module(name)
        yield f"reference/{name}.md", "\n".join(described_module(module)) + "\n"
        first = (inspect.getdoc(module) or "").partition("\n")[0]
        rows.append(f"| {{doc}}`{name} </generated/reference/{name}>` | {escaped(first)} |")
    yield "reference.md", "\n".join(rows) + "\n"


def names():
    """The library's modules, without those whose name begins with an underscore."""
    root = course().reference
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        if not any(part.startswith("_") and part != "__init__" for part in parts):
            yield ".".join(parts).removesuffix(".__init__")


def described_module(module):
    name = module.__name__
    yield f"# {escaped(name)}"
    yield ""
    yield from paragraphs(inspect.getdoc(module) or "")
    owner = course().owners.get(name.removeprefix(f"{course().reference.name}."))
    if owner:
        yield f"Built in {link_to(owner, owner.title.replace('Module', 'module', 1))}."
        yield ""
    yield from facade(module)
    yield f"```{{py:module}} {name}"
    yield "```"
    yield ""
    for member in members(module):
        yield from described(member, f"{name}.{member.__name__}")


def facade(module):
    """What a module only passes on, and where it is described."""
    targets = getattr(module, "_NAMES", {})
    if targets:
        yield "| From | Names |"
        yield "|---|---|"
        for target, group in targets.items():
            yield f"| {{py:mod}}`{target}` | {', '.join(f'`{name}`' for name in sorted(group))} |"
        yield ""


def members(module):
    """Its own documented functions and classes, in the order of the file."""
    own = [
        value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and callable(value)
        and getattr(value, "__module__", None) == module.__name__
        and getattr(value, "__name__", None) == name
        and value.__doc__
    ]
    return sorted(own, key=line_of)


def line_of(value):
    return inspect.getsourcelines(inspect.unwrap(value))[1]


def described(value, name):
    """A class with its documented methods, or a function."""
    yield f"````{{py:{'class' if inspect.isclass(value) else 'function'}}} {name}{signature(value)}"
    yield ""
    yield from paragraphs(documentation(value))
    if inspect.isclass(value):
        for method in methods(value):
            yield from described_method(*method)
    yield "````"
    yield ""


def described_method(name, value, kind):
    is_property = kind == "property"
    text = "" if is_property else signature(value, skip_self=kind != "staticmethod")
    yield f"```{{py:{'property' if is_property else 'method'}}} {name}{text}"
    if kind in ("classmethod", "staticmethod"):
        yield f":{kind}:"
    yield ""
    yield from paragraphs(inspect.getdoc(value))
    yield "```"
    yield ""


def methods(cls):
    """Public methods and properties that the class itself documents: `(name, function, kind)`."""
    for name, value in vars(cls).items():
        kind = type(value).__name__
        function = getattr(value, "fget", None) or getattr(value, "__func__", value)
        if not name.startswith("_") and inspect.isfunction(inspect.unwrap(function)) and function.__doc__:
            yield name, function, kind


def documentation(value):
    text = inspect.getdoc(value) or ""
    return "" if inspect.isclass(value) and text == inspect.getdoc(value.__mro__[1]) else text


def signature(value, skip_self=False):
    """Arguments as they are written; a default without a name of its own is three dots."""
    try:
        found = inspect.signature(value)
    except ValueError:  # as of types made in C
        return "()"
    parameters = list(found.parameters.values())[1 if skip_self else 0 :]
    shown = [p.replace(annotation=p.empty, default=readable(p.default)) for p in parameters]
    return str(found.replace(parameters=shown, return_annotation=found.empty))


class Written:
    """A default value that is shown by this text."""

    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text


def readable(default):
    if default is inspect.Parameter.empty:
        return default
    if inspect.isclass(default) or inspect.isfunction(default):
        return Written(default.__name__)
    return Written("...") if " at 0x" in repr(default) else default


# --- docstrings ------------------------------------------------------------------------------------------------------


def paragraphs(text):
    """A docstring of the house's style as Markdown: prose, a list of what is explained by name, and code."""
    for block in re.split(r"\n\s*\n", text.strip()) if text else ():
        lines = block.split("\n")
        if all(line.startswith("    ") for line in lines):
            yield from ["```python", *textwrap.dedent(block).split("\n"), "```", ""]
        else:
            yield from prose(lines)


def prose(lines):
    """Lines of one paragraph; `name: text`, continued by deeper lines, becomes an item of a list."""
    for is_item, group in itertools.groupby(statements(lines), key=lambda statement: bool(_ITEM.match(statement[0]))):
        if is_item:
            yield from (item(statement) for statement in group)
        else:
            yield broken([line for statement in group for line in statement])
        yield ""


def statements(lines):
    """Each line with the deeper ones that continue it."""
    found = []
    for line in lines:
        if found and line.startswith("    "):
            found[-1].append(line.strip())
        else:
            found.append([line.strip()])
    return found


def item(statement):
    match = _ITEM.match(" ".join(statement))
    return f"- {label(match['names'])} {escaped(match['text'])}"


def label(names):
    known = {"Raises", "Returns", "Source", "Warns", "Yields", "Note"}
    return f"**{names}**:" if names in known else f"{', '.join(f'`{name}`' for name in names.split(', '))}:"


def broken(lines):
    """Prose with the breaks that were meant: where the next word would have fitted in."""
    text = escaped(lines[0])
    for before, line in zip(lines, lines[1:]):
        meant = len(before) + 1 + len(line.split()[0]) <= WIDTH
        text += ("\\\n" if meant else "\n") + escaped(line)
    return text


def escaped(text):
    """Text in which nothing is markup but `code`; shapes such as (N, C) become code."""
    parts = _CODE.split(text)
    return "".join(part if part.startswith("`") and len(part) > 1 else shapes(part) for part in parts)


def shapes(text):
    parts, end = [], 0
    for match in _SHAPE.finditer(text):
        parts += [_MARKUP.sub(r"\\\1", text[end : match.start()]), f"`{match[0]}`"]
        end = match.end()
    return "".join([*parts, _MARKUP.sub(r"\\\1", text[end:])])
