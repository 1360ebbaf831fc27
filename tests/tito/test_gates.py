"""`tito dev check`: each gate finds the defect it is there for, and nothing in a sound module."""

import json
import re

import pytest

from tests.conftest import TINY

SOUND_BUT_SMALL = re.compile(r"has no heading `## Part|tasks; 4 to 8|no reflection question")
SOURCE = "modules/01_double/double_dev.py"


def findings(tiny, module="01"):
    """What `dev check` finds beyond the size of the tiny course."""
    tiny("dev", "export")
    answer = tiny.json("dev", "check", module, code=None)
    found = [f"{f['place']}: {f['wrong']}" for f in answer["modules"][0]["findings"]]
    return [text for text in found if not SOUND_BUT_SMALL.search(text)], answer


def edit(tiny, old, new, path=SOURCE):
    file = tiny.course / path
    text = file.read_text()
    assert text.count(old) >= 1, old
    file.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("module", ["01", "02"])
def test_a_sound_module_has_no_findings_and_names_every_misconception(tiny, module):
    found, answer = findings(tiny, module)
    assert found == []
    assert answer["caught"] == answer["named"] == answer["tried"] > 0


def test_modules_side_by_side_are_found_as_sound_as_each_alone(tiny):
    tiny("dev", "export")
    answer = tiny.json("dev", "check", "--jobs", "2", code=1)
    assert [module["module"] for module in answer["modules"]] == ["01_double", "02_square"]
    texts = [finding["wrong"] for module in answer["modules"] for finding in module["findings"]]
    assert texts and all(SOUND_BUT_SMALL.search(text) for text in texts)
    assert answer["caught"] == answer["named"] == answer["tried"] == 9
    edit(tiny, "return double(np.multiply(x, x))", "return double(", "modules/02_square/square_dev.py")
    assert "02_square/square_dev.py:29: syntax error" in tiny("dev", "check", "--jobs", "2", code=1).flat


