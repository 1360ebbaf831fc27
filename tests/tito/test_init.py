"""`tito init` and bare `tito`: a workspace is made, refreshed, or refused; nothing of the student's is touched."""


def test_a_workspace_is_made_and_bare_tito_says_what_comes_next(tiny):
    assert "next: tito init" in tiny().text
    answer = tiny.json("init", "work")
    assert not answer["existed"] and (tiny.work / ".tito" / "workspace.json").exists()
    tiny.folder = tiny.work
    text = tiny().text
    assert "0 of 2 modules built" in text and "next: tito module start 01" in text


def test_again_refreshes_what_is_the_courses_and_keeps_what_is_the_students(student):
    student.solve("01-1")
    student.solve("01-2")
    student("module", "complete", "01")
    mine = student.work / "01_double" / "double.ipynb"
    built = student.work / "tinytorch" / "core" / "double.py"
    given = student.work / "tinytorch" / "testing.py"
    kept, right = (mine.read_bytes(), built.read_bytes()), given.read_bytes()
    given.write_text("broken = True\n")
    assert student.json("init", ".")["existed"]
    assert (mine.read_bytes(), built.read_bytes()) == kept and given.read_bytes() == right
    assert student.json("module", "status")["modules"][0]["state"] == "completed"


def test_the_course_itself_is_refused(tiny):
    before = sorted(tiny.course.rglob("*"))
    text = tiny("init", tiny.course, code=2).flat
    assert "is the course itself" in text and "tito init work" in text
    assert sorted(tiny.course.rglob("*")) == before


def test_a_folder_with_another_tinytorch_is_refused(tiny):
    other = tiny.folder / "other" / "tinytorch"
    other.mkdir(parents=True)
    (other / "mine.py").write_text("x = 1\n")
    assert "exists and is not yours to build in" in tiny("init", "other", code=2).flat
    assert [path.name for path in other.iterdir()] == ["mine.py"] and not (other.parent / ".tito").exists()


def test_a_file_in_the_way_is_named(tiny):
    (tiny.folder / "taken").write_text("a file\n")
    assert "taken" in tiny("init", "taken", code=3).flat
    assert (tiny.folder / "taken").read_text() == "a file\n"


def test_no_course_and_a_wrong_course_are_said(tiny):
    text = tiny("init", "work", code=3, TITO_COURSE=str(tiny.folder)).flat
    assert "which holds no course" in text and not tiny.work.exists()
