"""Training in functions: one step, one evaluation and one loop, on the arrays of a model by name.

A model is anything with `forward(X, return_sequences=False)`, `get_params()`, which gives name -> copy of the array,
and `set_params(params)`, which writes into the same Tensors. A Module without the last two goes by its
`named_parameters()`. A model that holds Tensors is given its inputs as Tensors, in its own precision, and a model of
plain arrays is given arrays.

All that this file is made of can be imported from it; the modules of the course define it.
"""

import itertools
import math
import statistics
import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace

from tinytorch._lazy import lazy

_NAMES = {
    "tinytorch.core.tensor": ("Tensor",),
    "tinytorch.core.activations": ("softmax", "log_softmax"),
    "tinytorch.core.layers": ("Module",),
    "tinytorch.core.losses": (
        *("cross_entropy_loss", "mse_loss", "cross_entropy", "mean_squared_error"),
        *("CrossEntropyLoss", "MeanSquaredError", "BinaryCrossEntropyLoss", "MSELoss", "BCEWithLogitsLoss"),
    ),
    "tinytorch.core.autograd": ("no_grad", "grad_mode", "walk", "first_gradient", "float64_copy", "check_gradients"),
    "tinytorch.core.gradcheck": ("compute_numerical_gradient", "compute_numerical_gradient_fast", "in_float64"),
    "tinytorch.core.optimizers": ("sgd", "sgd_momentum", "rmsprop", "adam", "check_options"),
    "tinytorch.core.metrics": ("accuracy", "Accuracy", "extract_numpy_data", "get_tensor_value"),
    "tinytorch.core.training": (
        *("clip_grad_norm", "clip_gradients", "learning_rate_schedule", "EarlyStopping", "plot_training_curves"),
        *("Progress", "call", "epoch_line", "model_state", "write_model", "set_rate", "require", "whole"),
    ),
    "tinytorch.random": ("default_generator", "chosen_generator"),
}
__getattr__, __dir__, __all__ = lazy(globals(), _NAMES)
__all__ += ["train_step", "evaluate", "create_batches", "train_model"]

this = sys.modules[__name__]  # `this.sgd` is looked up when it is used; a bare `sgd` would have to be imported now

HISTORY = ("train_loss", "train_metric", "val_loss", "val_metric", "learning_rates", "grad_norms")
LOSSES = {"classification": "cross_entropy_loss", "regression": "mse_loss"}


# --- what can be called ---


def train_step(model, X, y, learning_rate=0.001, clip_norm=5.0, task="classification"):
    """One step of gradient descent; returns (loss, metric, norm), loss and metric as they were before the step.

    X: (B, ...); y: class indices (B,) or shares (B, C), and for "regression" the shape of the output.
    task: "classification" is the cross-entropy of logits, with the accuracy; "regression" the mean squared error, with
        minus this loss, so that a larger metric is better in both.
    clip_norm: limit for the norm of all gradients together, whose value before clipping is returned; None: no limit.

    The gradients are exact where the output is on the graph. Where it is not they are central differences, which call
    the model twice for every number in its parameters, with a step that suits the precision it computes in. Nobody's
    `.grad` is touched. Where the loss or the norm is not finite no step is made, with a RuntimeWarning; of such a loss
    no gradient is computed, and the norm is NaN.
    Raises: ValueError for an unknown task, or a rate below 0. TypeError for a model that does not name its parameters.
    """
    loss_fn, net = _loss_for(task), _trainable(model)
    this.check_options("train_step", {"learning_rate": learning_rate})
    return _step(net, loss_fn, X, y, clip_norm, lambda gradients: _descend(net, gradients, learning_rate))


def evaluate(model, X, y, task="classification", batch_size=32):
    """(loss, metric), the means over all samples, with the model in use and without a graph; see `train_step`.

    Raises: ValueError for an unknown task, where there is no sample, or for different numbers of inputs and targets.
    """
    loss_fn, batches = _loss_for(task), create_batches(X, y, batch_size, shuffle=False)
    means = _means_over(NamedModel(model), loss_fn, batches)
    return means["loss"], means["metric"]


