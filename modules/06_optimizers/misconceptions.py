"""Wrong solutions that a student plausibly writes: each fails a visible test, and no other has its fingerprint."""


def walk(body, before="options = self.options_of(group)", groups="self.param_groups", state="self.state[p]"):
    """A body of `step` in which `body` is done for each parameter."""
    inner = body.format(state=state).replace("\n", "\n        ")
    return f'for group in {groups}:\n    {before}\n    for p in group["params"]:\n        {inner}'


RULE = "w = p.data\n    self.rule(w, gradient_of(p), {state}, **options)"
GUARD = "if p.grad is not None:\n    "

SQUARES = 'squares = accumulate(buffer(state, "square_avg", w), (1 - alpha) * g * g, alpha)\n'
CENTER = (
    'if centered:\n    mean = accumulate(buffer(state, "grad_avg", w), (1 - alpha) * g, alpha)\n'
    "    squares = np.maximum(squares - mean * mean, 0)\n"
)
QUOTIENT = "q = scaled(g, squares, eps)\n"
ROLL = 'if momentum:\n    q = accumulate(buffer(state, "momentum_buffer", w), q, momentum)\n'
MOVE = "w -= lr * q"

FIRST = 'm = accumulate(buffer(state, "exp_avg", w), (1 - beta1) * g, beta1)\n'
SECOND = 'v = accumulate(buffer(state, "exp_avg_sq", w), (1 - beta2) * g * g, beta2)\n'
ADAM = "w -= lr * scaled(m / (1 - beta1**t), v / (1 - beta2**t), eps)"

