"""`tinytorch.solver`: gradients against independent oracles, equal steps, exact resuming, and what is refused."""

import io
import json
import math
import os
import pickle
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import tinytorch
from tinytorch import checkpoint
from tinytorch.core.activations import ReLU, relu
from tinytorch.core.autograd import numeric_gradient
from tinytorch.core.layers import Dropout, Flatten, Linear, Module, Parameter, Sequential
from tinytorch.core.losses import BinaryCrossEntropyLoss, CrossEntropyLoss
from tinytorch.core.optimizers import SGD, Adam, RMSprop
from tinytorch.core.tensor import Tensor
from tinytorch.core.training import Trainer, freeze, pack
from tinytorch.datasets import digits_split, load_digits
from tinytorch.random import default_generator, manual_seed
from tinytorch.solver import ModuleAdapter, Networks, Solver
from tito.course import Course
from tito.overlay import lay

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 2, 3)).astype(np.float32)
Y = (X[:, 0, 0] > 0).astype(np.int64) + (X[:, 1, 0] > 0)
DATA = {"X_train": X[:70], "y_train": Y[:70], "X_val": X[70:], "y_val": Y[70:]}
RULES = {  # options of each rule, and the optimizer that makes the same steps at a constant rate
    "sgd": ({"learning_rate": 0.1}, lambda params: SGD(params, lr=0.1)),
    "sgd_momentum": ({"learning_rate": 0.05, "momentum": 0.8}, lambda params: SGD(params, lr=0.05, momentum=0.8)),
    "rmsprop": ({"learning_rate": 1e-3, "decay_rate": 0.9}, lambda params: RMSprop(params, lr=1e-3, alpha=0.9)),
    "adam": ({"learning_rate": 1e-3, "beta2": 0.99}, lambda params: Adam(params, lr=1e-3, betas=(0.9, 0.99))),
}


def network(seed=0, weight_scale=0.3, **options):
    return Networks(6, [8, 7], 3, weight_scale=weight_scale, rng=np.random.default_rng(seed), **options)


def solver(model=None, rule="sgd", seed=1, data=DATA, **options):
    settings = {"batch_size": 20, "num_epochs": 4, "verbose": False, "rng": np.random.default_rng(seed)}
    config = {"optim_config": RULES[rule][0]} | options
    return Solver(network() if model is None else model, data, rule, **settings | config)


def everything(run):
    """All that a run consists of, as bytes and text."""
    tensors = {}
    text = json.dumps(pack(freeze(run.state_dict(), {}), "", tensors))
    return {name: (str(a.dtype), a.shape, a.tobytes()) for name, a in tensors.items()} | {"text": text}


def require_same(here, there):
    assert here.keys() == there.keys()
    assert not [name for name in here if here[name] != there[name]]


def same_arrays(here, there):
    return here.keys() == there.keys() and all(np.array_equal(here[name], there[name]) for name in here)


def digits():
    images, labels = load_digits()
    train, test = digits_split()
    return images.reshape(-1, 64) / 16, labels, train, test


def copy_in(net, layers):
    """Give `net` the parameters of the Linear layers, turned."""
    for i, layer in enumerate(layers, 1):
        net.params[f"W{i}"], net.params[f"b{i}"] = layer.weight.data.T.copy(), layer.bias.data.copy()


# --- Networks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("soft", [False, True], ids=["indices", "probabilities"])
@pytest.mark.parametrize("reg", [0.0, 0.7])
@pytest.mark.parametrize("hidden", [[], 5, [5, 4], (4, 3, 5)], ids=str)
def test_gradients_are_the_slopes_of_the_loss(hidden, reg, soft):
    rng = np.random.default_rng(3)
    net = Networks(6, hidden, 3, weight_scale=0.5, reg=reg, dtype=np.float64, rng=rng)
    for name in net.params:
        net.params[name] += 0.1 * rng.normal(size=net.params[name].shape)
    inputs, targets = rng.normal(size=(7, 2, 3)), rng.dirichlet(np.ones(3), size=7) if soft else Y[:7]
    loss, gradients = net.loss(inputs, targets)
    assert type(loss) is float and gradients.keys() == net.params.keys()
    for name, w in net.params.items():
        slopes = numeric_gradient(lambda _: net.loss(inputs, targets)[0], w)
        np.testing.assert_allclose(gradients[name], slopes, rtol=1e-6, atol=1e-8, err_msg=name)
        assert gradients[name].dtype == np.float64


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_loss_and_gradients_are_those_of_pytorch(dtype, tolerance):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")
    net = network(reg=0.3, dtype=dtype)
    twins = {name: torch.tensor(w, requires_grad=True) for name, w in net.params.items()}
    h = torch.tensor(X.reshape(-1, 6).astype(dtype))
    for i in (1, 2):
        h = torch.relu(h @ twins[f"W{i}"] + twins[f"b{i}"])
    scores = h @ twins["W3"] + twins["b3"]
    expected = torch.nn.functional.cross_entropy(scores, torch.tensor(Y))
    expected = expected + 0.15 * sum((twins[f"W{i}"] ** 2).sum() for i in (1, 2, 3))
    expected.backward()
    loss, gradients = net.loss(X, Y)
    assert loss == pytest.approx(expected.item(), rel=tolerance)
    np.testing.assert_allclose(net.loss(X), scores.detach().numpy(), rtol=0, atol=tolerance)
    for name, twin in twins.items():
        np.testing.assert_allclose(gradients[name], twin.grad.numpy(), rtol=0, atol=tolerance, err_msg=name)


def test_first_weights_are_gaussian_and_biases_zero():
    net = Networks(300, [200], 10, weight_scale=0.05, rng=np.random.default_rng(0))
    w = net.params["W1"]
    assert w.mean() == pytest.approx(0, abs=5 * 0.05 / math.sqrt(w.size))
    assert w.std() == pytest.approx(0.05, rel=0.02)
    assert np.mean(np.abs(w) < 0.05) == pytest.approx(0.6827, abs=0.01), "the share within one standard deviation"
    assert not net.params["b1"].any() and not net.params["b2"].any()


def test_what_one_call_leaves_behind():
    net = network()
    before = {name: w.copy() for name, w in net.params.items()}
    first = net.loss(X, Y)
    second = net.loss(X, Y)
    assert first[0] == second[0] and same_arrays(first[1], second[1]), "gradients do not add up over calls"
    assert same_arrays(net.params, before)
    net.params["W1"] *= 0
    assert net.loss(X, Y)[0] != first[0], "the dictionary is what counts"
    assert same_arrays(first[1], second[1])


@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray])
def test_the_last_bits_do_not_depend_on_the_order_of_memory(layout):
    net, other = network(), network()
    for name, w in other.params.items():
        other.params[name] = layout(w)
    assert net.loss(X, Y)[0] == other.loss(X, Y)[0]
    assert same_arrays(net.loss(X, Y)[1], other.loss(X, Y)[1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0, 5, 3), "input_dim is 0"),
        ((6, [5, 0], 3), "hidden_dim is 0"),
        ((6, 5.5, 3), "hidden_dim is 5.5"),
        ((6, 5, 0), "num_classes is 0"),
        ((6, 5, 3, -1.0), "weight_scale is -1.0"),
        ((6, 5, 3, math.nan), "weight_scale is nan"),
        ((6, 5, 3, 1e-3, -0.1), "reg is -0.1"),
        ((6, 5, 3, 1e-3, 0.0, np.float16), "dtype is float16; it must be float32 or float64"),
    ],
)
def test_networks_that_cannot_be_made(arguments, words):
    with pytest.raises(ValueError, match=words):
        Networks(*arguments)
    with pytest.raises(TypeError, match=r"rng is 3, a int; try rng=np.random.default_rng"):
        Networks(6, 5, 3, rng=3)


