"""`tinytorch.core.optimizers`: the contract, and every rule against formulas and, where it is installed, PyTorch."""

import copy
import importlib.util
import inspect
import itertools
import json
import math
import pickle
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

from tinytorch.core import optimizers
from tinytorch.core.layers import Linear
from tinytorch.core.optimizers import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Optimizer,
    RMSprop,
    accumulate,
    adam,
    rmsprop,
    sgd,
    sgd_momentum,
)
from tinytorch.core.tensor import Tensor, autograd

TORCH = importlib.util.find_spec("torch")
needs_torch = pytest.mark.skipif(TORCH is None, reason="compares with PyTorch, and torch is not installed")
CLASSES = (SGD, RMSprop, Adam, AdamW, Adagrad)
SHAPES = ((3, 4), (4,), ())


def grid(**options):
    """Every combination of the values of each option."""
    return [dict(zip(options, values)) for values in itertools.product(*options.values())]


VARIANTS = [
    *((SGD, o) for o in grid(lr=[0.05], momentum=[0, 0.9], weight_decay=[0, 0.1])),
    *((SGD, o) for o in grid(lr=[0.05], momentum=[0.5, 0.99], nesterov=[True], weight_decay=[0, 0.1])),
    *(
        (RMSprop, o)
        for o in grid(lr=[0.02], alpha=[0.99, 0.7], weight_decay=[0, 0.1], momentum=[0, 0.9], centered=[False, True])
    ),
    (RMSprop, {"lr": 0.02, "eps": 0.1, "centered": True}),
    *((Adam, o) for o in grid(lr=[0.02], betas=[(0.9, 0.999), (0.5, 0.8), (0.0, 0.0)], weight_decay=[0, 0.1])),
    (Adam, {"eps": 0.1}),
    *((AdamW, o) for o in grid(lr=[0.02], betas=[(0.9, 0.999), (0.5, 0.8)], weight_decay=[0, 0.01, 0.3])),
    *(
        (Adagrad, o)
        for o in grid(lr=[0.1], lr_decay=[0, 0.01], weight_decay=[0, 0.1], initial_accumulator_value=[0, 0.5])
    ),
    *((cls, {}) for cls in CLASSES),
]


def label(variant):
    if isinstance(variant, dict):
        return ",".join(f"{name}={value}" for name, value in variant.items()) or "defaults"
    return getattr(variant, "__name__", None)


def parameters(dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    return [Tensor(rng.normal(size=shape), requires_grad=True, dtype=dtype) for shape in SHAPES]


def gradients(steps, dtype=np.float32, seed=1):
    """For each step an array for each parameter; one in seven is missing, and sizes differ by powers of ten."""
    rng = np.random.default_rng(seed)
    scales = [10.0 ** rng.integers(-3, 2, size=shape) for shape in SHAPES]
    return [
        [None if rng.random() < 1 / 7 else np.asarray(s * rng.normal(size=np.shape(s)), dtype) for s in scales]
        for _ in range(steps)
    ]


def drive(optimizer, params, sequence, wrap=lambda g, p: Tensor(g, dtype=p.dtype)):
    """A step for each entry of `sequence`; the largest value that each parameter had on the way."""
    largest = [0.0] * len(params)
    for arrays in sequence:
        optimizer.zero_grad()
        for p, g in zip(params, arrays):
            if g is not None:
                p.grad = wrap(g, p)
        optimizer.step()
        largest = [max(size, float(abs(p.data).max())) for size, p in zip(largest, params)]
    return largest


def values(params):
    return [p.data.copy() for p in params]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


# --- against PyTorch ---


def torch_twin(cls, options, params):
    import torch

    twins = [torch.tensor(np.array(p.data), requires_grad=True) for p in params]
    return twins, getattr(torch.optim, cls.__name__)(twins, **{"lr": cls([]).lr, **options})


def torch_gradient(g, p):
    import torch

    return torch.tensor(g)


@needs_torch
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-10)])
@pytest.mark.parametrize(("cls", "options"), VARIANTS, ids=label)
def test_a_hundred_steps_as_pytorch_makes_them(cls, options, dtype, tolerance):
    params, sequence = parameters(dtype), gradients(100, dtype)
    twins, twin = torch_twin(cls, options, params)
    drive(cls(params, **options), params, sequence)
    largest = drive(twin, twins, sequence, torch_gradient)
    for p, t, size in zip(params, twins, largest):
        assert p.dtype == dtype
        assert np.abs(p.data - t.detach().numpy()).max() <= tolerance * size


