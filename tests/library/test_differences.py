"""Each deliberate difference from PyTorch that a module's text or the book states, shown by running both.

Keyed by the first words of its line, as they stand in the table. A line without a test here fails by name.
"""

import contextlib
import inspect
import io
import math
import tempfile
import warnings
import zipfile

import numpy as np
import pytest
from safetensors.numpy import load_file

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
pytest.importorskip("sphinx", reason="Sphinx is not installed: pip install -e '.[book]'")

import tinytorch  # noqa: E402
from book.pages.differences import OWN, differences  # noqa: E402
from tinytorch import nn, optim  # noqa: E402
from tinytorch.core import attention, autograd, recurrent, spatial, tensor, training  # noqa: E402
from tinytorch.core.activations import gelu, log_softmax, relu, softmax  # noqa: E402
from tinytorch.core.layers import Parameter, kaiming  # noqa: E402
from tinytorch.core.tensor import Tensor  # noqa: E402
from tinytorch.nn import functional as F  # noqa: E402
from tinytorch.utils import data  # noqa: E402
from tito.course import Course  # noqa: E402

TF = torch.nn.functional
COURSE = Course.find(OWN.parent)
TABLES = {module.label: differences(module.text) for module in COURSE.modules}
TABLES["library"] = differences(OWN.read_text(encoding="utf-8"))
ROWS = [(label, row) for label, rows in TABLES.items() for row in rows]
CHECKS = {}


def shows(*key):
    def keep(function):
        CHECKS[key] = function
        return function

    return keep


@pytest.mark.parametrize("label, row", ROWS, ids=[f"{label} {row.what}" for label, row in ROWS])
def test_the_two_differ_as_the_table_says(label, row):
    key = next((key for key in CHECKS if key[0] == label and row.what.startswith(key[1])), None)
    assert key, f"no test here shows that {row.what!r} is {row.torch!r} in PyTorch and {row.here!r} in tinytorch"
    CHECKS[key]()


def test_no_check_is_left_over():
    used = {key for key in CHECKS for label, row in ROWS if key[0] == label and row.what.startswith(key[1])}
    assert set(CHECKS) == used


def refused(kind, function):
    """The message of the error that a call must raise."""
    with pytest.raises(kind) as caught:
        function()
    return str(caught.value)


# --- 01 tensor -------------------------------------------------------------------------------------------------------


@shows("01", "a float64 array")
def _():
    assert torch.tensor(np.ones(2)).dtype == torch.float64
    assert Tensor(np.ones(2)).dtype == np.float32 and Tensor(np.ones(2), dtype=np.float64).dtype == np.float64


@shows("01", "a list of whole numbers")
def _():
    assert torch.tensor([1, 2]).dtype == torch.int64
    assert Tensor([1, 2]).dtype == np.float32 and Tensor([1, 2], dtype=np.int64).dtype == np.int64


@shows("01", "`x.max(dim=0)`")
def _():
    x = [[1.0, 4.0], [3.0, 2.0]]
    assert torch.tensor(x).max(dim=0).indices.tolist() == [1, 0]
    assert isinstance(Tensor(x).max(dim=0), Tensor) and Tensor(x).max(dim=0).data.tolist() == [3, 4]


@shows("01", "`x += 1`")
def _():
    x = y = torch.zeros(2)
    y += 1
    assert x.tolist() == [1, 1]
    x = y = Tensor([0.0, 0.0])
    y += 1
    assert x.data.tolist() == [0, 0]


@shows("01", "options of functions")
def _():
    assert torch.sum(torch.ones(2, 3), 0).shape == (3,)
    assert tensor.reduce_sum(Tensor(np.ones((2, 3))), dim=0).shape == (3,)
    refused(TypeError, lambda: tensor.reduce_sum(Tensor(np.ones((2, 3))), 0))


@shows("01", "a write through `x.data`")
def _():
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    x.data[0] = 5  # NumPy writes, and nobody is told
    y.backward()
    y = (x * x).sum()
    x.data = np.zeros(2, dtype=np.float32)
    refused(RuntimeError, y.backward)
    t = torch.ones(2)
    before = t._version
    t.detach()[0] = 5
    assert t._version == before + 1