def test_inputs_that_do_not_fit():
    for wrong in (X[:, :1], X[0], X[0, 0], np.float32(3)):
        with pytest.raises(ValueError, match="input_dim is 6"):
            network().loss(wrong)
    with pytest.raises(ValueError, match="class index 3"):
        network().loss(X[:2], [0, 3])


@pytest.mark.parametrize("kind", ["batch", "layer"])
def test_gradients_with_normalization_are_the_slopes_and_those_of_pytorch(kind):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")
    rng = np.random.default_rng(3)
    net = Networks(6, [5, 4], 3, 0.5, reg=0.2, dtype=np.float64, rng=rng, normalization=kind)
    for w in net.params.values():
        w += 0.1 * rng.normal(size=w.shape)
    loss, gradients = net.loss(X[:9], Y[:9])
    assert gradients.keys() == net.params.keys() >= {"gamma1", "beta1", "gamma2", "beta2"}
    for name, w in net.params.items():
        slopes = numeric_gradient(lambda _: net.loss(X[:9], Y[:9])[0], w)
        np.testing.assert_allclose(gradients[name], slopes, rtol=1e-5, atol=1e-7, err_msg=name)
    p = {name: torch.tensor(w) for name, w in net.params.items()}
    h = torch.tensor(X[:9].reshape(-1, 6), dtype=torch.float64)
    for i in (1, 2):
        h = h @ p[f"W{i}"] + p[f"b{i}"]
        normal = torch.nn.functional
        if kind == "layer":
            h = normal.layer_norm(h, h.shape[1:], p[f"gamma{i}"], p[f"beta{i}"])
        else:
            h = normal.batch_norm(h, None, None, p[f"gamma{i}"], p[f"beta{i}"], training=True)
        h = torch.relu(h)
    expected = torch.nn.functional.cross_entropy(h @ p["W3"] + p["b3"], torch.tensor(Y[:9]))
    expected = expected + 0.1 * sum((p[f"W{i}"] ** 2).sum() for i in (1, 2, 3))
    assert loss == pytest.approx(expected.item(), rel=1e-10), "scale and shift are not penalised"


def test_batch_normalization_keeps_running_values_and_uses_them_without_targets():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")
    net = network(normalization="batchnorm", dtype=np.float64)
    assert net.buffers.keys() == {f"running_{what}{i}" for what in ("mean", "var") for i in (1, 2)}
    before = {name: array.copy() for name, array in net.buffers.items()}
    net.loss(X)
    assert all(np.array_equal(net.buffers[name], before[name]) for name in before), "scores alone change nothing"
    twin = torch.nn.BatchNorm1d(8, dtype=torch.float64)
    for rows in (slice(0, 30), slice(30, 60)):
        net.loss(X[rows], Y[rows])
        twin(torch.tensor(X[rows].reshape(-1, 6) @ net.params["W1"] + net.params["b1"]))
    for name, array in (("running_mean1", twin.running_mean), ("running_var1", twin.running_var)):
        np.testing.assert_allclose(net.buffers[name], array.numpy(), rtol=1e-10)
    np.testing.assert_allclose(net.loss(X[:1]), net.loss(X)[:1], rtol=1e-10), "one sample does not see the others"


def test_dropout_drops_only_while_training():
    net = network(dropout=0.5)
    assert np.array_equal(net.loss(X), net.loss(X)) and net.loss(X, Y)[0] != net.loss(X, Y)[0]
    whole, p = network(), 0.5
    assert np.array_equal(net.loss(X), whole.loss(X)), "in use nothing is dropped"
    losses = [net.loss(X, Y)[0] for _ in range(300)]
    assert np.mean(losses) == pytest.approx(whole.loss(X, Y)[0], rel=0.2), f"what is left is divided by {p}"
    one, two = (network(dropout=0.5, seed=4).loss(X, Y)[0] for _ in range(2))
    assert one == two, "the generator says what is dropped"


def test_what_normalization_and_dropout_cannot_be():
    with pytest.raises(ValueError, match="normalization is 'group'; it is None, 'batch' or 'layer'"):
        network(normalization="group")
    with pytest.raises(ValueError, match="p is 1.5"):
        network(dropout=1.5)


def test_tiny_weights_start_with_batch_normalization():
    inputs, labels, train, _ = digits()
    data = {"X_train": inputs[train], "y_train": labels[train], "X_val": inputs[train], "y_val": labels[train]}
    net = Networks(64, [64, 64], 10, rng=np.random.default_rng(0), normalization="batch")
    run = Solver(net, data, "sgd", {"learning_rate": 0.1}, batch_size=32, num_epochs=3, verbose=False, rng=RNG)
    run.train()
    assert run.best_val_acc > 0.9, "the scale of the weights does not reach the next layer"


def test_tiny_weights_do_not_start_in_three_layers_and_larger_ones_do():
    """Scores shrink by weight_scale in each layer, and so do the gradients on their way back: only b3 gets one."""
    inputs, labels, train, test = digits()
    data = {"X_train": inputs[train], "y_train": labels[train], "X_val": inputs[test], "y_val": labels[test]}
    reached, largest = {}, {}
    for scale in (1e-3, 5e-2):
        net = Networks(64, [64, 64], 10, weight_scale=scale, rng=np.random.default_rng(0))
        run = Solver(net, data, "sgd", {"learning_rate": 0.1}, batch_size=32, num_epochs=6, verbose=False, rng=RNG)
        largest[scale] = np.abs(net.loss(inputs[train], labels[train])[1]["W1"]).max()
        run.train()
        reached[scale] = run.best_val_acc
        if scale == 1e-3:
            assert np.mean(run.loss_history[-40:]) == pytest.approx(math.log(10), abs=0.02), "as good as guessing"
    assert reached[1e-3] < 0.2 and reached[5e-2] > 0.8
    assert largest[1e-3] < 1e-5 < 1e-3 < largest[5e-2]


# --- the same steps as the other styles ------------------------------------------------------------------------------


def stacked(dtype, seed=0):
    rng = np.random.default_rng(seed)
    layers = [Linear(*sizes, rng=rng) for sizes in ((64, 64), (64, 64), (64, 10))]
    for layer in layers:
        for name, p in list(vars(layer).items()):
            if isinstance(p, Parameter):
                setattr(layer, name, Parameter(p.data, dtype=dtype))
    return Sequential(layers[0], ReLU(), layers[1], ReLU(), layers[2]), layers


def plain_step(model, optimizer, inputs, targets):
    optimizer.zero_grad()
    loss = CrossEntropyLoss()(model(inputs), targets)
    loss.backward()
    optimizer.step()
    return loss.item()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", RULES)