DEFECTS = {
    "reference fails": ("return np.add(x, x)", "return np.add(x, x) + 1", "fails with the reference"),
    "test is not called": ("\n\ntest_unit_double()\n", "\n", "does not call test_unit_double"),
    "test passes on the stub": (
        'check_close(double([1.0, 2.0]), [2.0, 4.0], "each value is doubled")\n'
        '    check_close(double(-3.0), -6.0, "a negative number too")',
        "pass",
        "ends with 'ok' on the untouched notebook",
    ),
    "defined twice": (
        "# %% [markdown]\n# ### Task 01-2.",
        "# %%\n#| export\ndef double(x):\n    return x + x\n\n\n# %% [markdown]\n# ### Task 01-2.",
        "defines double again",
    ),
    "name undefined": ("return np.add(x, x)\n", "return np.add(x, missing_name)\n", "Undefined name"),
    "imports itself": (
        "from tinytorch.testing import check,",
        "from tinytorch.core.double import double\nfrom tinytorch.testing import check,",
        "no lower module exports",
    ),
    "imports a later module": (
        "from tinytorch.testing import check,",
        "from tinytorch.core.square import twice_the_square\nfrom tinytorch.testing import check,",
        "no lower module exports",
    ),
    "imports a facade": (
        "from tinytorch.testing import check,",
        "from tinytorch import default_generator\nfrom tinytorch.testing import check,",
        "not a facade",
    ),
    "idiom not shown": ("np.add([1, 2], [1, 2]), ", "", "uses np.add, which was not shown"),
    "earlier test leans on a later task": (
        'check_close(double(-3.0), -6.0, "a negative number too")',
        'check_close(quadruple(-3.0), -12.0, "a negative number too")',
        "which its solution does not use",
    ),
    "no mark scheme": (
        "# ### BEGIN MARK SCHEME\n# 5 points for 2 * 2 = 4.\n# ### END MARK SCHEME\n",
        "",
        "without a mark scheme",
    ),
    "no points": (', "points": 5}\ndef test_unit_double', "}\ndef test_unit_double", "a task has points"),
    "solution leaks": (
        "# ### Task 01-2. Four times",
        "# ### Task 01-2. Four times\n#\n# Write `values = np.concatenate([x, x, x])`.",
        "can be read in the notebook",
    ),
    "slow": (
        "def test_unit_double():",
        "import time\n\nend = time.process_time() + 2.1\nwhile time.process_time() < end:\n    pass\n\n\n"
        "def test_unit_double():",
        "its tests take",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_gate_finds_its_defect(tiny, defect):
    old, new, message = DEFECTS[defect]
    if defect == "solution leaks":
        edit(
            tiny,
            "    return double(double(x))\n",
            "    values = np.concatenate([x, x, x])\n    return double(double(x))\n",
        )
    edit(tiny, old, new)
    found, _ = findings(tiny)
    assert any(message in text for text in found), found


def test_stale_export_is_found(tiny):
    tiny("dev", "export")
    edit(tiny, "Twice `x`", "Two times `x`")
    answer = tiny.json("dev", "check", "01", code=1)
    assert any("is not what the module exports" in f["wrong"] for f in answer["modules"][0]["findings"])
    assert tiny.json("dev", "export", "--check", code=1)["stale"]


def test_misconceptions_must_fail_and_differ(tiny):
    path = "modules/01_double/misconceptions.py"
    edit(tiny, 'body="return np.multiply(x, x)"', 'body="return np.add(x, x)"', path)
    edit(
        tiny,
        'mistake="it is doubled three times", body="return double(double(double(x)))"',
        'mistake="same", body="return double(x)"',
        path,
    )
    before = (tiny.course / "modules/01_double/fingerprints.json").read_bytes()
    found, answer = findings(tiny)
    assert any("does not catch: the value is squared" in text for text in found)
    assert any("cannot be told apart" in text for text in found)
    assert (answer["caught"], answer["named"], answer["tried"]) == (5, 3, 6)
    assert (tiny.course / "modules/01_double/fingerprints.json").read_bytes() == before


def test_right_but_different_solutions_must_pass_test_and_probe(tiny):
    edit(tiny, 'body="return 2 * np.asarray(x)"', 'body="return 3 * np.asarray(x)"', "tests/alternatives/01_double.py")
    found, _ = findings(tiny)
    assert any("ends with 'failed' on a right solution, by a product: each value is doubled" in text for text in found)
    assert any("its probe fails a right solution, by a product" in text for text in found)


def test_hints_are_counted_and_read(tiny):
    path = "modules/01_double/module.toml"
    edit(tiny, '["What is x plus x?", "Add the array to itself."]', '["np.add(x, x)"]', path)
    edit(tiny, '"Apply the doubling to its own result."', '"double(double(x))"', path)
    found, _ = findings(tiny)
    assert any("01-1: has 1 hints" in text for text in found)
    assert any("01-2: its last hint is code" in text for text in found)


def test_fingerprints_are_recorded_and_then_stay(tiny):
    path = tiny.course / "modules/01_double/fingerprints.json"
    path.unlink()
    findings(tiny)
    first = path.read_bytes()
    assert len(json.loads(first)) == 6
    findings(tiny)
    assert path.read_bytes() == first


def test_error_rates_are_published_and_stay_while_nothing_is_new(tiny):
    path = tiny.course / "modules/01_double/rates.json"
    findings(tiny)
    committed = (TINY / "modules/01_double/rates.json").read_bytes()
    assert path.read_bytes() == committed  # with more seeds than that check had
    facts = json.loads(committed)
    assert [task["task"] for task in facts["tasks"]] == ["01-1", "01-2"] and facts["seeds"] == 200
    for task in facts["tasks"]:
        assert task["right_runs"] == facts["seeds"] * task["right"] and task["wrong_runs"] == 20 * task["wrong"]
        assert task["right_refused"] == task["wrong_paid"] == task["trivial_paid"] == 0
    edit(tiny, 'yield "a number"', 'yield "one number"', "modules/01_double/probes.py")
    _, answer = findings(tiny)
    assert answer["modules"][0]["published"] and json.loads(path.read_text())["seeds"] == 20


def test_a_probe_that_only_says_true_is_found(tiny):
    path = "modules/01_double/probes.py"
    edit(
        tiny, 'tt.core.double.double(number), {"x": number}', "bool(tt.core.double.double(number) == 2 * number)", path
    )
    edit(tiny, '    yield "an array", tt.core.double.double(array), {"x": array}\n', "", path)
    found, _ = findings(tiny)
    assert any("01-1: its probe yields only truth values" in text for text in found)


def test_new_module_is_one_folder_that_passes_but_for_its_size(tiny):
    tiny("dev", "new", "03_tokens")
    tiny("dev", "export", "03")
    answer = tiny.json("dev", "check", "03", code=1)
    assert [f["wrong"] for f in answer["modules"][0]["findings"]] == ["has 1 tasks; 4 to 8 are a module"]
    tiny("dev", "new", "03_other", code=2)
    tiny("dev", "new", "tokens", code=2)


def test_a_known_mistake_is_named_to_the_student(student):
    student.solve("01-1", "np.multiply(x, x)")
    assert "this is what comes out when the value is squared" in student("module", "check", code=1).flat
    student.solve("01-1", "np.add(x, 7)")
    assert "this is what comes out" not in student("module", "check", code=1).flat