# --- 02 activations --------------------------------------------------------------------------------------------------


@shows("02", "`gelu(x)`")
def _():
    x = np.linspace(-3, 3, 50, dtype=np.float32)
    ours, theirs = gelu(Tensor(x)).data, torch.tensor(x)
    assert np.allclose(ours, TF.gelu(theirs, approximate="tanh"), atol=1e-6)
    assert not np.allclose(ours, TF.gelu(theirs), atol=1e-5)


@shows("02", "`softmax(x)`, `log_softmax(x)`")
def _():
    x = [[1.0, 2.0], [3.0, 5.0]]
    refused(TypeError, lambda: torch.softmax(torch.tensor(x)))
    assert np.allclose(softmax(Tensor(x)).data, torch.softmax(torch.tensor(x), dim=-1))
    assert np.allclose(log_softmax(Tensor(x)).data, torch.log_softmax(torch.tensor(x), dim=-1))


@shows("02", "`relu` of integers")
def _():
    whole = np.array([-1, 2])
    assert torch.relu(torch.tensor(whole)).dtype == torch.int64
    assert relu(Tensor(whole)).dtype == np.float32


# --- 04 losses -------------------------------------------------------------------------------------------------------


@shows("04", "an empty batch")
def _():
    assert math.isnan(torch.nn.MSELoss()(torch.zeros(0, 3), torch.zeros(0, 3)))
    refused(ValueError, lambda: nn.MSELoss()(Tensor(np.zeros((0, 3))), Tensor(np.zeros((0, 3)))))


@shows("04", "squared error of shapes that broadcast")
def _():
    a, b = np.zeros((3, 1), np.float32), np.arange(3, dtype=np.float32)
    with pytest.warns(UserWarning):
        assert torch.nn.MSELoss()(torch.tensor(a), torch.tensor(b)) == pytest.approx(5 / 3)
    assert "(3, 3)" in refused(ValueError, lambda: nn.MSELoss()(Tensor(a), Tensor(b)))


@shows("04", "an index out of range")
def _():
    logits = np.zeros((2, 3), np.float32)
    refused(IndexError, lambda: TF.cross_entropy(torch.tensor(logits), torch.tensor([0, 3])))
    assert TF.cross_entropy(torch.tensor(logits), torch.tensor([0, -100])) == pytest.approx(math.log(3))
    for index in (3, -100):
        said = refused(ValueError, lambda index=index: F.cross_entropy(Tensor(logits), np.array([0, index])))
        assert str(index) in said and "1" in said and "3" in said


@shows("04", "class indices as floats")
def _():
    logits = np.zeros((2, 3), np.float32)
    refused(RuntimeError, lambda: TF.cross_entropy(torch.tensor(logits), torch.tensor([0.0, 1.0])))
    assert F.cross_entropy(Tensor(logits), Tensor([0.0, 1.0])).item() == pytest.approx(math.log(3))
    refused(ValueError, lambda: F.cross_entropy(Tensor(logits), Tensor([0.5, 1.0])))


@shows("04", "labels outside of 0 to 1")
def _():
    assert math.isfinite(torch.nn.BCEWithLogitsLoss()(torch.zeros(2), torch.tensor([0.0, 3.0])))
    assert "3" in refused(ValueError, lambda: nn.BCEWithLogitsLoss()(Tensor([0.0, 0.0]), Tensor([0.0, 3.0])))


@shows("04", "one logit (1,) with one target (1,)")
def _():
    assert TF.cross_entropy(torch.tensor([2.0]), torch.tensor([0.5])) == 0  # a share of the one class
    refused(ValueError, lambda: F.cross_entropy(Tensor([2.0]), Tensor([0.5])))
    assert F.cross_entropy(Tensor([2.0]), Tensor([0.0])).item() == 0


@shows("04", "logits with more dimensions")
def _():
    x, y = np.zeros((2, 3, 4), np.float32), np.zeros((2, 4), np.int64)
    assert TF.cross_entropy(torch.tensor(x), torch.tensor(y)) == pytest.approx(math.log(3))
    refused(ValueError, lambda: F.cross_entropy(Tensor(x), y))