@needs_torch
def test_groups_as_pytorch_steps_them():
    params, sequence = parameters(), gradients(30)
    groups = [{"params": params[:1], "lr": 0.3}, {"params": params[1:], "weight_decay": 0.2, "betas": (0.5, 0.6)}]
    twins, _ = torch_twin(Adam, {}, params)
    import torch

    twin = torch.optim.Adam([groups[0] | {"params": twins[:1]}, groups[1] | {"params": twins[1:]}], lr=0.01)
    drive(Adam(groups, lr=0.01), params, sequence)
    drive(twin, twins, sequence, torch_gradient)
    for p, t in zip(params, twins):
        np.testing.assert_allclose(p.data, t.detach().numpy(), rtol=1e-5, atol=1e-6)


@needs_torch
@pytest.mark.parametrize("cls", [SGD, RMSprop, Adam, Adagrad])
def test_a_state_of_pytorch_goes_on_here_and_back(cls):
    """Arrays in the place of torch's tensors are all that has to be changed."""
    import torch

    options = {"momentum": 0.9} if cls in (SGD, RMSprop) else {}
    params, sequence = parameters(), gradients(40)
    twins, twin = torch_twin(cls, options, params)
    drive(twin, twins, sequence[:20], torch_gradient)
    saved = twin.state_dict()
    saved["state"] = {
        i: {k: np.asarray(x) if torch.is_tensor(x) else x for k, x in part.items()}
        for i, part in saved["state"].items()
    }
    here = cls(params, **options)
    here.load_state_dict(saved)
    for p, t in zip(params, twins):
        p.data = t.detach().numpy()
    drive(here, params, sequence[20:])
    drive(twin, twins, sequence[20:], torch_gradient)
    for p, t in zip(params, twins):
        np.testing.assert_allclose(p.data, t.detach().numpy(), rtol=1e-5, atol=1e-6)
    back, theirs = here.state_dict()["state"], twin.state_dict()["state"]
    for i, part in theirs.items():
        assert back[i].keys() == {name for name, value in part.items() if value is not None}
        for name, value in part.items():
            if value is not None:
                np.testing.assert_allclose(back[i][name], np.asarray(value), rtol=1e-4, atol=1e-6)


# --- saving and loading ---


@pytest.mark.parametrize(("cls", "options"), VARIANTS, ids=label)
def test_a_saved_state_goes_on_bit_for_bit(cls, options):
    params, sequence = parameters(), gradients(40)
    straight = cls(params, **options)
    drive(straight, params, sequence[:20])
    others = parameters(seed=9)
    for p, q in zip(params, others):
        q.data = p.data
    resumed = cls(others, lr=0.7)
    saved = straight.state_dict()
    resumed.load_state_dict(saved)
    drive(straight, params, sequence[20:])
    drive(resumed, others, sequence[20:])
    assert same(values(params), values(others))
    assert str(resumed.state_dict()) == str(straight.state_dict())


