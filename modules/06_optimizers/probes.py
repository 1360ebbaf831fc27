"""What grading compares: each probe runs on the student's package and on the reference with the same numbers."""

import numpy as np


def trajectory(rule, w, gradients, state=None, **options):
    """Weights after each step of `rule`, one step for each gradient, and the state at the end."""
    w, state, way = w.copy(), {} if state is None else state, []
    for g in gradients:
        rule(w, g, state, **options)
        way.append(w.copy())
    return np.array(way), state


def along(name, rule, w, gradients, kept, **options):
    """Results of some steps: the way of the weights, what is remembered under which names, the gradients afterwards."""
    before = gradients.copy()
    way, state = trajectory(rule, w, gradients, **options)
    case = {"w": w, "gradients": before, **{name: str(value) for name, value in options.items()}}
    yield f"{name}: weights after each step", way, case
    yield f"{name}: names of what is remembered", sorted(state), case
    for key in kept:
        yield f"{name}: {key}", state[key], case
    yield f"{name}: the gradients afterwards", gradients, case


def probe_06_1(tt, rng):
    """Two groups with rates of their own, a parameter without a gradient, and a second step without one more."""
    values, gradients = rng.uniform(1, 2, size=4), rng.uniform(1, 2, size=3) * [1, -1, 1]
    rates, kinds = rng.uniform([0.1, 0.4], [0.3, 0.8]).tolist(), []
    case = {"values": values, "gradients": gradients, "rates": rates}

    def count_and_descend(w, g, state, *, lr):
        kinds.append(f"{type(w).__name__}, {type(g).__name__}")
        state["step"] = state.get("step", 0) + 1
        w -= lr * g

    class Descent(tt.core.optimizers.Optimizer):
        rule = staticmethod(count_and_descend)

    tensors = a, b, c, unused = [tt.Tensor([value], requires_grad=True) for value in values]
    for p, g in zip(tensors, gradients):
        p.grad = tt.Tensor([g])
    optimizer = Descent([{"params": [a, unused, b]}, {"params": [c], "lr": rates[1]}], lr=rates[0])
    memory = [p.data for p in tensors]
    optimizer.step()
    yield "weights, the last one without a gradient", [p.numpy() for p in tensors], case
    yield "the arrays that held the weights", memory, case
    yield "what the rule was given", sorted(set(kinds)), case
    yield "gradients afterwards", [p.grad.numpy() for p in (a, b, c)], case
    yield "whether each Tensor has counted the write", [p.version > 0 for p in (a, b, c)], case
    b.grad = None
    optimizer.step()
    yield "weights after a second step, for which the second has no gradient", [p.numpy() for p in tensors], case
    yield "steps that each parameter's state has counted", [optimizer.state[p].get("step", 0) for p in tensors], case


def probe_06_2(tt, rng):
    """Values, the type, what went in afterwards, and no penalty."""
    g, w, decay = rng.uniform(1, 2, size=3) * [1, -1, 0], rng.normal(size=3), rng.uniform(0.1, 0.5)
    penalised = tt.core.optimizers.penalised
    before = g.copy(), w.copy()
    case = {"g": before[0], "w": before[1], "weight_decay": decay}
    yield "a gradient with the penalty", penalised(g, w, decay), case
    yield "g and w afterwards", [g, w], case
    yield "whether it is g itself without a penalty", penalised(g, w, 0.0) is g, {**case, "weight_decay": 0.0}
    narrow = penalised(g.astype(np.float32), w.astype(np.float32), decay)
    yield "in float32", narrow, case
    yield "type in float32", str(narrow.dtype), case


def probe_06_3(tt, rng):
    """One sum after the other in the same memory, and the type."""
    v, xs, mu = rng.uniform(1, 2, size=2), rng.normal(size=(5, 2)), rng.uniform(0.3, 0.9)
    accumulate = tt.core.optimizers.accumulate
    memory, before = v.copy(), xs.copy()
    out = accumulate(memory, xs[0], mu)
    case = {"v": v, "x": before[0], "mu": mu}
    yield "what comes back", np.array(out), case
    yield "v afterwards", memory, case
    yield "whether what comes back is v", out is memory, case
    for x in xs[1:]:
        accumulate(memory, x, mu)
    yield "v after five sums", memory, {"v": v, "x": before, "mu": mu}
    yield "x afterwards", xs, {"v": v, "x": before, "mu": mu}
    narrow = v.astype(np.float32)
    yield "type in float32", str(accumulate(narrow, xs[0].astype(np.float32), mu).dtype)


def probe_06_4(tt, rng):
    """Plain descent, momentum, a penalty and the look ahead, some steps each."""
    w, gradients = rng.uniform(1, 2, size=2), rng.normal(size=(4, 5, 2))
    lr, momentum, decay = rng.uniform([0.05, 0.4, 0.2], [0.2, 0.9, 0.8]).tolist()
    rule = tt.core.optimizers.sgd_rule
    kept = ["momentum_buffer"]
    yield from along("plain", rule, w, gradients[0], [], lr=lr)
    yield from along("momentum", rule, w, gradients[1], kept, lr=lr, momentum=momentum)
    options = {"lr": lr, "momentum": momentum, "nesterov": True}
    yield from along("nesterov", rule, w, gradients[2], kept, **options)
    yield from along("with a penalty", rule, w, gradients[3], kept, lr=lr, momentum=momentum, weight_decay=decay)