@shows("04", "`reduction`, `weight`, `label_smoothing`")
def _():
    for option in ({"reduction": "sum"}, {"weight": torch.ones(3)}, {"label_smoothing": 0.1}):
        torch.nn.CrossEntropyLoss(**option)
        refused(TypeError, lambda option=option: nn.CrossEntropyLoss(**option))


# --- 05 autograd -----------------------------------------------------------------------------------------------------


@shows("05", "a tie in a maximum")
def _():
    x = torch.ones(1, 2, requires_grad=True)
    x.max(dim=1).values.sum().backward()
    assert sorted(x.grad.flatten().tolist()) == [0, 1]
    x = torch.ones(1, 2, requires_grad=True)
    x.amax(dim=1).sum().backward()
    assert x.grad.tolist() == [[0.5, 0.5]]
    x = Tensor(np.ones((1, 2)), requires_grad=True)
    x.max(dim=1).sum().backward()
    assert x.grad.data.tolist() == [[0.5, 0.5]]


@shows("05", "`.grad` of Tensors in the middle")
def _():
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    y.retain_grad()
    y.sum().backward()
    assert y.grad.tolist() == [1, 1]
    x = Tensor([1.0, 1.0], requires_grad=True)
    y = x * 2
    y.sum().backward()
    assert y.grad is None and not hasattr(y, "retain_grad")


@shows("05", "second derivatives")
def _():
    x = torch.tensor(3.0, requires_grad=True)
    (first,) = torch.autograd.grad(x**3, x, create_graph=True)
    (second,) = torch.autograd.grad(first, x)
    assert second == 18
    first = autograd.grad(lambda x: x**3)(Tensor(3.0))
    assert first.item() == 27 and not first.requires_grad


@shows("05", "a value overwritten after use")
def _():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = (x.exp()).sum()
    x.data[0] = 5  # not counted
    y.backward()
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = x.exp()
    y.detach().zero_()  # saved by exp, and counted
    refused(RuntimeError, lambda: y.sum().backward())
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    x.data = np.zeros(2, dtype=np.float32)
    refused(RuntimeError, y.backward)


@shows("05", "a new operation")
def _():
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            context.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(context, g):
            (x,) = context.saved_tensors
            return 3 * x**2 * g

    x = torch.tensor(2.0, requires_grad=True)
    Cube.apply(x).backward()
    with new_operation(lambda x: x**3, lambda g, y, x: 3 * x**2 * g) as cube:
        ours = Tensor(2.0, requires_grad=True)
        cube(ours).backward()
    assert ours.grad.item() == x.grad.item() == 12


@contextlib.contextmanager
def new_operation(compute, rule):
    """An operation that is there only in the block."""

    def of_this_test(x, /):
        return compute(x)

    tables = tensor.autograd.operations, tensor.autograd.rules
    try:
        made = tensor.operation(of_this_test)
        tensor.autograd.rules["of_this_test"] = rule
        yield made
    finally:
        for table in tables:
            table.pop("of_this_test", None)


@shows("05", "`gradcheck`")
def _():
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return x * 2

        @staticmethod
        def backward(context, g):
            return g * 3

    x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    said = refused(RuntimeError, lambda: torch.autograd.gradcheck(Wrong.apply, (x,)))
    assert "numerical:tensor" in said and "analytical:tensor" in said
    with new_operation(lambda x: x * 2, lambda g, y, x: g * 3) as wrong:
        said = refused(Exception, lambda: autograd.check_gradients(lambda x: wrong(x).sum(), [Tensor([1.0, 2.0])]))
    assert "input 0, index 0" in said and "ratio 1.5" in said and "first wrong rule: of_this_test" in said