WRONG = [
    dict(
        task="06-1",
        mistake="only the first group is trained",
        body=walk(f"{GUARD}{RULE}\n    p.data = w", groups="self.param_groups[:1]"),
    ),
    dict(
        task="06-1",
        mistake="all groups are trained with the options given to the constructor",
        body=walk(f"{GUARD}{RULE}\n    p.data = w", before="options = self.defaults"),
    ),
    dict(
        task="06-1",
        mistake="the walk stops at the first parameter without a gradient",
        body=walk(f"if p.grad is None:\n    return\n{RULE}\np.data = w".replace("\n    self", "\nself")),
    ),
    dict(
        task="06-1",
        mistake="a group is left at the first parameter without a gradient",
        body=walk(f"if p.grad is None:\n    break\n{RULE}\np.data = w".replace("\n    self", "\nself")),
    ),
    dict(
        task="06-1",
        mistake="parameters without a gradient are not skipped",
        body=walk(f"{RULE}\np.data = w".replace("\n    self", "\nself")),
    ),
    dict(
        task="06-1",
        mistake="the Tensor does not hear of the write",
        body=walk(f"{GUARD}{RULE}"),
    ),
    dict(
        task="06-1",
        mistake="the rule changes a copy of the weights, and the copy is dropped",
        body=walk(f"{GUARD}{RULE}".replace("w = p.data", "w = p.data.copy()")),
    ),
    dict(
        task="06-1",
        mistake="the rule changes a copy, which then takes the place of the array",
        body=walk(f"{GUARD}{RULE}\n    p.data = w".replace("w = p.data", "w = p.data.copy()")),
    ),
    dict(
        task="06-1",
        mistake="the rule gets the Tensor instead of its array",
        body=walk(f"{GUARD}{RULE}\n    p.data = w".replace("w = p.data", "w = p")),
    ),
    dict(
        task="06-1",
        mistake="the rule gets the gradient as a Tensor",
        body=walk(f"{GUARD}{RULE}\n    p.data = w".replace("gradient_of(p)", "p.grad")),
    ),
    dict(
        task="06-1",
        mistake="each step begins with an empty state, and what is remembered is lost",
        body=walk(f"{GUARD}{RULE}\n    p.data = w", state="{{}}".replace("{{", "{").replace("}}", "}")),
    ),
    dict(
        task="06-1",
        mistake="all parameters of a group share one state",
        body=walk(
            f"{GUARD}{RULE}\n    p.data = w",
            before='options, shared = self.options_of(group), self.state[group["params"][0]]',
            state="shared",
        ),
    ),
    dict(
        task="06-1",
        mistake="gradients are forgotten after the step, which is the business of zero_grad",
        body=walk(f"{GUARD}{RULE}\n    p.data, p.grad = w, None"),
    ),
    dict(
        task="06-2",
        mistake="the penalty is added into the gradient itself",
        body="g += weight_decay * w\nreturn g",
    ),
    dict(
        task="06-2",
        mistake="the penalty is subtracted, so that weights grow",
        body="return g - weight_decay * w if weight_decay else g",
    ),
    dict(
        task="06-2",
        mistake="the factor 2 of the square is kept, although the penalty has a half",
        body="return g + 2 * weight_decay * w if weight_decay else g",
    ),
    dict(
        task="06-2",
        mistake="the penalty itself is added, not its slope",
        body="return g + weight_decay / 2 * w * w if weight_decay else g",
    ),
    dict(
        task="06-2",
        mistake="the sign of the weight is added: the slope of a penalty on absolute values",
        body="return g + weight_decay * np.sign(w) if weight_decay else g",
    ),
    dict(
        task="06-2",
        mistake="the weights shrink here, instead of the gradient growing",
        body="w *= 1 - weight_decay\nreturn g",
    ),
    dict(
        task="06-2",
        mistake="the gradient of the loss is dropped when there is a penalty",
        body="return weight_decay * w if weight_decay else g",
    ),
    dict(
        task="06-2",
        mistake="a new array is made also when there is nothing to add",
        body="return g + weight_decay * w",
    ),
    dict(
        task="06-3",
        mistake="the sum is a new array, and v stays as it was",
        body="return mu * v + x",
    ),
    dict(
        task="06-3",
        mistake="the sum is written into x",
        body="x += mu * v\nv[...] = x\nreturn v",
    ),
    dict(
        task="06-3",
        mistake="the new value is added before the forgetting, and is shrunk with the old ones",
        body="v += x\nv *= mu\nreturn v",
    ),
    dict(
        task="06-3",
        mistake="mu stands at the new value instead of the old sum",
        body="v += mu * x\nreturn v",
    ),
    dict(
        task="06-3",
        mistake="nothing is forgotten",
        body="v += x\nreturn v",
    ),
    dict(
        task="06-3",
        mistake="it is a moving average: x comes in with the factor 1 - mu",
        body="v *= mu\nv += (1 - mu) * x\nreturn v",
    ),
    dict(
        task="06-3",
        mistake="v is changed but not returned",
        body="v *= mu\nv += x",
    ),
    dict(
        task="06-3",
        mistake="the old sum is replaced by the new value",
        body="v[...] = x\nreturn v",
    ),
    dict(
        task="06-4",
        mistake="the step goes uphill",
        body=(
            'if momentum:\n    v = accumulate(buffer(state, "momentum_buffer", w), g, momentum)\n'
            "    g = g + momentum * v if nesterov else v\nw += lr * g"
        ),
    ),
    dict(
        task="06-4",
        mistake="w becomes the name of a new array, and the weights stay as they were",
        body=(
            'if momentum:\n    v = accumulate(buffer(state, "momentum_buffer", w), g, momentum)\n'
            "    g = g + momentum * v if nesterov else v\nw = w - lr * g"
        ),
    ),
    dict(
        task="06-4",
        mistake="the gradient enters the momentum with the factor 1 - mu",
        body=(
            'if momentum:\n    v = accumulate(buffer(state, "momentum_buffer", w), (1 - momentum) * g, momentum)\n'
            "    g = g + momentum * v if nesterov else v\nw -= lr * g"
        ),
    ),
    dict(
        task="06-4",
        mistake="the gradient itself becomes the buffer, and is changed by the next step",
        body=(
            'if momentum:\n    if "momentum_buffer" not in state:\n        state["momentum_buffer"] = g\n'
            '    else:\n        accumulate(state["momentum_buffer"], g, momentum)\n'
            '    v = state["momentum_buffer"]\n'
            "    g = g + momentum * v if nesterov else v\nw -= lr * g"
        ),
    ),
    dict(
        task="06-4",
        mistake="the sum is computed, and the step goes along the gradient all the same",
        body=(
            'if momentum:\n    v = accumulate(buffer(state, "momentum_buffer", w), g, momentum)\n'
            "    g = g + momentum * v if nesterov else g\nw -= lr * g"
        ),
    ),
    dict(
        task="06-4",
        mistake="there is a buffer also without momentum",
        body=(
            'v = accumulate(buffer(state, "momentum_buffer", w), g, momentum)\n'
            "w -= lr * (g + momentum * v if nesterov else v)"
        ),
    ),
    dict(
        task="06-4",
        mistake="nesterov makes no difference",
        body=('if momentum:\n    g = accumulate(buffer(state, "momentum_buffer", w), g, momentum)\nw -= lr * g'),
    ),
    dict(
        task="06-4",
        mistake="nesterov looks along the old sum, so that its step is that of plain momentum",
        body=(
            'if momentum:\n    old = buffer(state, "momentum_buffer", w).copy()\n'
            '    v = accumulate(buffer(state, "momentum_buffer", w), g, momentum)\n'
            "    g = g + momentum * momentum * old if nesterov else v\nw -= lr * g"
        ),
    ),
    dict(
        task="06-4",
        mistake="nesterov adds the whole sum to the gradient, without the factor mu",
        body=(
            'if momentum:\n    v = accumulate(buffer(state, "momentum_buffer", w), g, momentum)\n'
            "    g = g + v if nesterov else v\nw -= lr * g"
        ),
    ),
    dict(
        task="06-4",
        mistake="nesterov adds its look ahead into the buffer",
        body=(
            'if momentum:\n    v = accumulate(buffer(state, "momentum_buffer", w), g, momentum)\n'
            "    if nesterov:\n        v *= momentum\n        v += g\n    g = v\nw -= lr * g"
        ),
    ),
    dict(
        task="06-5",
        mistake="the gradient is averaged, not its square",
        body='squares = accumulate(buffer(state, "square_avg", w), (1 - alpha) * np.abs(g), alpha)\n'
        + CENTER
        + QUOTIENT
        + ROLL
        + MOVE,
    ),
    dict(
        task="06-5",
        mistake="alpha and 1 - alpha have changed places",
        body='squares = accumulate(buffer(state, "square_avg", w), alpha * g * g, 1 - alpha)\n'
        + CENTER
        + QUOTIENT
        + ROLL
        + MOVE,
    ),
    dict(
        task="06-5",
        mistake="the squares are summed with forgetting, without the factor 1 - alpha",
        body='squares = accumulate(buffer(state, "square_avg", w), g * g, alpha)\n' + CENTER + QUOTIENT + ROLL + MOVE,
    ),
    dict(
        task="06-5",
        mistake="eps is added under the root",
        body=SQUARES + CENTER + "q = g / np.sqrt(squares + eps)\n" + ROLL + MOVE,
    ),
    dict(
        task="06-5",
        mistake="the root is left out",
        body=SQUARES + CENTER + "q = g / (squares + eps)\n" + ROLL + MOVE,
    ),
    dict(
        task="06-5",
        mistake="the quotient is computed from the squares before this step",
        body='squares = buffer(state, "square_avg", w).copy()\n'
        'accumulate(state["square_avg"], (1 - alpha) * g * g, alpha)\n' + CENTER + QUOTIENT + ROLL + MOVE,
    ),
    dict(
        task="06-5",
        mistake="centered makes no difference",
        body=SQUARES + 'buffer(state, "grad_avg", w) if centered else None\n' + QUOTIENT + ROLL + MOVE,
    ),
    dict(
        task="06-5",
        mistake="centered subtracts the mean from the squares, not its square",
        body=SQUARES + CENTER.replace("mean * mean", "mean") + QUOTIENT + ROLL + MOVE,
    ),
    dict(
        task="06-5",
        mistake="centered takes the mean off the gradient",
        body=SQUARES
        + 'if centered:\n    g = g - accumulate(buffer(state, "grad_avg", w), (1 - alpha) * g, alpha)\n'
        + QUOTIENT
        + ROLL
        + MOVE,
    ),
    dict(
        task="06-5",
        mistake="a variance that rounding made negative is not cut off at 0",
        body=SQUARES
        + CENTER.replace("np.maximum(squares - mean * mean, 0)", "squares - mean * mean")
        + QUOTIENT
        + ROLL
        + MOVE,
    ),
    dict(
        task="06-5",
        mistake="momentum makes no difference",
        body=SQUARES + CENTER + QUOTIENT + MOVE,
    ),
    dict(
        task="06-5",
        mistake="the rate is inside of the momentum, so that old steps keep their old rate",
        body=SQUARES + CENTER + "q = lr * scaled(g, squares, eps)\n" + ROLL + "w -= q",
    ),
    dict(
        task="06-5",
        mistake="momentum sums gradients before they are scaled",
        body=SQUARES
        + CENTER
        + 'if momentum:\n    g = (1 - momentum) * accumulate(buffer(state, "momentum_buffer", w), g, momentum)\n'
        + QUOTIENT
        + MOVE,
    ),
    dict(
        task="06-6",
        mistake="neither average is corrected",
        body=FIRST + SECOND + "w -= lr * scaled(m, v, eps)",
    ),
    dict(
        task="06-6",
        mistake="only the first average is corrected",
        body=FIRST + SECOND + "w -= lr * scaled(m / (1 - beta1**t), v, eps)",
    ),
    dict(
        task="06-6",
        mistake="only the second average is corrected",
        body=FIRST + SECOND + "w -= lr * scaled(m, v / (1 - beta2**t), eps)",
    ),
    dict(
        task="06-6",
        mistake="the correction is written into the averages that are kept",
        body=FIRST + SECOND + "m /= 1 - beta1**t\nv /= 1 - beta2**t\nw -= lr * scaled(m, v, eps)",
    ),
    dict(
        task="06-6",
        mistake="the correction is that of the first step, in every step",
        body=FIRST + SECOND + "w -= lr * scaled(m / (1 - beta1), v / (1 - beta2), eps)",
    ),
    dict(
        task="06-6",
        mistake="steps are counted from 0 in the correction, which then divides by 0",
        body=FIRST + SECOND + "t = t - 1\n" + ADAM,
    ),
    dict(
        task="06-6",
        mistake="the correction is one step ahead",
        body=FIRST + SECOND + "t = t + 1\n" + ADAM,
    ),
    dict(
        task="06-6",
        mistake="the two betas have changed places",
        body="beta1, beta2 = beta2, beta1\n" + FIRST + SECOND + ADAM,
    ),
    dict(
        task="06-6",
        mistake="the gradient enters the first average with its full weight",
        body=FIRST.replace("(1 - beta1) * g", "g") + SECOND + ADAM,
    ),
    dict(
        task="06-6",
        mistake="the second average is one of sizes, not of squares",
        body=FIRST + SECOND.replace("g * g", "np.abs(g)") + ADAM,
    ),
    dict(
        task="06-6",
        mistake="the second average is one of squares of the first",
        body=FIRST + SECOND.replace("g * g", "m * m") + ADAM,
    ),
    dict(
        task="06-6",
        mistake="the root is left out",
        body=FIRST + SECOND + "w -= lr * (m / (1 - beta1**t)) / (v / (1 - beta2**t) + eps)",
    ),
    dict(
        task="06-6",
        mistake="eps is added under the root",
        body=FIRST + SECOND + "w -= lr * (m / (1 - beta1**t)) / np.sqrt(v / (1 - beta2**t) + eps)",
    ),
    dict(
        task="06-6",
        mistake="eps is added to the root before it is corrected",
        body=FIRST + SECOND + "w -= lr * math.sqrt(1 - beta2**t) / (1 - beta1**t) * scaled(m, v, eps)",
    ),
    dict(
        task="06-6",
        mistake="the step goes along the gradient, and the first average is only kept",
        body=FIRST + SECOND + "w -= lr * scaled(g, v / (1 - beta2**t), eps)",
    ),
    dict(
        task="06-7",
        mistake="the weights shrink by weight_decay, without the rate",
        body="w *= 1 - weight_decay\nadam_rule(w, g, state, lr=lr, betas=betas, eps=eps)",
    ),
    dict(
        task="06-7",
        mistake="the decay is handed to Adam as a penalty",
        body="adam_rule(w, g, state, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)",
    ),
    dict(
        task="06-7",
        mistake="the weights shrink, and Adam gets the penalty as well",
        body=(
            "w *= 1 - lr * weight_decay\nadam_rule(w, g, state, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)"
        ),
    ),
    dict(
        task="06-7",
        mistake="the decay comes after the step of Adam",
        body="adam_rule(w, g, state, lr=lr, betas=betas, eps=eps)\nw *= 1 - lr * weight_decay",
    ),
    dict(
        task="06-7",
        mistake="the weights grow",
        body="w *= 1 + lr * weight_decay\nadam_rule(w, g, state, lr=lr, betas=betas, eps=eps)",
    ),
    dict(
        task="06-7",
        mistake="there is no decay",
        body="adam_rule(w, g, state, lr=lr, betas=betas, eps=eps)",
    ),
    dict(
        task="06-7",
        mistake="w becomes the name of a new array, and the weights stay as they were",
        body="w = w * (1 - lr * weight_decay)\nadam_rule(w, g, state, lr=lr, betas=betas, eps=eps)",
    ),
    dict(
        task="06-7",
        mistake="Adam gets its own defaults for betas and eps",
        body="w *= 1 - lr * weight_decay\nadam_rule(w, g, state, lr=lr)",
    ),
    dict(
        task="06-7",
        mistake="the weights become what the decay takes away",
        body="w *= lr * weight_decay\nadam_rule(w, g, state, lr=lr, betas=betas, eps=eps)",
    ),
    dict(
        task="06-8",
        mistake="gradients are summed, and the rate comes after, as in the class",
        body='config["velocity"] = accumulate(velocity, dw, mu)\nreturn w - lr * velocity, config',
    ),
    dict(
        task="06-8",
        mistake="the velocity points uphill",
        body='config["velocity"] = accumulate(velocity, lr * dw, mu)\nreturn w + velocity, config',
    ),
    dict(
        task="06-8",
        mistake="the velocity is subtracted, although it has the sign already",
        body='config["velocity"] = accumulate(velocity, -lr * dw, mu)\nreturn w - velocity, config',
    ),
    dict(
        task="06-8",
        mistake="the new velocity is not put into the dictionary",
        body="accumulate(velocity, -lr * dw, mu)\nreturn w + velocity, config",
    ),
    dict(
        task="06-8",
        mistake="the velocity is added to the weights of the caller",
        body='config["velocity"] = accumulate(velocity, -lr * dw, mu)\nw += velocity\nreturn w, config',
    ),
    dict(
        task="06-8",
        mistake="only the weights are returned",
        body='config["velocity"] = accumulate(velocity, -lr * dw, mu)\nreturn w + velocity',
    ),
    dict(
        task="06-8",
        mistake="rate and momentum have changed places",
        body='config["velocity"] = accumulate(velocity, -mu * dw, lr)\nreturn w + velocity, config',
    ),
    dict(
        task="06-8",
        mistake="the step is counted twice: in the velocity, and once more beside it",
        body='config["velocity"] = accumulate(velocity, -lr * dw, mu)\nreturn w + velocity - lr * dw, config',
    ),
    dict(
        task="06-8",
        mistake="the weights move by the old velocity",
        body='next_w = w + velocity\nconfig["velocity"] = accumulate(velocity, -lr * dw, mu)\nreturn next_w, config',
    ),
]
