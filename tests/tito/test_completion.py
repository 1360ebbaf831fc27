"""`tito completion`, and what a shell gets when it asks the installed program."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TITO = Path(sys.executable).with_name("tito")


def complete(tito, line, shell="bash", **environment):
    """The words that `tito` offers at the end of a line, as the shell's script asks for them."""
    words = line.split(" ")
    asked = {"_TITO_COMPLETE": f"{shell}_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    if shell == "fish":
        asked["COMP_CWORD"] = words[-1]
    environment = tito.environment(**asked, **environment)
    done = subprocess.run([TITO], cwd=tito.folder, env=environment, capture_output=True, text=True, timeout=30)
    assert not done.stderr, done.stderr
    return done.stdout


def offered(tito, line, **environment):
    return [row.split(",", 1)[1] for row in complete(tito, line, **environment).split()]


def test_modules_are_offered(student):
    assert offered(student, "tito module start ") == ["01", "02"]
    assert offered(student, "tito module check 0") == ["01", "02"]
    assert offered(student, "tito module check sq") == ["02"]
    assert offered(student, "tito lab dou") == ["01"]
    assert offered(student, "tito submit x") == []


def test_milestones_are_offered(student):
    assert offered(student, "tito milestone run ") == ["01"]
    assert offered(student, "tito milestone run 2") == []


def test_commands_and_options_are_offered(student):
    assert {"module", "milestone", "lab", "submit", "doctor", "completion"} <= set(offered(student, "tito "))
    assert offered(student, "tito mile") == ["milestone"]
    assert {"start", "check", "complete"} <= set(offered(student, "tito module "))
    assert offered(student, "tito milestone ") == ["list", "run", "status"]
    assert "--short" in offered(student, "tito milestone run 01 --")
    assert offered(student, "tito completion z") == ["zsh"]


def test_the_other_shells_ask_in_their_own_form(student):
    assert complete(student, "tito module start 0", "zsh").split("\n")[:2] == ["plain", "01"]
    assert "01" in complete(student, "tito module start 0", "fish")


def test_nothing_is_said_where_there_is_no_course(student):
    for line in ("tito module start ", "tito milestone run "):
        assert offered(student, line, TITO_COURSE="/nowhere") == []


@pytest.mark.parametrize(("shell", "mark"), [("bash", "complete -o"), ("zsh", "#compdef tito"), ("fish", "complete")])
def test_the_script_of_each_shell_asks_tito(student, shell, mark):
    text = student("completion", shell).text
    assert mark in text and f"_TITO_COMPLETE={shell}_complete" in text


def test_an_unknown_shell_is_a_usage_error(student):
    assert "'bash', 'zsh', 'fish'" in student("completion", "tcsh", code=2).flat
    student("completion", code=2)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_with_the_script(student):
    """The script loaded in a real bash, and the function called as TAB calls it."""
    program = (
        'eval "$(tito completion bash)"; complete -p tito >&2; '
        'COMP_WORDS=(tito module start ""); COMP_CWORD=3; _tito_completion tito; echo "${COMPREPLY[@]}"'
    )
    command = ["bash", "--norc", "-c", program]
    done = subprocess.run(command, cwd=student.folder, env=student.environment(), capture_output=True, text=True)
    assert done.stdout.split() == ["01", "02"], done.stderr
    assert "_tito_completion" in done.stderr