def test_a_hundred_steps_as_a_plain_loop_makes_them(rule, dtype):
    """To the last bit; momentum is written in two forms, and these come to within 4e-7 and 1e-15."""
    inputs, labels, train, _ = digits()
    data = {"X_train": inputs[train], "y_train": labels[train], "X_val": inputs[train], "y_val": labels[train]}
    config, make = RULES[rule]
    model, layers = stacked(dtype)
    net, adapted = Networks(64, [64, 64], 10, dtype=dtype), stacked(dtype)[0]
    copy_in(net, layers)
    optimizer, rng = make(model.parameters()), np.random.default_rng(5)
    runs = [Solver(part, data, rule, config, verbose=False) for part in (net, adapted)]
    tolerance = 0 if rule != "sgd_momentum" else 1e-6 if dtype == np.float32 else 1e-14
    for _ in range(100):
        rows = rng.integers(len(train), size=32)
        loss = plain_step(model, optimizer, Tensor(inputs[train][rows], dtype=dtype), labels[train][rows])
        for run in runs:
            assert run.step(rows) == pytest.approx(loss, rel=0, abs=tolerance)
        for i, layer in enumerate(layers, 1):
            np.testing.assert_allclose(net.params[f"W{i}"].T, layer.weight.data, rtol=0, atol=tolerance)
            np.testing.assert_allclose(net.params[f"b{i}"], layer.bias.data, rtol=0, atol=tolerance)
    for name, p in model.named_parameters():
        np.testing.assert_allclose(runs[1].model.params[name], p.data, rtol=0, atol=tolerance)
    assert {w.dtype for w in net.params.values()} == {np.dtype(dtype)}


def test_batches_are_drawn_from_rng_with_replacement():
    class Watched(Networks):
        def loss(self, X, y=None):
            if y is not None:
                seen.append(np.asarray(X)[:, 0, 0])
            return super().loss(X, y)

    seen = []
    run = solver(Watched(6, 5, 3, rng=np.random.default_rng(0)), batch_size=60)
    for _ in range(30):
        run.step()
    assert all(len(set(batch)) < 60 for batch in seen), "60 draws of 70 samples: surely one comes twice"
    assert set(np.concatenate(seen)) == set(DATA["X_train"][:, 0, 0])
    again = solver(Watched(6, 5, 3, rng=np.random.default_rng(0)), batch_size=60)
    first, seen[:] = list(seen), []
    for _ in range(30):
        again.step()
    np.testing.assert_array_equal(seen, first)


def test_without_rng_the_default_generator_decides():
    histories = []
    for seed in (0, 0, 1):
        manual_seed(seed)
        run = solver(Networks(6, 5, 3, weight_scale=0.3), rng=None)
        assert run.rng is default_generator
        run.train()
        histories.append(run.loss_history + run.train_acc_history)
    assert histories[0] == histories[1] != histories[2]


