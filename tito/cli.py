"""The command line. A file in `commands/` is a command, a folder a group; each is imported when it is called."""

import contextlib
import errno
import importlib
import os
import sys
from pathlib import Path


def _hook(kind, error, trace):
    """Say nothing when Ctrl-C comes before `run` can answer it."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _hook

import click  # noqa: E402

import tito  # noqa: E402
from tito import report  # noqa: E402
from tito.errors import TitoError  # noqa: E402

COMMANDS = Path(__file__).with_name("commands")
INTERRUPTED = 130
_REMEDIES = {
    errno.ENOSPC: "free some space on that disk, then try again",
    errno.EDQUOT: "free some space on that disk, then try again",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), then try again",
    errno.EROFS: "make that disk writable, or work on a copy of the folder elsewhere",
    errno.EACCES: "look at who owns that folder, and whether you may write in it",
}


class Folder(click.Group):
    """A click group whose commands are the files and folders of a folder; their help is the first line of the file."""

    def __init__(self, folder, package, **settings):
        super().__init__(**settings)
        self.folder, self.package = folder, package

    def list_commands(self, context):
        names = {p.stem for p in self.folder.glob("*.py")} | {p.name for p in self.folder.iterdir() if p.is_dir()}
        return sorted(name for name in names if not name.startswith("_"))

    def get_command(self, context, name):
        if (self.folder / name).is_dir() and not name.startswith("_"):
            return Folder(
                self.folder / name,
                f"{self.package}.{name}",
                name=name,
                help=_first_line(self.folder / name / "__init__.py"),
            )
        if name in self.list_commands(context):
            return importlib.import_module(f"{self.package}.{name}").command
        return None

    def format_commands(self, context, formatter):
        rows = []
        for name in self.list_commands(context):
            path = self.folder / name
            rows.append((name, _first_line(path / "__init__.py" if path.is_dir() else path.with_suffix(".py"))))
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def resolve_command(self, context, arguments):
        try:
            return super().resolve_command(context, arguments)
        except click.UsageError as error:
            from tito.explain import did_you_mean

            close = did_you_mean(arguments[0], self.list_commands(context))
            known = (
                f"did you mean `{context.command_path} {close}`?" if close else f"see `{context.command_path} --help`"
            )
            raise click.UsageError(f"there is no command {arguments[0]!r}; {known}", context) from error


def _first_line(path):
    with open(path, encoding="utf-8") as file:
        return file.readline().strip().strip('"').strip()


@click.group(
    cls=Folder,
    folder=COMMANDS,
    package="tito.commands",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": report.WIDTH},
)
@click.version_option(tito.__version__, prog_name="tito")
@click.pass_context
def main(context):
    """Build your own deep-learning framework, module by module."""
    if context.invoked_subcommand is None:
        from tito.commands.module.status import where_am_i

        where_am_i()


def run():
    """The program `tito`: runs a command and turns what went wrong into a sentence and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="replace")
    report.as_json = "--json" in sys.argv[1:]
    try:
        sys.exit(main.main(prog_name="tito", standalone_mode=False) or 0)
    except TitoError as error:
        report.error(error.message, error.hint, error.exit_code)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        report.error(error.format_message(), f"{context.command_path} --help" if context else "tito --help", 2)
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        report.error("interrupted; what was not finished was not changed", "", INTERRUPTED)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        place = f" {error.filename}" if error.filename else ""
        remedy = _REMEDIES.get(error.errno, "tito doctor")
        report.error(f"cannot use{place}: {error.strerror or error}; nothing was half-written", remedy, 3)
        sys.exit(3)


if __name__ == "__main__":
    run()
