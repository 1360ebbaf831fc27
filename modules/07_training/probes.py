"""What grading compares: each probe runs on the student's package and on the reference with the same numbers."""

import math
import os
import tempfile
import warnings
from types import SimpleNamespace

import numpy as np


def raised(call, kind):
    """Whether `call()` raises an exception of this kind."""
    try:
        call()
    except kind:
        return True
    return False


def numbers(x):
    """The array in a Tensor, or an array itself."""
    return x.numpy() if hasattr(x, "numpy") else np.asarray(x)


def probe_07_1(tt, rng):
    """Schedules drawn at random: at single epochs, over the whole range, at its end and past it."""
    high, low, total = rng.uniform(0.1, 1.0), rng.uniform(0.01, 0.05), int(rng.integers(8, 40))
    middle = int(rng.integers(1, total // 2))
    training = tt.core.training
    schedule = training.CosineSchedule(high, low, total)
    given = {"max_lr": high, "min_lr": low, "total_epochs": total}
    yield "the first rate", schedule.get_lr(0), {**given, "epoch": 0}
    yield "a rate on the way", schedule.get_lr(middle), {**given, "epoch": middle}
    for name, epochs in (
        ("the rates up to the end", range(total + 1)),
        ("the rates past the end", (total + 1, total + middle, 5 * total)),
    ):
        yield name, np.array([schedule.get_lr(epoch) for epoch in epochs]), {**given, "epochs": list(epochs)}
    to_zero = training.CosineSchedule(max_lr=high, min_lr=0.0, total_epochs=7)
    rates = np.array([to_zero.get_lr(epoch) for epoch in range(10)])
    yield "rates down to zero", rates, {**given, "min_lr": 0.0, "total_epochs": 7, "epochs": list(range(10))}
    yield "a rate without settings", training.CosineSchedule().get_lr(middle), {"epoch": middle}
    yield (
        "a schedule over no epochs is an error",
        raised(lambda: training.CosineSchedule(total_epochs=0), ValueError),
        {"total_epochs": 0},
    )


def with_gradients(tt, arrays):
    """Tensors of zeros with these float32 gradients; for None there is none."""
    tensors = [tt.Tensor(np.zeros(1 if g is None else g.shape), requires_grad=True) for g in arrays]
    for tensor, g in zip(tensors, arrays, strict=True):
        tensor.grad = None if g is None else tt.Tensor(g)
    return tensors


def probe_07_2(tt, rng):
    """Gradients of several shapes, some missing, above and below the limit, huge, zero, and broken ones."""

    def draw(*shapes):
        return [rng.uniform(0.5, 2.0, size=shape) * rng.choice([-1, 1], size=shape) for shape in shapes]

    def length(arrays):
        return math.sqrt(sum(float(np.sum(g * g)) for g in arrays))

    cases = []
    for name, share, arrays in (
        ("above the limit", rng.uniform(0.2, 0.6), draw((2,), (3,))),
        ("within the limit", rng.uniform(1.5, 3.0), draw((2,), (3,))),
        ("of many shapes", rng.uniform(0.2, 0.6), draw((2, 3), (1,), (2, 1, 2))),
    ):
        cases.append((name, share * length(arrays), arrays))
    cases.append(("of which the squares overflow", rng.uniform(0.5, 1.5), [1e20 * g for g in draw((2,), (1,))]))
    plain, default, broken = draw((3,)), draw((4,)), draw((2,), (2,))
    clip = tt.core.training.clip_grad_norm

    for name, limit, arrays in cases:
        parameters = with_gradients(tt, arrays)
        kept = [p.grad.numpy() for p in parameters]
        missing = with_gradients(tt, [None])
        norm = clip(iter([*missing, *parameters]), limit)
        given = {"max_norm": limit, **{f"gradient {i}": g for i, g in enumerate(arrays)}}
        yield f"the norm of gradients {name}", norm, given
        yield f"gradients {name}", [p.grad.numpy() for p in parameters], given
        yield f"gradients {name}, in the arrays that were there", kept, given
        yield f"types for gradients {name}", [isinstance(norm, float), *(str(p.grad.dtype) for p in parameters)], given
    holder = SimpleNamespace(grad=plain[0].copy())
    yield "the norm of an array", clip([holder], max_norm=0.5), {"max_norm": 0.5, "gradient": plain[0]}
    yield "an array", holder.grad, {"max_norm": 0.5, "gradient": plain[0]}
    parameters = with_gradients(tt, default)
    yield "the norm, without a limit given", clip(parameters), {"gradient": default[0]}
    yield "gradients, without a limit given", parameters[0].grad.numpy(), {"gradient": default[0]}
    parameters = with_gradients(tt, default)
    yield "the norm, with an infinite limit", clip(parameters, math.inf), {"gradient": default[0]}
    yield "gradients, with an infinite limit", parameters[0].grad.numpy(), {"gradient": default[0]}
    yield "the norm of no parameters", clip([]), {}
    yield "the norm where no gradient is there", clip(with_gradients(tt, [None])), {}
    zeros = with_gradients(tt, [np.zeros(2)])
    yield "the norm of zeros", clip(zeros), {"gradient": np.zeros(2)}
    yield "zeros stay", zeros[0].grad.numpy(), {"gradient": np.zeros(2)}
    for word in ("inf", "nan"):
        arrays = [np.array([float(word), broken[0][0]]), broken[1]]
        given = {"gradient 0": arrays[0], "gradient 1": arrays[1], "max_norm": 0.5}
        parameters = with_gradients(tt, arrays)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            norm = clip(parameters, max_norm=0.5)
        yield f"{word} in a gradient: the norm is finite", bool(math.isfinite(norm)), given
        yield f"{word} in a gradient: the gradients", [p.grad.numpy() for p in parameters], given
        warned = any(issubclass(warning.category, UserWarning) for warning in caught)
        yield f"{word} in a gradient: it warns", warned, given
    for limit in (0.0, -1.0):
        fails = raised(lambda limit=limit: clip(with_gradients(tt, default), limit), ValueError)
        yield f"a limit of {limit:g} is an error", fails, {"max_norm": limit}


def linear_trainer(tt, weight, rate=0.05, momentum=0.0, loss=None, **options):
    """A Trainer of one linear layer without a bias, from this weight (out, in), on which a large old gradient lies."""
    out_features, in_features = weight.shape
    model = tt.core.layers.Sequential(tt.core.layers.Linear(in_features, out_features, bias=False))
    model[0].weight.data, model[0].weight.grad = weight, tt.Tensor(np.full(weight.shape, 100.0))
    optimizer = tt.core.optimizers.SGD(model.parameters(), lr=rate, momentum=momentum)
    return tt.core.training.Trainer(model, optimizer, loss or tt.core.losses.MeanSquaredError(), **options)


def weight_of(trainer):
    return trainer.model[0].weight.numpy().copy()


def gradient_of(trainer):
    return numbers(trainer.model[0].weight.grad).copy()


def probe_07_3(tt, rng):
    """Two steps on one sample, four on many with momentum and classes, one with a limit, and one that is left out."""
    x, t = rng.uniform(0.5, 1.0, size=(1, 2)), rng.uniform(-1.0, 0.0, size=(1, 1))
    weight = rng.uniform(0.5, 1.5, size=(1, 2))
    many, classes, wide = rng.normal(size=(4, 5, 3)), rng.integers(0, 4, size=(4, 5)), rng.normal(size=(4, 3))
    limit = rng.uniform(0.1, 0.5)
    trainer = linear_trainer(tt, weight)
    given = {"weight": weight, "inputs": x, "targets": t, "rate": 0.05}

    loss, predictions = trainer.train_step(tt.Tensor(x), tt.Tensor(t))
    yield "the loss", loss, given
    yield "the loss is a float", isinstance(loss, float), given
    yield "the predictions", numbers(predictions), given
    yield "the gradient afterwards", gradient_of(trainer), given
    yield "the weight afterwards", weight_of(trainer), given
    yield "the number of updates", trainer.updates, given
    loss, predictions = trainer.train_step(tt.Tensor(x), tt.Tensor(t))
    yield "the loss in a second step", loss, given
    yield "the predictions in a second step", numbers(predictions), given
    yield "the gradient after a second step", gradient_of(trainer), given
    yield "the weight after a second step", weight_of(trainer), given
    yield "the number of updates after a second step", trainer.updates, given

    trainer = linear_trainer(tt, weight, grad_clip_norm=limit)
    given = {**given, "grad_clip_norm": limit}
    trainer.train_step(tt.Tensor(x), tt.Tensor(t))
    yield "the gradient with a limit", gradient_of(trainer), given
    yield "the weight with a limit", weight_of(trainer), given
    broken = np.array([[math.inf, x[0, 1]]])
    trainer.train_step(tt.Tensor(broken), tt.Tensor(t))
    given = {**given, "inputs of a second step": broken}
    yield "the weight where the gradient is broken", weight_of(trainer), given
    yield "updates and skipped where the gradient is broken", np.array([trainer.updates, trainer.skipped]), given
    trainer.train_step(tt.Tensor(x), tt.Tensor(t))
    yield "the weight in the step after a broken one", weight_of(trainer), given

    trainer = linear_trainer(tt, wide, momentum=0.9, loss=tt.core.losses.CrossEntropyLoss(), grad_clip_norm=math.inf)
    given = {"weight": wide, "inputs": many[0], "targets": classes[0], "rate": 0.05, "momentum": 0.9}
    losses = [trainer.train_step(tt.Tensor(inputs), tt.Tensor(targets))[0] for inputs, targets in zip(many, classes)]
    yield "losses of four steps on classes", np.array(losses), given
    yield "the weight after four steps on classes", weight_of(trainer), given

    trainer = altered(linear_trainer(tt, weight))
    loss, predictions = trainer.train_step(tt.Tensor(x), tt.Tensor(t))
    given = {"weight": weight, "inputs": x, "targets": t, "predict gives": "twice as much", "loss gives": "three times"}
    yield "the loss, with a predict and a loss of its own", loss, given
    yield "the predictions, with a predict and a loss of its own", numbers(predictions), given
    yield "the gradient, with a predict and a loss of its own", gradient_of(trainer), given


def altered(trainer):
    """The Trainer with a `predict` and a `loss` of its own, as one that computes in half precision has them."""
    predict, loss = trainer.predict, trainer.loss
    trainer.predict, trainer.loss = (lambda x: predict(x) * 2), (lambda p, t: loss(p, t) * 3)
    return trainer


def frozen_dropout(tt, training):
    """A Trainer of two layers, of which the dropout is in the other mode than the rest."""
    layers = tt.core.layers
    model = layers.Sequential(layers.Linear(2, 3), layers.Dropout(0.5))
    model.train(training)
    model[1].train(not training)
    optimizer = tt.core.optimizers.SGD(model.parameters(), lr=0.1)
    return tt.core.training.Trainer(model, optimizer, tt.core.losses.CrossEntropyLoss())


def modes_of(trainer):
    return [bool(module.training) for module in trainer.model.modules()]


def outcomes(tt, trainer, losses, scores, targets, seen, broken_at=None, rates=None):
    """Outcomes as `train_step` makes them; `seen` gets the layers' modes while each is computed, `rates` the rate."""
    for i, parts in enumerate(zip(losses, scores, targets, strict=True)):
        seen += modes_of(trainer)
        if rates is not None:
            rates.append(float(trainer.optimizer.lr))
        if i == broken_at:
            raise ZeroDivisionError
        yield float(parts[0]), tt.Tensor(parts[1]), tt.Tensor(parts[2])


def probe_07_4(tt, rng):
    """Epochs of batches of different sizes, on classes and on numbers, in both modes, and one that fails."""
    sizes = (3, 1, 6)
    losses = rng.uniform(0.5, 1.0, size=3) * np.array([1.0, 5.0, 2.0])
    scores, classes = [rng.normal(size=(n, 3)) for n in sizes], [rng.integers(0, 3, size=n) for n in sizes]
    classes[0][0] = scores[0][0].argmax()  # right, so that no share is zero
    guesses, truths = [rng.normal(size=(n, 1)) for n in sizes], [rng.normal(size=(n, 1)) for n in sizes]
    given, rate = {"losses": losses, "samples": list(sizes)}, float(rng.uniform(0.2, 0.9))

    for training in (False, True):
        for count in (2, 3):
            word = f"{count} batches, {'training' if training else 'in use'}"
            trainer, seen = frozen_dropout(tt, not training), []
            batches = outcomes(tt, trainer, losses[:count], scores[:count], classes[:count], seen)
            result = trainer.run_epoch(batches, training=training)
            yield f"the mean loss, {word}", float(result), given
            yield f"the loss by name, {word}", result["loss"], given
            yield f"the accuracy, {word}", result["accuracy"], given
            yield f"the modes of the layers on the way, {word}", seen, given
            yield f"the modes of the layers afterwards, {word}", modes_of(trainer), given

    for training in (False, True):
        trainer, seen = frozen_dropout(tt, training), []  # in this mode already: the other layer is left as it is
        trainer.run_epoch(outcomes(tt, trainer, losses, scores, classes, seen), training=training)
        word = "training" if training else "in use"
        yield f"the modes of the layers on the way, in that mode before, {word}", seen, {"training": training}

    trainer = frozen_dropout(tt, True)
    failing = outcomes(tt, trainer, losses, scores, classes, [], broken_at=1)
    yield "an error arrives", raised(lambda: trainer.run_epoch(failing, False), ZeroDivisionError), given
    yield "the modes of the layers after an error", modes_of(trainer), given

    metrics = [tt.core.metrics.MeanAbsoluteError()]
    trainer = linear_trainer(tt, np.ones((1, 2)), metrics=metrics)
    for word in ("the first epoch", "the second epoch"):
        result = trainer.run_epoch(outcomes(tt, trainer, losses, guesses, truths, []), True)
        given = {"losses": losses, **{f"{name} {i}": a for i, pair in enumerate(zip(guesses, truths))
                                      for name, a in zip(("predictions", "targets"), pair)}}  # fmt: skip
        yield f"the mean loss on numbers, {word}", float(result), given
        yield f"the metric on numbers, {word}", result["mean_absolute_error"], given
        yield f"there is no accuracy on numbers, {word}", result["accuracy"], given

    trainer = linear_trainer(tt, np.ones((1, 2)))
    for word, asked in (("with a rate", {"rate": rate}), ("without a rate, afterwards", {})):
        rates = []
        trainer.run_epoch(outcomes(tt, trainer, losses, guesses, truths, [], rates=rates), True, **asked)
        yield f"the optimizer's rates on the way, {word}", rates, {"rate": rate}


def probe_07_5(tt, rng):
    """Groups of equal and unequal batches, whole and left over, with a limit, with classes, and with a broken one."""

    def draw(*sizes):
        return [(rng.uniform(0.5, 1.5, size=(n, 2)), rng.uniform(-2.0, 0.0, size=(n, 1))) for n in sizes]

    cases = [
        ("two batches of one", 2, {}, draw(1, 1)),
        ("batches of three and one", 2, {}, draw(3, 1)),
        ("one batch where four would make a group", 4, {}, draw(3)),
        ("a group that is left over", 2, {}, draw(2, 3, 1)),
        ("a limit", 2, {"grad_clip_norm": rng.uniform(0.1, 0.5)}, draw(2, 1, 2, 2)),
    ]
    weight, wide = rng.uniform(0.5, 1.5, size=(1, 2)), rng.normal(size=(4, 3))
    classes = [(rng.normal(size=(n, 3)), rng.integers(0, 4, size=n)) for n in (4, 2, 5, 3, 1)]

    def accumulated(trainer, batches, steps):
        tensors = ((tt.Tensor(x), tt.Tensor(t)) for x, t in batches)
        return [(loss, numbers(p), numbers(t)) for loss, p, t in trainer.accumulate(tensors, steps)]

    for name, steps, options, batches in cases:
        trainer = linear_trainer(tt, weight, **options)
        given = {"weight": weight, "accumulation_steps": steps, "rate": 0.05, **options}
        for i, (x, t) in enumerate(batches):
            given |= {f"inputs {i}": x, f"targets {i}": t}
        done = accumulated(trainer, batches, steps)
        yield f"the weight after {name}", weight_of(trainer), given
        yield f"the number of updates after {name}", trainer.updates, given
        yield f"the losses of {name}", np.array([loss for loss, _, _ in done]), given
        yield f"the predictions of {name}", [p for _, p, _ in done], given
        yield f"the targets of {name}", [t for _, _, t in done], given
    loss = tt.core.losses.CrossEntropyLoss()
    trainer = linear_trainer(tt, wide, momentum=0.9, loss=loss)
    accumulated(trainer, classes, 2)
    yield "the weight after five batches of classes", weight_of(trainer), {"weight": wide, "accumulation_steps": 2}
    trainer = altered(linear_trainer(tt, weight))
    done = accumulated(trainer, cases[0][3], 2)
    given = {"weight": weight, "predict gives": "twice as much", "loss gives": "three times"}
    yield "the losses, with a predict and a loss of its own", np.array([loss for loss, _, _ in done]), given
    yield "the predictions, with a predict and a loss of its own", [p for _, p, _ in done], given
    yield "the weight, with a predict and a loss of its own", weight_of(trainer), given
    trainer = linear_trainer(tt, weight, grad_clip_norm=1.0)
    broken = [(np.full((1, 2), math.inf), np.zeros((1, 1))), *cases[0][3]]
    accumulated(trainer, broken, 1)
    given = {"weight": weight, "inputs 0": broken[0][0], "grad_clip_norm": 1.0, "accumulation_steps": 1}
    yield "the weight where the first gradient is broken", weight_of(trainer), given
    yield "updates and skipped where one is broken", np.array([trainer.updates, trainer.skipped]), given


def probe_07_6(tt, rng):
    """Losses that fall, stand, rise and are missing; what is kept of the parameters."""
    base, delta = rng.uniform(1.0, 2.0), rng.uniform(0.1, 0.3)
    down = base - delta * rng.uniform(1.2, 1.8)  # by more than delta
    sequences = [
        ("two in a row", 2, 0.0, [base, base + 0.5, base + 0.3, base + 0.4, base - 0.1, base, base - 0.05, base]),
        ("less than min_delta", 1, delta, [base, base - delta / 2, base + delta / 2, down, down - delta / 2]),
        ("a slow fall", 3, delta, [base - 0.4 * delta * i for i in range(7)]),
        ("a rise and a fall back", 2, 0.0, [base, base + 1.0, base + 0.5, base + 0.2, base - 0.2]),
        ("nan", 2, 0.0, [math.nan, base, math.nan, math.nan, math.nan, base - 0.5]),
    ]
    arrays = rng.normal(size=(3, 2))
    make = tt.core.training.EarlyStopping
    for name, patience, min_delta, losses in sequences:
        stop, given = make(patience, min_delta), {"patience": patience, "min_delta": min_delta, "losses": losses}
        answers = [stop(loss) for loss in losses]
        yield f"whether to stop: {name}", np.array(answers, dtype=float), given
        yield f"the best loss: {name}", stop.best_loss, given
    stop = make()
    answers = np.array([stop(loss) for loss in [base] + [base - 0.5e-4] * 11], dtype=float)
    yield "whether to stop, without settings", answers, {"losses": [base] + [base - 0.5e-4] * 11}

    stop, params = make(patience=3), {"w": arrays[0].copy(), "b": arrays[1].copy()}
    yield "nothing is kept before the first epoch", stop.get_best_params(), {}
    stop(base, params)
    params["w"] += 10.0
    given = {"params": [arrays[0], arrays[1]], "added to the first afterwards": 10.0}
    yield "the parameters of the best epoch", [stop.get_best_params()[name] for name in ("w", "b")], given
    params["w"] = arrays[2]
    for word, loss in (("a worse", base + 0.5), ("a better", base - 0.5)):
        stop(loss, params=params)
        yield f"the parameters after {word} epoch", stop.get_best_params()["w"], {"losses": [base, loss]}
    for options in ({"patience": 0}, {"min_delta": -0.1}):
        yield f"{options} is an error", raised(lambda options=options: make(**options), ValueError), options


def whole_run(tt, arrays, rate=0.1, dropout=0.0):
    """A Trainer with moments, a schedule, a buffer and perhaps dropout."""
    layers, training = tt.core.layers, tt.core.training
    model = layers.Sequential(layers.Linear(2, 3), layers.Dropout(dropout), layers.Linear(3, 1))
    model.register_buffer("seen", np.zeros(2))
    for parameter, array in zip(model.parameters(), arrays, strict=True):
        parameter.data = array
    optimizer = tt.core.optimizers.Adam(model.parameters(), lr=rate)
    schedule = training.StepDecay(rate, 1, 0.5)
    return training.Trainer(model, optimizer, tt.core.losses.MeanSquaredError(), schedule)


def work(tt, trainer, batches):
    """Train by hand, and count."""
    for x in batches:
        trainer.optimizer.lr = trainer.scheduler.get_lr(trainer.epoch)
        trainer.optimizer.zero_grad()
        (trainer.model(tt.Tensor(x)) ** 2).mean().backward()
        trainer.optimizer.step()
        trainer.model.seen.data = trainer.model.seen.numpy() + x[0]
        trainer.history["epoch"].append(trainer.epoch)
        trainer.epoch, trainer.step, trainer.updates = trainer.epoch + 1, trainer.step + 3, trainer.updates + 2


def weights_of(trainer):
    return [p.numpy().copy() for p in trainer.model.parameters()]


def probe_07_7(tt, rng):
    """A state put aside while training goes on, and training that goes on from it in another Trainer."""
    shapes = ((3, 2), (3,), (1, 3), (1,))
    arrays, others = ([rng.uniform(0.5, 1.5, size=shape) for shape in shapes] for _ in range(2))
    batches = rng.uniform(0.5, 1.5, size=(5, 4, 2))
    counters = {name: int(rng.integers(1, 1000)) for name in ("epoch", "step", "updates", "skipped")}
    seeds = [int(seed) for seed in rng.integers(0, 2**31, size=2)]

    trainer = whole_run(tt, arrays)
    for name, value in counters.items():
        setattr(trainer, name, value)
    state = trainer.state_dict()
    keys = ("epoch", "step", "updates", "skipped")
    yield "the counters", np.array([state[name] for name in keys]), counters
    yield "whether a model in training is trained", state["training_mode"], {}
    trainer.model.eval()
    yield "whether a model in use is trained", trainer.state_dict()["training_mode"], {}
    promised = ("model", "optimizer", "scheduler", "generators", "history", *keys, "training_mode")
    yield "which keys there are", [name in state for name in promised], {"keys": list(promised)}

    given = {"inputs": batches[0], "first weight": arrays[0]}
    trainer = whole_run(tt, arrays)
    work(tt, trainer, batches[:2])
    state = trainer.state_dict()
    work(tt, trainer, batches[2:])
    yield "the history at the moment of the state", np.array(state["history"]["epoch"]), given
    other = whole_run(tt, others, rate=7.0)
    other.load_state_dict(state)
    yield "the weights of the state", weights_of(other), given
    yield "the buffer of the state", other.model.seen.numpy().copy(), given
    yield "a rate of the schedule of the state", other.scheduler.get_lr(0), given
    work(tt, other, batches[2:])
    yield "the weights after going on", weights_of(other), given
    yield "the buffer after going on", other.model.seen.numpy().copy(), given
    yield "the history after going on", np.array(other.history["epoch"]), given

    tt.manual_seed(seeds[0])
    trainer = whole_run(tt, arrays, dropout=0.5)
    work(tt, trainer, batches[:2])
    state = trainer.state_dict()
    yield "at the state, with dropout", weights_of(trainer), given
    work(tt, trainer, batches[2:])
    yield "at the end of the run, with dropout", weights_of(trainer), given
    tt.manual_seed(seeds[1])
    other = whole_run(tt, others, dropout=0.5)
    other.load_state_dict(state)
    work(tt, other, batches[2:])
    yield "at the end of the run that went on, with dropout", weights_of(other), given

    state["model"]["0.weight"] = np.zeros((5, 2))
    before = other.model[0].weight.numpy().copy()
    yield "the state of another model is an error", raised(lambda: other.load_state_dict(state), ValueError), given
    yield "the change by the state of another model", other.model[0].weight.numpy() - before, given


def judge_07_7(student, reference, rng):
    """Two right kinds of dropout draw different masks; what must hold is that going on repeats the run to the bit."""
    names = ("at the state", "at the end of the run", "at the end of the run that went on")
    start, end, again = (student[f"{name}, with dropout"] for name in names)
    moved = all(a.shape == b.shape and np.abs(a - b).max() > 1e-3 for a, b in zip(start, end, strict=True))
    same = all(np.array_equal(a, b) for a, b in zip(again, end, strict=True))
    return {
        f"{names[0]}, with dropout": None,
        f"{names[1]}, with dropout": None if moved else "the weights did not move",
        f"{names[2]}, with dropout": None if same else "going on from the state is not bit for bit the run itself",
    }


def line_trainer(tt, start, **options):
    """A Trainer of y = a x + b from these two numbers, with plain steps of 0.1."""
    layers = tt.core.layers
    model = layers.Sequential(layers.Linear(1, 1))
    model[0].weight.data, model[0].bias.data = [[start[0]]], [start[1]]
    optimizer = tt.core.optimizers.SGD(model.parameters(), lr=0.1)
    return tt.core.training.Trainer(model, optimizer, tt.core.losses.MeanSquaredError(), **options)


def line_of(trainer):
    return np.array([p.numpy().item() for p in trainer.model.parameters()])


def probe_07_8(tt, rng):
    """Fits of lines: with and without validation, stopped early, ended by a callback, saved, and called again."""
    x = rng.permutation(np.linspace(-1.0, 1.0, 6) + rng.uniform(-0.1, 0.1, size=6)).reshape(6, 1)
    start, slope = rng.uniform(-0.1, 0.1, size=2), rng.uniform(2.0, 3.0)
    given = {"x": x, "slope": slope, "line at the start": start, "rate": 0.1}
    training = tt.core.training
    rising, like, opposite = (
        [(tt.Tensor(part), tt.Tensor(a * part + b)) for part in (x[:4], x[4:])]
        for a, b in ((slope, 1.0), (slope - 0.5, 1.0), (-slope, -1.0))
    )

    trainer = line_trainer(tt, start)
    history = trainer.fit(rising, epochs=1, verbose=False)
    yield "the training loss of one epoch", np.array(history["train_loss"]), given
    yield "the line after one epoch", line_of(trainer), given
    yield "without validation its loss is nan", np.array(history["val_loss"]), given

    told = []
    trainer = line_trainer(tt, start, callbacks=[SimpleNamespace(on_epoch_end=lambda t: told.append(t.epoch))])
    history = trainer.fit(rising, like, epochs=3, verbose=False)
    names = ("epoch", "train_loss", "val_loss", "eval_loss", "learning_rates")
    for name in names:
        yield f"{name} of three epochs", np.array(history[name]), given
    yield "the line after three epochs", line_of(trainer), given
    yield "the epochs that a callback was told of", np.array(told), given
    again = trainer.fit(rising, epochs=2, verbose=False)
    for name in names[:3]:
        yield f"{name} after two epochs more", np.array(again[name]), given
    yield "the number of updates", trainer.updates, given
    trainer.fit(rising, epochs=1, verbose=False, accumulation_steps=2)
    yield "the number of updates with two batches to one", trainer.updates, given
    yield "the line with two batches to an update", line_of(trainer), given

    trainer, stop = line_trainer(tt, start), training.EarlyStopping(patience=2)
    history = trainer.fit(rising, opposite, epochs=6, verbose=False, early_stopping=stop)
    yield "epochs until validation stops it", np.array(history["epoch"]), given
    yield "the best validation loss", stop.best_loss, given
    kept = stop.get_best_params()
    yield "the best line", np.array([numbers(kept[name]).item() for name in ("0.weight", "0.bias")]), given
    trainer, stop = line_trainer(tt, start), training.EarlyStopping(patience=2)
    trainer.fit(rising, epochs=3, verbose=False, early_stopping=stop)
    yield "the best training loss", stop.best_loss, given
    ending = SimpleNamespace(on_epoch_end=lambda t: setattr(t, "stop_training", t.epoch == 2))
    history = line_trainer(tt, start, callbacks=[ending]).fit(rising, epochs=5, verbose=False)
    yield "epochs until a callback ends it", np.array(history["epoch"]), given

    with tempfile.TemporaryDirectory() as folder:
        for name, val in (("without validation", None), ("with a validation loss that rises", opposite)):
            path, stop, resumed = os.path.join(folder, name), training.EarlyStopping(), training.EarlyStopping()
            options = dict(save_best=True, checkpoint_path=path, early_stopping=stop)
            line_trainer(tt, start).fit(rising, val, epochs=2, verbose=False, **options)
            trainer = line_trainer(tt, start)
            trainer.load_checkpoint(path)
            trainer.fit([], epochs=0, verbose=False, early_stopping=resumed)
            yield f"the epochs in the file, {name}", trainer.epoch, given
            yield f"the line in the file, {name}", line_of(trainer), given
            yield f"the best loss in the file, {name}", resumed.best_loss, given
        path = os.path.join(folder, "not asked for")
        line_trainer(tt, start).fit(rising, epochs=1, verbose=False, checkpoint_path=path)
        yield "a file that nobody asked for", os.path.exists(path), given
    once = iter(rising)
    fails = raised(lambda: line_trainer(tt, start).fit(once, epochs=2, verbose=False), ValueError)
    yield "an iterator for two epochs is an error", fails, given