# --- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("epochs", "batch"), [(0, 20), (1, 20), (3, 20), (3, 70), (3, 500), (2, 1)])
def test_lengths_of_the_histories(epochs, batch):
    run = solver(num_epochs=epochs, batch_size=batch)
    assert run.iterations_per_epoch == max(70 // batch, 1)
    run.train()
    assert len(run.loss_history) == epochs * max(70 // batch, 1)
    assert len(run.train_acc_history) == len(run.val_acc_history) == epochs + 1
    assert run.epoch == epochs and run.epoch_iteration == 0
    assert run.best_val_acc == max(run.val_acc_history)
    assert all(type(value) is float for value in run.loss_history + run.train_acc_history + run.val_acc_history)


def test_the_accuracies_are_those_after_the_first_iteration_and_after_each_epoch():
    run, twin = solver(num_train_samples=None), solver()
    run.train()

    def accuracies():
        return tuple(np.mean(twin.model.loss(DATA[f"X_{p}"]).argmax(1) == DATA[f"y_{p}"]) for p in ("train", "val"))

    expected = []
    for i in range(12):
        twin.step()
        expected += [accuracies()] * ((i == 0) + (i % 3 == 2))
    assert list(zip(run.train_acc_history, run.val_acc_history)) == [pytest.approx(pair) for pair in expected]


def test_the_rate_decays_after_each_epoch_in_every_copy_of_the_options():
    given = {"learning_rate": 0.1, "momentum": 0.5}
    run = solver(rule="sgd_momentum", optim_config=given, lr_decay=0.5, num_epochs=3)
    assert len({id(config) for config in run.optim_configs.values()}) == 6
    run.step()
    assert {config["learning_rate"] for config in run.optim_configs.values()} == {0.1}
    run.train()
    rates = [config["learning_rate"] for config in run.optim_configs.values()]
    assert rates == pytest.approx(6 * [0.1 / 8], rel=1e-12)
    assert given == {"learning_rate": 0.1, "momentum": 0.5}
    assert all(run.optim_configs[name]["velocity"].shape == w.shape for name, w in run.model.params.items())
    default = solver(optim_config={}, lr_decay=0.5, num_epochs=1)
    default.train()
    assert {config["learning_rate"] for config in default.optim_configs.values()} == {0.005}


def test_no_history_is_changed_by_how_accuracies_are_measured_or_shown(capsys):
    runs = [
        solver(ModuleAdapter(with_dropout()), rng=None, **options)
        for options in (
            {},
            {"num_train_samples": 7, "num_val_samples": 5},
            {"num_train_samples": None},
            {"print_every": 1, "verbose": True},
        )
    ]
    for run in runs:
        manual_seed(3)
        run.train()
        run.check_accuracy(X, Y, num_samples=3)
    assert all(run.loss_history == runs[0].loss_history for run in runs)
    assert runs[1].train_acc_history != runs[0].train_acc_history
    capsys.readouterr()


def test_the_best_parameters_are_put_back():
    """One epoch with an absurd rate destroys what was learnt, so that the best epoch is not the last."""
    run = solver(optim_config={"learning_rate": 0.2}, num_epochs=30)
    run.train()
    run.num_epochs += 1
    run.optim_configs = {name: {"learning_rate": 1e5} for name in run.optim_configs}
    run.train()
    assert run.val_acc_history[-1] < run.best_val_acc == max(run.val_acc_history[:-1])
    assert run.check_accuracy(DATA["X_val"], DATA["y_val"]) == run.best_val_acc
    assert same_arrays(run.model.params, run.best_params)
    run.model.params["W1"] += 1
    assert not np.array_equal(run.model.params["W1"], run.best_params["W1"]), "they are copies"


def test_of_equally_good_epochs_the_first_is_kept():
    run = solver(lr_decay=0.0, num_epochs=3, batch_size=70)
    run.step()
    after_first = {name: w.copy() for name, w in run.model.params.items()}
    again = solver(lr_decay=0.0, num_epochs=3, batch_size=70)
    again.train()
    assert len(set(again.val_acc_history)) == 1 and same_arrays(again.best_params, after_first)


def test_without_an_epoch_the_model_stays_and_is_measured():
    net = network()
    before = {name: w.copy() for name, w in net.params.items()}
    run = solver(net, num_epochs=0)
    net.params["b1"] += 1.0
    before["b1"] += 1.0
    run.train()
    assert same_arrays(run.best_params, before) and same_arrays(net.params, before)
    assert run.val_acc_history == [run.best_val_acc] and 0 <= run.best_val_acc <= 1


def test_a_validation_that_is_nan_warns_and_keeps_the_latest_parameters():
    data = DATA | {"X_val": np.where(np.arange(20)[:, None, None] == 3, np.nan, DATA["X_val"])}
    run, twin = solver(data=data, num_epochs=2), solver(num_epochs=2)
    with pytest.warns(RuntimeWarning, match=r"after iteration \d a score on X_val is nan") as caught:
        run.train()
    assert [str(warning.message).split()[3] for warning in caught] == ["1", "3", "6"]
    assert {warning.filename for warning in caught} == {__file__}, "the line that called train"
    for _ in range(6):
        twin.step()
    assert np.isnan(run.val_acc_history).all() and run.best_val_acc == -math.inf
    assert same_arrays(run.best_params, twin.model.params) and same_arrays(run.model.params, twin.model.params)


def test_parameters_that_are_not_finite_are_never_the_best():
    data = DATA | {"X_val": np.full_like(DATA["X_val"], np.nan)}
    run = solver(data=data, num_epochs=1, batch_size=70, optim_config={"learning_rate": 1e300})
    with pytest.warns(RuntimeWarning, match="score on X_val is nan"):
        run.train()
    assert len(run.loss_history) == 1 and same_arrays(run.model.params, network().params)


def test_a_loss_that_is_not_finite_names_the_place_and_spares_the_best():
    run = solver(optim_config={"learning_rate": 0.1}, lr_decay=1e30, num_epochs=6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(
            FloatingPointError, match=r"iteration 5, in epoch 2: the loss is (nan|inf).*rate below 1e\+29"
        ):
            run.train()
    assert len(run.loss_history) == 4 and np.isfinite(run.loss_history).all()
    assert len(run.val_acc_history) == 2
    twin = solver(optim_config={"learning_rate": 0.1}, num_epochs=1)
    twin.train()
    assert same_arrays(run.model.params, twin.best_params) and same_arrays(run.best_params, twin.best_params)


def test_a_gradient_that_is_not_finite_changes_nothing():
    class Broken(Networks):
        def loss(self, X, y=None):
            result = super().loss(X, y)
            if y is not None:
                result[1]["W2"][0, 0] = np.inf
            return result

    run = solver(Broken(6, [8, 7], 3, rng=np.random.default_rng(0)))
    before = everything(run)
    with pytest.raises(FloatingPointError, match="iteration 1, in epoch 1: the gradient of W2 is not finite"):
        run.step(np.arange(5))
    require_same(everything(run), before)


def test_inputs_that_are_not_finite_are_named():
    data = DATA | {"X_train": np.where(np.arange(70)[:, None, None] == 9, np.inf, DATA["X_train"])}
    run = solver(data=data)
    run.step([1, 2])
    with pytest.raises(FloatingPointError, match="X_train holds nan or inf in this batch"):
        run.step([8, 9])
    with pytest.raises(FloatingPointError, match="it is the first one, so look at the parameters"):
        solver(network(weight_scale=1e30)).step()


def test_training_twice_goes_on_only_when_there_is_more_to_do():
    run = solver(num_epochs=2)
    run.train()
    before = everything(run)
    with pytest.warns(UserWarning, match="2 of 2 epochs are complete; raise num_epochs"):
        run.train()
    require_same(everything(run), before)
    run.num_epochs = 3
    run.train()
    assert run.epoch == 3 and len(run.val_acc_history) == 4 and len(run.loss_history) == 9


def test_steps_by_hand_are_iterations_of_the_epoch():
    run, straight = solver(num_epochs=2), solver(num_epochs=2)
    run.step()
    run.step()
    assert run.epoch_iteration == 2 and run.val_acc_history == []
    run.train()
    straight.train()
    assert run.loss_history == straight.loss_history
    assert run.val_acc_history[1:] == straight.val_acc_history[1:]


# --- interrupted -----------------------------------------------------------------------------------------------------


class Interrupted(Networks):
    """Is stopped by Ctrl-C in the call of `loss` with this number."""

    calls, at = 0, None

    def loss(self, X, y=None):
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt
        return super().loss(X, y)


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 7, 9, 10, 12, 20])
def test_interrupting_puts_the_best_back_and_keeps_the_histories(at, capsys):
    net = Interrupted(6, [8, 7], 3, weight_scale=0.3, rng=np.random.default_rng(0))
    run = solver(net, num_epochs=20)
    net.calls, net.at = 0, at
    run.train()
    assert "interrupted" in capsys.readouterr().err
    assert len(run.train_acc_history) == len(run.val_acc_history) <= run.epoch + 1
    assert run.best_val_acc == max(run.val_acc_history, default=-math.inf)
    assert same_arrays(net.params, run.best_params)
    if not run.val_acc_history:
        assert same_arrays(net.params, network().params), "the first ones, before there is an accuracy"
    net.at = None
    run.num_epochs = 6
    run.train()
    assert run.epoch == 6 and len(run.loss_history) == 18 and len(run.val_acc_history) == 7


def test_what_was_changed_before_training_is_what_comes_back():
    net = Interrupted(6, [8, 7], 3)
    run = solver(net)
    net.params["b1"] += 1.0
    net.calls, net.at = 0, 2  # while the first accuracy is measured, after one step
    run.train()
    assert len(run.loss_history) == 1 and run.val_acc_history == []
    assert (net.params["b1"] == 1.0).all() and (run.best_params["b1"] == 1.0).all()


def test_a_real_ctrl_c():
    program = """if True:
        import signal, numpy as np
        from tinytorch.solver import Networks, Solver

        class Slow(Networks):
            def loss(self, X, y=None):
                if y is not None and len(run.loss_history) == 25:
                    signal.raise_signal(signal.SIGINT)
                return super().loss(X, y)

        X = np.random.default_rng(0).normal(size=(40, 4))
        y = (X[:, 0] > 0) * 1
        run = Solver(Slow(4, 5, 2, 0.3), {"X_train": X, "y_train": y, "X_val": X, "y_val": y}, batch_size=4)
        run.train()
        print(len(run.loss_history), len(run.val_acc_history), run.check_accuracy(X, y) == run.best_val_acc)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2] == "25 3 True"
    assert done.stderr == "interrupted; 2 of 10 epochs are complete, and the model has the best parameters so far\n"


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_lines_where_nobody_looks(capsys):
    run = solver(verbose=True, print_every=4, num_epochs=2, num_train_samples=None)
    run.train()
    out, err = capsys.readouterr()
    train, val, losses = run.train_acc_history, run.val_acc_history, run.loss_history
    assert out.splitlines() == [
        f"iteration 1/6  loss {losses[0]:.4g}",
        *(f"epoch {k}/2  train_acc {train[k]:.4g}  val_acc {val[k]:.4g}" for k in (0, 1)),
        f"iteration 5/6  loss {losses[4]:.4g}",
        f"epoch 2/2  train_acc {train[2]:.4g}  val_acc {val[2]:.4g}",
    ]
    assert err == ""
    solver().train()
    assert capsys.readouterr() == ("", "")


def test_a_bar_where_somebody_looks(capsys, monkeypatch):
    pytest.importorskip("tqdm", reason="tqdm is not installed: pip install tqdm")

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    class Slow(Networks):
        def loss(self, X, y=None):
            time.sleep(0.06)  # a bar draws itself ten times a second
            return super().loss(X, y)

    monkeypatch.setattr(sys, "stderr", Terminal())
    solver(Slow(6, 5, 3), verbose=True, num_epochs=2).train()
    assert "epoch 2/2: " in sys.stderr.getvalue() and "loss=" in sys.stderr.getvalue()
    assert [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()] == [f"epoch {k}/2" for k in range(3)]


# --- accuracy --------------------------------------------------------------------------------------------------------


class Counting(Networks):
    def loss(self, X, y=None):
        if y is None:
            self.asked = [*getattr(self, "asked", []), len(X)]
        return super().loss(X, y)


def test_accuracy_is_exact_over_uneven_batches():
    run = solver()
    expected = np.mean(run.model.loss(X).argmax(1) == Y)
    for size in (1, 7, 89, 90, 1000):
        assert run.check_accuracy(X, Y, batch_size=size) == pytest.approx(expected)
    assert run.check_accuracy(X, np.eye(3)[Y]) == pytest.approx(expected)
    assert run.check_accuracy(Tensor(X), Y.tolist()) == pytest.approx(expected)


def test_how_many_samples_are_measured():
    net = Counting(6, [8, 7], 3, rng=np.random.default_rng(0))
    run = solver(net, num_train_samples=50, num_val_samples=11, num_epochs=1)
    net.asked = []
    run.train()
    assert net.asked == [50, 11, 50, 11]
    net.asked = []
    run.check_accuracy(X, Y, num_samples=25, batch_size=10)
    run.check_accuracy(X, Y, num_samples=90, batch_size=40)
    run.check_accuracy(X, Y, num_samples=9000)
    assert net.asked == [10, 10, 5, 40, 40, 10, 90]


def test_samples_of_an_accuracy_are_distinct_and_drawn_anew():
    run, seen = solver(), []
    numbers = np.arange(90.0, dtype=np.float32)

    def loss(X, y=None):
        seen.append(X[:, 0])
        return np.zeros((len(X), 3))

    run.model.loss = loss
    for _ in range(2):
        run.check_accuracy(numbers[:, None], Y, num_samples=30)
    assert [len(set(rows)) for rows in seen] == [30, 30] and set(seen[0]) != set(seen[1])


def test_scores_that_are_nan_have_no_accuracy():
    run, huge = solver(), solver(network(weight_scale=1e20))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(run.check_accuracy(np.where(X > 2, np.nan, X), Y))
        assert math.isnan(huge.check_accuracy(X, Y))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((X, Y[:-1]), "X and y have 90 and 89 samples"),
        ((X[:0], Y[:0]), "0 and 0 samples"),
        ((X, Y, 0), "num_samples is 0"),
        ((X, Y, None, 0), "batch_size is 0"),
    ],
)
def test_accuracies_that_cannot_be_measured(arguments, words):
    with pytest.raises(ValueError, match=words):
        solver().check_accuracy(*arguments)


# --- modules ---------------------------------------------------------------------------------------------------------


def with_dropout(seed=0, rng=None):
    own = np.random.default_rng(seed)
    layers = Linear(6, 16, rng=own), ReLU(), Dropout(0.5, rng), Linear(16, 3, rng=own)
    return Sequential(Flatten(), *layers)


def test_a_module_drops_while_it_is_trained_and_only_then():
    module = with_dropout()
    adapted = ModuleAdapter(module)
    assert adapted.loss(X, Y)[0] != adapted.loss(X, Y)[0]
    np.testing.assert_array_equal(adapted.loss(X), adapted.loss(X))
    for mode in (True, False):
        module.train(mode)
        np.testing.assert_array_equal(adapted.loss(X), adapted.loss(X))
        assert adapted.loss(X, Y)[0] != adapted.loss(X, Y)[0]
        assert {part.training for part in module.modules()} == {mode}
    module.train()
    module[3].eval()
    assert adapted.loss(X, Y)[0] == adapted.loss(X, Y)[0], "a layer that was frozen alone stays frozen"
    assert module.training and not module[3].training


def test_gradients_of_before_do_not_count():
    adapted = ModuleAdapter(Sequential(Flatten(), Linear(6, 3)))
    expected = adapted.loss(X, Y)[1]
    CrossEntropyLoss()(adapted.module(Tensor(X)), Y).backward()
    assert same_arrays(adapted.loss(X, Y)[1], expected)


def test_whole_numbers_reach_the_module_as_they_are():
    class Table(Module):
        def __init__(self):
            self.rows = Parameter(np.zeros((5, 3)))

        def forward(self, x):
            assert x.dtype == np.int64
            return self.rows[x]

    words = np.random.default_rng(0).integers(5, size=90)
    data = {"X_train": words[:70], "y_train": words[:70] % 3, "X_val": words[70:], "y_val": words[70:] % 3}
    run = solver(Table(), data=data, optim_config={"learning_rate": 1.0}, num_epochs=5)
    run.train()
    assert run.best_val_acc == 1.0


def test_modes_are_restored_after_an_error():
    module = with_dropout().eval()
    with pytest.raises(ValueError, match="class index 7"):
        ModuleAdapter(module).loss(X[:1], [7])
    assert not any(part.training for part in module.modules())


def test_a_module_is_solved_and_is_itself_what_was_trained():
    module = with_dropout(rng=np.random.default_rng(5))
    run = solver(module, rule="adam", optim_config={"learning_rate": 0.02}, num_epochs=60)
    assert isinstance(run.model, ModuleAdapter) and run.model.module is module
    run.train()
    assert run.best_val_acc >= 0.75
    module.eval()
    guesses = module(Tensor(DATA["X_val"])).data.argmax(1)
    assert np.mean(guesses == DATA["y_val"]) == run.best_val_acc
    assert all(p.grad is None for p in module.parameters())


@pytest.mark.parametrize("reg", [0.0, 0.4])
def test_a_module_gives_the_loss_and_gradients_of_the_same_networks(reg):
    net = network(reg=reg)
    layers = [Linear(6, 8), Linear(8, 7), Linear(7, 3)]
    for i, layer in enumerate(layers, 1):
        layer.weight.data, layer.bias.data = net.params[f"W{i}"].T, net.params[f"b{i}"]
    module = Sequential(Flatten(), layers[0], relu, layers[1], relu, layers[2])
    adapted = ModuleAdapter(module, reg=reg)
    (loss, gradients), (expected, theirs) = adapted.loss(X, Y), net.loss(X, Y)
    assert loss == pytest.approx(expected, rel=1e-6)
    for i, place in enumerate((1, 3, 5), 1):
        np.testing.assert_allclose(gradients[f"{place}.weight"].T, theirs[f"W{i}"], rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(gradients[f"{place}.bias"], theirs[f"b{i}"], rtol=1e-5, atol=1e-7)


def test_gradients_of_a_float64_module_are_the_slopes():
    class Net(Module):
        def __init__(self):
            rng = np.random.default_rng(0)
            self.w, self.v = (Parameter(rng.normal(size=shape), dtype=np.float64) for shape in ((6, 4), (4, 3)))
            self.unused = Parameter(np.ones(2), dtype=np.float64)
            self.frozen = Parameter(np.ones(3), requires_grad=False, dtype=np.float64)

        def forward(self, x):
            return relu(x.reshape(-1, 6) @ self.w) @ self.v + self.frozen

    adapted = ModuleAdapter(Net(), reg=0.2)
    inputs = X.astype(np.float64)
    assert list(adapted.params) == ["w", "v", "unused"]
    _, gradients = adapted.loss(inputs, Y)
    for name, w in adapted.params.items():
        slopes = numeric_gradient(lambda _: adapted.loss(inputs, Y)[0], w)
        np.testing.assert_allclose(gradients[name], slopes, rtol=1e-6, atol=1e-8, err_msg=name)
    assert not gradients["unused"].any() and adapted.loss(inputs).dtype == np.float64


def test_one_score_tells_two_classes_apart():
    module = Sequential(Flatten(), Linear(6, 1, rng=np.random.default_rng(0)))
    labels = (X[:, 0, 0] > 0).astype(np.int64)[:, None]
    data = {"X_train": X[:70], "y_train": labels[:70], "X_val": X[70:], "y_val": labels[70:]}
    adapted = ModuleAdapter(module, BinaryCrossEntropyLoss())
    run = solver(adapted, data=data, optim_config={"learning_rate": 1.0}, num_epochs=60)
    run.train()
    assert run.best_val_acc >= 0.9
    right = (run.model.loss(data["X_val"]) > 0) == data["y_val"]
    assert run.best_val_acc == np.mean(right)
    with pytest.raises(ValueError, match="y_val: class index 2 in row 4: 2 classes"):
        solver(adapted, data=data | {"y_val": np.where(np.arange(20) == 4, 2, 0)[:, None]})


class Batches(Module):
    """Counts in a buffer the batches that it was trained on."""

    def __init__(self):
        self.linear = Linear(6, 3, rng=np.random.default_rng(0))
        self.register_buffer("count", np.array([0]))

    def forward(self, x):
        if self.training:
            self.count.data += 1
        return self.linear(x.reshape(-1, 6))


def test_buffers_belong_to_the_best_parameters_and_to_checkpoints(tmp_path):
    options = {"optim_config": {"learning_rate": 0.3}, "lr_decay": 4.0, "num_epochs": 6}
    module = Batches()
    run = solver(module, checkpoint_name=tmp_path / "run", **options)
    run.train()
    best = int(np.argmax(run.val_acc_history))
    assert best < 6 and module.count.data.item() == max(3 * best, 1), "the batches up to the best epoch"
    other = solver(Batches(), **options)
    other.load_checkpoint(tmp_path / "run_epoch_5")
    assert other.model.module.count.data.item() == 15
    other.num_epochs = 5
    with pytest.warns(UserWarning, match="complete"):
        other.train()
    best = int(np.argmax(other.val_acc_history))
    assert best < 5 and other.model.module.count.data.item() == max(3 * best, 1)


def test_params_of_a_module_are_the_parameters():
    module = with_dropout()
    adapted, weight = ModuleAdapter(module), module[1].weight
    version = weight.version
    adapted.params["1.weight"] = np.ones((16, 6))
    assert (weight.data == 1).all() and weight.dtype == np.float32 and weight.version > version
    assert adapted.params["1.weight"] is weight.data and len(adapted.params) == 4
    assert "1.weight: float32 (16, 6)" in repr(adapted.params)
    with pytest.raises(ValueError, match=r"1.weight has shape \(16, 6\), and was given \(6,\)"):
        adapted.params["1.weight"] = np.ones(6)
    with pytest.raises(KeyError):
        adapted.params["2.weight"] = np.ones(6)


def test_what_no_adapter_takes():
    with pytest.raises(TypeError, match="is a function, and not a Module"):
        ModuleAdapter(relu)
    with pytest.raises(ValueError, match="a Sequential without a Parameter"):
        ModuleAdapter(Sequential(ReLU()))
    with pytest.raises(ValueError, match="reg is -1"):
        ModuleAdapter(Linear(2, 2), reg=-1)


# --- checkpoints -----------------------------------------------------------------------------------------------------


MODELS = {
    "networks": network,
    "module": with_dropout,
    "own generator": lambda: with_dropout(0, np.random.default_rng(5)),
    "batch norm": lambda: network(normalization="batch", dropout=0.3),
    "layer norm": lambda: network(normalization="layer", dropout=0.3),
}


@pytest.mark.parametrize("rng", [None, "own"])
@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("rule", RULES)
def test_resuming_is_exact_to_the_last_bit(rule, kind, rng, tmp_path):
    def run(seed, **options):
        manual_seed(seed)
        own = np.random.default_rng(seed) if rng else None
        return solver(MODELS[kind](), rule, rng=own, lr_decay=0.9, num_train_samples=30, num_val_samples=15, **options)

    straight = run(1, checkpoint_name=tmp_path / "run")
    straight.train()
    expected = everything(straight)
    for k in (1, 3):
        resumed = run(99)
        resumed.load_checkpoint(tmp_path / f"run_epoch_{k}")
        assert resumed.epoch == k and len(resumed.loss_history) == 3 * k
        resumed.train()
        require_same(everything(resumed), expected)


def test_resuming_in_the_middle_of_an_epoch(tmp_path):
    straight, stopped = solver(), solver()
    straight.train()
    for _ in range(5):
        straight.step()
    stopped.train()
    stopped.step()
    stopped.step()
    stopped.save_checkpoint(tmp_path / "deep" / "er" / "middle.pkl")
    resumed = solver(seed=77)
    resumed.load_checkpoint(tmp_path / "deep" / "er" / "middle.pkl")
    for _ in range(3):
        resumed.step()
    require_same(everything(resumed), everything(straight))
    assert resumed.epoch_iteration == 5


def test_resuming_in_another_process(tmp_path):
    program = """if True:
        import sys, numpy as np
        from tinytorch.datasets import load_digits
        from tinytorch.solver import Networks, Solver

        images, labels = load_digits()
        data = {"X_train": images[:300] / 16, "y_train": labels[:300]}
        data |= {"X_val": images[300:400] / 16, "y_val": labels[300:400]}
        where, mode = sys.argv[1:]
        seed = 9 if mode == "go" else 0
        net = Networks(64, [20, 20], 10, 0.1, reg=1e-3, rng=np.random.default_rng(seed))
        run = Solver(net, data, "adam", {"learning_rate": 0.01}, 0.8, 32, 2 if mode == "stop" else 4, verbose=False,
                     checkpoint_name=f"{where}/run", rng=np.random.default_rng(seed))
        if mode == "go":
            run.load_checkpoint(f"{where}/run_epoch_2")
        run.train()
        arrays = {**net.params, **{f"m.{k}": c["m"] for k, c in run.optim_configs.items()}}
        arrays |= {"loss": run.loss_history, "val": run.val_acc_history, "train": run.train_acc_history}
        np.savez(f"{where}/{mode}.npz", **arrays)
    """
    for mode in ("straight", "stop", "go"):
        done = subprocess.run(
            [sys.executable, "-c", program, tmp_path, mode], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
    with np.load(tmp_path / "straight.npz") as straight, np.load(tmp_path / "go.npz") as resumed:
        assert set(straight.files) == set(resumed.files) and len(straight["loss"]) == 36
        for name in straight.files:
            np.testing.assert_array_equal(straight[name], resumed[name], err_msg=name, strict=True)


def test_a_state_is_made_of_copies():
    run, other = solver(rule="adam"), solver(rule="adam", seed=4)
    run.step()
    state = run.state_dict()
    other.load_state_dict(state)
    before = everything(run)
    require_same(everything(other), before)
    state["loss_history"].append(7.0)
    for part in ("params", "best_params"):
        state[part]["W1"][...] = 7
    state["optim_configs"]["W1"]["m"][...] = 7
    require_same(everything(run), before)
    require_same(everything(other), before)


def test_checkpoints_are_files_at_exactly_these_paths(tmp_path):
    run = solver(checkpoint_name=str(tmp_path / "digits"), num_epochs=3)
    run.train()
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"digits_epoch_{k}" for k in (1, 2, 3)]
    tensors, info = checkpoint.load(tmp_path / "digits_epoch_3")
    assert info["solver"] == 1 and tensors["params.W1"].shape == (6, 8)
    with pytest.raises((pickle.UnpicklingError, ValueError)):
        pickle.loads((tmp_path / "digits_epoch_3").read_bytes())


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A checkpoint after two epochs, and the run that wrote it."""
    folder = tmp_path_factory.mktemp("saved")
    run = solver(rule="adam", num_epochs=2, checkpoint_name=folder / "run")
    run.train()
    return folder / "run_epoch_2"


def require_refused(path, run, *words):
    """Loading raises a ValueError with these words, and afterwards the run is what it was, and goes on."""
    before = everything(run)
    with pytest.raises(ValueError) as caught:
        run.load_checkpoint(path)
    assert str(caught.value).startswith(str(path))
    for word in words:
        assert word in str(caught.value), str(caught.value)
    require_same(everything(run), before)


def test_a_file_that_is_cut_short_anywhere(saved, tmp_path):
    data, run, path = saved.read_bytes(), solver(rule="adam", seed=5), tmp_path / "cut"
    run.step()
    for percent in range(100):
        path.write_bytes(data[: len(data) * percent // 100])
        require_refused(path, run)


def test_a_bit_that_is_flipped_anywhere(saved, tmp_path):
    data, run, path = saved.read_bytes(), solver(rule="adam", seed=5), tmp_path / "flipped"
    run.step()
    rng = np.random.default_rng(0)
    for place in rng.choice(len(data), 200, replace=False):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << int(rng.integers(8))]) + data[place + 1 :])
        require_refused(path, run)
    run.load_checkpoint(saved)
    assert run.epoch == 2


