"""Training in the style of parameter dictionaries: a model computes a loss and gradients by name, a Solver moves them.

A model here is anything with `params`, a dictionary of floating arrays, and `loss`: `loss(X)` gives the scores (N, C),
`loss(X, y)` a number and the gradients, a dictionary of the same names. `Networks` is one; `ModuleAdapter` makes one
from any Module. A model may also have `buffers`, arrays by name that belong to it and are not trained.
"""

import contextlib
import copy
import inspect
import math
import os
import sys
import warnings
from collections.abc import Mapping
from itertools import pairwise
from numbers import Real

import numpy as np

from tinytorch.checkpoint import load as load_file
from tinytorch.checkpoint import require_place
from tinytorch.checkpoint import save as save_file
from tinytorch.core.activations import relu
from tinytorch.core.autograd import no_grad
from tinytorch.core.layers import Dropout, Module, linear
from tinytorch.core.losses import class_indices, cross_entropy
from tinytorch.core.metrics import Accuracy, extract_numpy_data, get_tensor_value
from tinytorch.core.optimizers import check_options
from tinytorch.core.tensor import Tensor
from tinytorch.core.training import (
    Progress,
    call,
    environment,
    freeze,
    generators_of,
    pack,
    thaw,
    unpack,
    warn_of_another_machine,
    whole,
)
from tinytorch.optim import functional
from tinytorch.random import chosen_generator

__all__ = ["ModuleAdapter", "Networks", "Solver"]

_PARTS = ("X_train", "y_train", "X_val", "y_val")
_NORMALIZATIONS = {None: None, "batch": "batch", "batchnorm": "batch", "layer": "layer", "layernorm": "layer"}


def _not_negative(name, value):
    """`value` as a float. Raises: ValueError that begins with `name` unless it is a finite number, at least 0."""
    if not isinstance(value, Real) or not 0 <= value < math.inf:
        raise ValueError(f"{name} is {value!r:.60}; it must be a finite number, at least 0")
    return float(value)


# --- models ----------------------------------------------------------------------------------------------------------


def _with_gradients(loss, weights, reg):
    """(loss, name -> gradient), a float and arrays; zeros for what the loss does not depend on.

    loss: Tensor of one number; weights: name -> Tensor. What has more than one dimension is penalised: 0.5 * reg times
        the sum of its squares is added to the loss.
    """
    if reg:
        loss = loss + 0.5 * float(reg) * sum((w * w).sum() for w in weights.values() if w.ndim > 1)
    loss.backward()
    gradients = {name: np.zeros_like(w.data) if w.grad is None else w.grad.data for name, w in weights.items()}
    return loss.item(), gradients


def _known_normalization(name):
    """ "batch", "layer" or None. Raises: ValueError that lists the known ones."""
    if name not in _NORMALIZATIONS:
        raise ValueError(f"Networks: normalization is {name!r:.60}; it is None, 'batch' or 'layer'")
    if _NORMALIZATIONS[name] is not None:
        import tinytorch.core.spatial  # noqa: F401  module 09 may not be built, and is not needed otherwise
    return _NORMALIZATIONS[name]