@shows("05", "no gradient exists for an input")
def _():
    class Nothing(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return x * 2

        @staticmethod
        def backward(context, g):
            return None

    x = torch.ones(2, requires_grad=True)
    Nothing.apply(x).sum().backward()
    assert x.grad is None
    with new_operation(lambda x: x * 2, lambda g, y, x: None) as nothing:
        x = Tensor([3.0, 1.0], requires_grad=True)
        nothing(x).sum().backward()
    assert x.grad.data.tolist() == [0, 0]


@shows("05", "a rule that divides by zero")
def _():
    x = torch.zeros(1, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x.sqrt().sum().backward()
    assert x.grad.tolist() == [math.inf]
    x = Tensor([0.0], requires_grad=True)
    with pytest.warns(RuntimeWarning):
        x.sqrt().sum().backward()


# --- 06 optimizers ---------------------------------------------------------------------------------------------------


def weights(library, n=2, **settings):
    return [library.ones(n, requires_grad=True, **settings)] if library is torch else [Parameter(np.ones(n))]


@shows("06", "`SGD`")
def _():
    theirs, ours = inspect.signature(torch.optim.SGD).parameters, inspect.signature(optim.SGD).parameters
    assert theirs["lr"].default == 0.001 and "dampening" in theirs
    assert optim.SGD(weights(tinytorch)).lr == 0.01 and "dampening" not in ours


@shows("06", "order of `SGD`'s options")
def _():
    theirs, ours = list(inspect.signature(torch.optim.SGD).parameters), list(inspect.signature(optim.SGD).parameters)
    assert theirs.index("nesterov") > theirs.index("weight_decay")
    assert ours.index("nesterov") == ours.index("momentum") + 1


@shows("06", "name of the rate")
def _():
    refused(TypeError, lambda: torch.optim.SGD(weights(torch), learning_rate=0.5))
    optimizer = optim.SGD(weights(tinytorch), learning_rate=0.5)
    assert optimizer.lr == optimizer.learning_rate == 0.5


@shows("06", "empty list")
def _():
    refused(ValueError, lambda: torch.optim.SGD([], lr=0.1))
    optim.SGD([], lr=0.1).step()


@shows("06", "a parameter that requires no gradient")
def _():
    still = torch.ones(2)
    optimizer = torch.optim.SGD([still], lr=0.1)
    optimizer.step()
    assert still.tolist() == [1, 1]
    refused(ValueError, lambda: optim.SGD([Tensor([1.0, 1.0])], lr=0.1))


@shows("06", "unknown option in a group")
def _():
    optimizer = torch.optim.SGD([{"params": weights(torch), "weight_decy": 1}], lr=0.1)
    assert optimizer.param_groups[0]["weight_decy"] == 1
    said = refused(ValueError, lambda: optim.SGD([{"params": weights(tinytorch), "weight_decy": 1}], lr=0.1))
    assert "weight_decy" in said


@shows("06", '"step" in the state')
def _():
    theirs, ours = weights(torch), weights(tinytorch)
    for parameters, optimizer, gradient in (
        (theirs, torch.optim.Adam(theirs), torch.ones(2)),
        (ours, optim.Adam(ours), Tensor([1.0, 1.0])),
    ):
        parameters[0].grad = gradient
        optimizer.step()
        (state,) = optimizer.state_dict()["state"].values()
        kind = type(state["step"])
        assert kind is (int if parameters is ours else torch.Tensor)


@shows("06", "centered RMSprop, variance below 0 by rounding")
def _():
    rng = np.random.default_rng(0)
    theirs, ours = weights(torch, 1000), weights(tinytorch, 1000)
    optimizers = torch.optim.RMSprop(theirs, centered=True, eps=0), optim.RMSprop(ours, centered=True, eps=0)
    constant = rng.normal(size=1000).astype(np.float32)
    for _ in range(1500):
        theirs[0].grad, ours[0].grad = torch.tensor(constant), Tensor(constant)
        with np.errstate(divide="ignore", invalid="ignore"):
            for optimizer in optimizers:
                optimizer.step()
    assert torch.isnan(theirs[0]).any() and not np.isnan(ours[0].data).any()


@shows("06", "`load_state_dict`")
def _():
    theirs = torch.optim.SGD(weights(torch, 2), lr=0.1, momentum=0.9)
    theirs.param_groups[0]["params"][0].grad = torch.ones(2)
    theirs.step()
    torch.optim.SGD(weights(torch, 3), lr=0.1, momentum=0.9).load_state_dict(theirs.state_dict())
    ours = optim.SGD(weights(tinytorch, 2), lr=0.1, momentum=0.9)
    ours.param_groups[0]["params"][0].grad = Tensor([1.0, 1.0])
    ours.step()
    other = optim.SGD(weights(tinytorch, 3), lr=0.1, momentum=0.9)
    assert "(2,)" in refused(ValueError, lambda: other.load_state_dict(ours.state_dict()))


@shows("06", "`step(closure)`, `maximize`")
def _():
    theirs, ours = inspect.signature(torch.optim.Adam).parameters, inspect.signature(optim.Adam).parameters
    absent = {"maximize", "amsgrad", "foreach", "fused"}
    assert absent <= set(theirs) and not absent & set(ours)
    assert "closure" in inspect.signature(torch.optim.Adam.step).parameters
    assert "closure" not in inspect.signature(optim.Adam.step).parameters


# --- 07 training -----------------------------------------------------------------------------------------------------


@shows("07", "clipping factor")
def _():
    theirs, ours = weights(torch), weights(tinytorch)
    theirs[0].grad, ours[0].grad = torch.tensor([3e-6, 4e-6]), Tensor([3e-6, 4e-6])
    torch.nn.utils.clip_grad_norm_(theirs, 1e-6)
    training.clip_grad_norm(ours, 1e-6)
    assert theirs[0].grad.norm().item() == pytest.approx(5e-6 / 6, rel=1e-5)
    assert np.linalg.norm(ours[0].grad.data) == pytest.approx(1e-6, rel=1e-5)


@shows("07", "a norm that is not finite")
def _():
    theirs, ours = weights(torch), weights(tinytorch)
    theirs[0].grad, ours[0].grad = torch.tensor([math.nan, 1.0]), Tensor([math.nan, 1.0])
    refused(RuntimeError, lambda: torch.nn.utils.clip_grad_norm_(theirs, 1.0, error_if_nonfinite=True))
    torch.nn.utils.clip_grad_norm_(theirs, 1.0)
    assert torch.isnan(theirs[0].grad).all()
    with pytest.warns(UserWarning):
        training.clip_grad_norm(ours, 1.0)
    assert ours[0].grad.data[1] == 1
    model = nn.Linear(2, 1)
    before = model.weight.data.copy()
    trainer = training.Trainer(model, optim.SGD(model.parameters(), lr=0.1), nn.MSELoss(), grad_clip_norm=1.0)
    with pytest.warns(RuntimeWarning, match="the step is left out"):
        trainer.train_epoch([(np.full((1, 2), math.inf, np.float32), np.zeros((1, 1), np.float32))])
    assert np.array_equal(model.weight.data, before)


@shows("07", "schedule")
def _():
    optimizer = torch.optim.SGD(weights(torch), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    optimizer.step()
    schedule.step()
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert [training.StepDecay(1.0, 1, 0.5).get_lr(epoch) for epoch in (0, 1)] == [1.0, 0.5]
    model = nn.Linear(2, 1)
    optimizer = optim.SGD(model.parameters(), lr=9)
    trainer = training.Trainer(model, optimizer, nn.MSELoss(), training.StepDecay(1.0, 1, 0.5))
    trainer.train_epoch([(np.ones((1, 2), np.float32), np.zeros((1, 1), np.float32))])
    assert trainer.optimizer.lr == 1.0  # asked before the first epoch


@shows("07", "accumulation")
def _():
    x, y = np.arange(8, dtype=np.float32).reshape(4, 2), np.arange(4, dtype=np.float32).reshape(4, 1)
    first = np.array([[0.1, -0.2]], np.float32)

    def theirs(pieces):
        weight = torch.tensor(first, requires_grad=True)
        for rows in pieces:
            (((torch.tensor(x[rows]) @ weight.T - torch.tensor(y[rows])) ** 2).mean() / len(pieces)).backward()
        return weight.grad.numpy()

    def ours(pieces):
        model = nn.Linear(2, 1, bias=False)
        model.weight.data = first.copy()
        trainer = training.Trainer(model, optim.SGD(model.parameters(), lr=1.0), nn.MSELoss())
        trainer.train_epoch([(x[rows], y[rows]) for rows in pieces], accumulation_steps=len(pieces))
        return first - model.weight.data

    whole, uneven = [slice(0, 4)], [slice(0, 3), slice(3, 4)]
    assert not np.allclose(theirs(whole), theirs(uneven), rtol=0.1)
    assert np.allclose(ours(whole), ours(uneven), rtol=1e-5) and np.allclose(ours(whole), theirs(whole), rtol=1e-5)


@shows("07", "the mode after an evaluation")
def _():
    assert not torch.nn.Linear(2, 1).eval().training
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(2, 1))
    model.layers[0].eval()
    trainer = training.Trainer(model, optim.SGD(model.parameters(), lr=1.0), nn.MSELoss())
    trainer.evaluate([(np.ones((1, 2), np.float32), np.ones((1, 1), np.float32))])
    assert model.training and model.layers[1].training and not model.layers[0].training


@shows("07", "checkpoint")
def _():
    file = io.BytesIO()
    torch.save({"weight": torch.ones(2)}, file)
    assert any(name.endswith("data.pkl") for name in zipfile.ZipFile(file).namelist())
    model = nn.Linear(2, 1)
    trainer = training.Trainer(model, optim.SGD(model.parameters(), lr=1.0), nn.MSELoss())
    with tempfile.TemporaryDirectory() as folder:
        trainer.save_checkpoint(f"{folder}/one")
        tensors = load_file(f"{folder}/one").values()
    assert any(np.array_equal(array, model.weight.data) for array in tensors)


# --- 08 data loaders -------------------------------------------------------------------------------------------------

FIVE = np.arange(10, dtype=np.float32).reshape(5, 2)


def loaders(**settings):
    """PyTorch's and ours on the same five samples."""
    theirs = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.tensor(FIVE)), **settings)
    return theirs, data.DataLoader(data.TensorDataset(FIVE), **settings)


