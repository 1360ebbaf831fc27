"""A wheel built from the tree carries the course and works away from a checkout."""

import os
import subprocess
import sys
import zipfile

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, timeout=300)
    return next(folder.glob("*.whl"))


def test_it_holds_course_and_data_and_nothing_of_the_workshop(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "tito/_course/settings.ini" in names
    assert "tito/_course/modules/01_tensor/tensor_dev.py" in names
    assert "tito/_course/milestones/01_1958_perceptron/run.py" in names
    assert "tito/_course/tests/integration/test_01_tensor.py" in names
    assert "tinytorch/datasets/digits.npz" in names and "tinytorch/datasets/LICENSE-digits.md" in names
    assert "tinytorch/core/tensor.py" in names
    assert not [n for n in names if n.startswith(("tests/", "work/", "benchmarks/")) or "__pycache__" in n]


def test_it_works_away_from_a_checkout(wheel, tmp_path):
    site, home = tmp_path / "site", tmp_path / "home"
    home.mkdir()
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(command, check=True, timeout=300)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TITO_")}
    environment["PYTHONPATH"] = str(site)

    def tito(*arguments, cwd=home, code=0):
        command = [sys.executable, "-P", "-m", "tito.cli", *arguments]
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    tito("init", "mine")
    assert "tensor.ipynb" in tito("module", "start", "01", cwd=home / "mine")
    assert "not written yet: 01-1" in tito("module", "check", cwd=home / "mine", code=1)
    tito("module", "borrow", "01", cwd=home / "mine")
    program = "import tinytorch; print(tinytorch.__file__, (tinytorch.Tensor([1.0, 2.0]) + 1).numpy())"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert str(site) in done.stdout and "[2. 3.]" in done.stdout
