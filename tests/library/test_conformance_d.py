"""The solver: one test for each promise, in the order in which they are promised. The thorough ones: test_solver.py."""

import importlib
import inspect
import math
import pickle
from pathlib import Path

import numpy as np
import pytest

import tinytorch
from tinytorch import checkpoint
from tinytorch.core import optimizers
from tinytorch.core.activations import ReLU
from tinytorch.core.autograd import numeric_gradient
from tinytorch.core.layers import Dropout, Flatten, Linear, Sequential
from tinytorch.core.losses import cross_entropy_loss
from tinytorch.datasets import load_digits
from tinytorch.optim import functional
from tinytorch.random import manual_seed
from tinytorch.solver import ModuleAdapter, Networks, Solver

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 2, 3)).astype(np.float32)
Y = (X[:, 0, 0] > 0).astype(np.int64) + (X[:, 1, 0] > 0)
DATA = {"X_train": X[:100], "y_train": Y[:100], "X_val": X[100:], "y_val": Y[100:]}
RULES = ("sgd", "sgd_momentum", "rmsprop", "adam")
NETWORKS = {
    **{"input_dim": inspect.Parameter.empty, "hidden_dim": inspect.Parameter.empty},
    **{"num_classes": inspect.Parameter.empty, "weight_scale": 1e-3, "reg": 0.0, "dtype": np.float32, "rng": None},
    **{"normalization": None, "dropout": 0.0},
}
SOLVER = {
    **{"model": inspect.Parameter.empty, "data": inspect.Parameter.empty, "update_rule": "sgd", "optim_config": {}},
    **{"lr_decay": 1.0, "batch_size": 100, "num_epochs": 10, "num_train_samples": 1000, "num_val_samples": None},
    **{"checkpoint_name": None, "print_every": 10, "verbose": True, "rng": None},
}


def network(hidden=(5, 4), scale=0.3, seed=0, **options):
    return Networks(6, list(hidden), 3, scale, rng=np.random.default_rng(seed), **options)


def solver(model=None, seed=1, **options):
    settings = {"batch_size": 25, "num_epochs": 2, "verbose": False, "rng": np.random.default_rng(seed)}
    return Solver(network() if model is None else model, DATA, **settings | options)


def trained(*arguments, **options):
    run = solver(*arguments, **options)
    run.train()
    return run


def defaults(function):
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {p.name: p.default for p in inspect.signature(function).parameters.values() if p.kind not in kinds}


