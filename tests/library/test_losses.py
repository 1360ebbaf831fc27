"""`tinytorch.core.losses` against formulas in float64 and, where it is installed, against PyTorch."""

import importlib.util

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinytorch.core import losses as core
from tinytorch.core.activations import log_softmax
from tinytorch.core.tensor import Tensor, autograd

WIDE = st.floats(-1000, 1000, width=32)
UNIT = st.floats(0, 1, width=32)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=4)
MATRICES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6)
OPERATIONS = ["mean_squared_error", "cross_entropy", "binary_cross_entropy_with_logits"]


def exact_log_softmax(x):
    x = x.astype(np.float64)
    shifted = x - x.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def strictly():
    return np.errstate(all="raise", under="ignore")


@st.composite
def logits_and_indices(draw):
    x = draw(hnp.arrays(np.float32, MATRICES, elements=WIDE))
    return x, draw(hnp.arrays(np.int64, len(x), elements=st.integers(0, x.shape[1] - 1)))


@st.composite
def pairs(draw, second):
    shape = draw(SHAPES)
    return tuple(draw(hnp.arrays(np.float32, shape, elements=elements)) for elements in (WIDE, second))


@given(pair=pairs(WIDE))
def test_mean_squared_error(pair):
    x, y = pair
    with strictly():
        got = core.mean_squared_error(Tensor(x), Tensor(y))
    assert got.shape == () and got.dtype == np.float32
    expected = np.square(x.astype(np.float64) - y).mean()
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-5, atol=1e-30)


