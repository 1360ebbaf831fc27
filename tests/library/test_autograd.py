"""The engine: depth, memory, refusals, who owns a gradient, and the checkers that name a wrong rule."""

import gc
import math
import subprocess
import sys
import time
import tracemalloc
import weakref

import numpy as np
import pytest

from tinytorch.core import autograd as core
from tinytorch.core.activations import Tanh
from tinytorch.core.autograd import Variable, check_gradients, grad, no_grad
from tinytorch.core.gradcheck import compute_numerical_gradient, compute_numerical_gradient_fast
from tinytorch.core.layers import Linear, Parameter, Sequential
from tinytorch.core.losses import CrossEntropyLoss, MeanSquaredError
from tinytorch.core.tensor import Tensor, autograd, concatenate, operation, reduce_sum
from tinytorch.random import manual_seed


@pytest.fixture
def tables(monkeypatch):
    """The tables of operations and rules, as copies that a test may change."""
    monkeypatch.setattr(autograd, "operations", dict(autograd.operations))
    monkeypatch.setattr(autograd, "rules", dict(autograd.rules))
    return autograd


@pytest.fixture
def calls(tables):
    """A list that grows by the name of the operation each time a rule is called."""
    names = []

    def counted(name, rule):
        def call(*arguments, **options):
            names.append(name)
            return rule(*arguments, **options)

        return call

    tables.rules.update({name: counted(name, rule) for name, rule in tables.rules.items()})
    return names


def leaf(values, dtype=np.float32):
    return Tensor(values, requires_grad=True, dtype=dtype)


# --- depth and time ---


def chain(x, length):
    y = x
    for _ in range(length):
        y = y * 1.0
    return y


def test_a_chain_of_100_000_operations():
    x = leaf([2.0, 3.0])
    chain(x, 100_000).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [1, 1])


def test_a_ladder_of_1_000_skip_connections(calls):
    x = leaf(1.5, np.float64)
    y = x
    for _ in range(1000):
        y = y + y * 0.001
    y.backward()
    np.testing.assert_allclose(x.grad.numpy(), 1.001**1000, rtol=1e-12)
    assert len(calls) == 2000, "each operation is walked once, although 2**1000 ways lead through them"


def test_dense_connections(calls):
    x = leaf(1.0, np.float64)
    states, factors = [x], [1.0]
    for _ in range(60):
        total = states[0]
        for state in states[1:]:
            total = total + state
        states.append(total * 0.1)
        factors.append(0.1 * sum(factors))
    states[-1].backward()
    np.testing.assert_allclose(x.grad.numpy(), factors[-1], rtol=1e-12)
    assert len(calls) == 60 + 60 * 59 // 2


def test_one_tensor_used_many_times():
    x = leaf(3.0, np.float64)
    concatenate([(x * k).reshape(1) for k in range(1000)]).sum().backward()
    assert x.grad.item() == 999 * 1000 / 2
    doubled = leaf(1.0, np.float64)
    y = doubled
    for _ in range(60):
        y = y + y
    y.backward()
    assert doubled.grad.item() == 2.0**60


def test_the_time_grows_with_the_number_of_operations(calls):
    lengths, seconds, counts = [1000, 4000, 16000], [], []
    for length in lengths:
        x = leaf([1.0])
        y = chain(x, length)
        calls.clear()
        start = time.perf_counter()
        y.backward()
        seconds.append(time.perf_counter() - start)
        counts.append(len(calls))
    exponent = np.polyfit(np.log(lengths), np.log(seconds), 1)[0]
    print(f"backward over a chain: time grows with the number of operations to the power {exponent:.2f}")
    assert counts == lengths
    assert np.polyfit(np.log(lengths), np.log(counts), 1)[0] == pytest.approx(1)


def test_only_what_leads_to_a_leaf_is_walked(calls):
    x, constant = leaf([1.0, 2.0]), Tensor([3.0, 4.0])
    side = (x * 5.0).exp()  # leads nowhere
    y = (x * constant.exp().log()).sum()
    y.backward()
    assert calls == ["reduce_sum", "multiply"] and side.receipt is not None


