"""Every command of tito as its own help describes it."""

import click

from tito.cli import main

GUIDES = {  # who needs a command reads this page
    "students": ("init", "lab", "module", "milestone", "submit", "doctor", "completion"),
    "instructors": ("release", "grade"),
    "authors": ("dev", "book"),
}


def pages(app):
    """The commands of each guide. Raises: ValueError when a command is in none of them."""
    context = click.Context(main, info_name="tito")
    known = {name for names in GUIDES.values() for name in names}
    forgotten = set(main.list_commands(context)) - known
    if forgotten:
        raise ValueError(f"no guide describes tito {', '.join(sorted(forgotten))}; add it to GUIDES in {__file__}")
    for guide, names in GUIDES.items():
        lines = [line for name in names for line in described(name, main.get_command(context, name), context)]
        yield f"commands/{guide}.md", "\n".join(lines) + "\n"


def described(name, command, parent):
    """The lines of a command and of those below it."""
    context = click.Context(command, info_name=name, parent=parent)
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            yield from described(below, command.get_command(context, below), context)
        return
    yield f"### `{context.command_path}`"
    yield ""
    yield " ".join(command.help.split())
    yield ""
    yield "```text"
    yield f"{context.command_path} {' '.join(command.collect_usage_pieces(context))}"
    yield "```"
    yield ""
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record and record[1]:
            yield f"`{record[0]}`"
            yield f": {record[1]}"
            yield ""