def test_a_state_in_pytorchs_form_is_made_of_copies():
    params = parameters()
    optimizer = Adam([{"params": params[:2]}, {"params": params[2:], "lr": 1.0}])
    assert optimizer.state_dict()["state"] == {}
    drive(optimizer, params, [[None, *gradients(1)[0][1:]]])
    saved = optimizer.state_dict()
    assert saved["param_groups"] == [
        {"params": [0, 1], "lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0},
        {"params": [2], "lr": 1.0, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0},
    ]
    assert saved["state"].keys() == {1, 2}
    assert saved["state"][1].keys() == {"step", "exp_avg", "exp_avg_sq"}
    before = saved["state"][1]["exp_avg"].copy()
    drive(optimizer, params, gradients(3))
    assert np.array_equal(saved["state"][1]["exp_avg"], before)
    optimizer.load_state_dict(saved)
    drive(optimizer, params, gradients(3))
    assert np.array_equal(saved["state"][1]["exp_avg"], before)
    saved["param_groups"][0]["lr"] = 5.0
    assert optimizer.lr == 1e-3


def test_a_state_survives_json_where_arrays_become_lists_and_places_become_text():
    params, sequence = parameters(), gradients(20)
    optimizer = AdamW(params)
    drive(optimizer, params, sequence[:10])
    text = json.dumps(optimizer.state_dict(), default=np.ndarray.tolist)
    others = parameters()
    for p, q in zip(params, others):
        q.data = p.data
    resumed = AdamW(others)
    resumed.load_state_dict(json.loads(text))
    drive(optimizer, params, sequence[10:])
    drive(resumed, others, sequence[10:])
    assert same(values(params), values(others))


def damaged(change):
    """A state of Adam after a few steps, with `change` made to it."""
    params = parameters()
    optimizer = Adam(params)
    drive(optimizer, params, gradients(3))
    saved = optimizer.state_dict()
    change(saved)
    return saved


MISFITS = {
    r"groups are \[3\], in the state \[2\]": lambda s: s["param_groups"][0].update(params=[0, 1]),
    r"are \[3\], in the state \[3, 0\]": lambda s: s["param_groups"].append(s["param_groups"][0] | {"params": []}),
    "no parameter 7": lambda s: s["state"].update({7: s["state"][0]}),
    "parameter 1 lacks exp_avg_sq": lambda s: s["state"][1].pop("exp_avg_sq"),
    "parameter 0 lacks step": lambda s: s["state"][0].pop("step"),
    "parameter 2 has momentum_buffer": lambda s: s["state"][2].update(momentum_buffer=np.zeros(())),
    r"exp_avg of parameter 0 has shape \(4, 3\), needed is \(3, 4\)": lambda s: s["state"][0].update(
        exp_avg=np.zeros((4, 3))
    ),
    r"step of parameter 0 has shape \(1,\)": lambda s: s["state"][0].update(step=np.ones(1)),
    "group 0 lacks betas": lambda s: s["param_groups"][0].pop("betas"),
    "group 0 has the option amsgrad=True": lambda s: s["param_groups"][0].update(amsgrad=True),
    "lr is -1": lambda s: s["param_groups"][0].update(lr=-1),
}


@pytest.mark.parametrize("text", MISFITS)
def test_a_state_that_does_not_fit_is_named_and_changes_nothing(text):
    saved, params = damaged(MISFITS[text]), parameters()
    optimizer = Adam(params, lr=0.5)
    drive(optimizer, params, gradients(4))
    before = str(optimizer.state_dict())
    with pytest.raises(ValueError, match=text):
        optimizer.load_state_dict(saved)
    assert str(optimizer.state_dict()) == before


def test_a_state_whose_values_are_not_numbers_changes_nothing():
    saved, optimizer = damaged(lambda s: s["state"][2].update(exp_avg="text")), Adam(parameters(), lr=0.5)
    with pytest.raises(ValueError):
        optimizer.load_state_dict(saved)
    assert optimizer.lr == 0.5 and not optimizer.state_dict()["state"]


@pytest.mark.parametrize(("one", "other"), list(itertools.permutations((RMSprop, Adam, Adagrad), 2)))
def test_a_state_of_another_rule_is_refused(one, other):
    params = parameters()
    optimizer = one(params)
    drive(optimizer, params, gradients(2))
    with pytest.raises(ValueError, match="nothing was changed"):
        other(params).load_state_dict(optimizer.state_dict())


@pytest.mark.parametrize("travel", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "pickle"])
def test_copies_go_on_by_themselves(travel):
    holders = [SimpleNamespace(data=np.ones(3, np.float32), grad=np.ones(3, np.float32)) for _ in range(2)]
    optimizer = Adam(holders)
    optimizer.step()
    twin = travel(optimizer)
    twin.step()
    assert twin.state_dict()["state"][1]["step"] == 2 and optimizer.state_dict()["state"][1]["step"] == 1
    assert twin.param_groups[0]["params"][0] is not holders[0]


# --- what is given and what is refused ---