def create_batches(X, y, batch_size=32, shuffle=True, rng=None):
    """All samples once, in pairs (inputs, targets) of `batch_size` samples; the last pair has what is left.

    The result has a length and can be read again, in the same order, which is drawn now. A batch is cut out when it is
    read; not shuffled it is a view.
    rng: where the order comes from; without it it comes from tinytorch's default generator.
    Raises: ValueError where there is no sample, for different numbers of inputs and targets, or a size below 1.
    """
    X, y = (part if hasattr(part, "shape") else this.extract_numpy_data(part) for part in (X, y))
    if len(X) != len(y) or not len(X):
        raise ValueError(f"X of shape {X.shape} and y of shape {y.shape} hold {len(X)} and {len(y)} samples; they need "
                         "the same number, and at least 1")  # fmt: skip
    this.whole("batch_size", batch_size, 1)
    rng = this.chosen_generator("create_batches", rng)
    return Batches(X, y, batch_size, rng.permutation(len(X)) if shuffle else None)


def train_model(
    model,
    train_data,
    val_data=None,
    epochs=100,
    batch_size=32,
    learning_rate=0.001,
    lr_decay=0.95,
    lr_decay_every=10,
    clip_norm=5.0,
    patience=10,
    task="classification",
    verbose=True,
    optimizer=None,
    shuffle=True,
    rng=None,
):
    """Train for up to `epochs` epochs, put the best parameters back, and return the history.

    train_data, val_data: pairs (X, y), see `train_step`. The loss on `val_data` says which epoch is the best and when
        to stop; without it the training loss does, the mean over the batches of an epoch.
    learning_rate: that of epoch 0; epoch e has `learning_rate_schedule(e, learning_rate, lr_decay, lr_decay_every)`.
        An `optimizer` is given this rate too, whatever rate it came with.
    patience: so many epochs in a row without an improvement, as an `EarlyStopping` counts them, end the training; with
        None nothing does.
    optimizer: an optimizer over the model's Tensors; without one the steps are those of `train_step`.
    rng: where the order of the samples comes from; without it it comes from tinytorch's default generator.

    history: lists with one number an epoch: train_loss, train_metric, val_loss and val_metric (NaN without `val_data`),
        learning_rates, and grad_norms, the mean of the finite norms before clipping.
    Ctrl-C ends the training as well: the history has the complete epochs, and the model the best of their parameters.
    """
    loss_fn, net, train, val = _loss_for(task), _trainable(model), _pair("train_data", train_data), None
    create_batches(*train, batch_size, shuffle=False)  # an error here, and not between lines of progress
    this.whole("train_model: epochs", epochs, 0)
    this.check_options("train_model", {"learning_rate": learning_rate, "lr_decay": lr_decay})
    if optimizer is not None:
        this.require(optimizer, "train_model: optimizer", "step", "zero_grad")
    if val_data is not None:
        val = create_batches(*_pair("val_data", val_data), batch_size, shuffle=False)
    run = Run(net, epochs, patience, verbose, "train_loss" if val is None else "val_loss")
    try:
        for epoch in range(epochs):
            rate = this.learning_rate_schedule(epoch, learning_rate, lr_decay, lr_decay_every)
            update = _update_with(optimizer, net, rate)
            batches = create_batches(*train, batch_size, shuffle, rng)
            row = _train_epoch(net, loss_fn, batches, clip_norm, update, run.start(epoch, batches, rate))
            held_out = {} if val is None else _means_over(net, loss_fn, val)
            row |= {f"val_{name}": value for name, value in held_out.items()}
            if run.finish_epoch({**row, "learning_rates": rate}):
                break
    except KeyboardInterrupt:
        run.interrupted()
    finally:
        run.close()
    return run.history


# --- models ---


