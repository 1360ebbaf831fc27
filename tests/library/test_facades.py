"""The facades name what the modules define, import without them, and say what is missing."""

import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinytorch
from tinytorch.core.networks import create_mlp
from tito.course import Course
from tito.overlay import lay

ROOT = Path(tinytorch.__file__).resolve().parent
FACADES = sorted(
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
    if "lazy(globals()," in path.read_text(encoding="utf-8")
)
OURS = {
    "tinytorch": {"Variable", "NotBuiltError"},
    "tinytorch.nn": {"MeanSquaredError", "BinaryCrossEntropyLoss", "MultiHeadAttention", "RelationalMemory"},
    "tinytorch.utils.data": {
        *("collate", "shuffled_stream"),
        *("Compose", "Normalize", "RandomCrop", "RandomHorizontalFlip"),  # in torchvision
    },
}
WITHOUT_TWIN = {"tinytorch.optim.functional", "tinytorch.datasets", "tinytorch.training_utils"}


def test_the_facades_are_found():
    assert {"tinytorch", "tinytorch.nn", "tinytorch.nn.functional", "tinytorch.optim"} <= set(FACADES)


@pytest.mark.parametrize("facade", FACADES)
def test_every_name_exists_once_and_is_what_its_module_defines(facade):
    module = importlib.import_module(facade)
    names = [name for group in module._NAMES.values() for name in group]
    assert len(names) == len(set(names))
    assert not set(names) & set(getattr(module, "_SUBMODULES", ()))
    for target, group in module._NAMES.items():
        for name in group:
            assert getattr(module, name) is vars(importlib.import_module(target))[name]
    for name in getattr(module, "_SUBMODULES", ()):
        assert getattr(module, name) is importlib.import_module(f"{facade}.{name}")


@pytest.mark.parametrize("facade", FACADES)
def test_dir_and_star_import(facade):
    module = importlib.import_module(facade)
    submodules = set(getattr(module, "_SUBMODULES", ()))
    assert set(module.__all__) | submodules | {"__name__"} <= set(dir(module))
    assert not set(module.__all__) & submodules, "`from tinytorch import *` would hide Python's own random"
    taken = {}
    exec(f"from {facade} import *", taken)
    assert set(taken) - {"__builtins__"} == set(module.__all__)


@pytest.mark.parametrize("facade", FACADES)
def test_an_unknown_name_is_an_attribute_error_that_names_the_module(facade):
    module = importlib.import_module(facade)
    with pytest.raises(AttributeError, match=f"module '{facade}' has no attribute 'Lineer'"):
        module.Lineer  # noqa: B018
    assert not hasattr(module, "_ipython_display_")
    with pytest.raises(ImportError, match="cannot import name 'Lineer'"):
        exec(f"from {facade} import Lineer")


@pytest.mark.parametrize("facade", [name for name in FACADES if name not in WITHOUT_TWIN])
def test_the_names_are_those_of_pytorch(facade):
    torch = pytest.importorskip("torch")
    theirs = importlib.import_module(facade.replace("tinytorch", torch.__name__))
    missing = {name for name in importlib.import_module(facade).__all__ if not hasattr(theirs, name)}
    assert missing == OURS.get(facade, set())


# --- a student's package in which nothing is built -------------------------------------------------------------------


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """Runs a program with a student's package of which no module is built."""
    folder = tmp_path_factory.mktemp("fresh")
    lay(Course(ROOT.parent), folder)

    def run(program):
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert str(folder) in run("import tinytorch; print(tinytorch.__file__)")
    return run


def test_every_facade_imports_and_every_name_says_which_module_is_missing(fresh):
    program = f"""if True:
        import importlib
        for facade in {FACADES}:
            module = importlib.import_module(facade)
            dir(module)
            for target, names in module._NAMES.items():
                for name in names:
                    try:
                        getattr(module, name)
                    except importlib.import_module("tinytorch").NotBuiltError as error:
                        assert f"{{target}} is module" in str(error) and "tito module start" in str(error), error
                    else:
                        assert not target.startswith("tinytorch.core."), (facade, name)
            try:
                module.Lineer
            except AttributeError:
                print(facade)
    """
    assert fresh(program).split() == FACADES


def test_hand_written_parts_import_and_networks_say_what_they_need(fresh):
    program = """if True:
        import tinytorch, tinytorch.checkpoint, tinytorch.testing, tinytorch.random, tinytorch.datasets
        try:
            import tinytorch.core.networks
        except tinytorch.NotBuiltError as error:
            print(error)
    """
    assert "tinytorch.core.activations is module 02, not built yet" in fresh(program)


def test_importing_a_facade_imports_neither_numpy_nor_a_module(fresh):
    program = f"import sys, importlib; [importlib.import_module(facade) for facade in {FACADES}]; print(*sys.modules)"
    loaded = fresh(program).split()
    assert "numpy" not in loaded and not [name for name in loaded if name.startswith("tinytorch.core")]


# --- networks --------------------------------------------------------------------------------------------------------


def shapes(network):
    return [(type(layer).__name__, *getattr(getattr(layer, "weight", None), "shape", ())) for layer in network.layers]


@pytest.mark.parametrize(
    "hidden", [5, np.int64(5), [5], (5,), iter([5])], ids=["int", "int64", "list", "tuple", "iter"]
)
def test_one_hidden_layer(hidden):
    assert shapes(create_mlp(4, hidden, 3)) == [("Linear", 5, 4), ("ReLU",), ("Linear", 3, 5)]


def test_several_hidden_layers_and_none():
    assert shapes(create_mlp(4, [6, 5], 3, tinytorch.nn.Tanh)) == [
        *[("Linear", 6, 4), ("Tanh",), ("Linear", 5, 6), ("Tanh",)],
        ("Linear", 3, 5),
    ]
    assert shapes(create_mlp(4, [], 3)) == [("Linear", 3, 4)]


def test_a_network_computes_and_names_its_parameters():
    tinytorch.manual_seed(0)
    network = create_mlp(4, [6], 3, activation=lambda: tinytorch.nn.LeakyReLU(0.2))
    x = tinytorch.Tensor(np.arange(8.0).reshape(2, 4))
    first, second = network.layers[0], network.layers[2]
    h = x.data @ first.weight.data.T + first.bias.data
    expected = np.where(h > 0, h, 0.2 * h) @ second.weight.data.T + second.bias.data
    np.testing.assert_allclose(network(x).data, expected, rtol=1e-5, atol=1e-6)
    assert network(x).dtype == np.float32
    assert list(network.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert isinstance(network, tinytorch.core.networks.Sequential)


def test_an_activation_that_makes_nothing():
    for wrong in (tinytorch.nn.ReLU(), tinytorch.nn.functional.relu, "relu"):
        with pytest.raises(TypeError, match="create_mlp: activation .* without brackets"):
            create_mlp(4, 5, 3, activation=wrong)
    signature = inspect.signature(create_mlp)
    assert list(signature.parameters) == ["input_size", "hidden_sizes", "output_size", "activation"]
    assert signature.parameters["activation"].default is tinytorch.nn.ReLU