@pytest.mark.parametrize("cls", CLASSES)
def test_defaults_and_spellings_of_the_rate(cls):
    expected = {
        SGD: {"lr": 1e-2, "momentum": 0, "nesterov": False, "weight_decay": 0},
        RMSprop: {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0, "momentum": 0, "centered": False},
        Adam: {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0},
        AdamW: {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2},
        Adagrad: {"lr": 1e-2, "lr_decay": 0, "weight_decay": 0, "initial_accumulator_value": 0, "eps": 1e-10},
    }[cls]
    signature = inspect.signature(cls).parameters
    assert [name for name in signature if name not in ("params", "learning_rate")] == list(expected)
    assert {name: signature[name].default for name in expected} == expected
    params = parameters()
    optimizer = cls(params)
    assert optimizer.param_groups == [{"params": params, **expected}]
    assert type(optimizer.lr) is float
    assert cls(params, lr=0.5).learning_rate == cls(params, learning_rate=0.5).lr == cls(params, 0.5).lr == 0.5
    optimizer.learning_rate = 0.25
    assert optimizer.lr == optimizer.param_groups[0]["lr"] == 0.25
    with pytest.raises(ValueError, match="lr=0.1 and learning_rate=0.2"):
        cls(params, lr=0.1, learning_rate=0.2)
    with pytest.raises(ValueError, match="lr=0.01 and learning_rate=0.01"):
        cls(params, lr=1e-2, learning_rate=1e-2)
    for bad in (-0.5, math.nan):
        with pytest.raises(ValueError, match=f"lr is {bad}"):
            cls(params, learning_rate=bad)
        with pytest.raises(ValueError, match=f"lr is {bad}"):
            optimizer.lr = bad
    assert optimizer.lr == 0.25


@pytest.mark.parametrize(
    ("cls", "options", "text"),
    [
        (SGD, {"momentum": -0.1}, "momentum is -0.1"),
        (SGD, {"weight_decay": -1}, "weight_decay is -1"),
        (SGD, {"nesterov": True}, "nesterov"),
        (RMSprop, {"alpha": 1.0}, "alpha is 1.0"),
        (RMSprop, {"eps": -1e-8}, "eps"),
        (Adam, {"betas": (0.9, 1.0)}, "betas is"),
        (Adam, {"betas": (-0.1, 0.9)}, "betas is"),
        (Adagrad, {"lr_decay": -1}, "lr_decay"),
        (Adagrad, {"initial_accumulator_value": -1}, "initial_accumulator_value"),
    ],
)
def test_options_out_of_range_are_named(cls, options, text):
    with pytest.raises(ValueError, match=text):
        cls(parameters(), **options)


def test_options_that_are_not_numbers_or_do_not_exist_are_named():
    with pytest.raises(TypeError, match="lr is '0.1'"):
        SGD([], lr="0.1")
    with pytest.raises(TypeError, match="momentum is Tensor"):
        SGD([], momentum=Tensor(0.9))
    with pytest.raises(TypeError, match="dampening"):
        SGD([], dampening=0.1)
    with pytest.raises(ValueError, match=r"weight_decy.*known are.*weight_decay"):
        SGD([{"params": parameters(), "weight_decy": 0.1}])


def test_parameters_come_in_many_forms():
    model = Linear(3, 2)
    forms = [model.parameters(), (p for p in model.parameters()), model.parameters, tuple(model.parameters())]
    forms.append([{"params": model.parameters}])
    forms.append([{"params": model.weight}, {"params": [model.bias]}])
    for form in forms:
        optimizer = SGD(form)
        assert [id(p) for group in optimizer.param_groups for p in group["params"]] == [
            id(model.weight),
            id(model.bias),
        ]
    empty = Adam([])
    empty.step()
    empty.zero_grad()
    assert empty.lr == 1e-3 and empty.state_dict()["param_groups"][0]["params"] == []


def test_what_cannot_be_trained_is_named():
    good, frozen = Tensor([1.0], requires_grad=True), Tensor([1.0, 2.0])
    cases = [
        (ValueError, r"parameter 1, of shape \(2,\), requires no gradient", [good, frozen]),
        (ValueError, r"parameter 1, of shape \(1,\), is the result of multiply", [good, good * 2]),
        (ValueError, r"parameter 1, of shape \(1,\), is there twice", [good, good]),
        (ValueError, "group 1, parameter 0.*twice", [{"params": [good]}, {"params": [good]}]),
        (TypeError, "parameter 0 is 'W1', a str", {"W1": good}),
        (TypeError, "parameter 0 is 3.0", [3.0]),
        (TypeError, "parameter 0 is array", [np.zeros(2)]),
        (TypeError, "parameter 0 is", [("name", good)]),
        (TypeError, "got a Linear.*model.parameters", Linear(1, 1)),
        (TypeError, "params is a Tensor", good),
        (TypeError, "params is a set", {good}),
        (TypeError, "int64", [SimpleNamespace(data=np.zeros(2, np.int64), grad=None)]),
        (TypeError, "'params'", [{"lr": 1.0}]),
        (TypeError, "'params'", [{"params": [good]}, frozen]),
    ]
    for error, text, params in cases:
        with pytest.raises(error, match=text):
            SGD(params)