def smaller(X):
    return {**DATA, "X_train": DATA["X_train"][:50], "y_train": DATA["y_train"][:50]}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: solver(rule="rmsprop"), ["update_rule is rmsprop here, adam there"]),
        (lambda: solver(rule="adam", batch_size=10), ["batch_size is 10 here, 20 there"]),
        (lambda: solver(rule="adam", lr_decay=0.5), ["lr_decay is 0.5 here, 1.0 there"]),
        (lambda: solver(network(reg=0.1), "adam"), ["reg is 0.1 here, 0.0 there"]),
        (lambda: solver(rule="adam", data=smaller(X)), ["X_train is float32 (50, 2, 3) here", "(70, 2, 3) there"]),
        (lambda: solver(Networks(6, [9, 7], 3), "adam"), ["params W1 is float32 (6, 9) here, float32 (6, 8) there"]),
        (lambda: solver(Networks(6, 8, 3), "adam"), ["params W3 is missing here", "params b3 is missing here"]),
        (lambda: solver(network(dtype=np.float64), "adam"), ["params W1 is float64 (6, 8) here, float32"]),
        (lambda: solver(with_dropout(), "adam"), ["params 1.weight is float32 (16, 6) here, missing there"]),
        (lambda: solver(rule="adam", rng=np.random.Generator(np.random.MT19937(0))), ["MT19937", "PCG64"]),
    ],
    ids=["rule", "batch", "decay", "reg", "data", "sizes", "layers", "dtype", "module", "generator"],
)
def test_a_file_of_another_run_changes_nothing(make, words, saved):
    run = make()
    run.step()
    require_refused(saved, run, "does not fit this Solver", "nothing was changed", *words)
    run.train()
    assert run.epoch == 4