def probe_06_5(tt, rng):
    """Some steps each with a large eps and the usual one, centered, with momentum, and a variance below 0."""
    w, gradients = rng.uniform(1, 2, size=2), rng.normal(size=(4, 4, 2)) * [3, 0.01]
    lr, alpha, momentum, eps = rng.uniform([0.05, 0.5, 0.4, 0.2], [0.2, 0.9, 0.8, 0.6]).tolist()
    mean = 1 + rng.uniform(1e-4, 1e-3)
    rule, kept = tt.core.optimizers.rmsprop_rule, ["step", "square_avg"]
    yield from along("a large eps", rule, w, gradients[0], kept, lr=lr, alpha=alpha, eps=eps)
    yield from along("usual options", rule, w, gradients[1], kept, lr=lr)
    options = {"lr": lr, "alpha": alpha, "eps": eps}
    yield from along("centered", rule, w, gradients[2], [*kept, "grad_avg"], **options, centered=True)
    yield from along("momentum", rule, w, gradients[3], [*kept, "momentum_buffer"], **options, momentum=momentum)
    yield "momentum, with a rate that falls", falling_rate(rule, w, gradients[3], lr, alpha=alpha, momentum=momentum)
    level = {"square_avg": np.array([1.0]), "grad_avg": np.array([mean])}
    case = {"square_avg": [1.0], "grad_avg": [mean], "g": [1.0], "eps": 0.5, "alpha": 0.9}
    way, _ = trajectory(rule, w[:1], np.ones((1, 1)), level, lr=lr, alpha=0.9, eps=0.5, centered=True)
    yield "centered, where rounding made the variance negative", way, case


def falling_rate(rule, w, gradients, lr, **options):
    """The weights after steps each of which has half of the rate of the one before."""
    w, state = w.copy(), {}
    for k, g in enumerate(gradients):
        rule(w, g, state, lr=lr / 2**k, **options)
    return w


def probe_06_6(tt, rng):
    """Some steps with a large eps, a tiny one and the usual options; one number has no slope."""
    w, gradients = rng.uniform(1, 2, size=3), rng.normal(size=(3, 5, 3)) * [4, 0.5, 0]
    lr, beta1, beta2, eps = rng.uniform([0.05, 0.4, 0.7, 0.2], [0.2, 0.8, 0.95, 0.8]).tolist()
    rule, kept = tt.core.optimizers.adam_rule, ["step", "exp_avg", "exp_avg_sq"]
    yield from along("one step", rule, w, gradients[0, :1], kept, lr=lr, betas=(beta1, beta2), eps=eps)
    yield from along("a large eps", rule, w, gradients[0], kept, lr=lr, betas=(beta1, beta2), eps=eps)
    yield from along("a tiny eps", rule, w, gradients[1], kept, lr=lr, betas=(beta1, beta2), eps=1e-12)
    yield from along("usual options", rule, w, gradients[2], kept, lr=lr)


def probe_06_7(tt, rng):
    """Some steps with options of its own and with the usual ones, and a weight without a gradient."""
    w, gradients = rng.uniform(1, 4, size=2) * [1, -1], rng.normal(size=(2, 4, 2)) * [3, 0.01]
    lr, beta1, beta2, eps = rng.uniform([0.1, 0.4, 0.7, 0.05], [0.5, 0.8, 0.95, 0.2]).tolist()
    decay = rng.uniform(0.1, 0.5)
    rule, kept = tt.core.optimizers.adamw_rule, ["step", "exp_avg", "exp_avg_sq"]
    options = {"lr": lr, "weight_decay": decay}
    yield from along("no gradient", rule, w, np.zeros((2, 2)), kept, **options)
    yield from along("some steps", rule, w, gradients[0], kept, **options, betas=(beta1, beta2), eps=eps)
    yield from along("usual betas and eps", rule, w, gradients[1], kept, **options)


def probe_06_8(tt, rng):
    """A step from a velocity, one without, steps at a rate that changes, and what went in afterwards."""
    w, dw, velocity = rng.uniform(1, 2, size=2), rng.normal(size=2), rng.normal(size=2)
    gradients, rates = rng.normal(size=(4, 2)), rng.uniform(0.02, 0.5, size=4).tolist()
    momentum = rng.uniform(0.3, 0.8)
    before = [w.copy(), dw.copy(), velocity.copy()]
    f = tt.core.optimizers.sgd_momentum
    given = {"learning_rate": rates[0], "momentum": momentum, "velocity": velocity}
    next_w, config = f(w, dw, given)
    case = {"w": before[0], "dw": before[1], **given, "velocity": before[2]}
    yield "next_w", next_w, case
    yield "velocity", config["velocity"], case
    yield "w, dw and the velocity that was given, afterwards", [w, dw, velocity], case
    yield "keys of the config", sorted(config), case
    next_w, config = f(w, dw)
    yield "without a config", [next_w, config["velocity"]], {"w": before[0], "dw": before[1]}
    for g, rate in zip(gradients, rates, strict=True):
        next_w, config = f(next_w, g, {**config, "learning_rate": rate})
    yield "steps at a rate that changes", [next_w, config["velocity"]], {"rates": rates, "gradients": gradients}