class Networks:
    """A classifier of affine layers with a ReLU after each but the last: scores = relu(... relu(X W1 + b1)) WL + bL.

    hidden_dim: units of the hidden layer, or a list with those of each; an empty list leaves one affine layer.
    weight_scale: standard deviation of the first weights, drawn from a normal distribution. Biases start at 0.
    reg: strength of the penalty 0.5 * reg * sum(W**2), over all weights and no bias.
    dtype: np.float32 or np.float64, of the parameters and of all that is computed.
    rng: where the first weights come from, and what is dropped; without it tinytorch's default generator.
    normalization: "batch" or "layer", between each hidden layer and its ReLU, or None.
    dropout: the probability with which each value after a ReLU is dropped while training.

    params: name -> array: W1 (input_dim, hidden), b1 (hidden,), ..., WL (hidden, num_classes), bL (num_classes,).
        W is (in, out), and the weight of a `Linear` is (out, in). With normalization also scale and shift of each
        hidden layer, gamma1 (hidden,), beta1 (hidden,), ...
    buffers: name -> array: running_mean1, running_var1, ..., the running values of batch normalization.
    """

    def __init__(
        self,
        input_dim,
        hidden_dim,
        num_classes,
        weight_scale=1e-3,
        reg=0.0,
        dtype=np.float32,
        rng=None,
        normalization=None,
        dropout=0.0,
    ):
        hidden = list(hidden_dim) if hasattr(hidden_dim, "__iter__") else [hidden_dim]
        named = [("input_dim", input_dim), *(("hidden_dim", size) for size in hidden), ("num_classes", num_classes)]
        sizes = [whole(f"Networks: {name}", size, 1) for name, size in named]
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise ValueError(f"Networks: dtype is {np.dtype(dtype)}; it must be float32 or float64")
        scale, rng = _not_negative("Networks: weight_scale", weight_scale), chosen_generator("Networks", rng)
        self.input_dim, self.num_layers, self.dtype = sizes[0], len(sizes) - 1, np.dtype(dtype)
        self.reg, self.rng, self.params, self.buffers = _not_negative("Networks: reg", reg), rng, {}, {}
        self.normalization, self._dropout = _known_normalization(normalization), Dropout(dropout, rng)
        for i, shape in enumerate(pairwise(sizes), 1):
            self.params[f"W{i}"] = (scale * rng.normal(size=shape)).astype(self.dtype)
            self.params[f"b{i}"] = np.zeros(shape[1], self.dtype)
        for i, size in enumerate(sizes[1:-1] if self.normalization else (), 1):
            ones, zeros = np.ones(size, self.dtype), np.zeros(size, self.dtype)
            self.params |= {f"gamma{i}": ones, f"beta{i}": zeros}
            if self.normalization == "batch":
                self.buffers |= {f"running_mean{i}": zeros.copy(), f"running_var{i}": ones.copy()}

    def loss(self, X, y=None):
        """Without `y` the scores, an array (N, num_classes); else the loss, a float, and name -> gradient array.

        X: (N, ...), flattened to (N, input_dim). y: class indices (N,), or probabilities (N, num_classes).
        The loss is the mean cross-entropy plus the penalty. With `y` the network is being trained: values are dropped,
        and batch normalization goes by the batch; without, it is in use.
        """
        weights = {name: self._weight(w, requires_grad=y is not None) for name, w in self.params.items()}
        scores = self._scores(self._rows(X), weights, training=y is not None)
        if y is None:
            return scores.data
        loss, gradients = _with_gradients(cross_entropy(scores, y), weights, self.reg)
        return loss, {name: g.T for name, g in gradients.items()}

    def _weight(self, w, requires_grad):
        """`w` as a Tensor (out, in), as `linear` takes it; in one order of memory, so that the last bits never vary."""
        return Tensor(np.ascontiguousarray(w.T), requires_grad, self.dtype)

    def _rows(self, X):
        """`X` as a Tensor (N, input_dim)."""
        x = extract_numpy_data(X)
        features = math.prod(x.shape[1:])
        if x.ndim < 2 or features != self.input_dim:
            raise ValueError(
                f"Networks: X {x.shape} has {features if x.ndim > 1 else 'no'} features a sample, and input_dim is "
                f"{self.input_dim}; X is (N, ...), for one sample try X[None]"
            )
        return Tensor(x.reshape(len(x), features), dtype=self.dtype)

    def _scores(self, x, weights, training):
        for i in range(1, self.num_layers):
            x = linear(x, weights[f"W{i}"], weights[f"b{i}"])
            x = self._dropped(relu(self._normalised(i, x, weights, training)), training)
        return linear(x, weights[f"W{self.num_layers}"], weights[f"b{self.num_layers}"])

    def _normalised(self, i, x, weights, training):
        """The values of hidden layer `i` before the ReLU."""
        if self.normalization is None:
            return x
        from tinytorch.core.spatial import batch_norm, layer_norm

        scale, shift = weights[f"gamma{i}"], weights[f"beta{i}"]
        if self.normalization == "layer":
            return layer_norm(x, x.shape[1], scale, shift)
        names = f"running_mean{i}", f"running_var{i}"
        running = [Tensor(self.buffers[name], dtype=self.dtype) for name in names]
        y = batch_norm(x, *running, scale, shift, training)
        self.buffers |= {name: tensor.data for name, tensor in zip(names, running)}
        return y

    def _dropped(self, x, training):
        self._dropout.training = training
        return self._dropout(x)