@given(pair=logits_and_indices())
def test_cross_entropy_of_indices(pair):
    x, t = pair
    with strictly():
        got = core.cross_entropy(Tensor(x, requires_grad=True), t)
    log_p = exact_log_softmax(x)
    assert got.shape == () and got.dtype == np.float32 and got.receipt.saved.dtype == np.float32
    np.testing.assert_allclose(got.numpy(), -log_p[np.arange(len(t)), t].mean(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got.receipt.saved, np.exp(log_p), rtol=1e-4, atol=1e-6)
    composed = core.negative_log_likelihood(log_softmax(Tensor(x)), t)
    np.testing.assert_allclose(got.numpy(), composed.numpy(), rtol=1e-5, atol=1e-5)


@given(data=st.data(), x=hnp.arrays(np.float32, MATRICES, elements=WIDE))
def test_cross_entropy_of_shares(data, x):
    shares = data.draw(hnp.arrays(np.float32, x.shape, elements=UNIT))
    with strictly():
        got = core.cross_entropy(Tensor(x, requires_grad=True), Tensor(shares))
    log_p = exact_log_softmax(x)
    assert got.shape == () and got.dtype == np.float32
    expected = -np.sum(shares.astype(np.float64) * log_p) / len(x)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(got.receipt.saved, np.exp(log_p), rtol=1e-4, atol=1e-6)


@given(pair=logits_and_indices())
def test_one_hot_rows_and_indices_cost_the_same(pair):
    x, t = pair
    assume(x.shape[1] > 1)
    one_hot = np.eye(x.shape[1])[t]
    got = core.cross_entropy(Tensor(x), t).item(), core.cross_entropy(Tensor(x), one_hot).item()
    assert got[0] == pytest.approx(got[1], rel=1e-5, abs=1e-6)


@given(pair=pairs(UNIT))
def test_binary_cross_entropy(pair):
    x, y = pair
    with strictly():
        got = core.binary_cross_entropy_with_logits(Tensor(x), Tensor(y))
    assert got.shape == () and got.dtype == np.float32
    x, y = x.astype(np.float64), y.astype(np.float64)
    expected = np.mean(y * np.logaddexp(0, -x) + (1 - y) * np.logaddexp(0, x))
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_a_hundred_and_a_thousand_are_ordinary_logits():
    with strictly():
        for size in (100.0, 1000.0):
            x = Tensor([size, -size])
            assert core.binary_cross_entropy_with_logits(x, [0, 1]).item() == size
            assert core.binary_cross_entropy_with_logits(x, [1, 0]).item() < 1e-43
            assert core.cross_entropy(x, 1).item() == 2 * size
            assert core.cross_entropy(x, 0).item() == 0


@pytest.mark.parametrize("name", OPERATIONS)
def test_types_receipts_and_inputs(name):
    operation = getattr(core, name)
    rng = np.random.default_rng(0)
    values, targets = rng.normal(size=(4, 3)), rng.uniform(size=(4, 3))
    x, y = Tensor(values, requires_grad=True), Tensor(targets, requires_grad=True)
    kept = x.numpy().copy(), y.numpy().copy()
    assert operation is autograd.operations[name]
    for got in (operation(x, y), operation(x, targets), operation(x, targets.tolist()), operation(values, y)):
        assert got.shape == () and got.dtype == np.float32 and got.requires_grad
        assert got.receipt.operation == name
    np.testing.assert_array_equal(x.numpy(), kept[0])
    np.testing.assert_array_equal(y.numpy(), kept[1])
    assert operation(Tensor(values), targets).receipt is None
    assert operation(values, targets).dtype == np.float32
    wide = Tensor(values, dtype=np.float64), Tensor(targets, dtype=np.float64)
    assert operation(*wide).dtype == operation(wide[0], targets).dtype == np.float64
    assert operation(Tensor(values), wide[1]).dtype == np.float64
    assert operation(Tensor(values).T, targets.T).item() != 0  # not contiguous
    assert np.isnan(operation(Tensor(values * np.nan), targets).item())
    assert operation(Tensor(np.arange(6).reshape(2, 3)), [[0, 1, 0], [1, 0, 0]]).dtype == np.float32


def test_only_cross_entropy_saves_and_it_saves_p():
    x = Tensor(np.zeros((2, 4)), requires_grad=True)
    np.testing.assert_array_equal(core.cross_entropy(x, [0, 3]).receipt.saved, np.full((2, 4), 0.25))
    assert core.cross_entropy(x[0], 3).receipt.saved.shape == (1, 4)
    assert core.mean_squared_error(x, np.zeros((2, 4))).receipt.saved is None
    assert core.binary_cross_entropy_with_logits(x, np.zeros((2, 4))).receipt.saved is None


def test_one_sample_is_a_batch_of_one():
    x = Tensor([2.0, 0.0, -1.0])
    expected = core.cross_entropy(Tensor([[2.0, 0.0, -1.0]]), [1]).item()
    for target in (1, 1.0, [1], np.array(1), Tensor([1.0]), Tensor(np.array([1])), [0, 1, 0]):
        got = core.cross_entropy(x, target)
        assert got.shape == () and got.item() == pytest.approx(expected, rel=1e-6)
    soft = core.cross_entropy(x, [0.5, 0.25, 0.25]).item()
    assert soft == pytest.approx(core.cross_entropy(x.reshape(1, 3), [[0.5, 0.25, 0.25]]).item())
    assert core.cross_entropy(Tensor([5.0]), [0]).item() == 0


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.uint64, np.int64, np.float32, np.float64])
def test_class_indices_of_any_numeric_type(kind):
    got = core.class_indices(np.array([0, 4, 2], dtype=kind), 5)
    assert got.dtype == np.int64
    np.testing.assert_array_equal(got, [0, 4, 2])


@pytest.mark.parametrize("bad", [-1, -0.5, 1.5, 3, 3.0, 1e30, np.nan, np.inf, -np.inf])
def test_what_is_no_class_is_named_with_its_row(bad):
    x = Tensor(np.zeros((4, 3)))
    with pytest.raises(ValueError) as caught:
        core.cross_entropy(x, np.array([0, 2, bad, bad]))
    assert str(bad) in str(caught.value) and "row 2" in str(caught.value) and "3 classes" in str(caught.value)


@pytest.mark.parametrize("bad", [np.array([True, False]), np.array(["0", "1"]), np.array([0, None]), [1j, 0]])
def test_class_indices_must_be_numbers(bad):
    with pytest.raises(ValueError, match="class indices are whole numbers"):
        core.cross_entropy(Tensor(np.zeros((2, 3))), bad)


@pytest.mark.parametrize(
    ("logits", "targets"),
    [((4, 3), (3,)), ((4, 3), (4, 1)), ((4, 3), (3, 4)), ((4, 3), ()), ((3,), (2,)), ((), ()), ((2, 4, 3), (2, 4))],
)
def test_cross_entropy_names_both_shapes(logits, targets):
    with pytest.raises(ValueError) as caught:
        core.cross_entropy(Tensor(np.zeros(logits)), np.zeros(targets))
    assert str(logits) in str(caught.value) and str(targets) in str(caught.value)