class NamedModel:
    """One face for all models: arrays by name, and the Tensors behind the names.

    named: name -> Tensor, as far as the model says so itself.
    tensors: name -> Tensor, as far as that was needed yet.
    """

    def __init__(self, model):
        self.model, self.tensors = model, {}
        self.named = dict(model.named_parameters()) if hasattr(model, "named_parameters") else {}
        self.by_protocol = hasattr(model, "get_params") and hasattr(model, "set_params")
        values = self._values()
        self.wrapped = [name for name, value in values.items() if isinstance(value, this.Tensor)]
        types = [array.dtype for array in self.arrays().values() if array.dtype.kind == "f"]
        self.dtype = max(types, key=lambda dtype: dtype.itemsize, default="f")
        self.on_tensors = _holds_tensors(model)

    def _values(self):
        values = self.model.get_params() if self.by_protocol else self.named
        if not isinstance(values, Mapping):
            kind, gave = type(self.model).__name__, type(values).__name__
            raise TypeError(f"{kind}.get_params() gave a {gave}; it must be a dictionary name -> array")
        return values

    def arrays(self):
        """Name -> copy of the array, of all that `write` takes."""
        return {name: this.extract_numpy_data(value).copy() for name, value in self._values().items()}

    def write(self, arrays):
        """Write arrays by name, all that `arrays()` names, in the form in which the model gives them away."""
        if not self.by_protocol:
            for name, parameter in self.named.items():
                parameter.detach()[...] = arrays[name]
            return
        wrapped = {name: this.Tensor(arrays[name], dtype=arrays[name].dtype) for name in self.wrapped}
        self.model.set_params({**arrays, **wrapped})

    def state(self):
        """Copies, by names of their own, of the parameters and of all else that a `state_dict` has."""
        whole = this.model_state(self.model) if _has_state(self.model) else {}
        parts = {"state": whole, "arrays": self.arrays()}
        return {(part, name): array for part, arrays in parts.items() for name, array in arrays.items()}

    def restore(self, state):
        """Write back what `state` gave."""
        parts = {"state": {}, "arrays": {}}
        for (part, name), array in state.items():
            parts[part][name] = array
        if parts["state"]:
            this.write_model(self.model, parts["state"], ())
        self.write(parts["arrays"])

    def inputs(self, X):
        """`X` as the model takes it: an array, or a Tensor that is on no graph."""
        if self.on_tensors and isinstance(X, this.Tensor):
            return X.detach()
        array = self.targets(X)
        return this.Tensor(array, dtype=array.dtype) if self.on_tensors else array

    def targets(self, y):
        """`y` as an array, and its floating numbers in the precision of a model of Tensors."""
        y = this.extract_numpy_data(y)
        return y.astype(self.dtype, copy=False) if self.on_tensors and y.dtype.kind == "f" else y

    def predict(self, X):
        return this.call(self.model, self.inputs(X))

    def same_names(self):
        """The model's own Tensors by name, where they are what `arrays` gives: the same names and shapes; else {}."""
        shapes = {name: this.extract_numpy_data(values).shape for name, values in self._values().items()}
        return self.named if shapes == {name: tensor.shape for name, tensor in self.named.items()} else {}

    def own(self, leaves):
        """Name -> Tensor of those parameters that are among `leaves`, Tensors on a graph."""
        if not leaves <= set(self.tensors.values()):
            self.tensors = self.same_names() or _marked(self, leaves)
        return {name: tensor for name, tensor in self.tensors.items() if tensor in leaves}


def _trainable(model):
    this.require(model, "model")
    net = NamedModel(model)
    if not net.by_protocol and not hasattr(model, "named_parameters"):
        raise TypeError(
            f"{type(model).__name__} does not name its parameters: it has neither get_params and set_params nor "
            "named_parameters; give it the first two, or make its class a Module"
        )
    return net


def _pair(name, data):
    """`data` as the pair (X, y) that it must be."""
    if not isinstance(data, tuple | list) or len(data) != 2:
        parts = f" of {len(data)}" if isinstance(data, tuple | list) else ""
        raise ValueError(f"{name} is a {type(data).__name__}{parts}; it must be a pair (X, y)")
    return data


