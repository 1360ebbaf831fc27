"""Everything tito prints: results as text for a terminal of 80 columns, or as JSON. The only file that prints."""

import json
import os
import sys
import textwrap

WIDTH = 80
_WORDS = {"ok": "ok", "todo": "todo", "failed": "FAIL", "error": "FAIL", "timeout": "FAIL", "crashed": "FAIL"}
_COLOURS = {"ok": "32", "todo": "33", "FAIL": "31"}

as_json = False  # set by `--json`


def emit(data, lines=()):
    """Print a command's answer: `data` with `--json`, else `lines`."""
    if as_json:
        sys.stdout.write(json.dumps(data, indent=1, ensure_ascii=False, default=str) + "\n")
    else:
        for text in lines:
            say(text)


def emit_line(data, lines=()):
    """The same for a command that answers again and again: with `--json` one object a line."""
    if as_json:
        sys.stdout.write(json.dumps(data, ensure_ascii=False, default=str) + "\n")
        sys.stdout.flush()
    else:
        emit(data, lines)


def confirm(question, otherwise):
    """Ask on a terminal. Raises UsageError elsewhere, and when the answer is no; `otherwise` is how not to be asked."""
    from tito.errors import UsageError

    if as_json or not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(f"{question} Nobody can be asked here", otherwise)
    sys.stdout.write(f"{question} [y/N] ")
    sys.stdout.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was changed", otherwise)


def say(text=""):
    """One line for a person; nothing with `--json`."""
    if not as_json:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def error(message, hint="", code=1):
    """What went wrong, on the error stream."""
    if as_json:
        sys.stdout.write(
            json.dumps({"ok": False, "error": message, "try": hint, "exit": code}, ensure_ascii=False) + "\n"
        )
        sys.stdout.flush()
        return
    first, *rest = message.split("\n")
    sys.stderr.write("\n".join([wrap(f"tito: {first}", indent="  "), *rest]) + "\n")
    if hint:
        sys.stderr.write(wrap(f"try: {hint}", start="  ", indent="       ") + "\n")


def wrap(text, start="", indent=""):
    return textwrap.fill(
        text, WIDTH, initial_indent=start, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def word(status):
    """`ok`, `FAIL` or `todo`, coloured on a terminal."""
    plain = _WORDS.get(status, status)
    colour = _COLOURS.get(plain)
    padded = f"{plain:4}"
    return f"\033[{colour}m{padded}\033[0m" if colour and coloured() else padded


def coloured():
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def table(rows, header=None):
    """Lines of aligned columns; numbers to the right."""
    rows = [[str(cell) for cell in row] for row in ([header] if header else []) + list(rows)]
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    right = [all(_is_number(row[i]) for row in rows[1 if header else 0 :]) for i in range(len(widths))]
    return [
        "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in rows
    ]


def _is_number(text):
    return text.replace(".", "", 1).replace("-", "", 1).isdigit() or text in ("", "-")


def result_lines(result, full=False):
    """One tested task: a line when it went well, else what happened, where, why, and what to try."""
    name = result.task or result.id
    lines = [f"{word(result.status)}  {name}  {result.title}"]
    if result.ok:
        return lines
    lines.append(wrap(result.happened, start="      ", indent="      "))
    if result.line and result.status != "todo":
        place = f"{result.where}: " if result.where else ""
        lines.append(wrap(f"{place}{result.line}", start="      ", indent="        "))
    if result.cause:
        lines.append(wrap(f"likely: {result.cause}", start="      ", indent="      "))
    if result.hint:
        lines.append(wrap(f"try: {result.hint}", start="      ", indent="      "))
    if full and result.output.strip():
        lines.append("      it printed:")
        lines += [f"      | {line}"[:WIDTH] for line in result.output.strip().splitlines()[-10:]]
    return lines


def check_lines(check, next_line=None):
    """A whole check: every task, the first trouble in full, remarks, and the next command."""
    module, trouble = check.module, check.trouble
    done = sum(r.ok for r in check.required)
    lines = []
    if check.ok:
        lines.append(f"{word('ok')}  {module.label} {module.name}: all {len(check.required)} tests pass")
    else:
        lines.append(f"{module.label} {module.name}: {done} of {len(check.required)} tests pass")
        for result in check.results:
            lines += result_lines(result, full=True) if result is trouble else [_short(result)]
    for path in check.foreign:
        text = f"your code uses the reference: {path}. Only your own tinytorch counts here."
        lines.append(wrap(f"{word('failed')}  {text}", indent="      "))
    if check.integration and check.integration["failures"]:
        lines.append(f"{word('failed')}  on top of your earlier modules:")
        for failure in check.integration["failures"][:3]:
            lines.append(
                wrap(f"{failure['test']}: {failure['message'].splitlines()[0]}", start="      ", indent="        ")
            )
    lines += [wrap(f"note  {remark}", indent="      ") for remark in check.remarks]
    return [*lines, next_line] if next_line else lines


def _short(result):
    return (
        f"{word(result.status)}  {result.task or result.id}  {result.title}{' (optional)' if result.optional else ''}"
    )


def progress(items, label, total=None):
    """Iterate with a bar on a terminal, and without a word elsewhere."""
    if as_json or not sys.stderr.isatty():
        return items
    from tqdm.auto import tqdm

    return tqdm(items, desc=label, total=total, leave=False)