@pytest.mark.parametrize("name", ["mean_squared_error", "binary_cross_entropy_with_logits"])
def test_shapes_must_be_equal(name):
    operation = getattr(core, name)
    with pytest.raises(ValueError) as caught:
        operation(Tensor(np.zeros((4, 1))), np.zeros(4))
    assert all(part in str(caught.value) for part in (name, "(4, 1)", "(4,)", "(4, 4)"))
    with pytest.raises(ValueError) as caught:
        operation(Tensor(np.zeros((2, 3))), np.zeros((3, 2)))
    assert "(2, 3)" in str(caught.value) and "(3, 2)" in str(caught.value)


def test_a_mean_of_nothing_is_an_error():
    nothing = Tensor(np.zeros((0, 3)))
    for operation in (core.mean_squared_error, core.binary_cross_entropy_with_logits, core.cross_entropy):
        with pytest.raises(ValueError, match=r"\(0, 3\)"):
            operation(nothing, np.zeros((0, 3)))
    with pytest.raises(ValueError, match=r"\(0, 3\)"):
        core.cross_entropy(nothing, np.zeros(0, dtype=int))
    with pytest.raises(ValueError, match=r"\(2, 0\)"):
        core.cross_entropy(Tensor(np.zeros((2, 0))), [0, 0])


@pytest.mark.parametrize("bad", [-0.25, 1.0009765625, 2.0, np.nan, np.inf])
def test_labels_are_probabilities(bad):
    with pytest.raises(ValueError, match=f"label {bad}"):
        core.binary_cross_entropy_with_logits(Tensor(np.zeros(3)), np.array([0, bad, 1]))
    with pytest.raises(ValueError, match=f"label {bad}"):
        core.binary_cross_entropy_with_logits(Tensor(0.0), bad)


CLASSES = {
    core.MeanSquaredError: core.mean_squared_error,
    core.CrossEntropyLoss: core.cross_entropy,
    core.BinaryCrossEntropyLoss: core.binary_cross_entropy_with_logits,
}


@pytest.mark.parametrize("cls", CLASSES)
def test_classes_are_the_operations_without_state(cls):
    loss = cls()
    x, y = Tensor([[1.0, -2.0]], requires_grad=True), Tensor([[0.25, 0.75]])
    for call in (loss, loss.forward):
        got = call(x, y)
        assert got.requires_grad and got.item() == CLASSES[cls](x, y).item()
    assert vars(loss) == {} and repr(loss) == f"{cls.__name__}()"


def test_the_names_of_pytorch():
    assert core.MSELoss is core.MeanSquaredError
    assert core.BCEWithLogitsLoss is core.BinaryCrossEntropyLoss


@pytest.mark.parametrize("name", ["cross_entropy_loss", "mse_loss"])
def test_arrays_in_float_out_and_tensors_in_tensor_out(name):
    function = getattr(core, name)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 3)), rng.uniform(size=(5, 3))
    expected = {
        "cross_entropy_loss": -np.sum(y * exact_log_softmax(x)) / 5,
        "mse_loss": np.square(x - y).mean(),
    }[name]
    for arguments in ((x, y), (x.tolist(), y.tolist()), (x, y.tolist())):
        got = function(*arguments)
        assert type(got) is float
        assert got == pytest.approx(expected, rel=1e-12)  # nothing is rounded to float32 on the way
    for arguments in ((Tensor(x), Tensor(y)), (Tensor(x), y), (x, Tensor(y))):
        got = function(*arguments)
        assert isinstance(got, Tensor) and got.dtype == np.float32 and got.item() == pytest.approx(expected, rel=1e-5)
    assert function(Tensor(x, requires_grad=True), y).requires_grad
    with pytest.raises(ValueError):
        function(x, y[:2])


def test_indices_as_arrays_and_lists():
    x = np.log([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])
    for t in ([0, 2], [0.0, 2.0], np.array([0, 2])):
        assert core.cross_entropy_loss(x, t) == pytest.approx(-(np.log(0.5) + np.log(0.8)) / 2, rel=1e-12)
    assert core.cross_entropy_loss([0.0, 0.0], 1) == pytest.approx(np.log(2))


