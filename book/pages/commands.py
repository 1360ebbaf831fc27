"""Every command of tito as its own help describes it."""

import click

from tito.cli import main


def pages(app):
    """A page for each command or group; the guides include them."""
    context = click.Context(main, info_name="tito")
    for name in main.list_commands(context):
        yield f"commands/{name}.md", "\n".join(described(main.get_command(context, name), context)) + "\n"


def described(command, parent):
    """The lines of a command and of those below it."""
    context = click.Context(command, info_name=command.name, parent=parent)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from described(command.get_command(context, name), context)
        return
    yield f"(cli-{context.command_path.replace(' ', '-')})="
    yield f"### `{context.command_path}`"
    yield ""
    yield " ".join((command.help or "").split())
    yield ""
    yield "```text"
    yield f"{context.command_path} {' '.join(command.collect_usage_pieces(context))}"
    yield "```"
    yield ""
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record and parameter.name != "help":
            yield f"`{record[0]}`"
            yield f": {record[1] or 'see above'}"
            yield ""