class _Arrays(Mapping):
    """Name -> array of Tensors. Assigning writes into the same memory; names are neither added nor removed."""

    def __init__(self, tensors):
        self._tensors = dict(tensors)

    def __getitem__(self, name):
        return self._tensors[name].data

    def __setitem__(self, name, values):
        tensor = self._tensors[name]
        if np.shape(values) != tensor.shape:
            raise ValueError(f"{name} has shape {tensor.shape}, and was given {np.shape(values)}")
        tensor.detach()[...] = values

    def __iter__(self):
        return iter(self._tensors)

    def __len__(self):
        return len(self._tensors)

    def __repr__(self):
        return f"{{{', '.join(f'{name}: {array.dtype} {array.shape}' for name, array in self.items())}}}"


@contextlib.contextmanager
def _mode(module, training):
    """While it is open, `module` is being trained or not; afterwards each part is as it was before."""
    before = [(part, part.training) for part in module.modules()]
    if not (training and module.training):  # a layer that was frozen alone, by its own eval(), stays frozen
        module.train(training)
    try:
        yield
    finally:
        for part, mode in before:
            part.training = mode


class ModuleAdapter:
    """A Module in the form that a Solver takes: `params` looks into its Parameters, and writes into them.

    loss_fn: called with (scores, y), gives a Tensor of one number.
    reg: strength of the penalty 0.5 * reg * sum(W**2) over all Parameters with more than one dimension.
    With `y`, `loss` runs the module as it is trained (dropout drops), without as it is used; the modes of before are
    restored. Parameters that require no gradient are left alone.
    Raises: TypeError for what is no Module; ValueError for one in which there is nothing to train.
    """

    def __init__(self, module, loss_fn=cross_entropy, reg=0.0):
        if not isinstance(module, Module):
            raise TypeError(f"ModuleAdapter: {module!r:.60} is a {type(module).__name__}, and not a Module")
        self.module, self.loss_fn, self.reg = module, loss_fn, _not_negative("ModuleAdapter: reg", reg)
        self._weights = {name: p for name, p in module.named_parameters() if p.requires_grad}
        if not self._weights:
            raise ValueError(f"ModuleAdapter: a {type(module).__name__} without a Parameter that requires a gradient")
        self.params = _Arrays(self._weights)

    @property
    def buffers(self):
        """Name -> array of the module's buffers, such as running means."""
        return _Arrays(self.module.named_buffers())

    def modules(self):
        """The Module and all below it."""
        return self.module.modules()

    def loss(self, X, y=None):
        """Without `y` the scores, an array; else the loss, a float, and name -> gradient array."""
        if y is None:
            with _mode(self.module, training=False), no_grad():
                return self.module(self._inputs(X)).data
        self.module.zero_grad()
        with _mode(self.module, training=True):
            loss = call(self.loss_fn, self.module(self._inputs(X)), y)
        result = _with_gradients(loss, self._weights, self.reg)
        self.module.zero_grad()
        return result

    def _inputs(self, X):
        """`X` as a Tensor; floating numbers get the type of the Parameters, whole ones keep theirs."""
        x = extract_numpy_data(X)
        return Tensor(x, dtype=next(iter(self._weights.values())).dtype if x.dtype.kind == "f" else None)


# --- what a Solver is given ------------------------------------------------------------------------------------------


def _as_model(model):
    """`model`, or its adapter for a Module. Raises: TypeError unless it has what a Solver needs."""
    if isinstance(model, Module) and not hasattr(model, "params"):
        return ModuleAdapter(model)
    params = getattr(model, "params", None)
    if not callable(getattr(model, "loss", None)) or not isinstance(params, Mapping) or not params:
        raise TypeError(
            f"Solver: model is {model!r:.60}; it needs params, a dictionary of arrays that is not empty, and "
            "loss(X, y=None); Networks has both, and any Module is taken as well"
        )
    for name, w in params.items():
        if not isinstance(w, np.ndarray) or w.dtype.char not in "fd":
            kind = f"an array of {w.dtype}" if isinstance(w, np.ndarray) else f"a {type(w).__name__}"
            raise TypeError(f"Solver: params[{name!r}] is {kind}; it must be an array of float32 or float64")
    return model