def _has_state(model):
    return hasattr(model, "state_dict") and hasattr(model, "load_state_dict")


def _holds_tensors(part, depth=3):
    """Whether there is a Tensor or a Module in `part`, its attributes, their attributes, and so on."""
    if isinstance(part, this.Tensor | this.Module):
        return True
    inside = part if isinstance(part, list | tuple | dict) else getattr(part, "__dict__", {})
    inside = inside.values() if isinstance(inside, dict) else inside
    return depth > 0 and any(_holds_tensors(x, depth - 1) for x in inside)


def _marked(net, leaves):
    """Name -> Tensor, found out by writing another number under every name and looking for it in the `leaves`.

    Afterwards the arrays are, bit for bit, what they were.
    Raises: ValueError where a name and a leaf are left over.
    """
    before, found = net.arrays(), {}
    taken = {float(leaf.data.flat[0]) for leaf in leaves if leaf.size}
    numbers = (number for number in itertools.count(1) if number not in taken)
    names = [name for name, array in before.items() if array.dtype.kind == "f" and array.size]
    marks = {name: _filled(before[name], number) for name, number in zip(names, numbers)}
    try:
        net.write({**before, **marks})
        for leaf in leaves:
            hits = (name for name, x in marks.items() if x.shape == leaf.shape and (x == leaf.data).all())
            found |= {name: leaf for name in hits}
    finally:
        net.write(before)
    lost, loose = marks.keys() - found.keys(), leaves - set(found.values())
    if lost and loose:
        raise ValueError(
            f"{type(net.model).__name__}.set_params does not write into the Tensors that its forward uses: "
            f"{', '.join(sorted(lost))} changed none of those of shapes {[leaf.shape for leaf in loose]}; "
            "try tensor.data = params[name]"
        )
    return found


def _filled(array, number):
    array = array.copy()
    array[...] = number
    return array


@contextmanager
def _in_mode(model, training):
    """While it is open the model is being trained, or is in use; afterwards it and all below it are what they were."""
    before = bool(getattr(model, "training", True))
    modules = model.modules() if callable(getattr(model, "modules", None)) else []
    modes = [(module, module.training) for module in modules if hasattr(module, "training")]
    if before != training:  # a layer that was frozen alone, by its own eval(), stays frozen
        _switch(model, training)
    try:
        yield
    finally:
        if before != training:
            _switch(model, before)
        for module, mode in modes:
            module.training = mode


def _switch(model, training):
    if callable(getattr(model, "train", None)) and callable(getattr(model, "eval", None)):
        model.train() if training else model.eval()
    elif hasattr(model, "training"):
        model.training = training


# --- one step ---


def _loss_for(task):
    """The loss of a task, a function. Raises: ValueError for an unknown one."""
    if not isinstance(task, str) or task not in LOSSES:
        raise ValueError(f"task {task!r} is unknown; known are {', '.join(map(repr, LOSSES))}")
    return getattr(this, LOSSES[task])


def _scores(net, loss_fn, X, y):
    """(loss, metric, loss as a number) of the model for a batch as it takes it."""
    predictions = net.predict(X)
    loss = loss_fn(predictions, y)
    value = this.get_tensor_value(loss)
    metric = this.accuracy(predictions, y) if loss_fn is this.cross_entropy_loss else -value
    return loss, metric, value


def _step(net, loss_fn, X, y, clip_norm, update):
    """One step; `update` is given name -> clipped gradient. Returns what `train_step` does."""
    X, y = net.inputs(X), net.targets(y)
    with _in_mode(net.model, training=True):
        with this.grad_mode(True):  # also where the caller has switched gradients off
            loss, metric, value = _scores(net, loss_fn, X, y)
        if not math.isfinite(value):
            return value, metric, _left_out(f"the loss is {value}", math.nan)
        gradients = _exact(net, loss) if getattr(loss, "requires_grad", False) else _numerical(net, loss_fn, X, y)
    gradients, norm = this.clip_gradients(gradients, math.inf if clip_norm is None else clip_norm)
    if math.isfinite(norm):
        update(gradients)
        return value, metric, norm
    return value, metric, _left_out(f"the loss is {value:.6g}, and the norm of its gradients {norm}", norm)