def test_a_group_that_is_refused_leaves_the_optimizer_as_it_was():
    first, second = parameters()[:2]
    optimizer = SGD([first])
    with pytest.raises(ValueError):
        optimizer.add_param_group({"params": [second, first]})
    with pytest.raises(ValueError, match="learning_rate"):
        optimizer.add_param_group({"params": [second], "lr": 0.1, "learning_rate": 0.2})
    assert len(optimizer.param_groups) == len(optimizer.state) == 1
    optimizer.add_param_group({"params": second, "learning_rate": 0.5})
    assert [group["lr"] for group in optimizer.param_groups] == [1e-2, 0.5]
    optimizer.lr = 2.0
    assert [group["lr"] for group in optimizer.param_groups] == [2.0, 2.0]


def test_repr_names_options():
    params = parameters()
    assert repr(SGD(params, lr=0.1)) == "SGD(3 parameters, lr=0.1, momentum=0, nesterov=False, weight_decay=0)"
    two = repr(SGD([{"params": params[:1]}, {"params": params[1:], "lr": 0.5}]))
    assert two.splitlines()[2] == "  (1): 2 parameters, lr=0.5, momentum=0, nesterov=False, weight_decay=0"


# --- what a step does ---


@pytest.mark.parametrize("cls", CLASSES)
def test_a_step_writes_in_place_counts_the_write_and_skips_what_has_no_gradient(cls):
    moved, still = Tensor([1.0, 2.0], requires_grad=True), Tensor([3.0], requires_grad=True)
    array, clock = moved.data, autograd.clock
    moved.grad = Tensor([0.5, -0.5])
    optimizer = cls([moved, still])
    optimizer.step()
    assert moved.data is array and not np.array_equal(array, [1.0, 2.0])
    assert moved.version > clock and still.version == 0
    assert np.array_equal(still.data, [3.0])
    np.testing.assert_array_equal(moved.grad.data, [0.5, -0.5])
    optimizer.zero_grad()
    assert moved.grad is None


def test_the_engine_refuses_a_graph_older_than_the_step():
    w = Tensor([2.0], requires_grad=True)
    loss = (w * w).sum()
    w.grad = Tensor([1.0])
    SGD([w]).step()
    with pytest.raises(RuntimeError):
        loss.backward()


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("in_array", [False, True], ids=["grad.data", "ndarray"])
def test_stand_ins_are_trained(cls, in_array):
    w = Tensor([1.0, -2.0, 3.0], requires_grad=True)
    stand_in = SimpleNamespace(data=np.array([1, -2, 3], np.float32), grad=None)
    one, other = cls([w]), cls([stand_in])
    for g in gradients(5):
        g = np.resize(g[0] if g[0] is not None else 1.0, 3).astype(np.float32)
        w.grad, stand_in.grad = Tensor(g), g if in_array else SimpleNamespace(data=g)
        one.step(), other.step()
    np.testing.assert_array_equal(w.data, stand_in.data)


@pytest.mark.parametrize("cls", CLASSES)
def test_float32_stays_float32_whatever_the_options_and_gradients_are(cls):
    w = SimpleNamespace(data=np.ones((4, 3), np.float32), grad=np.ones((4, 3)))
    optimizer = cls([w], lr=np.float64(0.1), weight_decay=np.float64(0.1))
    optimizer.param_groups[0]["lr"] = np.float64(0.2)
    optimizer.step(), optimizer.step()
    arrays = [x for x in optimizer.state[w].values() if isinstance(x, np.ndarray)]
    assert w.data.dtype == np.float32 and all(x.dtype == np.float32 for x in arrays)