def _known_rule(name):
    """The update rule called `name`. Raises: ValueError that lists the known ones."""
    if not isinstance(name, str) or name not in functional.__all__:
        raise ValueError(f"Solver: unknown update_rule {name!r:.60}; known are {', '.join(functional.__all__)}")
    return getattr(functional, name)


def _array_of(data, name):
    try:
        return extract_numpy_data(data[name])
    except TypeError as error:
        raise TypeError(f"Solver: data[{name!r}] is not numbers: {error}") from error


def _checked_data(data):
    """The four arrays of `data`. Raises: TypeError or ValueError for what is missing or does not fit together."""
    if not isinstance(data, Mapping):
        raise TypeError(f"Solver: data is a {type(data).__name__}; it must be a dictionary with {', '.join(_PARTS)}")
    missing = [name for name in _PARTS if name not in data]
    if missing:
        raise ValueError(f"Solver: data lacks {', '.join(missing)}; it has {', '.join(map(str, data)) or 'nothing'}")
    arrays = {name: _array_of(data, name) for name in _PARTS}
    for part in ("train", "val"):
        _require_pairs(arrays[f"X_{part}"], arrays[f"y_{part}"], f"Solver: X_{part} and y_{part}")
    return arrays


def _require_pairs(X, y, names):
    """Raise ValueError unless `X` and `y` have the same number of samples, at least one."""
    counts = [a.shape[0] if a.ndim else "no" for a in (X, y)]
    if counts[0] != counts[1] or counts[0] in (0, "no"):
        raise ValueError(f"{names} have {counts[0]} and {counts[1]} samples; both need the same number, at least 1")


def _scores(model, X):
    """What `model` gives for `X`, an array; whoever asks looks for nan, so overflows are not warned of."""
    with np.errstate(over="ignore", invalid="ignore"):
        return extract_numpy_data(model.loss(X))


def _check_labels(model, data, part):
    """Raise ValueError unless `model` has scores for data["X_" + part], among which each label finds its own."""
    name, y = f"y_{part}", data[f"y_{part}"]
    try:
        scores = _scores(model, data[f"X_{part}"][:1]).shape
    except (TypeError, ValueError) as error:
        raise ValueError(f"Solver: the model has no scores for X_{part}: {error}") from error
    if len(scores) != 2:
        raise ValueError(f"Solver: the model's scores for one sample have shape {scores}; they must be (1, classes)")
    classes = scores[1]
    if y.shape[1:] not in ((), (classes,)):
        raise ValueError(f"Solver: {name} {y.shape}; it must be class indices (N,) or probabilities (N, {classes})")
    if y.ndim == 1 or classes == 1:
        try:
            class_indices(y.ravel(), max(classes, 2))  # one score tells two classes apart
        except ValueError as error:
            raise ValueError(f"Solver: {name}: {error}") from error


def _is_finite(array):
    return bool(np.isfinite(array).all())


def _copies(arrays):
    return {name: np.array(array) for name, array in arrays.items()}


def _kinds(arrays):
    """Name -> type and shape, as text."""
    return {name: f"{np.asarray(array).dtype} {np.shape(array)}" for name, array in arrays.items()}


def _differences(one, other, places=("here", "there"), role=""):
    """Where two dictionaries differ, one line each; `places` says where they are from."""
    names = [name for name in one | other if one.get(name) != other.get(name)]
    ends = [[f"{part.get(name, 'missing')} {where}" for part, where in zip((one, other), places)] for name in names]
    return [f"{role}{name} is {', '.join(end)}" for name, end in zip(names, ends)]


class _Progress(Progress):
    """A bar over the iterations of an epoch where somebody looks, else a line for one in `print_every` of them."""

    def begin(self, solver):
        if self.bar is None:
            self.start(solver.epoch, range(solver.epoch_iteration, solver.iterations_per_epoch))

    def batch(self, solver, loss):
        done, last = len(solver.loss_history), solver.num_epochs * solver.iterations_per_epoch
        if self.bar is not None:
            self.bar.set_postfix({"loss": f"{loss:.4g}"}, refresh=False)
            self.bar.update()
        elif (done - 1) % solver.print_every == 0:
            print(f"iteration {done}/{last}  loss {loss:.4g}")