@shows("08", "ahead of time")
def _():
    theirs, ours = (inspect.signature(kind).parameters for kind in (torch.utils.data.DataLoader, data.DataLoader))
    assert "num_workers" in theirs and "num_workers" not in ours and "prefetch" in ours


@shows("08", "transforms")
def _():
    refused(TypeError, lambda: torch.utils.data.DataLoader(FIVE, transform=lambda x: x))
    shapes = []

    def look(x, rng):
        shapes.append(x.shape)
        return x

    loader = data.DataLoader(data.TensorDataset(FIVE), batch_size=3, transform=look)
    assert list(loader) and shapes == [(3, 2), (2, 2)]


class Noisy(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return torch.rand(())


@shows("08", "random numbers of transforms")
def _():
    drawn = []
    for workers in (0, 1):
        torch.manual_seed(0)
        drawn.append([batch.item() for batch in torch.utils.data.DataLoader(Noisy(), num_workers=workers)])
    assert drawn[0] != drawn[1]
    drawn = []
    for prefetch in (0, 2):
        loader = data.DataLoader(
            data.TensorDataset(FIVE),
            rng=np.random.default_rng(0),
            transform=data.RandomHorizontalFlip(),
            prefetch=prefetch,
        )
        drawn.append([batch[0].data.tolist() for batch in loader])
    assert drawn[0] == drawn[1]


@shows("08", "the state")
def _():
    theirs, ours = loaders()
    assert not hasattr(theirs, "state_dict") and ours.state_dict()["position"] == 0


@shows("08", "reading a test set")
def _():
    theirs, ours = loaders()
    before = torch.get_rng_state()
    list(theirs)
    assert not torch.equal(before, torch.get_rng_state())
    before = tinytorch.default_generator.bit_generator.state
    list(ours)
    assert before == tinytorch.default_generator.bit_generator.state


@shows("08", "a batch")
def _():
    theirs, ours = loaders(batch_size=2)
    assert type(next(iter(theirs))) is list and type(next(iter(ours))) is tuple


@shows("08", "`len` of a dataset")
def _():
    theirs, ours = loaders(batch_size=2, drop_last=True)
    assert len(theirs) == len(ours) == len(list(theirs)) == len(list(ours)) == 2
    assert len(theirs.dataset) == len(ours.dataset) == 5
    for library in (torch.utils.data, data):
        parts = library.random_split(FIVE, [0.5, 0.5])
        assert [len(part) for part in parts] == [3, 2]
        assert len(library.Subset(FIVE, [0, 4])) == 2


# --- 09 convolution --------------------------------------------------------------------------------------------------


@shows("09", "`flatten(x)`")
def _():
    x = np.zeros((2, 3, 4), np.float32)
    assert torch.flatten(torch.tensor(x)).shape == (24,) and torch.nn.Flatten()(torch.tensor(x)).shape == (2, 12)
    assert spatial.flatten(Tensor(x)).shape == (2, 12)


@shows("09", "equal largest values")
def _():
    pooled = {}
    for name, x, pool in (
        ("theirs", torch.ones(1, 1, 2, 2, requires_grad=True), TF.max_pool2d),
        ("ours", Tensor(np.ones((1, 1, 2, 2)), requires_grad=True), F.max_pool2d),
    ):
        pool(x, 2).sum().backward()
        pooled[name] = np.asarray(x.grad if name == "theirs" else x.grad.data).ravel().tolist()
    assert pooled == {"theirs": [1, 0, 0, 0], "ours": [1, 0, 0, 0]}
    theirs, ours = torch.ones(4, requires_grad=True), Tensor(np.ones(4), requires_grad=True)
    theirs.max().backward()
    ours.max().backward()
    assert theirs.grad.tolist() == ours.grad.data.tolist() == [0.25] * 4


@shows("09", "nan in a window of a max pooling")
def _():
    values = np.array([[[[1, math.nan], [2, 3]]]], np.float32)
    theirs, ours = torch.tensor(values, requires_grad=True), Tensor(values, requires_grad=True)
    TF.max_pool2d(theirs, 2).sum().backward()
    F.max_pool2d(ours, 2).sum().backward()
    assert theirs.grad.flatten().tolist() == [0, 1, 0, 0] and ours.grad.data.ravel().tolist() == [0, 0, 0, 0]


@shows("09", "memory of a result")
def _():
    x, weight = np.ones((3, 2, 5, 5), np.float32), np.ones((4, 2, 3, 3), np.float32)
    theirs, ours = TF.conv2d(torch.tensor(x), torch.tensor(weight)), F.conv2d(Tensor(x), Tensor(weight))
    assert theirs.stride()[3] == 1 and theirs.is_contiguous()
    assert ours.data.strides[0] == 4 and ours.data.base is not None


@shows("09", "`groups`, `padding=")
def _():
    ours = {name for kind in (nn.Conv2d, nn.MaxPool2d, nn.BatchNorm2d) for name in inspect.signature(kind).parameters}
    for kind, name in (("Conv2d", "groups"), ("MaxPool2d", "ceil_mode"), ("BatchNorm2d", "track_running_stats")):
        assert name in inspect.signature(getattr(torch.nn, kind)).parameters and name not in ours
    torch.nn.Conv2d(1, 1, 3, padding="same")
    refused(ValueError, lambda: nn.Conv2d(1, 1, 3, padding="same"))


# --- the rest of the library -----------------------------------------------------------------------------------------


@shows("library", "`state_dict()`")
def _():
    theirs, ours = torch.nn.Linear(2, 1), nn.Linear(2, 1)
    assert theirs.state_dict()["weight"].data_ptr() == theirs.weight.data_ptr()
    assert not np.shares_memory(ours.state_dict()["weight"], ours.weight.data)


@shows("library", "`nn.Sequential([a, b])`")
def _():
    refused(TypeError, lambda: torch.nn.Sequential([torch.nn.Linear(2, 1)]))
    assert len(list(nn.Sequential([nn.Linear(2, 1), nn.ReLU()]))) == 2


@shows("library", "`optim.SGD(model.parameters, lr=0.1)`")
def _():
    refused(TypeError, lambda: torch.optim.SGD(torch.nn.Linear(2, 1).parameters, lr=0.1))
    assert len(optim.SGD(nn.Linear(2, 1).parameters, lr=0.1).param_groups[0]["params"]) == 2


@shows("library", "seeds")
def _():
    assert "generator" in inspect.signature(torch.utils.data.DataLoader).parameters
    torch.manual_seed(0)
    tinytorch.manual_seed(0)
    expected = np.random.default_rng(0).uniform(-1, 1, (1, 2)) / math.sqrt(2)
    assert np.allclose(nn.Linear(2, 1).weight.data, expected)
    assert not np.allclose(torch.nn.Linear(2, 1).weight.detach(), expected)
    for user in (nn.Dropout, data.DataLoader, kaiming):
        assert "rng" in inspect.signature(user).parameters


@shows("library", "first weights")
def _():
    weight = torch.empty(64, 32)
    torch.nn.init.kaiming_normal_(weight)
    assert kaiming((64, 32), rng=np.random.default_rng(0)).shape == (64, 32) and not hasattr(nn, "init")


@shows("library", "`nn.LSTM` and its like")
def _():
    x = np.zeros((5, 2, 3), np.float32)
    result, state = torch.nn.LSTM(3, 4)(torch.tensor(x))
    assert result.shape == (5, 2, 4) and state[0].shape == (1, 2, 4)  # 5 steps of 2 samples
    assert recurrent.LSTM(3, 4)(Tensor(x), return_sequences=True).shape == (5, 2, 4)  # 2 steps of 5 samples
    assert recurrent.LSTM(3, 4, 7)(Tensor(x)).shape == (5, 7)


@shows("library", "forget bias of an LSTM")
def _():
    theirs, ours = torch.nn.LSTM(3, 4), recurrent.LSTM(3, 4)
    assert len(set(theirs.bias_ih_l0[4:8].tolist())) > 1
    assert ours.state_dict()["bias_ih_l0"][4:8].tolist() == [1] * 4
    assert not ours.state_dict()["bias_hh_l0"][4:8].any()


@shows("library", "recurrent weights")
def _():
    def is_orthogonal(weight):
        return np.allclose(weight @ weight.T, np.eye(len(weight)), atol=1e-5)

    assert not is_orthogonal(torch.nn.RNN(3, 4).weight_hh_l0.detach().numpy())
    assert is_orthogonal(recurrent.RNN(3, 4).state_dict()["weight_hh_l0"])


@shows("library", "attention masks of the layer")
def _():
    theirs, ours, x, hidden = attentions()
    expected = theirs(*map(torch.tensor, (x, x, x)), attn_mask=torch.tensor(hidden))[0].detach()
    assert np.allclose(ours(Tensor(x), mask=~hidden).data, expected, atol=1e-5)
    q = torch.tensor(x)
    function = TF.scaled_dot_product_attention(q, q, q, attn_mask=torch.tensor(~hidden))
    assert np.allclose(F.scaled_dot_product_attention(*[Tensor(x)] * 3, mask=~hidden).data, function, atol=1e-5)


def attentions():
    """The two layers with the same weights, an input, and a mask that is True where nothing may be seen."""
    theirs, ours = torch.nn.MultiheadAttention(4, 2, batch_first=True), nn.MultiHeadAttention(4, 2)
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    x = np.random.default_rng(0).normal(size=(1, 3, 4)).astype(np.float32)
    return theirs, ours, x, np.triu(np.ones((3, 3), bool), 1)


@shows("library", "a row in which nothing may be attended to")
def _():
    theirs, ours, x, hidden = attentions()
    hidden[0] = True
    result = theirs(*map(torch.tensor, (x, x, x)), attn_mask=torch.tensor(hidden))[0]
    assert torch.isnan(result[0, 0]).all()
    q = Tensor(x)
    assert not attention.scaled_dot_product_attention(q, q, q, mask=~hidden).data[0, 0].any()


@shows("library", "what attention returns")
def _():
    theirs, ours, x, _ = attentions()
    assert len(theirs(*map(torch.tensor, (x, x, x)))) == 2 and isinstance(ours(Tensor(x)), Tensor)


@shows("library", "mean and variance of an integer Tensor")
def _():
    whole = np.arange(4)
    refused(RuntimeError, lambda: torch.tensor(whole).mean())
    refused(RuntimeError, lambda: torch.tensor(whole).var())
    assert Tensor(whole).mean().dtype == Tensor(whole).var().dtype == np.float32


@shows("library", "devices, `torch.compile`")
def _():
    for name in ("device", "compile", "distributed"):
        assert hasattr(torch, name) and not hasattr(tinytorch, name)