def test_a_gradient_of_another_shape_is_an_error():
    w = SimpleNamespace(data=np.ones((2, 3), np.float32), grad=np.ones((1, 3), np.float32))
    with pytest.raises(ValueError, match=r"shape \(2, 3\) has a gradient of shape \(1, 3\)"):
        SGD([w]).step()


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("shape", [(0,), (0, 3), (), (1, 1, 1)])
def test_shapes_at_the_border(cls, shape):
    w = Tensor(np.ones(shape), requires_grad=True)
    optimizer = cls([w])
    for _ in range(3):
        w.grad = Tensor(np.ones(shape))
        optimizer.step()
    assert w.shape == shape and np.all(w.data < 1)
    assert all(np.shape(x) in (shape, ()) for x in optimizer.state[w].values())


@pytest.mark.parametrize(
    ("cls", "options", "arrays"),
    [
        (SGD, {}, 1),
        (SGD, {"momentum": 0.9}, 1),
        (RMSprop, {}, 2),
        (Adam, {}, 1),
        (AdamW, {}, 1),
        (Adagrad, {}, 1),
        (Adam, {"weight_decay": 0.1}, 2),
    ],
    ids=label,
)
def test_a_step_needs_few_arrays_of_the_size_of_the_weights(cls, options, arrays):
    w = Tensor(np.ones((400, 500)), requires_grad=True)
    w.grad = Tensor(np.ones((400, 500)))
    optimizer = cls([w], **options)
    optimizer.step()
    tracemalloc.start()
    optimizer.step()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= (arrays + 0.1) * w.data.nbytes


def test_centered_rmsprop_stays_finite_where_rounding_makes_a_variance_negative():
    w = Tensor(np.linspace(0.1, 3, 50), requires_grad=True)
    optimizer = RMSprop([w], alpha=0.9, centered=True, lr=1e-6)
    w.grad = Tensor(np.linspace(0.1, 3, 50))
    for _ in range(300):
        optimizer.step()
    assert np.isfinite(w.data).all()


def test_a_rule_of_ones_own_is_a_function():
    class Signs(Optimizer):
        rule = staticmethod(lambda w, g, state, *, lr, floor: np.subtract(w, lr * np.sign(g) + floor, out=w))

    w = Tensor([1.0, 1.0], requires_grad=True)
    w.grad = Tensor([5.0, -0.1])
    Signs([{"params": [w], "floor": 0.0}], lr=0.5, floor=9.0).step()
    np.testing.assert_allclose(w.data, [0.5, 1.5])


# --- rules as functions ---


def test_accumulate_is_in_place_and_serves_moving_averages():
    rng = np.random.default_rng(0)
    v, x = rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
    expected, kept = 0.9 * v + x, x.copy()
    assert accumulate(v, x, 0.9) is v
    np.testing.assert_allclose(v, expected)
    np.testing.assert_array_equal(x, kept)


FUNCTIONS = {
    sgd: {"learning_rate": 1e-2},
    sgd_momentum: {"learning_rate": 1e-2, "momentum": 0.9, "velocity": 0},
    rmsprop: {"learning_rate": 1e-2, "decay_rate": 0.99, "epsilon": 1e-8, "cache": 0},
    adam: {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "m": 0, "v": 0, "t": 0},
}


def reference(rule, w, dw, config):
    """The formulas of features and sources, written once more, without a line in common with the module."""
    c = {**FUNCTIONS[rule], **config}
    rate = c["learning_rate"]
    if rule is sgd:
        return w - rate * dw, c
    if rule is sgd_momentum:
        c["velocity"] = c["momentum"] * c["velocity"] - rate * dw
        return w + c["velocity"], c
    if rule is rmsprop:
        c["cache"] = c["decay_rate"] * c["cache"] + (1 - c["decay_rate"]) * dw**2
        return w - rate * dw / (np.sqrt(c["cache"]) + c["epsilon"]), c
    c["t"] += 1
    c["m"] = c["beta1"] * c["m"] + (1 - c["beta1"]) * dw
    c["v"] = c["beta2"] * c["v"] + (1 - c["beta2"]) * dw**2
    m, v = c["m"] / (1 - c["beta1"] ** c["t"]), c["v"] / (1 - c["beta2"] ** c["t"])
    return w - rate * m / (np.sqrt(v) + c["epsilon"]), c


