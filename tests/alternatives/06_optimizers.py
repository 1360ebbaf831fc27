"""Right solutions that differ from the reference: probes and visible tests must pass all of them."""

RIGHT = [
    dict(
        task="06-1",
        how="pairs of parameter and options first, and then one loop",
        body=(
            'pairs = [(p, group) for group in self.param_groups for p in group["params"] if p.grad is not None]\n'
            "for p, group in pairs:\n    self.rule(p.data, gradient_of(p), self.state[p], **self.options_of(group))\n"
            "    p.data = p.data"
        ),
    ),
    dict(
        task="06-1",
        how="with the options asked for anew for each parameter, and those without a gradient passed over",
        body=(
            'for number in range(len(self.param_groups)):\n    for p in self.param_groups[number]["params"]:\n'
            "        if p.grad is None:\n            continue\n"
            "        options = self.options_of(self.param_groups[number])\n        w, state = p.data, self.state[p]\n"
            "        type(self).rule(w, gradient_of(p), state, **options)\n        p.data = w"
        ),
    ),
    dict(
        task="06-1",
        how="on a copy, whose values are written back",
        body=(
            'for group in self.param_groups:\n    for p in filter(lambda p: p.grad is not None, group["params"]):\n'
            "        w = p.data.copy()\n        self.rule(w, gradient_of(p), self.state[p], **self.options_of(group))\n"
            "        p.detach()[...] = w"
        ),
    ),
    dict(
        task="06-2",
        how="added into a product",
        body="if not weight_decay:\n    return g\npenalty = w * weight_decay\npenalty += g\nreturn penalty",
    ),
    dict(
        task="06-2",
        how="in float64 inside",
        body=(
            "if weight_decay:\n    return np.add(g, np.float64(weight_decay) * w.astype(np.float64)).astype(g.dtype)\n"
            "return g"
        ),
    ),
    dict(
        task="06-2",
        how="number by number in a copy",
        body=(
            "if weight_decay == 0.0:\n    return g\nout = np.array(g)\nfor place in np.ndindex(g.shape):\n"
            "    out[place] = g[place] + w[place] * weight_decay\nreturn out"
        ),
    ),
    dict(task="06-3", how="by one assignment into v", body="v[...] = mu * v + x\nreturn v"),
    dict(
        task="06-3",
        how="by functions that are told where to write",
        body="np.multiply(mu, v, out=v)\nreturn np.add(x, v, out=v)",
    ),
    dict(
        task="06-3",
        how="number by number, in float64",
        body=(
            "for place in np.ndindex(v.shape):\n    v[place] = float(mu) * float(v[place]) + float(x[place])\nreturn v"
        ),
    ),
    dict(
        task="06-4",
        how="with a new buffer in each step",
        body=(
            "direction = g\nif momentum > 0:\n"
            '    state["momentum_buffer"] = g + momentum * state.get("momentum_buffer", np.zeros_like(g))\n'
            '    v = state["momentum_buffer"]\n    direction = momentum * v + g if nesterov else v\n'
            "w[...] -= direction * lr"
        ),
    ),
    dict(
        task="06-4",
        how="in two moves for the look ahead",
        body=(
            "if not momentum:\n    w -= lr * g\n    return\n"
            'v = buffer(state, "momentum_buffer", w)\naccumulate(v, g, momentum)\n'
            "if nesterov:\n    w -= lr * g\n    w -= (lr * momentum) * v\nelse:\n    w -= lr * v"
        ),
    ),
    dict(
        task="06-4",
        how="number by number, in float64",
        body=(
            'v = buffer(state, "momentum_buffer", w) if momentum else None\nfor place in np.ndindex(w.shape):\n'
            "    move = slope = float(g[place])\n    if momentum:\n"
            "        move = v[place] = momentum * float(v[place]) + slope\n"
            "        move = slope + momentum * move if nesterov else move\n    w[place] -= lr * move"
        ),
    ),
    dict(
        task="06-5",
        how="with new arrays in the state",
        body=(
            'zeros = np.zeros(w.shape, w.dtype)\ns = alpha * state.get("square_avg", zeros) + (1 - alpha) * g**2\n'
            'state["square_avg"] = s\nif centered:\n'
            '    state["grad_avg"] = alpha * state.get("grad_avg", zeros) + (1 - alpha) * g\n'
            '    s = (s - state["grad_avg"] ** 2).clip(min=0)\nmove = g / (np.sqrt(s) + eps)\nif momentum:\n'
            '    move = state["momentum_buffer"] = momentum * state.get("momentum_buffer", zeros) + move\n'
            "w -= lr * move"
        ),
    ),
    dict(
        task="06-5",
        how="as steps from the old average towards the new square",
        body=(
            's = buffer(state, "square_avg", w)\ns += (1 - alpha) * (np.square(g) - s)\nvariance = s.copy()\n'
            'if centered:\n    m = buffer(state, "grad_avg", w)\n    m += (1 - alpha) * (g - m)\n'
            "    variance -= np.square(m)\n    variance[variance < 0] = 0\n"
            "move = np.divide(g, eps + variance**0.5)\nif momentum > 0:\n"
            '    v = buffer(state, "momentum_buffer", w)\n    v[:] = momentum * v + move\n    move = v\n'
            "np.subtract(w, lr * move, out=w)"
        ),
    ),
    dict(
        task="06-5",
        how="number by number, in float64",
        body=(
            'names = ["square_avg"] + ["grad_avg"] * bool(centered) + ["momentum_buffer"] * bool(momentum)\n'
            "kept = {name: buffer(state, name, w) for name in names}\nfor i in np.ndindex(w.shape):\n"
            '    x = float(g[i])\n    s = kept["square_avg"][i] = alpha * kept["square_avg"][i] + (1 - alpha) * x * x\n'
            '    if centered:\n        m = kept["grad_avg"][i] = alpha * kept["grad_avg"][i] + (1 - alpha) * x\n'
            "        s = max(s - m * m, 0.0)\n    move = x / (math.sqrt(s) + eps) if x else 0.0\n    if momentum:\n"
            '        move = kept["momentum_buffer"][i] = momentum * kept["momentum_buffer"][i] + move\n'
            "    w[i] -= lr * move"
        ),
    ),
    dict(
        task="06-6",
        how="as the formula stands, with both averages corrected",
        body=(
            'm = accumulate(buffer(state, "exp_avg", w), (1 - beta1) * g, beta1)\n'
            'v = accumulate(buffer(state, "exp_avg_sq", w), (1 - beta2) * np.square(g), beta2)\n'
            "m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)\nw -= lr * m_hat / (np.sqrt(v_hat) + eps)"
        ),
    ),
    dict(
        task="06-6",
        how="with new arrays in the state, and steps towards the new values",
        body=(
            'm, v = state.get("exp_avg", 0 * w), state.get("exp_avg_sq", 0 * w)\n'
            'state["exp_avg"], state["exp_avg_sq"] = m + (1 - beta1) * (g - m), v + (1 - beta2) * (g * g - v)\n'
            'size = np.sqrt(state["exp_avg_sq"] / (1 - math.pow(beta2, t)))\n'
            'np.subtract(w, (lr / (1 - math.pow(beta1, t))) * (state["exp_avg"] / (size + eps)), out=w)'
        ),
    ),
    dict(
        task="06-6",
        how="number by number, in float64",
        body=(
            'm, v = buffer(state, "exp_avg", w), buffer(state, "exp_avg_sq", w)\nfor i in np.ndindex(w.shape):\n'
            "    x = float(g[i])\n    m[i] = beta1 * float(m[i]) + (1 - beta1) * x\n"
            "    v[i] = beta2 * float(v[i]) + (1 - beta2) * x**2\n"
            "    root = math.sqrt(float(v[i]) / (1 - beta2**t)) + eps\n"
            "    w[i] -= lr * float(m[i]) / (1 - beta1**t) / root"
        ),
    ),
    dict(
        task="06-7",
        how="the share is taken away",
        body="w -= lr * weight_decay * w\nadam_rule(w, g, state, lr=lr, betas=betas, eps=eps, weight_decay=0)",
    ),
    dict(
        task="06-7",
        how="the share of the weights before the step, taken away after it",
        body=(
            "before = w.copy()\nadam_rule(w, g, state, lr=lr, betas=betas, eps=eps)\nw -= (lr * weight_decay) * before"
        ),
    ),
    dict(
        task="06-7",
        how="Adam on an array of zeros, and its move added",
        body=(
            "move = np.zeros_like(w)\nadam_rule(move, g, state, lr=lr, betas=betas, eps=eps)\n"
            "w[...] = (1 - lr * weight_decay) * w.astype(np.float64) + move"
        ),
    ),
    dict(
        task="06-8",
        how="in one formula, with a new dictionary",
        body='v = mu * velocity - lr * dw\nreturn w + v, {**config, "velocity": v}',
    ),
    dict(
        task="06-8",
        how="by the sum of the other sign",
        body=("other = accumulate(-velocity, lr * dw, mu)\nconfig.update(velocity=-other)\nreturn w - other, config"),
    ),
    dict(
        task="06-8",
        how="in the memory of its own copies",
        body=(
            'velocity *= mu\ndw *= lr\nvelocity -= dw\nconfig["velocity"] = velocity\n'
            "next_w = np.empty_like(w)\nfor place in np.ndindex(w.shape):\n"
            "    next_w[place] = w[place] + velocity[place]\nreturn next_w, config"
        ),
    ),
]