def _left_out(reason, norm):
    warnings.warn(f"{reason}; no step is made, and the parameters stay as they are", RuntimeWarning, stacklevel=4)
    return norm


def _exact(net, loss):
    """Name -> gradient of the loss, by one walk over its graph, which leaves every `.grad` alone."""
    found = this.walk(loss, this.first_gradient(loss))
    own = net.own(found.keys())
    if not own:
        raise ValueError(f"{type(net.model).__name__} names none of the Tensors that its output depends on; "
                         "in a Module they must be Parameters")  # fmt: skip
    return {name: found[tensor] for name, tensor in own.items()}


def _numerical(net, loss_fn, X, y):
    """Name -> gradient of the loss, by central differences; for a model whose output is on no graph."""
    stand_in = StandIn(net)
    try:
        gradients = this.compute_numerical_gradient(stand_in, X, y, loss_fn, stand_in.epsilon(X))
    finally:
        if stand_in.through:
            net.write(stand_in.arrays)
    return {name: g for name, g in gradients.items() if name in stand_in.trained()}


class StandIn:
    """A model as `compute_numerical_gradient` takes it: with Tensors by name, and a call.

    through: whether these are not the model's own, so that they are written into the model before each call.
    """

    def __init__(self, net):
        self.net, self.arrays, self.tensors = net, net.arrays(), net.same_names()
        self.through = not self.tensors
        if self.through:
            floats = {name: x for name, x in self.arrays.items() if x.dtype.kind == "f"}
            self.tensors = {name: this.Tensor(x, requires_grad=True, dtype=x.dtype) for name, x in floats.items()}
        else:
            net.tensors = self.tensors

    def named_parameters(self):
        return self.tensors.items()

    def named_buffers(self):
        return self.net.model.named_buffers() if hasattr(self.net.model, "named_buffers") else ()

    def __call__(self, X):
        if self.through:
            self.net.write({**self.arrays, **{name: tensor.data for name, tensor in self.tensors.items()}})
        return self.net.predict(X)

    def trained(self):
        """The names whose gradients are wanted. Raises: ValueError if there is none."""
        names = {name for name, tensor in self.tensors.items() if tensor.requires_grad}
        if self.tensors and not names:
            raise ValueError(f"no parameter of {type(self.net.model).__name__} requires a gradient; set requires_grad")
        return names

    def epsilon(self, X):
        """The step of a central difference whose error by curvature is about that by rounding.

        The precision is that in which the model keeps numbers and computes while it is given float64.
        """
        import numpy as np

        self.trained()
        X = this.float64_copy(X)
        with this.in_float64(self):
            output = self(X)
            kept = self.net.arrays().values()
        types = [x.dtype for x in (this.extract_numpy_data(output), *kept) if x.dtype.kind == "f"]
        return max(float(np.finfo(dtype).eps) for dtype in types) ** (1 / 3)


def _descend(net, gradients, learning_rate):
    arrays = net.arrays()
    for name, g in gradients.items():
        arrays[name], _ = this.sgd(arrays[name], g, {"learning_rate": learning_rate})
    net.write(arrays)


def _update_with(optimizer, net, rate):
    """The function that takes a step from name -> gradient."""
    if optimizer is None:
        return lambda gradients: _descend(net, gradients, rate)
    this.set_rate(optimizer, rate)
    return lambda gradients: _lead(optimizer, net, gradients)


def _lead(optimizer, net, gradients):
    """Let the optimizer take its step along `gradients`.

    Raises: ValueError where it has none of the model's Tensors.
    """
    own = {name: net.tensors[name] for name in gradients if name in net.tensors}
    groups = getattr(optimizer, "param_groups", None)
    if groups is not None and not {id(p) for group in groups for p in group["params"]} & set(map(id, own.values())):
        raise ValueError(f"the optimizer, {type(optimizer).__name__}, trains none of the Tensors of "
                         f"{type(net.model).__name__}: {', '.join(gradients)}")  # fmt: skip
    optimizer.zero_grad()
    for name, parameter in own.items():
        parameter.grad = this.Tensor(gradients[name], dtype=parameter.dtype)
    optimizer.step()


