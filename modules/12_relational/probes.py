"""What grading compares: each probe runs on the student's package and on the reference with the same numbers."""

import numpy as np


def filled(model, pool):
    """The model with numbers from `pool` in its Parameters, in their order; scales of norms are kept off 0."""
    start = 0
    for name, parameter in model.named_parameters():
        values = pool[start : start + parameter.size].reshape(parameter.shape)
        parameter.data = 1 + values / 4 if "norm" in name and name.endswith("weight") else values
        start += parameter.size
    return model


def result_and_gradients(tt, function, arrays, g):
    """What `function` makes of the arrays, and the gradient in each of them when `g` arrives."""
    tensors = [tt.Tensor(array, requires_grad=True, dtype=np.float64) for array in arrays]
    y = function(*tensors)
    y.backward(tt.Tensor(g, dtype=np.float64))
    return y.numpy(), [None if t.grad is None else t.grad.numpy() for t in tensors]


def probe_12_1(tt, rng):
    """First memories with fewer slots than places, as many, and more."""
    sizes = int(rng.integers(2, 6)), int(rng.integers(6, 10))
    first_memory = tt.core.relational.first_memory
    for slots, size in ((2, 3), (3, 3), (5, 2), (1, 4), (4, 1), sizes, sizes[::-1], (4 * sizes[0] + 1, sizes[0])):
        memory, given = first_memory(slots, size), {"mem_slots": slots, "size": size}
        yield f"the memory of {slots} slots of {size}", memory, given
        yield f"the type of the memory of {slots} slots of {size}", str(memory.dtype), given


def probe_12_2(tt, rng):
    """What slots find, with one head and more, with one row of input and more; and the gradients."""
    cases = []
    for word, B, S, N, E, H, K in (
        ("two slots of two numbers", 1, 2, 1, 2, 1, 1),
        ("one head", 2, 3, 1, 4, 1, 3),
        ("two heads", 2, 3, 1, 4, 2, 3),
        ("four heads with small keys", 2, 4, 1, 8, 4, 1),
        ("two rows of input", 3, 2, 2, 6, 2, 2),
        ("all sizes alike", 4, 4, 4, 4, 2, 4),
    ):
        shapes = (B, S, E), (B, N, E), (2 * H * K + E, E), (2 * H * K + E,), (B, S, E)
        cases.append((word, H, K, *(rng.normal(size=shape) for shape in shapes)))
    attend_over = tt.core.relational.attend_over
    for word, H, K, memory, x, W, b, g in cases:

        def found(memory, x, W, b, H=H, K=K):
            return attend_over(memory, x, lambda rows: rows @ W.T + b, H, K)

        y, gradients = result_and_gradients(tt, found, (memory, x, W, b), g)
        given = {"memory": memory, "x": x, "num_heads": H, "key_size": K, "weight and bias of project": [W, b]}
        yield f"what is found, {word}", y, given
        yield f"gradients in memory, x and project, {word}", gradients, {**given, "g": g}


def probe_12_3(tt, rng):
    """Perceptrons of one layer and more, with numbers put in; and where their first numbers come from."""
    pool, rows = rng.normal(size=400), rng.normal(size=(5, 3))
    perceptron = tt.core.relational.perceptron
    for sizes in ([3, 2], [3, 4, 2], [3, 3, 3, 3], [3, 6, 4, 5]):
        first, again, other = (perceptron(sizes, np.random.default_rng(seed)) for seed in (1, 1, 2))
        parameters = [[p.numpy().copy() for p in model.parameters()] for model in (first, again, other)]
        given = {"sizes": sizes, "x": rows}
        yield f"shapes of the numbers, {sizes}", [str(p.shape) for p in parameters[0]], given
        for word, those in (("the same generator", parameters[1]), ("another generator", parameters[2])):
            alike = all(np.array_equal(a, b) for a, b in zip(parameters[0], those, strict=True))
            yield f"whether {word} gives the same numbers, {sizes}", alike, given
        biases = [p for p in parameters[0] if p.ndim == 1]
        yield f"whether biases begin at 0, {sizes}", not any(bias.any() for bias in biases), given
        yield f"result, {sizes}", filled(first, pool)(tt.Tensor(rows, dtype=np.float64)).numpy(), given


def probe_12_4(tt, rng):
    """Blocks with one head and two, and with other numbers of layers."""
    cases, pool = [], rng.normal(size=2000)
    for word, B, S, N, sizes in (
        ("one head", 1, 2, 1, (3, 1, 2, 1)),
        ("two heads", 2, 3, 1, (4, 2, 3, 2)),
        ("three layers, two rows of input", 2, 4, 2, (6, 3, 1, 3)),
    ):
        E = sizes[0]
        cases.append((word, sizes, *(rng.normal(size=shape) for shape in ((B, S, E), (B, N, E), (B, S, E)))))
    for word, sizes, memory, x, g in cases:
        block = filled(tt.core.relational.MemoryBlock(*sizes), pool)
        y, gradients = result_and_gradients(tt, block.forward, (memory, x), g)
        given = {"memory": memory, "x": x, "size, num_heads, key_size, mlp_layers": list(sizes)}
        yield f"what a block makes, {word}", y, given
        yield f"gradients in memory and x, {word}", gradients, {**given, "g": g}