class Watched(Networks):
    """Keeps the rows it was asked for: `batches` to train, `asked` to score."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.batches, self.asked = [], []

    def loss(self, X, y=None):
        (self.asked if y is None else self.batches).append(X[:, 0, 0])
        return super().loss(X, y)


def watched():
    return Watched(6, 5, 3, 0.3, rng=np.random.default_rng(0))


# --- Networks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Networks", "Solver"])
def test_the_names_can_be_imported_from_tinytorch_solver(name):
    module = importlib.import_module("tinytorch.solver")
    assert getattr(module, name).__module__ == "tinytorch.solver" and name in module.__all__


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_takes_these_arguments_with_these_defaults(name):
    assert list(defaults(Networks)) == list(NETWORKS)
    assert defaults(Networks)[name] is NETWORKS[name] or defaults(Networks)[name] == NETWORKS[name]


@pytest.mark.parametrize(
    ("hidden", "shapes"),
    [(5, [(6, 5), (5, 3)]), ([5], [(6, 5), (5, 3)]), ([5, 4, 7], [(6, 5), (5, 4), (4, 7), (7, 3)]), ([], [(6, 3)])],
    ids=str,
)
def test_hidden_dim_is_an_int_or_a_list(hidden, shapes):
    params = Networks(6, hidden, 3).params
    assert list(params) == [f"{kind}{i}" for i in range(1, len(shapes) + 1) for kind in "Wb"]
    for i, shape in enumerate(shapes, 1):
        assert params[f"W{i}"].shape == shape and params[f"b{i}"].shape == shape[1:]


def test_params_is_a_dictionary_of_arrays():
    params = network().params
    assert type(params) is dict and all(type(w) is np.ndarray for w in params.values())


def test_loss_without_labels_gives_the_scores():
    net = network()
    h = X.reshape(-1, 6).astype(np.float64)
    for i in (1, 2):
        h = np.maximum(h @ net.params[f"W{i}"] + net.params[f"b{i}"], 0)
    scores = net.loss(X)
    assert type(scores) is np.ndarray and scores.shape == (150, 3)
    np.testing.assert_allclose(scores, h @ net.params["W3"] + net.params["b3"], rtol=0, atol=1e-6)


def test_loss_with_labels_gives_the_loss_and_the_gradients():
    net = network(dtype=np.float64)
    for i in (1, 2, 3):
        net.params[f"b{i}"] += 0.1  # with zeros, a sample whose units are all off sits on the kink of the next ReLU
    loss, grads = net.loss(X, Y)
    assert type(loss) is float and loss == pytest.approx(cross_entropy_loss(net.loss(X), Y), rel=1e-12)
    assert type(grads) is dict and grads.keys() == net.params.keys()
    for name, w in net.params.items():
        assert type(grads[name]) is np.ndarray
        slopes = numeric_gradient(lambda _: net.loss(X, Y)[0], w)
        np.testing.assert_allclose(grads[name], slopes, rtol=1e-6, atol=1e-8, err_msg=name)


def test_inputs_are_flattened():
    net = network()
    for shape in ((150, 6), (150, 3, 2), (150, 1, 6, 1)):
        np.testing.assert_array_equal(net.loss(X.reshape(shape)), net.loss(X))


@pytest.mark.parametrize("scale", [1e-3, 0.5])
def test_weights_are_gaussian_and_biases_zero(scale):
    params = Networks(200, [150], 10, weight_scale=scale, rng=np.random.default_rng(0)).params
    w = params["W1"].ravel() / scale
    for limit, share in ((1, 0.6827), (2, 0.9545)):
        assert np.mean(np.abs(w) < limit) == pytest.approx(share, abs=0.01)
    assert w.mean() == pytest.approx(0, abs=0.03) and not params["b1"].any() and not params["b2"].any()


def test_the_default_scale_is_a_thousandth():
    assert Networks(200, [150], 10, rng=np.random.default_rng(0)).params["W1"].std() == pytest.approx(1e-3, rel=0.03)


def test_the_penalty_is_half_reg_times_the_squares_of_the_weights():
    plain, penalised = network(dtype=np.float64), network(dtype=np.float64, reg=0.8)
    for net in (plain, penalised):
        net.params["b1"] += 3.0
    squares = sum((w**2).sum() for name, w in plain.params.items() if name.startswith("W"))
    (loss, grads), (other, theirs) = plain.loss(X, Y), penalised.loss(X, Y)
    assert other - loss == pytest.approx(0.5 * 0.8 * squares, rel=1e-10)
    for name, w in plain.params.items():
        np.testing.assert_allclose(theirs[name] - grads[name], 0.8 * w * name.startswith("W"), atol=1e-12)
    np.testing.assert_array_equal(plain.loss(X), penalised.loss(X))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_everything_has_the_dtype(dtype):
    run = trained(network(dtype=dtype), update_rule="adam")
    assert {w.dtype for w in run.model.params.values()} == {np.dtype(dtype)}
    assert run.model.loss(X).dtype == dtype and {g.dtype for g in run.model.loss(X, Y)[1].values()} == {np.dtype(dtype)}


@pytest.mark.parametrize("make", [lambda: Networks(6, 5, 3).params["W1"], lambda: solver(rng=None).rng.random(5)])
def test_rng_none_means_the_default_generator(make):
    manual_seed(7)
    first, other = make(), make()
    manual_seed(7)
    np.testing.assert_array_equal(make(), first)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("scale", "starts"), [(1e-3, False), (5e-2, True)])
def test_a_thousandth_does_not_start_in_three_layers(scale, starts):
    """Because each layer shrinks what goes through it, forward and back: W1 gets next to no gradient."""
    images, labels = load_digits()
    data = {"X_train": images[:600] / 16, "y_train": labels[:600], "X_val": images[600:] / 16, "y_val": labels[600:]}
    net = Networks(64, [64, 64], 10, weight_scale=scale, rng=np.random.default_rng(0))
    gradient = float(np.abs(net.loss(data["X_train"], data["y_train"])[1]["W1"]).max())
    run = Solver(net, data, "sgd", {"learning_rate": 0.2}, batch_size=30, verbose=False, rng=np.random.default_rng(1))
    run.train()
    assert (run.best_val_acc > 0.7) is starts and (run.best_val_acc > 0.25) is starts
    assert (gradient > 1e-3) is starts and (gradient > 1e-5) is starts


# --- Solver ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SOLVER)
def test_solver_takes_these_arguments_with_these_defaults(name):
    assert list(defaults(Solver)) == list(SOLVER)
    assert defaults(Solver)[name] is SOLVER[name] or defaults(Solver)[name] == SOLVER[name]
    assert type(defaults(Solver)[name]) is type(SOLVER[name])


def test_the_optional_arguments_can_be_given_by_position():
    given = (network(), DATA, "adam", {"learning_rate": 0.01}, 0.9, 7, 3, 20, 15, None, 5, False)
    run = Solver(*given, np.random.default_rng(0))
    assert (run.update_rule, run.lr_decay, run.batch_size, run.num_epochs) == ("adam", 0.9, 7, 3)
    assert (run.num_train_samples, run.num_val_samples, run.print_every, run.verbose) == (20, 15, 5, False)


def test_an_unknown_keyword_is_a_value_error_that_names_it():
    with pytest.raises(ValueError, match="learning_rat"):
        solver(learning_rat=0.1)


@pytest.mark.parametrize("rule", ["newton", "SGD", ""])
def test_an_unknown_rule_is_a_value_error_that_names_it_and_lists_the_known(rule):
    with pytest.raises(ValueError) as caught:
        solver(update_rule=rule)
    assert all(repr(rule) in str(caught.value) and known in str(caught.value) for known in RULES)


def test_an_unknown_option_of_a_rule_is_a_value_error_that_names_it():
    with pytest.raises(ValueError, match="beta3.*known are.*beta1"):
        solver(update_rule="adam", optim_config={"beta3": 0.9})


@pytest.mark.parametrize("missing", DATA)
def test_missing_data_is_a_value_error_that_names_it(missing):
    with pytest.raises(ValueError, match=f"lacks {missing}"):
        Solver(network(), {name: part for name, part in DATA.items() if name != missing})


@pytest.mark.parametrize("rule", RULES)
def test_the_rules_are_those_of_optim_functional(rule):
    run, config = solver(update_rule=rule), {"W1": None, "b3": None}
    for _ in range(3):
        before, rows = {name: w.copy() for name, w in run.model.params.items()}, RNG.integers(100, size=10)
        grads = run.model.loss(X[rows], Y[rows])[1]
        run.step(rows)
        for name in config:
            expected, config[name] = getattr(functional, rule)(before[name], grads[name], config[name])
            np.testing.assert_array_equal(run.model.params[name], expected)
    assert functional.__all__ == list(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_train_trains(rule):
    rate = {"sgd": 0.2, "sgd_momentum": 0.05}.get(rule, 0.01)
    run = trained(update_rule=rule, optim_config={"learning_rate": rate}, num_epochs=40)
    assert np.mean(run.loss_history[-4:]) < 0.6 * run.loss_history[0] and run.best_val_acc >= 0.7


def test_check_accuracy_takes_these_arguments():
    expected = {"X": inspect.Parameter.empty, "y": inspect.Parameter.empty, "num_samples": None, "batch_size": 100}
    assert defaults(solver().check_accuracy) == expected


@pytest.mark.parametrize("size", [1, 7, 100])
def test_check_accuracy_is_the_share_of_right_classes(size):
    run = solver()
    got = run.check_accuracy(X, Y, batch_size=size)
    assert type(got) is float and got == pytest.approx(np.mean(run.model.loss(X).argmax(1) == Y))


def test_check_accuracy_measures_num_samples_in_batches():
    run = solver(watched())
    run.model.asked.clear()
    run.check_accuracy(X, Y, num_samples=25, batch_size=10)
    assert [len(rows) for rows in run.model.asked] == [10, 10, 5]
    assert len(set(np.concatenate(run.model.asked))) == 25


@pytest.mark.parametrize(("counts", "sizes"), [((7, 5), [7, 5]), ((None, None), [100, 50]), ((1000, 50), [100, 50])])
def test_accuracies_are_measured_on_so_many_samples(counts, sizes):
    run = solver(watched(), num_epochs=1, num_train_samples=counts[0], num_val_samples=counts[1])
    run.model.asked.clear()
    run.train()
    assert [len(rows) for rows in run.model.asked] == 2 * sizes


def test_batches_are_drawn_with_replacement():
    run = trained(watched(), batch_size=80, num_epochs=8)
    assert {len(batch) for batch in run.model.batches} == {80}
    assert all(len(set(batch)) < 80 for batch in run.model.batches)


def test_batches_depend_on_the_generator_alone():
    runs = [trained(seed=3), trained(seed=3, num_train_samples=3, num_val_samples=4, print_every=1), trained(seed=4)]
    assert runs[0].loss_history == runs[1].loss_history != runs[2].loss_history


@pytest.mark.parametrize("size", [10, 30, 100, 400])
def test_an_epoch_has_n_over_batch_size_iterations_at_least_one(size):
    assert len(trained(batch_size=size, num_epochs=3).loss_history) == 3 * max(100 // size, 1)


@pytest.mark.parametrize("epochs", [0, 1, 2, 5])
@pytest.mark.parametrize("part", ["train", "val"])
def test_accuracy_histories_have_num_epochs_and_one_entries(part, epochs):
    history = getattr(trained(num_epochs=epochs), f"{part}_acc_history")
    assert len(history) == epochs + 1 and all(type(x) is float and 0 <= x <= 1 for x in history)


def test_the_first_accuracy_is_that_after_the_first_iteration():
    run, twin = trained(num_epochs=1), solver()
    twin.step()
    assert run.val_acc_history[0] == twin.check_accuracy(DATA["X_val"], DATA["y_val"])
    assert run.train_acc_history[0] == twin.check_accuracy(DATA["X_train"], DATA["y_train"])


def test_loss_history_has_the_loss_of_each_batch_before_its_update():
    run, twin = trained(watched()), watched()
    assert run.loss_history[0] == twin.loss(*_batch(run.model.batches[0]))[0]


def _batch(firsts):
    rows = [int(np.flatnonzero(X[:, 0, 0] == x)[0]) for x in firsts]
    return X[rows], Y[rows]


def test_best_val_acc_is_the_highest():
    run = trained(num_epochs=6)
    assert run.best_val_acc == max(run.val_acc_history)


def test_best_params_are_put_back_at_the_end():
    run = trained(num_epochs=25, optim_config={"learning_rate": 0.2})
    run.optim_configs = {name: {"learning_rate": 1e5} for name in run.optim_configs}
    run.num_epochs += 1
    run.train()
    assert run.val_acc_history[-1] < run.best_val_acc
    assert run.check_accuracy(DATA["X_val"], DATA["y_val"]) == run.best_val_acc
    for name, w in run.best_params.items():
        np.testing.assert_array_equal(run.model.params[name], w)
        assert not np.shares_memory(run.model.params[name], w)


@pytest.mark.parametrize("epochs", [None, 0, 1])
def test_best_params_are_never_empty(epochs):
    run = solver() if epochs is None else trained(num_epochs=epochs)
    assert {name: w.shape for name, w in run.best_params.items()} == {n: w.shape for n, w in network().params.items()}


def test_best_params_are_never_empty_where_an_accuracy_is_nan():
    data = DATA | {"X_val": np.full_like(DATA["X_val"], np.nan)}
    run = Solver(network(), data, verbose=False, num_epochs=1)
    with pytest.warns(RuntimeWarning, match="nan"):
        run.train()
    assert np.isnan(run.val_acc_history).all() and run.best_params.keys() == network().params.keys()
    assert not np.array_equal(run.best_params["W1"], network().params["W1"]), "the trained ones"


def test_each_parameter_has_its_own_copy_of_the_config():
    given = {"learning_rate": 0.1, "momentum": 0.5}
    run = trained(update_rule="sgd_momentum", optim_config=given)
    assert given == {"learning_rate": 0.1, "momentum": 0.5}
    assert len({id(config) for config in run.optim_configs.values()}) == len(run.model.params)
    assert all(run.optim_configs[name]["velocity"].shape == w.shape for name, w in run.model.params.items())


@pytest.mark.parametrize("config", [{}, {"learning_rate": 0.1}], ids=str)
def test_the_rate_decays_after_each_epoch_in_every_config(config):
    run = trained(lr_decay=0.5, num_epochs=3, optim_config=config)
    rate = config.get("learning_rate", 1e-2)
    assert [c["learning_rate"] for c in run.optim_configs.values()] == pytest.approx(6 * [rate / 8])


def test_checkpoints_are_files_of_this_name_and_not_pickled(tmp_path):
    trained(checkpoint_name=tmp_path / "digits", num_epochs=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"digits_epoch_{k}" for k in (1, 2, 3)]
    for path in tmp_path.iterdir():
        assert "params.W1" in checkpoint.load(path)[0]
        with pytest.raises(pickle.UnpicklingError):
            pickle.loads(path.read_bytes())


def test_no_checkpoint_without_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trained()
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_resumes_bit_for_bit(tmp_path):
    options = {"update_rule": "adam", "num_epochs": 4}
    straight = trained(checkpoint_name=tmp_path / "run", **options)
    resumed = solver(network(seed=8), seed=9, **options)
    resumed.load_checkpoint(tmp_path / "run_epoch_2")
    resumed.train()
    assert resumed.loss_history == straight.loss_history and resumed.val_acc_history == straight.val_acc_history
    for name, w in straight.model.params.items():
        np.testing.assert_array_equal(resumed.model.params[name], w, strict=True)


def test_a_damaged_checkpoint_is_an_error_that_names_the_file(tmp_path):
    trained(checkpoint_name=tmp_path / "run", num_epochs=1)
    (tmp_path / "run_epoch_1").write_bytes((tmp_path / "run_epoch_1").read_bytes()[:-1])
    with pytest.raises(ValueError, match="run_epoch_1"):
        solver().load_checkpoint(tmp_path / "run_epoch_1")


def test_verbose_prints_an_iteration_in_print_every_and_each_epoch(capsys):
    trained(verbose=True, print_every=3)
    lines = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()]
    iterations = [f"iteration {k}/8" for k in (1, 4, 7)]
    assert lines == [iterations[0], "epoch 0/2", iterations[1], "epoch 1/2", iterations[2], "epoch 2/2"]
    trained(verbose=False)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("wrap", [ModuleAdapter, lambda module: module], ids=["adapter", "module"])
@pytest.mark.parametrize("rule", RULES)
def test_any_module_is_solved(rule, wrap):
    rng = np.random.default_rng(0)
    module = Sequential(Flatten(), Linear(6, 8, rng=rng), ReLU(), Dropout(0.1, rng))
    module.append(Linear(8, 3, rng=rng))
    rate = {"sgd": 0.2, "sgd_momentum": 0.05}.get(rule, 0.01)
    run = trained(wrap(module), update_rule=rule, optim_config={"learning_rate": rate}, num_epochs=30)
    module.eval()
    scores = module(tinytorch.Tensor(DATA["X_val"])).data
    assert np.mean(scores.argmax(1) == DATA["y_val"]) == run.best_val_acc >= 0.7
    for name, p in module.named_parameters():
        np.testing.assert_array_equal(p.data, run.best_params[name])


def test_numpys_global_state_is_never_touched():
    before = np.random.get_state()[1].copy()
    trained(Networks(6, 5, 3), rng=None, num_train_samples=5)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


# --- the two pictures of module 06 -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures():
    """What the cells of module 06 draw and compute that belong to the valley and to the saddle: names and figures."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    path = Path(tinytorch.__file__).parent.parent / "modules" / "06_optimizers" / "optimizers_dev.py"
    cells = path.read_text(encoding="utf-8").split("\n# %%")
    wanted = ("VALLEY = np", "def draw_paths(", "ways = {\n", "def saddle_slope(", 'title="the cross marks the saddle"')
    names, figures = {"math": math, "np": np, "plt": plt, "sgd_rule": optimizers.sgd_rule}, {}
    for mark in wanted:
        (cell,) = [cell for cell in cells if mark in cell]
        plt.close("all")
        exec(cell.partition("\n")[2], names)
        figures[mark] = [plt.figure(number) for number in plt.get_fignums()]
    yield names, figures
    plt.close("all")


def test_module_06_draws_the_ways_of_the_rules_on_a_valley(pictures):
    names, figures = pictures
    (figure,) = figures["ways = {\n"]
    drawn = {line.get_label(): line.get_xydata() for line in figure.axes[0].lines}
    assert len(names["ways"]) == 3 and figure.axes[0].collections, "level lines"
    for name, way in names["ways"].items():
        np.testing.assert_array_equal(drawn[name], way)
    ends = [float(names["height"](way[-1])) for way in names["ways"].values()]
    assert ends[0] > 10 * max(ends[1:]), "momentum is far below plain descent"


def test_module_06_draws_a_saddle_that_momentum_leaves_and_plain_descent_does_not(pictures):
    names, figures = pictures
    (figure,) = figures['title="the cross marks the saddle"']
    plain, ball = names["plain_way"], names["ball"]
    assert (plain[:, 1] > 0).all() and abs(plain[-1]).max() < 0.1, "it stays above and comes to a stop"
    assert ball[-1] == pytest.approx([0, -1], abs=0.02), "it passes and reaches the bottom"
    drawn = [line.get_xydata() for line in figure.axes[0].lines]
    for way in (plain, ball):
        assert any(np.array_equal(way, line) for line in drawn)