def test_files_of_other_kinds(tmp_path):
    run = solver()
    model = Sequential(Linear(6, 3))
    Trainer(model, SGD(model.parameters()), CrossEntropyLoss()).save_checkpoint(tmp_path / "trainer")
    require_refused(tmp_path / "trainer", run, "is a checkpoint, but not of a Solver")

    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    (tmp_path / "pickle").write_bytes(pickle.dumps(Trap()))
    require_refused(tmp_path / "pickle", run, "pickle", "not opened")
    assert not (tmp_path / "executed").exists()
    with pytest.raises(FileNotFoundError, match="nowhere"):
        run.load_checkpoint(tmp_path / "nowhere")


def test_a_state_that_lacks_something_or_fails_half_way_changes_nothing(saved, tmp_path):
    tensors, info = checkpoint.load(saved)
    run = solver(rule="adam", seed=5)
    del info["state"]["epoch"]
    checkpoint.save(tmp_path / "lacks", tensors, info)
    require_refused(tmp_path / "lacks", run, "the state lacks epoch")
    tensors, info = checkpoint.load(saved)
    info["state"]["generators"][-1]["state"] = {"state": "seven", "inc": 1}
    checkpoint.save(tmp_path / "half", tensors, info)
    require_refused(tmp_path / "half", run)
    tensors, info = checkpoint.load(saved)
    info["state"]["optim_configs"]["b2"]["colour"] = 3
    checkpoint.save(tmp_path / "unknown", tensors, info)
    require_refused(tmp_path / "unknown", run, "colour")