def probe_12_5(tt, rng):
    """Gates for each number and for each slot, with several biases."""
    cases = []
    for word, G, biases in (
        ("no biases", 2, (0.0, 0.0)),
        ("the usual biases", 3, ()),
        ("other biases", 3, (float(rng.uniform(-2, -1)), float(rng.uniform(2, 3)))),
        ("one gate for each slot", 1, (float(rng.uniform(-2, -1)), float(rng.uniform(2, 3)))),
    ):
        E = G if G > 1 else 4
        shapes = (2, 2, E), (2, 2, E), (2, 2, 2 * G), (2, 2, E)
        cases.append((word, biases, [rng.normal(size=shape) for shape in shapes]))
    gated = tt.core.relational.gated
    for word, biases, (memory, candidate, a, g) in cases:
        parts = (2 * memory, candidate, a)
        y, gradients = result_and_gradients(tt, lambda *p, biases=biases: gated(*p, *biases), parts, g)
        given = dict(zip(("memory", "candidate", "a", "biases"), (*parts, list(biases)), strict=True))
        yield f"the next memory, {word}", y, given
        yield f"gradients, {word}", gradients, {**given, "g": g}


def probe_12_6(tt, rng):
    """The way back through gates for each number, and for each slot."""
    cases = []
    for word, shape, G in (
        ("one number", (1, 1, 1), 1),
        ("a gate for each number", (2, 3, 4), 4),
        ("a gate for each slot", (2, 3, 4), 1),
    ):
        gates = (*shape[:2], G)
        i, f = rng.uniform(0.2, 0.8, size=gates), rng.uniform(0.2, 0.8, size=gates)
        squashed, memory, g = rng.uniform(-0.9, 0.9, size=shape), 2 * rng.normal(size=shape), rng.normal(size=shape)
        cases.append((word, g, (i, f, squashed), memory))
    for word, g, kept, memory in cases:
        given = {"g": g.copy(), "i, f, squashed": [part.copy() for part in kept], "memory": memory.copy()}
        parts = tt.core.relational.gate_step_back(g, kept, memory)
        for name, part in zip(("memory", "candidate", "a"), parts, strict=True):
            yield f"the gradient in {name}, {word}", part, given
        yield f"what was given, {word}", [g, *kept, memory], given


def probe_12_7(tt, rng):
    """Steps of memories with gates of each style, biases, and several blocks; and the gradients."""
    pool, biases = rng.normal(size=3000), [float(b) for b in rng.uniform(1, 2, size=2)]
    cases = []
    for word, options in (
        ("a gate for each number", {}),
        ("a gate for each slot", {"gate_style": "memory"}),
        ("biases", {"input_bias": -biases[0], "forget_bias": 1 + biases[1]}),
        ("no gates", {"gate_style": None}),
        ("two blocks", {"num_blocks": 2, "key_size": 1}),
        ("three blocks without gates", {"num_blocks": 3, "gate_style": None}),
    ):
        cases.append((word, options, *(rng.normal(size=shape) for shape in ((2, 4), (2, 3, 4), (2, 3, 4)))))
    for word, options, x, memory, g in cases:
        core = filled(tt.core.relational.RelationalMemory(3, 2, 2, **options), pool)
        y, gradients = result_and_gradients(tt, core.step, (x, 2 * memory), g)
        given = {"x": x, "memory": 2 * memory, "options": [str(options)]}
        yield f"the next memory, {word}", y, given
        yield f"gradients in x and memory, {word}", gradients, {**given, "g": g}


def probe_12_8(tt, rng):
    """Sequences read by a simple step, without a mask and with one; and the gradients."""
    cases, rate = [], float(rng.uniform(0.4, 0.7))
    for word, B, T, S, E in (("one step", 1, 1, 1, 2), ("four steps", 2, 4, 3, 2), ("a mask", 3, 4, 2, 2)):
        mask = np.arange(T) < np.array([4, 1, 0])[:, None] if word == "a mask" else None
        shapes = (B, T, E), (B, S, E), (B, T, S, E), (B, S, E)
        cases.append((word, mask, *(rng.normal(size=shape) for shape in shapes)))

    def step(x, memory):
        return memory * memory * rate - memory + x.reshape(x.shape[0], 1, x.shape[1])

    read_all = tt.core.relational.read_all
    for word, mask, x, memory, g, h in cases:
        g, h = (tt.Tensor(array, dtype=np.float64) for array in (g, h))
        tensors = [tt.Tensor(array / 2, requires_grad=True, dtype=np.float64) for array in (x, memory)]
        memories, last = read_all(step, *tensors) if mask is None else read_all(step, *tensors, mask)
        given = {"x": x / 2, "memory": memory / 2, "mask": mask, "share of the square in a step": rate}
        yield f"the memories, {word}", memories.numpy(), given
        yield f"the last memory, {word}", last.numpy(), given
        ((memories * g).sum() + (last * h).sum()).backward()
        yield f"gradients in x and memory, {word}", [tensor.grad.numpy() for tensor in tensors], given
