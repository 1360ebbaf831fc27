"""Report on machine, installation and workspace, and what is in the way."""

import sys

import click

from tito import report
from tito.commands._common import json_option

NAME = 11


@click.command(help=__doc__)
@json_option
def command():
    from tito.doctor import diagnose, shown

    findings = []
    for finding in diagnose():
        findings.append(finding)
        for line in finding_lines(finding, shown):
            report.say(line)
    failed = [finding for finding in findings if finding.status == "FAIL"]
    facts = {"ok": not failed, "findings": [finding.as_json() for finding in findings]}
    report.emit(facts, [last_line(failed)])
    sys.exit(3 if failed else 0)


def finding_lines(finding, shown):
    start = f"{report.word(finding.status)}  {finding.name:{NAME}} "
    first, *rest = report.wrap(shown(finding.text), start=" " * (NAME + 7), indent=" " * (NAME + 7)).split("\n")
    lines = [start + first.lstrip(), *rest]
    if finding.hint:
        lines.append(report.wrap(f"try: {shown(finding.hint)}", " " * (NAME + 7), " " * (NAME + 12)))
    return lines


def last_line(failed):
    if not failed:
        return "next: tito"
    return f"next: mend the first FAIL ({failed[0].name}), then again: tito doctor"