# --- memory ---


def test_what_was_walked_is_freed_at_once():
    x = leaf(np.ones(10))
    parts, y = [], x
    for _ in range(5):
        y = y.exp().log()
        parts.append(weakref.ref(y))
    gc.disable()  # by counting references alone: there are no cycles
    try:
        y.sum().backward()
        assert [part() is None for part in parts] == [True] * 4 + [False], "y itself is still held here"
        del y
        assert parts[-1]() is None
    finally:
        gc.enable()


def test_a_graph_that_is_kept_keeps_its_tensors():
    x = leaf(np.ones(3))
    h = x.exp()
    part, y = weakref.ref(h), h.sum()
    del h
    y.backward(retain_graph=True)
    assert part() is not None
    y.backward()
    assert part() is None


@pytest.mark.parametrize("retain_graph", [False, True])
def test_the_walk_needs_a_few_buffers_however_deep_the_graph(retain_graph):
    x = leaf(np.ones(25_000))
    buffer = x.numpy().nbytes
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        y = chain(x, 200).sum()
        built, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        y.backward(retain_graph=retain_graph)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    sizes = [(n - before) / buffer for n in (built, peak, after)]
    print(f"in buffers: graph {sizes[0]:.1f}, peak of the walk {sizes[1]:.1f}, after it {sizes[2]:.1f}")
    assert sizes[0] >= 200
    assert sizes[1] - sizes[0] <= 5, "the walk must drop each gradient when it has been passed on"
    assert sizes[2] >= 200 if retain_graph else sizes[2] <= 3


def test_the_peak_of_a_ladder_stays_small():
    x = leaf(np.ones(25_000))
    y = x
    for _ in range(100):
        y = y + y.exp() * 0.001
    y = y.sum()
    tracemalloc.start()
    try:
        y.backward()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= 6 * x.numpy().nbytes


DROP = """
from tinytorch.core.tensor import Tensor
y = x = Tensor([1.0], requires_grad=True)
for _ in range(100_000):
    y = y * 1.0
{walk}
del y
print("dropped")
"""


@pytest.mark.parametrize("walk", ["", "y.backward(retain_graph=True)", "y.backward()"])
def test_a_graph_of_100_000_operations_can_be_dropped(walk):
    done = subprocess.run([sys.executable, "-c", DROP.format(walk=walk)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "dropped"), done.stderr


# --- refusals ---


def test_a_second_walk_is_refused_and_retain_graph_allows_it():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2, 4], "the refusal must change nothing")
    x.grad = None
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [4, 8])
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()


def test_a_graph_that_shares_a_freed_part_is_refused_as_a_whole(calls):
    x, w = leaf([1.0]), leaf([2.0])
    h = x.exp()
    first, second = h * 2.0, h * w
    first.backward()
    x.grad = None
    calls.clear()
    with pytest.raises(RuntimeError, match="retain_graph"):
        second.backward()
    assert (x.grad, w.grad, calls) == (None, None, [])


def test_more_than_one_number_needs_a_gradient():
    x = leaf([[1.0, 2.0]])
    y = x * 3.0
    with pytest.raises(RuntimeError, match=r"\(1, 2\).*sum") as caught:
        y.backward()
    assert "gradient" in str(caught.value) and x.grad is None
    y.backward(Tensor([[1.0, 10.0]]))
    np.testing.assert_array_equal(x.grad.numpy(), [[3, 30]])
    (leaf([[5.0]]) * 2.0).backward()  # one number, whatever the shape


@pytest.mark.parametrize("shape", [(), (2,), (2, 1), (1, 1, 2)])
def test_a_gradient_of_another_shape_is_refused(shape):
    x = leaf([[1.0, 2.0]])
    y = x * 3.0
    with pytest.raises((RuntimeError, ValueError)) as caught:
        y.backward(Tensor(np.ones(shape)))
    assert str(shape) in str(caught.value) and "(1, 2)" in str(caught.value)
    assert x.grad is None
    y.backward(Tensor(np.ones((1, 2))))
    np.testing.assert_array_equal(x.grad.numpy(), [[3, 3]])


