"""Print the script that completes tito's commands in your shell.

bash  put this line into ~/.bashrc:  eval "$(tito completion bash)"
zsh   put this line into ~/.zshrc:   eval "$(tito completion zsh)"
fish  tito completion fish > ~/.config/fish/completions/tito.fish
"""

import click

from tito import report


@click.command(help=__doc__.replace("\n\n", "\n\n\b\n", 1))
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context, shell):
    from click.shell_completion import get_completion_class

    complete = get_completion_class(shell)(context.find_root().command, {}, "tito", "_TITO_COMPLETE")
    report.say(complete.source())