class Solver:
    """Trains a model on batches drawn at random, and keeps the parameters with the best validation accuracy.

    model: a `Networks`, or what else has `params` and `loss` (see the top of the file); a Module gets an adapter.
    data: dictionary with X_train, y_train, X_val, y_val: (N, ...) and class indices (N,), or probabilities (N, C).
    update_rule: the name of a function of `tinytorch.optim.functional`; optim_config: options for it, of which every
        parameter has its own copy in `optim_configs`.
    lr_decay: factor of all learning rates after every epoch. An epoch has N // batch_size iterations, at least 1.
    num_train_samples, num_val_samples: how many samples the accuracies of the histories are measured on, drawn anew
        each time, without replacement; None: all.
    checkpoint_name: after epoch k everything is saved to the file `{checkpoint_name}_epoch_{k}`.
    print_every, verbose: what is printed, and how often.
    rng: where batches come from, drawn with replacement; without it they come from tinytorch's default generator. The
        constructor draws one number from it, with which `sample_rng` starts: from that the samples of accuracies come.
        So what is trained on does not depend on how often, and on how many samples, an accuracy is measured.

    epoch: completed epochs; epoch_iteration: iterations of the one that runs.
    loss_history: the loss of every iteration. train_acc_history, val_acc_history: num_epochs + 1 accuracies, after the
        first iteration and after each epoch. best_val_acc is the highest of the latter, minus infinity before there is
        one; best_params are copies of the parameters that had it, before that those at the start.
        An accuracy is nan where a score is; as long as all are, the latest parameters count as the best.
    """

    def __init__(
        self,
        model,
        data,
        update_rule="sgd",
        optim_config={},  # noqa: B006  it is copied and never changed
        lr_decay=1.0,
        batch_size=100,
        num_epochs=10,
        num_train_samples=1000,
        num_val_samples=None,
        checkpoint_name=None,
        print_every=10,
        verbose=True,
        rng=None,
        **unknown,
    ):
        if unknown:
            known = [name for name in inspect.signature(Solver).parameters if name not in ("model", "data", "unknown")]
            raise ValueError(f"Solver: unknown keywords {', '.join(unknown)}; known are {', '.join(known)}")
        self.update_rule, self.rule = update_rule, _known_rule(update_rule)
        self.lr_decay = _not_negative("Solver: lr_decay", lr_decay)
        self.batch_size = whole("Solver: batch_size", batch_size, 1)
        self.num_epochs = whole("Solver: num_epochs", num_epochs, 0)
        self.print_every = whole("Solver: print_every", print_every, 1)
        samples = {"num_train_samples": num_train_samples, "num_val_samples": num_val_samples}
        for name, count in samples.items():
            setattr(self, name, None if count is None else whole(f"Solver: {name}", count, 1))
        self.checkpoint_name = None if checkpoint_name is None else os.fspath(checkpoint_name)
        self.verbose = verbose
        self.model, self.data = _as_model(model), _checked_data(data)
        for part in ("train", "val"):
            _check_labels(self.model, self.data, part)
        self.optim_configs = self._fresh_configs(optim_config)
        self.rng = chosen_generator("Solver", rng)
        self.sample_rng = np.random.default_rng(self.rng.integers(2**63))
        self.epoch, self._epoch_start, self._progress = 0, 0, None
        self.loss_history, self.train_acc_history, self.val_acc_history = [], [], []
        self._keep(-math.inf)

    def _fresh_configs(self, optim_config):
        """A copy of `optim_config` for each parameter. Raises: ValueError or TypeError for what the rule cannot use."""
        if not isinstance(optim_config, Mapping | None):
            raise TypeError(f"Solver: optim_config is {optim_config!r:.60}; it must be a dictionary")
        given = dict(optim_config or {})
        try:
            self.rule(np.zeros(0), np.zeros(0), dict.fromkeys(given, 0))  # of no number: only the keys can be wrong
        except ValueError as error:
            raise ValueError(f"Solver: optim_config: {error}") from error
        numbers = {k: v for k, v in given.items() if k == "learning_rate" or (v is not None and np.ndim(v) == 0)}
        check_options("Solver: optim_config", numbers)
        return {name: self._checked_config(name, copy.deepcopy(given)) for name in self.model.params}

    def _checked_config(self, name, config):
        """`config`, if the rule can make a step with it. Raises: ValueError."""
        w = self.model.params[name]
        try:
            with np.errstate(all="ignore"):
                self.rule(w, np.zeros_like(w), config)
        except (ArithmeticError, TypeError, ValueError) as error:
            raise ValueError(f"Solver: optim_config for {name} {w.shape}: {error}") from error
        return config

    # one iteration

    @property
    def iterations_per_epoch(self):
        """How many batches an epoch has."""
        return max(len(self.data["X_train"]) // self.batch_size, 1)

    @property
    def epoch_iteration(self):
        """How many iterations of the epoch that runs are done."""
        return len(self.loss_history) - self._epoch_start

    def step(self, rows=None):
        """One update on one batch, an iteration of the epoch that runs; returns the loss before it, a float.

        rows: which samples of the training data; without them, `batch_size` of them are drawn, with replacement.
        Raises: FloatingPointError where the loss or a gradient is not finite; then no parameter is changed.
        """
        if rows is None:
            rows = self.rng.integers(len(self.data["X_train"]), size=self.batch_size)
        X, y = self.data["X_train"][rows], self.data["y_train"][rows]
        with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is reported, here or in the next step
            loss, gradients = self.model.loss(X, y)
            loss, gradients = get_tensor_value(loss), self._checked_gradients(gradients)
            self._require_finite(loss, gradients, X)
            self._update(gradients)
        self.loss_history.append(loss)
        return loss

    def _update(self, gradients):
        """Move every parameter by the rule."""
        params = self.model.params
        moved = {name: self.rule(w, gradients[name], self.optim_configs[name]) for name, w in params.items()}
        for name, (w, _) in moved.items():  # in C order, as it comes back from a file, so that the bits are the same
            params[name] = np.asarray(w, order="C")
        self.optim_configs = {name: config for name, (_, config) in moved.items()}

    def _checked_gradients(self, gradients):
        """Name -> array. Raises: ValueError unless each parameter has a gradient of its shape."""
        gradients = {name: extract_numpy_data(g) for name, g in gradients.items()}
        shapes = [{name: a.shape for name, a in part.items()} for part in (self.model.params, gradients)]
        problems = _differences(*shapes, places=("in params", "in the gradients"))
        if problems:
            raise ValueError(f"Solver: params and the gradients of loss(X, y) do not fit: {'; '.join(problems)}")
        return gradients

    def _require_finite(self, loss, gradients, X):
        broken = [name for name, g in gradients.items() if not _is_finite(g)]
        if math.isfinite(loss) and not broken:
            return
        what = f"the gradient of {', '.join(broken)} is not finite" if math.isfinite(loss) else f"the loss is {loss}"
        place = f"iteration {len(self.loss_history) + 1}, in epoch {self.epoch + 1}"
        raise FloatingPointError(f"Solver: {place}: {what}; the step was not taken; {self._advice(X)}")

    def _advice(self, X):
        """What to try after a loss on the samples `X` that is not finite."""
        if not _is_finite(X):
            return "X_train holds nan or inf in this batch"
        if not self.loss_history:
            return "it is the first one, so look at the parameters, the scale of X_train and the loss"
        return f"try a learning_rate below {next(iter(self.optim_configs.values()))['learning_rate']:.4g}"

    # accuracy

    def check_accuracy(self, X, y, num_samples=None, batch_size=100):
        """The share of right classes, a float; nan where a score is nan.

        num_samples: measured on so many samples, drawn without replacement from `sample_rng`, if there are more.
        batch_size: how many samples are computed at once.
        """
        X, y = extract_numpy_data(X), extract_numpy_data(y)
        _require_pairs(X, y, "check_accuracy: X and y")
        whole("check_accuracy: batch_size", batch_size, 1)
        if num_samples is not None and whole("check_accuracy: num_samples", num_samples, 1) < len(X):
            rows = self.sample_rng.choice(len(X), num_samples, replace=False)
            X, y = X[rows], y[rows]
        metric = Accuracy(from_logits=True)
        for start in range(0, len(X), batch_size):
            batch = slice(start, start + batch_size)
            scores = _scores(self.model, X[batch])
            if np.isnan(scores).any():
                return math.nan
            metric.update(scores, y[batch])
        return metric.compute()

    def _accuracies(self):
        """The training and the validation accuracy."""
        data = self.data
        train = self.check_accuracy(data["X_train"], data["y_train"], self.num_train_samples)
        return train, self.check_accuracy(data["X_val"], data["y_val"], self.num_val_samples)

    def _record(self, train_acc, val_acc):
        self.train_acc_history.append(train_acc)
        self.val_acc_history.append(val_acc)
        self._judge(val_acc)
        if self._progress is not None:
            self._progress.line(self.epoch, f"train_acc {train_acc:.4g}  val_acc {val_acc:.4g}")

    def _judge(self, val_acc):
        """Keep the parameters if they are the best so far; as long as no accuracy is a number, the latest ones."""
        if val_acc > self.best_val_acc:
            self._keep(val_acc)
        elif math.isnan(val_acc):
            text = f"Solver: after iteration {len(self.loss_history)} a score on X_val is nan, and so is the accuracy"
            warnings.warn(text, RuntimeWarning, stacklevel=5)
            if self.best_val_acc == -math.inf and all(map(_is_finite, self.model.params.values())):
                self._keep(-math.inf)

    def _keep(self, val_acc):
        self.best_val_acc, self.best_params = val_acc, _copies(self.model.params)
        self._best_buffers = _copies(self._buffers)

    def _put_back_best(self):
        self._write_model(self.best_params, self._best_buffers)

    @property
    def _buffers(self):
        return getattr(self.model, "buffers", {})

    def _write_model(self, params, buffers):
        for own, arrays in ((self.model.params, params), (self._buffers, buffers)):
            for name, values in arrays.items():
                own[name] = values.copy()

    # all iterations

    def train(self):
        """Train until `num_epochs` epochs are complete, then put the best parameters back.

        They are put back also after Ctrl-C, which ends it and leaves the histories as they are, and after an error.
        After `load_checkpoint` it goes on with the epochs that are left. To go on after the end, raise `num_epochs`;
        that starts from the best parameters, with the rates and moments of the last ones.
        Raises: FloatingPointError that names iteration and epoch, both counted from 1, where the loss or a gradient is
            not finite.
        """
        if self.num_epochs and self.epoch >= self.num_epochs:
            text = f"Solver.train: {self.epoch} of {self.num_epochs} epochs are complete; raise num_epochs to go on"
            warnings.warn(text, stacklevel=2)
        if self.checkpoint_name is not None:
            require_place(self._path_of(self.epoch + 1))  # an error here, and not after an epoch
        if not self.val_acc_history:
            self._keep(-math.inf)  # the model may have changed since it was handed over
        self._progress = _Progress(self.num_epochs) if self.verbose else None
        try:
            self._run()
        except KeyboardInterrupt:
            done = f"{self.epoch} of {self.num_epochs} epochs are complete"
            print(f"interrupted; {done}, and the model has the best parameters so far", file=sys.stderr)
        finally:
            if self._progress is not None:
                self._progress.close()
                self._progress = None
            self._put_back_best()

    def _run(self):
        while self.epoch < self.num_epochs:
            if self.epoch_iteration < self.iterations_per_epoch:
                self._iterate()
            if not self.val_acc_history:
                self._record(*self._accuracies())
            if self.epoch_iteration >= self.iterations_per_epoch:
                accuracies = self._accuracies()  # takes time; Ctrl-C leaves no epoch that is counted and has none
                self._count_epoch()
                self._record(*accuracies)
                self._save_epoch()
        if not self.val_acc_history:  # no epoch was asked for: how good the model is as it stands
            self._record(*self._accuracies())

    def _iterate(self):
        if self._progress is not None:
            self._progress.begin(self)
        loss = self.step()
        if self._progress is not None:
            self._progress.batch(self, loss)

    def _count_epoch(self):
        """One more epoch is complete: the rates decay."""
        self.epoch, self._epoch_start = self.epoch + 1, len(self.loss_history)
        self.optim_configs = {
            name: config | {"learning_rate": config["learning_rate"] * self.lr_decay}
            for name, config in self.optim_configs.items()
        }

    def _save_epoch(self):
        if self.checkpoint_name is not None:
            self.save_checkpoint(self._path_of(self.epoch))

    def _path_of(self, epoch):
        return f"{self.checkpoint_name}_epoch_{epoch}"

    # checkpoints

    _KEPT = ("epoch", "_epoch_start", "best_val_acc", "loss_history", "train_acc_history", "val_acc_history")

    def _settings(self):
        """What must be the same for a run to go on."""
        settings = {name: getattr(self, name) for name in ("update_rule", "lr_decay", "batch_size")}
        if isinstance(getattr(self.model, "reg", None), Real):
            settings["reg"] = float(self.model.reg)
        return settings | _kinds({name: self.data[name] for name in ("X_train", "y_train")})

    def _generators(self):
        return [self.rng, self.sample_rng, *generators_of(self.model)]

    def state_dict(self):
        """Everything that the next iterations depend on or that is reported of the past ones, as copies."""
        state = {name: getattr(self, name) for name in self._KEPT}
        state |= {"settings": self._settings(), "optim_configs": self.optim_configs}
        state |= {"params": dict(self.model.params), "buffers": dict(self._buffers)}
        state |= {"best_params": self.best_params, "best_buffers": self._best_buffers}
        return copy.deepcopy(state) | {"generators": [g.bit_generator.state for g in self._generators()]}

    def load_state_dict(self, state):
        """Go back to what `state_dict` gave.

        Raises: ValueError for the state of another run; then nothing is changed.
        """
        problems = self._problems(state)
        if problems:
            raise ValueError("; ".join(problems))
        before = self.state_dict()
        try:
            self._write_state(state)
        except BaseException:
            self._write_state(before)
            raise

    def _problems(self, state):
        """What does not fit in `state`, one line each."""
        own = self.state_dict()
        missing = [name for name in own if name not in state]
        if missing:
            return [f"the state lacks {', '.join(missing)}"]
        problems = _differences(own["settings"], state["settings"])
        for name in ("params", "buffers", "best_params", "best_buffers"):
            problems += _differences(_kinds(own[name]), _kinds(state[name]), role=f"{name} ")
        here, there = ([g["bit_generator"] for g in part["generators"]] for part in (own, state))
        problems += [] if here == there else [f"the random generators are {here} here, {there} there"]
        here, there = (list(part["optim_configs"]) for part in (own, state))
        return problems + ([] if here == there else [f"optim_configs are of {here} here, of {there} there"])

    def _write_state(self, state):
        configs = {name: self._checked_config(name, config) for name, config in state["optim_configs"].items()}
        self._write_model(state["params"], state["buffers"])
        for generator, values in zip(self._generators(), state["generators"]):
            generator.bit_generator.state = values
        kept = {name: state[name] for name in (*self._KEPT, "best_params")} | {"optim_configs": configs}
        for name, value in (kept | {"_best_buffers": state["best_buffers"]}).items():
            setattr(self, name, copy.deepcopy(value))

    def save_checkpoint(self, path):
        """Write everything into one file at `path`; folders are made as needed. After a crash there is the old file or
        the new one, never a part."""
        tensors = {}
        state = pack(freeze(self.state_dict(), {}), "", tensors)
        save_file(path, tensors, {"solver": 1, "environment": environment(), "state": state})

    def load_checkpoint(self, path):
        """Go on from a file of `save_checkpoint`, bit for bit on the same machine; warns where that cannot be promised.

        The Solver has been made as the one that was saved: with a model and data of the same shapes, and the same reg,
        rule, batch_size and lr_decay. The options of the rule come from the file.
        Raises: FileNotFoundError; ValueError for a damaged file, or one of another run; then nothing is changed.
        """
        tensors, info = load_file(path)
        if not isinstance(info, dict) or not {"solver", "environment", "state"} <= info.keys():
            raise ValueError(f"{path} is a checkpoint, but not of a Solver; it holds {list(tensors)[:5]}")
        try:
            self.load_state_dict(thaw(unpack(info["state"], tensors), None, ()))
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise ValueError(f"{path} does not fit this Solver: {error}; nothing was changed") from error
        warn_of_another_machine(path, info["environment"])