def test_another_machine_is_warned_of(saved, tmp_path):
    tensors, info = checkpoint.load(saved)
    info["environment"]["numpy"] = "1.0"
    checkpoint.save(tmp_path / "old", tensors, info)
    run = solver(rule="adam")
    with pytest.warns(UserWarning, match=r"numpy 1.0 then, .* now; the run goes on, but not bit for bit"):
        run.load_checkpoint(tmp_path / "old")
    assert run.epoch == 2


def test_a_disk_that_fails_puts_the_best_back_and_says_which_file(tmp_path, monkeypatch):
    def broken(*given):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    run = solver(checkpoint_name=tmp_path / "folder" / "run")
    with pytest.raises(OSError, match="Input/output error: .*run_epoch_1'$"):
        run.train()
    assert run.epoch == 1 and len(run.val_acc_history) == 2 and same_arrays(run.model.params, run.best_params)


def test_a_place_where_no_file_can_be_is_named_before_the_first_iteration(tmp_path):
    (tmp_path / "file").write_text("in the way")
    run = solver(checkpoint_name=tmp_path / "file" / "run")
    with pytest.raises(OSError, match="a file is in the way.*run_epoch_1"):
        run.train()
    assert run.loss_history == []
    with pytest.raises(TypeError, match="not int"):
        solver(checkpoint_name=5)