def test_without_anything_that_requires_a_gradient():
    for y in (Tensor([1.0]), Tensor([1.0]) * 2.0, leaf([1.0]).detach() * 2.0):
        with pytest.raises(RuntimeError, match="requires_grad"):
            y.backward()
        assert y.grad is None


def test_a_leaf_walks_to_itself():
    x = leaf([1.0, 2.0])
    upstream = Tensor([5.0, 6.0])
    x.backward(upstream)
    np.testing.assert_array_equal(x.grad.numpy(), [5, 6])
    assert not np.shares_memory(x.grad.numpy(), upstream.numpy())


def test_an_operation_without_a_rule_is_named(tables):
    @operation
    def cube(x):
        return x**3

    x, w = leaf([2.0]), leaf([1.0])
    y = (cube(x.exp()) * w).sum()
    with pytest.raises(RuntimeError, match="cube"):
        y.backward()
    assert x.grad is None and w.grad is None
    tables.rules["cube"] = lambda g, y, x: g * 3 * x * x
    y.backward()  # the refusal left the graph as it was
    np.testing.assert_allclose(x.grad.numpy(), [3 * np.exp(2.0) ** 3], rtol=1e-5)


def test_a_rule_that_gives_another_shape_is_named(tables):
    tables.rules["exp"] = lambda g, y, x: np.ones((2, 5), np.float32)
    x = leaf([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    with pytest.raises(RuntimeError, match=r"exp.*\(2, 5\).*\(2, 3\)"):
        x.exp().sum().backward()
    assert x.grad is None


# --- writes in place ---


def subtract_from_data(x):
    x.data -= 0.5


def write_through_detach(x):
    x.detach()[...] = 7.0


def assign_data(x):
    x.data = np.zeros(x.shape)


def write_through_a_view(x):
    x.detach().reshape(-1)[0:1][...] = 7.0


def write_without_gradients(x):
    with no_grad():
        x[0] = 7.0


WRITES = [subtract_from_data, write_through_detach, assign_data, write_through_a_view, write_without_gradients]
NEED_INPUTS = {
    "multiply": lambda x, w: x * w,
    "divide": lambda x, w: w / x,
    "power": lambda x, w: x**2,
    "log": lambda x, w: x.log(),
    "absolute": lambda x, w: x.abs(),
    "matmul": lambda x, w: w @ x,
    "reduce_max": lambda x, w: x.max(dim=0),
    "reduce_var": lambda x, w: x.var(),
    "clip": lambda x, w: x.clip(min=0.0),
}
NEED_RESULTS = {
    "exp": lambda x: x.exp(),
    "sqrt": lambda x: x.sqrt(),
    "tanh": lambda x: autograd.operations["tanh"](x),
    "sigmoid": lambda x: autograd.operations["sigmoid"](x),
    "softmax": lambda x: autograd.operations["softmax"](x),
}
NEED_SHAPES = {
    "add": lambda x, w: x + w,
    "subtract": lambda x, w: w - x,
    "negative": lambda x, w: -x,
    "reduce_sum": lambda x, w: x.sum(dim=0),
    "reduce_mean": lambda x, w: x.mean(),
    "reshape": lambda x, w: x.reshape(4, 1),
    "permute": lambda x, w: x.T,
    "join": lambda x, w: concatenate([x, w]),
}


def two_leaves():
    return leaf([[1.0, 2.0], [3.0, 4.0]]), leaf([[0.5, 0.6], [0.7, 0.8]])


@pytest.mark.parametrize("write", WRITES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", NEED_INPUTS)
def test_a_changed_input_is_refused_by_the_name_of_the_operation(name, write):
    x, w = two_leaves()
    h = x + 0.0  # so that not the leaf changes but what was computed from it
    y = NEED_INPUTS[name](h, w).sum()
    write(h)
    with pytest.raises(RuntimeError, match=rf"\b{name}\b.*changed"):
        y.backward()
    assert x.grad is None and w.grad is None
    NEED_INPUTS[name](x + 0.0, w).sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("write", WRITES, ids=lambda f: f.__name__)
def test_a_changed_leaf_is_refused(write):
    x, w = two_leaves()
    y = (x * w).sum()
    write(x)
    with pytest.raises(RuntimeError, match=r"\bmultiply\b.*changed"):
        y.backward()
    assert x.grad is None and w.grad is None
    (x * w).sum().backward()
    np.testing.assert_array_equal(w.grad.numpy(), x.numpy())


def test_a_changed_constant_is_refused():
    x, constant, indices = leaf([[1.0, 2.0]]), Tensor([[3.0, 4.0]]), Tensor(np.array([1]))
    y, loss = (x * constant).sum(), CrossEntropyLoss()(x, indices)
    constant[0, 0], indices[0] = 9.0, 0
    for result, name in ((y, "multiply"), (loss, "cross_entropy")):
        with pytest.raises(RuntimeError, match=rf"\b{name}\b.*changed"):
            result.backward()
    assert x.grad is None


@pytest.mark.parametrize("name", NEED_RESULTS)
def test_a_changed_result_is_refused_where_the_rule_uses_it(name):
    x = leaf([[1.0, 2.0]])
    y = NEED_RESULTS[name](x)
    total = y.sum()
    y.detach()[0, 0] = 9.0
    with pytest.raises(RuntimeError, match=rf"\b{name}\b.*changed"):
        total.backward()
    assert x.grad is None


@pytest.mark.parametrize("write", WRITES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", NEED_SHAPES)
def test_a_write_is_allowed_where_rules_look_at_shapes_only(name, write):
    x, w = two_leaves()
    y = NEED_SHAPES[name](x, w)
    expected = leaf(x.numpy())
    NEED_SHAPES[name](expected, w.detach()).sum().backward()
    write(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), expected.grad.numpy())


def test_a_write_to_something_else_is_no_reason_to_refuse():
    x, other = leaf([1.0]), Tensor([1.0])
    y = x * x
    other[0] = 5.0
    y.detach()[...] = 0.0  # multiply's rule does not look at its result
    y.backward()
    assert x.grad.item() == 2


def test_a_step_of_an_optimizer_between_two_graphs():
    w = leaf([1.0])
    for step in range(3):
        (w * w).sum().backward()
        w.data -= 0.25 * w.grad.data
        w.grad = None
        assert w.item() == 0.5 ** (step + 1)


# --- who owns a gradient ---


@pytest.mark.parametrize(
    "combine",
    [
        lambda a, b: (a + b).sum(),
        lambda a, b: (a + b) * 1.0,
        lambda a, b: a + b,
        lambda a, b: (a - b).sum(),
        lambda a, b: concatenate([a, b]).sum(),
        lambda a, b: a.sum() + b.sum(),
        lambda a, b: a.reshape(4, 1).T.sum() + b.T.reshape(4).sum(),
        lambda a, b: a.mean() + Tensor(b).mean(),
        lambda a, b: a[0].sum() + b[:, ::-1].sum(),
    ],
)
def test_gradients_of_leaves_share_no_memory(combine):
    a, b = two_leaves()
    y = combine(a, b)
    upstream = Tensor(np.ones(y.shape))
    y.backward(upstream)
    arrays = [a.grad.numpy(), b.grad.numpy(), upstream.numpy(), a.numpy(), b.numpy()]
    assert a.grad is not b.grad
    assert not any(np.shares_memory(p, q) for i, p in enumerate(arrays) for q in arrays[:i])
    before = b.grad.numpy().copy()
    a.grad.data *= 100
    a.grad.data[...] = 100
    np.testing.assert_array_equal(b.grad.numpy(), before)
    np.testing.assert_array_equal(upstream.numpy(), np.ones(y.shape))


def test_a_rule_may_give_one_array_for_two_inputs(tables):
    def rule(g, y, a, b):
        both = g * 1.0
        return both, both

    tables.rules["add"] = rule
    a, b = two_leaves()
    (a + b).sum().backward()
    assert not np.shares_memory(a.grad.numpy(), b.grad.numpy())


def test_gradients_are_dense_and_can_be_written():
    x = leaf(np.ones((3, 4)))
    x.sum().backward()  # the rule of a sum gives a broadcast view: every element the same memory
    x.grad.data[0, 0] = 5
    assert x.grad.numpy().sum() == 5 + 11
    for y in ((x := leaf(2.0)) * x, x + np.ones(3), -x):
        x.grad = None
        y.sum().backward()
        assert isinstance(x.grad.numpy(), np.ndarray) and x.grad.numpy().flags.writeable


def test_gradients_accumulate_in_place_into_the_same_tensor():
    x, scale = leaf([1.0, 2.0]), leaf(3.0)
    for count in range(1, 4):
        (x * scale).sum().backward()
        if count == 1:
            held = [(t.grad, t.grad.numpy()) for t in (x, scale)]
        assert [(t.grad is g, t.grad.numpy() is array) for t, (g, array) in zip((x, scale), held)] == [(True, True)] * 2
        np.testing.assert_array_equal(x.grad.numpy(), [3.0 * count] * 2)
        assert scale.grad.item() == 3.0 * count
    assert not x.grad.requires_grad and x.grad.receipt is None


def test_only_leaves_keep_a_gradient():
    x = leaf([1.0])
    h = x * 2.0
    h.backward()
    assert h.grad is None and x.grad.item() == 2


# --- switching it off ---


def test_no_grad_as_context_and_decorator_nested_and_after_an_exception():
    x = leaf([1.0])
    with no_grad():
        assert not (x * 2.0).requires_grad and (x * 2.0).receipt is None
        with no_grad():
            assert not (x * 2.0).requires_grad
        assert not (x * 2.0).requires_grad, "the inner one must not switch it on"
    assert (x * 2.0).requires_grad

    @no_grad()
    def double(t):
        """Twice t."""
        return t * 2.0

    @no_grad()
    def countdown(n):
        return x * 1.0 if n == 0 else countdown(n - 1)

    for _ in range(2):
        assert not double(x).requires_grad and not countdown(3).requires_grad
        assert (x * 2.0).requires_grad
    assert double.__name__ == "double" and double.__doc__ == "Twice t."
    with pytest.raises(ZeroDivisionError), no_grad():
        1 / 0  # noqa: B018
    assert autograd.enabled and (x * 2.0).requires_grad


def test_one_no_grad_entered_again_while_it_is_open():
    x, mode = leaf([1.0]), no_grad()
    with mode:
        with mode:
            assert not (x * 2.0).requires_grad
        assert not (x * 2.0).requires_grad
    assert (x * 2.0).requires_grad


def test_detach_stops_the_gradient_and_shares_the_memory():
    x = leaf([2.0])
    y = x * (x * x).detach()
    y.backward()
    assert x.grad.item() == 4, "x squared counts as a constant"
    d = x.detach()
    assert np.shares_memory(d.numpy(), x.numpy()) and not d.requires_grad


# --- grad, Variable ---


def test_grad_gives_gradients_and_touches_nobodys():
    w = leaf([3.0, 4.0])
    x = Tensor([1.0, 2.0])
    h = w * 1.0
    slope = grad(lambda x, k: (x * x * h * k).sum())
    np.testing.assert_array_equal(np.asarray(slope(x, 2.0)), [12, 32])
    assert w.grad is None and x.grad is None and not x.requires_grad
    h.sum().backward()  # the graph outside is still there
    np.testing.assert_array_equal(w.grad.numpy(), [1, 1])
    w.grad.data[...] = 7
    np.testing.assert_array_equal(np.asarray(grad(lambda w: (w * w).sum())(w)), [6, 8])
    np.testing.assert_array_equal(w.grad.numpy(), [7, 7])
    with no_grad():
        np.testing.assert_array_equal(np.asarray(grad(lambda x: (x * 5.0).sum())(x)), [5, 5])


def test_grad_refuses_what_is_not_one_number():
    with pytest.raises(RuntimeError, match=r"\(2,\)"):
        grad(lambda x: x * 2.0)(Tensor([1.0, 2.0]))


def test_variable_is_tensor_and_keeps_the_graph():
    assert Variable is Tensor and isinstance(Tensor([1.0]), Variable)
    w = leaf([2.0])
    Variable(w * w).backward()
    assert w.grad.item() == 4


# --- check_gradients ---


def wrong(rule, factor=1.5):
    """The rule with every gradient it gives multiplied by `factor`."""

    def call(*arguments, **options):
        parts = rule(*arguments, **options)
        parts = parts if type(parts) is tuple else (parts,)
        return tuple(
            part if part is None else np.asarray(part() if callable(part) else part) * factor for part in parts
        )

    return call


def network(x, w, b):
    h = autograd.operations["tanh"](x @ w + b)
    return ((h * 2.0).exp().reshape(6) - 0.5).mean()


NETWORK = ["matmul", "add", "tanh", "multiply", "exp", "reshape", "subtract", "reduce_mean"]


def network_inputs():
    rng = np.random.default_rng(0)
    return [Tensor(rng.normal(size=shape)) for shape in ((3, 4), (4, 2), (2,))]


def test_right_gradients_pass_and_nothing_is_touched():
    inputs = network_inputs()
    before = [x.numpy().copy() for x in inputs]
    check_gradients(network, inputs)
    assert all(x.grad is None and not x.requires_grad and x.dtype == np.float32 for x in inputs)
    assert all(np.array_equal(x.numpy(), old) for x, old in zip(inputs, before))
    held = leaf([1.0, 2.0])
    held.grad = Tensor([5.0, 5.0])
    check_gradients(lambda x: (x * x * x).sum(), [held])
    np.testing.assert_array_equal(held.grad.numpy(), [5, 5])
    check_gradients(lambda x: x * x, [held])  # more than one number


def test_a_wrong_gradient_names_input_element_both_numbers_and_their_ratio(tables):
    def rule(g, y, a, b):
        db = g * a
        db[1, 2] *= 3
        return g * b, db

    tables.rules["multiply"] = rule
    a, b = np.full((2, 3), 0.75), np.full((2, 3), 2.0)
    with pytest.raises(AssertionError) as caught:
        check_gradients(lambda a, b: (a * b).sum(), [Tensor(a), Tensor(b)])
    error = caught.value
    assert (error.input, error.index, error.operation) == (1, (1, 2), "multiply")
    assert (error.analytic, error.numeric, error.ratio) == pytest.approx((2.25, 0.75, 3), rel=1e-6)
    assert all(text in str(error) for text in ("input 1", "(1, 2)", "2.25", "0.75", "ratio 3", "multiply"))


@pytest.mark.parametrize("name", NETWORK)
def test_the_first_wrong_rule_is_named(tables, name):
    tables.rules[name] = wrong(tables.rules[name])
    with pytest.raises(AssertionError, match=rf"\b{name}\b") as caught:
        check_gradients(network, network_inputs())
    assert caught.value.operation == name


def test_of_two_wrong_rules_the_one_nearer_to_the_inputs_is_named(tables):
    for name in ("exp", "matmul"):
        tables.rules[name] = wrong(tables.rules[name])
    with pytest.raises(AssertionError) as caught:
        check_gradients(network, network_inputs())
    assert caught.value.operation == "matmul"


@pytest.mark.parametrize(
    "rule", [lambda g, y, a, b: (g @ b.T, None), lambda g, y, a, b: (g @ b.T, np.nan * b)], ids=["None", "nan"]
)
def test_a_gradient_that_is_dropped_or_no_number_is_reported(tables, rule):
    tables.rules["matmul"] = rule
    with pytest.raises(AssertionError) as caught:
        check_gradients(network, network_inputs())
    assert (caught.value.input, caught.value.operation) == (1, "matmul")


def test_values_that_leave_the_graph_are_reported_though_every_rule_is_right():
    with pytest.raises(AssertionError) as caught:
        check_gradients(lambda x: (x * Tensor(x.data, dtype=np.float64)).sum(), [Tensor([1.0, 2.0])])
    assert caught.value.operation is None and caught.value.ratio == pytest.approx(0.5, rel=1e-6)


def test_a_function_that_draws_random_numbers_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="random"):
        check_gradients(lambda x: (x * rng.normal()).sum(), [Tensor([1.0])])


# --- numerical gradients of models ---


def model_and_data():
    manual_seed(0)
    model = Sequential(Linear(3, 4), Tanh(), Linear(4, 3))
    rng = np.random.default_rng(0)
    return model, rng.normal(size=(5, 3)), rng.integers(0, 3, size=5)


def exact_gradients(model, x, y, loss_fn):
    """By the engine, on a float64 copy of the model."""
    wide = Sequential(Linear(3, 4), Tanh(), Linear(4, 3))
    state = model.state_dict()
    for name in state:
        layer, attribute = name.split(".")
        setattr(wide[int(layer)], attribute, Parameter(state[name], dtype=np.float64))
    loss_fn(wide(Tensor(x, dtype=np.float64)), y).backward()
    return {name: parameter.grad.numpy() for name, parameter in wide.named_parameters()}


def one_hot_error(predictions, indices):
    return MeanSquaredError()(predictions, np.eye(3)[indices])


@pytest.mark.parametrize("loss_fn", [CrossEntropyLoss(), one_hot_error], ids=["class indices", "squares"])
def test_numerical_gradients_have_the_accuracy_of_float64(loss_fn):
    model, x, y = model_and_data()
    state, held = model.state_dict(), [(p, p.dtype) for p in model.parameters()]
    got = compute_numerical_gradient(model, x, y, loss_fn)
    expected = exact_gradients(model, x, y, loss_fn)
    assert list(got) == list(expected) == [name for name, _ in model.named_parameters()]
    for name in expected:
        np.testing.assert_allclose(np.asarray(got[name]), expected[name], rtol=1e-6, atol=1e-9)
    assert all(np.array_equal(value, state[name]) for name, value in model.state_dict().items())
    assert [(p, p.dtype) for p in model.parameters()] == held and all(p.grad is None for p in model.parameters())
    from_tensors = compute_numerical_gradient(model, Tensor(x), y, loss_fn)
    np.testing.assert_allclose(np.asarray(from_tensors["0.bias"]), expected["0.bias"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("compute", [compute_numerical_gradient, compute_numerical_gradient_fast])
def test_parameters_come_back_bit_for_bit_also_after_an_exception(compute):
    model, x, y = model_and_data()
    arrays = [p.numpy() for p in model.parameters()]
    state = {name: value.tobytes() for name, value in model.state_dict().items()}
    count = iter(range(100))

    def fails(predictions, targets):
        if next(count) == 1:
            raise ArithmeticError("no loss today")
        return CrossEntropyLoss()(predictions, targets)

    for loss_fn in (CrossEntropyLoss(), fails):
        try:
            compute(model, x, y, loss_fn)
        except ArithmeticError:
            assert loss_fn is fails
        assert {name: value.tobytes() for name, value in model.state_dict().items()} == state
        assert all(p.numpy() is array and p.dtype == np.float32 for p, array in zip(model.parameters(), arrays))
    assert next(count) == 2, "the loss that fails was called twice"
    assert autograd.enabled


@pytest.mark.parametrize("compute", [compute_numerical_gradient, compute_numerical_gradient_fast])
@pytest.mark.parametrize("epsilon", [0, -1e-5, math.nan, math.inf])
def test_a_difference_needs_a_step_above_0(compute, epsilon):
    model, x, y = model_and_data()
    with pytest.raises(ValueError, match=f"epsilon is {epsilon}"):
        compute(model, x, y, CrossEntropyLoss(), epsilon)


@pytest.mark.parametrize("compute", [compute_numerical_gradient, compute_numerical_gradient_fast])
@pytest.mark.parametrize("model", [None, len, Linear])
def test_a_numerical_gradient_needs_names(compute, model):
    with pytest.raises(TypeError, match="has no named_parameters"):
        compute(model, np.ones((2, 3)), [0, 1], CrossEntropyLoss())


def test_random_directions_are_unbiased_and_repeatable():
    model, x, y = model_and_data()
    loss_fn, repeats = CrossEntropyLoss(), 400
    rng = np.random.default_rng(0)
    exact = exact_gradients(model, x, y, loss_fn)
    draws = [compute_numerical_gradient_fast(model, x, y, loss_fn, rng=rng) for _ in range(repeats)]
    for name, truth in exact.items():
        samples = np.array([np.asarray(draw[name]) for draw in draws])
        error = samples.std(axis=0) / np.sqrt(repeats)
        assert (np.abs(samples.mean(axis=0) - truth) <= 5 * error).all(), name
    flat = np.array([np.concatenate([np.ravel(np.asarray(draw[name])) for name in exact]) for draw in draws])
    truth = np.concatenate([exact[name].ravel() for name in exact])
    along = flat @ truth / (truth @ truth)  # 1 on average; a direction of length 1 without its n gives 1/n or so
    assert abs(along.mean() - 1) <= 5 * along.std() / np.sqrt(repeats) <= 0.5
    again = [
        compute_numerical_gradient_fast(model, x, y, loss_fn, directions=3, rng=np.random.default_rng(7))
        for _ in range(2)
    ]
    assert all(np.array_equal(np.asarray(again[0][name]), np.asarray(again[1][name])) for name in exact)


def test_the_mean_over_many_directions_is_the_gradient():
    manual_seed(1)
    model, x, y = Linear(3, 2), Tensor(np.arange(12.0).reshape(4, 3) / 6), np.array([0, 1, 1, 0])
    exact = compute_numerical_gradient(model, x, y, CrossEntropyLoss())
    rng = np.random.default_rng(0)
    found = compute_numerical_gradient_fast(model, x, y, CrossEntropyLoss(), directions=4000, rng=rng)
    a, b = (np.concatenate([part[name].ravel() for name in exact]) for part in (found, exact))
    assert np.linalg.norm(a) / np.linalg.norm(b) == pytest.approx(1, abs=0.05)
    assert a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) > 0.99


def test_random_directions_come_from_a_generator():
    model, x, y = model_and_data()
    with pytest.raises(ValueError, match="0 directions"):
        compute_numerical_gradient_fast(model, x, y, CrossEntropyLoss(), directions=0)
    with pytest.raises(TypeError, match="rng is 3"):
        compute_numerical_gradient_fast(model, x, y, CrossEntropyLoss(), rng=3)


def test_more_directions_come_closer_and_the_default_generator_is_used():
    model, x, y = model_and_data()
    loss_fn = CrossEntropyLoss()
    exact = exact_gradients(model, x, y, loss_fn)

    def distance(directions):
        manual_seed(3)
        found = compute_numerical_gradient_fast(model, x, y, loss_fn, directions=directions)
        return sum(np.square(np.asarray(found[name]) - exact[name]).sum() for name in exact) ** 0.5

    few, many = distance(4), distance(400)
    assert many < few / 3  # ten times less is expected
    assert distance(4) == few


def test_the_engine_is_found_when_it_is_first_needed():
    lines = ["from tinytorch.core.tensor import Tensor", "x = Tensor([3.0], requires_grad=True)", "(x * x).backward()"]
    code = "\n".join([*lines, "print(x.grad.item())"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "6.0", done.stderr
    assert autograd.backward is core.backward and reduce_sum is autograd.operations["reduce_sum"]