def test_tensors_by_name_are_refused_and_not_forgotten():
    with pytest.raises(TypeError):
        core.cross_entropy(Tensor([0.0, 1.0]), targets=Tensor([0.5, 0.5]))


def test_huber():
    x, y = np.random.default_rng(0).normal(0, 3, size=(2, 50))
    r = np.abs(x - y)
    for delta in (0.5, 1.0, 4.0):
        expected = np.where(r <= delta, 0.5 * r * r, delta * (r - 0.5 * delta)).mean()
        assert core.huber(Tensor(x), y, delta=delta).item() == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match=r"\(50, 1\)"):
        core.huber(Tensor(x[:, None]), y)


def test_smooth_labels():
    got = core.smooth_labels([0, 3], 4, amount=0.2)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, [[0.85, 0.05, 0.05, 0.05], [0.05, 0.05, 0.05, 0.85]], rtol=1e-6)
    with pytest.raises(ValueError, match="class index 4 in row 1"):
        core.smooth_labels([0, 4], 4)


needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: pip install torch==2.13.0"
)


@needs_torch
@given(pair=logits_and_indices())
def test_cross_entropy_same_as_pytorch(pair):
    import torch
    from torch.nn import functional

    x, t = pair
    p = torch.tensor(x)
    shares = np.random.default_rng(0).dirichlet(np.ones(x.shape[1]), size=len(x)).astype(np.float32)
    results = [
        (core.cross_entropy(Tensor(x), t), functional.cross_entropy(p, torch.tensor(t))),
        (core.cross_entropy(Tensor(x), shares), functional.cross_entropy(p, torch.tensor(shares))),
        (core.cross_entropy(Tensor(x), 3 * shares), functional.cross_entropy(p, torch.tensor(3 * shares))),
        (core.cross_entropy(Tensor(x[0]), t[0]), functional.cross_entropy(p[0], torch.tensor(t[0]))),
        (
            core.cross_entropy(Tensor(x), core.smooth_labels(t, x.shape[1])),
            functional.cross_entropy(p, torch.tensor(t), label_smoothing=0.1),
        ),
    ]
    if x.shape[1] > 1:  # one target for one logit is a probability to PyTorch
        single = core.cross_entropy(Tensor(x[0]), t[:1]), functional.cross_entropy(p[0], torch.tensor(t[:1]))
        results.append(single)
    for got, expected in results:
        np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-5, atol=1e-4)


@needs_torch
@given(pair=pairs(UNIT))
def test_elementwise_losses_same_as_pytorch(pair):
    import torch
    from torch.nn import functional

    x, y = pair
    p, q = torch.tensor(x), torch.tensor(y)
    results = [
        (core.mean_squared_error(Tensor(x), y), functional.mse_loss(p, q)),
        (core.binary_cross_entropy_with_logits(Tensor(x), y), functional.binary_cross_entropy_with_logits(p, q)),
        (core.huber(Tensor(x), y), functional.huber_loss(p, q)),
    ]
    for got, expected in results:
        np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-5, atol=1e-5)


@needs_torch
def test_differences_from_pytorch_are_as_the_table_says():
    import torch
    from torch.nn import functional

    assert torch.isnan(functional.cross_entropy(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)))
    assert torch.isfinite(functional.binary_cross_entropy_with_logits(torch.zeros(1), torch.tensor([2.0])))
    with pytest.warns(UserWarning):
        functional.mse_loss(torch.zeros(4, 1), torch.zeros(4))
    with pytest.raises((RuntimeError, IndexError)):
        functional.cross_entropy(torch.zeros(2, 3), torch.tensor([0.0, 1.0]))
    skipped = functional.cross_entropy(torch.tensor([[1.0, 0.0], [5.0, 0.0]]), torch.tensor([0, -100]))
    assert skipped.item() == pytest.approx(core.cross_entropy_loss([1.0, 0.0], 0), rel=1e-5)
    with pytest.raises(IndexError) as caught:
        functional.cross_entropy(torch.zeros(2, 3), torch.tensor([0, 3]))
    assert "3" in str(caught.value) and "row" not in str(caught.value)