# --- epochs ---


class Batches(Sequence):
    """Pairs (inputs, targets) of `size` samples each, in the given order; the last may be shorter."""

    def __init__(self, X, y, size, order=None):
        self.X, self.y, self.size, self.order = X, y, size, order

    def __len__(self):
        return math.ceil(len(self.X) / self.size)

    def __getitem__(self, i):
        if isinstance(i, slice):
            return [self[j] for j in range(len(self))[i]]
        start = range(len(self))[i] * self.size
        part = slice(start, start + self.size)
        part = part if self.order is None else self.order[part]
        return self.X[part], self.y[part]


class Means:
    """Means over samples, of values that are known for batches of different sizes."""

    def __init__(self):
        self.sums, self.samples = {}, 0

    def update(self, count, **values):
        self.samples += count
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + count * value

    def compute(self):
        return {name: total / self.samples for name, total in self.sums.items()}


def _means_over(net, loss_fn, batches):
    """The means of loss and metric, with the model in use."""
    means = Means()
    with _in_mode(net.model, training=False), this.no_grad():
        for X, y in batches:
            _, metric, loss = _scores(net, loss_fn, X, net.targets(y))
            means.update(len(y), loss=loss, metric=metric)
    return means.compute()


def _train_epoch(net, loss_fn, batches, clip_norm, update, show):
    """A step for each batch; the part of a row of the history that is known then."""
    means, norms = Means(), []
    for X, y in batches:
        loss, metric, norm = _step(net, loss_fn, X, y, clip_norm, update)
        means.update(len(y), loss=loss, metric=metric)
        norms.append(norm)
        show(means, loss)
    finite = [norm for norm in norms if math.isfinite(norm)]
    row = {f"train_{name}": value for name, value in means.compute().items()}
    return {**row, "grad_norms": statistics.fmean(finite) if finite else math.nan}


class Run:
    """What `train_model` keeps over its epochs: history, patience, the best state, and what it shows."""

    def __init__(self, net, epochs, patience, verbose, watched):
        self.net, self.watched = net, watched
        self.history = {name: [] for name in HISTORY}
        self.stopping = this.EarlyStopping(math.inf if patience is None else patience)
        self.best = this.EarlyStopping(math.inf, min_delta=0.0)  # keeps the lowest loss, by however little it is lower
        self.progress = this.Progress(epochs) if verbose else None

    def start(self, epoch, batches, rate):
        """Begin an epoch; the function that is told of each batch: its loss, and the means so far."""
        if self.progress is None:
            return lambda means, loss: None
        self.progress.start(epoch, batches)
        optimizer = SimpleNamespace(lr=rate)
        return lambda means, loss: self.progress.batch(SimpleNamespace(scores=means, optimizer=optimizer), loss)

    def finish_epoch(self, row):
        """Take in an epoch; returns whether training ends here."""
        self.best(row[self.watched], self.net.state())
        for name, values in self.history.items():
            values.append(row.get(name, math.nan))
        stop = self.stopping(row[self.watched])
        if self.progress is not None:
            epoch = len(self.history["train_loss"])
            self.progress.line(epoch, this.epoch_line(self.history))
            if stop:
                print(f"stopped: {self.watched} was no better for {self.stopping.patience} epochs")
        return stop

    def interrupted(self):
        """After Ctrl-C: forget the row that may be half written, and say what there is."""
        rows = min(map(len, self.history.values()))
        for values in self.history.values():
            del values[rows:]
        print(f"interrupted; the model is usable, and the history has {rows} complete epochs", file=sys.stderr)

    def close(self):
        """Put the best parameters back, if an epoch was complete."""
        if self.progress is not None:
            self.progress.close()
        state = self.best.get_best_params()
        if state is not None:
            self.net.restore(state)