@pytest.mark.parametrize("rule", FUNCTIONS)
def test_functions_follow_their_formulas_and_change_nothing_they_are_given(rule):
    rng = np.random.default_rng(0)
    w, config = rng.normal(size=(4, 3)), None
    expected, c = w.copy(), {}
    for _ in range(20):
        dw = rng.normal(size=(4, 3))
        kept = copy.deepcopy((w, dw, config))
        next_w, next_config = rule(w, dw, config)
        assert str(kept) == str((w, dw, config))
        assert next_config is not config
        expected, c = reference(rule, expected, dw, c)
        np.testing.assert_allclose(next_w, expected, rtol=1e-12)
        assert next_config.keys() == FUNCTIONS[rule].keys()
        for name, value in c.items():
            np.testing.assert_allclose(next_config[name], value, rtol=1e-12)
        w, config = next_w, next_config


@pytest.mark.parametrize("rule", FUNCTIONS)
def test_functions_keep_the_type_and_refuse_unknown_keys(rule):
    w, config = np.ones(3, np.float32), {"learning_rate": np.float64(0.1)}
    for _ in range(2):
        w, config = rule(w, np.ones(3), config)
    assert w.dtype == np.float32
    assert all(x.dtype == np.float32 for x in config.values() if isinstance(x, np.ndarray))
    with pytest.raises(ValueError, match=r"lr.*known are.*learning_rate"):
        rule(w, w, {"lr": 0.1})


PAIRS = {
    sgd: (SGD, {}, {}),
    sgd_momentum: (SGD, {"momentum": 0.9}, {}),
    rmsprop: (RMSprop, {"alpha": 0.95}, {"decay_rate": 0.95}),
    adam: (Adam, {"betas": (0.8, 0.9)}, {"beta1": 0.8, "beta2": 0.9}),
}


def both(rule, rate_at, steps=30):
    cls, options, config = PAIRS[rule]
    rng = np.random.default_rng(0)
    p = Tensor(rng.normal(size=5), requires_grad=True, dtype=np.float64)
    w, optimizer = p.data.copy(), cls([p], **options)
    for step in range(steps):
        g = rng.normal(size=5)
        p.grad, optimizer.lr = Tensor(g, dtype=np.float64), rate_at(step)
        optimizer.step()
        w, config = rule(w, g, {**config, "learning_rate": rate_at(step)})
    return p.data, w


@pytest.mark.parametrize("rule", PAIRS)
def test_class_and_function_agree_at_a_constant_rate(rule):
    np.testing.assert_allclose(*both(rule, lambda step: 0.05), rtol=1e-12)


@pytest.mark.parametrize("rule", PAIRS)
def test_under_a_schedule_only_the_two_momentum_forms_part(rule):
    """One takes the new rate for the whole velocity, the other has the old rates inside of it."""
    here, there = both(rule, lambda step: 0.05 if step < 15 else 0.005)
    if rule is not sgd_momentum:
        np.testing.assert_allclose(here, there, rtol=1e-12)
        return
    assert np.abs(here - there).max() > 1e-3
    w, v, u = np.zeros(1), np.zeros(1), np.zeros(1)
    for lr in (0.1, 0.01):  # by hand, for gradients of 1: velocities 1 and 1.9, or -0.1 and -0.1
        v = 0.9 * v + 1
        u = 0.9 * u - lr
        w = w - lr * v
    p, f, config = Tensor([0.0], requires_grad=True), np.zeros(1), {}
    optimizer = SGD([p], momentum=0.9)
    for lr in (0.1, 0.01):
        p.grad, optimizer.lr = Tensor([1.0]), lr
        optimizer.step()
        f, config = sgd_momentum(f, np.ones(1), {**config, "learning_rate": lr})
    np.testing.assert_allclose(p.data, w, rtol=1e-6)
    np.testing.assert_allclose(p.data, [-0.119], rtol=1e-6)
    np.testing.assert_allclose(f, [-0.2], rtol=1e-6)


def test_public_names():
    names = ["Optimizer", "accumulate", *(cls.__name__ for cls in CLASSES), *(rule.__name__ for rule in FUNCTIONS)]
    assert all(hasattr(optimizers, name) for name in names)