# --- what is refused before anything runs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"learning_rate": 0.1}, "unknown keywords learning_rate; known are update_rule, optim_config, lr_decay"),
        ({"lr_dekay": 1, "epochs": 3}, "unknown keywords lr_dekay, epochs"),
        ({"update_rule": "adamw"}, "unknown update_rule 'adamw'; known are sgd, sgd_momentum, rmsprop, adam"),
        ({"update_rule": "lazy"}, "unknown update_rule 'lazy'"),
        ({"update_rule": None}, "unknown update_rule None"),
        ({"optim_config": {"lr": 0.1}}, r"sgd: unknown keys \['lr'\] in config; known are \['learning_rate'\]"),
        ({"optim_config": {"lr": "fast"}}, r"unknown keys \['lr'\]"),
        ({"optim_config": {"learning_rate": -1}}, "optim_config: learning_rate is -1; it must be at least 0"),
        ({"update_rule": "sgd_momentum", "optim_config": {"velocity": np.ones(7)}}, r"optim_config for W1 \(6, 8\)"),
        ({"update_rule": "adam", "optim_config": {"beta1": 1.0}}, "optim_config for W1"),
        ({"batch_size": 0}, "batch_size is 0; it must be a whole number, at least 1"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"num_epochs": -1}, "num_epochs is -1"),
        ({"print_every": 0}, "print_every is 0"),
        ({"num_train_samples": 0}, "num_train_samples is 0"),
        ({"num_val_samples": 0}, "num_val_samples is 0"),
        ({"lr_decay": -0.5}, "lr_decay is -0.5"),
        ({"lr_decay": math.nan}, "lr_decay is nan"),
    ],
)
def test_options_that_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Solver(network(), DATA, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"optim_config": {"learning_rate": "fast"}}, "learning_rate is 'fast', a str; it must be a number"),
        ({"optim_config": {"learning_rate": np.ones(2)}}, r"learning_rate is array\(\[1., 1.\]\), a ndarray"),
        ({"optim_config": {"learning_rate": None}}, "learning_rate is None, a NoneType; it must be a number"),
        ({"optim_config": 0.1}, "optim_config is 0.1; it must be a dictionary"),
        ({"rng": 0}, "rng is 0, a int; try rng=np.random.default_rng"),
    ],
)
def test_options_of_another_type(options, words):
    with pytest.raises(TypeError, match=words):
        Solver(network(), DATA, **options)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y_val": None, "X_train": None}, "data lacks X_train, y_val; it has y_train, X_val"),
        ({"y_train": Y[:69]}, "X_train and y_train have 70 and 69 samples"),
        ({"X_val": X[70:80]}, "X_val and y_val have 10 and 20 samples"),
        ({"X_val": X[:0], "y_val": Y[:0]}, "X_val and y_val have 0 and 0 samples"),
        ({"y_train": np.int64(1)}, "70 and no samples"),
        ({"X_val": X[70:, :1]}, r"no scores for X_val: Networks: X \(1, 1, 3\) has 3 features"),
        ({"y_train": np.full(70, 3)}, "y_train: class index 3 in row 0: 3 classes have 0 to 2"),
        ({"y_val": np.where(np.arange(20) == 7, -1, 0)}, "y_val: class index -1 in row 7"),
        ({"y_val": np.linspace(0, 1, 20)}, "y_val: class index 0.05"),
        (
            {"y_train": np.zeros((70, 2))},
            r"y_train \(70, 2\); it must be class indices \(N,\) or probabilities \(N, 3\)",
        ),
        ({"y_train": Y[:70, None]}, r"y_train \(70, 1\)"),
    ],
)
def test_data_that_are_refused(change, words):
    data = {name: value for name, value in (DATA | change).items() if value is not None}
    with pytest.raises(ValueError, match=words):
        Solver(network(), data)


def test_data_of_another_type():
    with pytest.raises(TypeError, match="data is a list; it must be a dictionary with X_train, y_train, X_val, y_val"):
        Solver(network(), [X, Y])
    with pytest.raises(TypeError, match=r"data\['y_val'\] is not numbers"):
        Solver(network(), DATA | {"y_val": ["one"] * 20})


class Bare:
    """A model of arrays alone, as somebody writes it by hand: scores = X W."""

    def __init__(self, wrong=None):
        self.params, self.wrong = {"W": np.zeros((6, 3))}, wrong

    def loss(self, X, y=None):
        rows = X.reshape(len(X), 6)
        scores = rows @ self.params["W"]
        if y is None:
            return scores[0] if self.wrong == "scores" else scores
        p = np.exp(scores - scores.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        loss = -np.log(p[np.arange(len(y)), y]).mean()
        p[np.arange(len(y)), y] -= 1
        gradient = rows.T @ p / len(y)
        return loss, {"V" if self.wrong == "name" else "W": gradient[0] if self.wrong == "shape" else gradient}


def test_a_model_of_arrays_alone_is_solved():
    run = solver(Bare(), optim_config={"learning_rate": 0.2}, num_epochs=30)
    run.model.params["W"] = np.asfortranarray(run.model.params["W"])
    run.step()
    assert run.model.params["W"].flags.c_contiguous, "in the order in which it would come back from a file"
    run.train()
    assert run.loss_history[0] == pytest.approx(math.log(3)) and np.mean(run.loss_history[-6:]) < 0.8 * math.log(3)


def test_models_that_are_refused():
    for model in (None, Networks, lambda X: X):
        with pytest.raises(TypeError, match="it needs params, a dictionary of arrays that is not empty, and loss"):
            Solver(model, DATA)
    net = network()
    for wrong, words in (([1.0], "a list"), (np.arange(3), "an array of int64")):
        net.params["b1"] = wrong
        with pytest.raises(TypeError, match=rf"params\['b1'\] is {words}; it must be an array of float32 or float64"):
            Solver(net, DATA)
    with pytest.raises(ValueError, match=r"scores for one sample have shape \(3,\); they must be \(1, classes\)"):
        Solver(Bare("scores"), DATA)
    with pytest.raises(ValueError, match="W is .* in params, missing in the gradients; V is missing in params"):
        solver(Bare("name")).step()
    with pytest.raises(ValueError, match=r"W is \(6, 3\) in params, \(3,\) in the gradients"):
        solver(Bare("shape")).step()


def imported(folder):
    """What `import tinytorch.solver` in a process of its own loads, and what it says, with the package in `folder`."""
    command = [sys.executable, "-c", "import sys, tinytorch.solver; print(*sys.modules)"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    return set(done.stdout.split()), done.stderr


def test_importing_loads_no_more_than_it_needs(tmp_path):
    root = Path(tinytorch.__file__).resolve().parent.parent
    loaded, _ = imported(root)
    assert "tinytorch.solver" in loaded and not {"tqdm", "matplotlib", "safetensors", "torch"} & loaded
    lay(Course(root), tmp_path)
    assert "NotBuiltError: tinytorch.core.activations is module 02, not built yet" in imported(tmp_path)[1]


def test_the_solver_draws_from_nothing_but_its_generators():
    state = np.random.get_state()[1].copy()
    before = default_generator.bit_generator.state
    solver(network()).train()
    assert default_generator.bit_generator.state == before
    np.testing.assert_array_equal(np.random.get_state()[1], state)
