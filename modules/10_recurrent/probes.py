"""What grading compares: each probe runs on the student's package and on the reference with the same numbers."""

import numpy as np

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def draw_cells(rng, gates, states):
    """Inputs, states and weights of cells: a word, and arrays by name; the smallest first.

    In the second case there are as many sequences as the state has numbers, so that a wrong product has a right shape.
    """
    cases = []
    for word, B, D, H in (("one number", 1, 1, 1), ("two of two", 2, 3, 2), ("four sequences", 4, 2, 3)):
        shapes = {"x": (B, D), **{name: (B, H) for name in states}}
        shapes |= dict(zip(WEIGHTS, ((gates * H, D), (gates * H, H), (gates * H,), (gates * H,)), strict=True))
        cases.append((word, {name: rng.normal(size=shape) for name, shape in shapes.items()}))
    return cases


def results_and_gradients(tt, function, inputs, arriving):
    """What `function` makes of the arrays by name, and the gradients in these where `arriving` arrives for it."""
    tensors = [tt.Tensor(array, requires_grad=True, dtype=np.float64) for array in inputs.values()]
    results = function(*tensors)
    results = results if isinstance(results, tuple) else (results,)
    sum((y * tt.Tensor(g, dtype=np.float64)).sum() for y, g in zip(results, arriving, strict=True)).backward()
    gradients = [None if t.grad is None else t.grad.numpy() for t in tensors]
    return [y.numpy() for y in results], gradients


def results_of_cell(tt, name, states, cases, arriving):
    """Results of the cell `name`, and gradients in all of its inputs."""
    cell = getattr(tt.core.recurrent, name)
    for (word, inputs), g in zip(cases, arriving, strict=True):
        results, gradients = results_and_gradients(tt, cell, inputs, g)
        for state, result in zip(states, results, strict=True):
            yield f"the new {state}, {word}", result, inputs
        given = {**inputs, **{f"arriving for {state}": array for state, array in zip(states, g, strict=True)}}
        for input_name, gradient in zip(inputs, gradients, strict=True):
            yield f"the gradient in {input_name}, {word}", gradient, given


def probe_10_1(tt, rng):
    """The plain cell."""
    cases = draw_cells(rng, 1, ("h",))
    arriving = [[rng.normal(size=inputs["h"].shape)] for _, inputs in cases]
    yield from results_of_cell(tt, "rnn_cell", ("h",), cases, arriving)


def probe_10_2(tt, rng):
    """The LSTM cell, both states."""
    cases = draw_cells(rng, 4, ("h", "c"))
    arriving = [rng.normal(size=(2, *inputs["h"].shape)) for _, inputs in cases]
    yield from results_of_cell(tt, "lstm_cell", ("h", "c"), cases, arriving)


def probe_10_3(tt, rng):
    """The GRU cell."""
    cases = draw_cells(rng, 3, ("h",))
    arriving = [[rng.normal(size=inputs["h"].shape)] for _, inputs in cases]
    yield from results_of_cell(tt, "gru_cell", ("h",), cases, arriving)


def probe_10_4(tt, rng):
    """Weights of small and of wide cells, drawn twice, from a generator and from the default one."""
    seed, forget, hidden = int(rng.integers(2**31)), int(rng.integers(1, 4)), int(rng.integers(4, 7))
    first_weights = tt.core.recurrent.first_weights

    def drawn(*sizes, **options):
        return first_weights(*sizes, rng=np.random.default_rng(seed), **options)

    for block in (forget, 0, None):
        given = {"input_size": 3, "hidden_size": hidden, "gates": 4, "forget": block, "seed of rng": seed}
        arrays = drawn(3, hidden, 4, forget=block)
        yield f"the biases, forget gate {block}", [arrays[2], arrays[3]], given
        yield f"the types, forget gate {block}", [str(array.dtype) for array in arrays], given
        yield f"the shapes, forget gate {block}", [np.array(array.shape) for array in arrays], given
    for word, sizes in (("a small cell", (3, hidden, 4)), ("a wide cell", (40, 30, 3))):
        given = dict(zip(("input_size", "hidden_size", "gates"), sizes), **{"seed of rng": seed})
        for again in ("", ", drawn again"):
            arrays = drawn(*sizes)
            yield f"weight_ih of {word}{again}", arrays[0], given
            yield f"weight_hh of {word}{again}", arrays[1], given
    for again in ("", ", drawn again"):
        tt.manual_seed(seed)
        arrays = first_weights(3, hidden, 4)
        yield f"weight_ih of the default generator{again}", arrays[0], {"seed": seed}
        yield f"weight_hh of the default generator{again}", arrays[1], {"seed": seed}


def judge_10_4(student, reference, rng):
    """Weights are judged by what must hold of any draw: orthogonal blocks, the spread, and that it can be repeated."""

    def fault_of_orthogonal(w):
        blocks = w.astype(np.float64).reshape(-1, w.shape[1], w.shape[1])
        if np.abs(blocks @ blocks.swapaxes(1, 2) - np.eye(w.shape[1])).max() > 1e-5:
            return "a block is not orthogonal"
        pairs = [(i, j) for i in range(len(blocks)) for j in range(i)]
        alike = any(np.abs(blocks[i] - blocks[j]).max() < 0.05 for i, j in pairs)
        return "two blocks have the same values" if alike else None

    def fault_of_spread(w, hidden):
        blocks = w.astype(np.float64).reshape(-1, hidden * w.shape[1])
        wanted = np.sqrt(2 / (hidden + w.shape[1]))
        sigmas = np.sqrt(blocks.shape[1])
        if (np.abs(blocks.mean(axis=1)) > 6 * wanted / sigmas).any():
            return "the mean of a block is not 0"
        spread = np.abs(blocks.std(axis=1) / wanted - 1).max() > 6 * np.sqrt(0.5) / sigmas
        return f"the spread of a block is not {wanted:.3g}" if spread else None

    verdicts = {}
    for name, wanted in reference.items():
        if not name.startswith("weight_"):
            continue
        got = student[name]
        if got.shape != wanted.shape:
            verdicts[name] = f"its shape is {got.shape} and should be {wanted.shape}"
        elif name.endswith(", drawn again"):
            same = np.array_equal(got, student[name.removesuffix(", drawn again")])
            verdicts[name] = None if same else "the same seed gives other weights"
        elif name.startswith("weight_hh"):
            verdicts[name] = fault_of_orthogonal(got)
        else:
            verdicts[name] = fault_of_spread(got, reference[name.replace("weight_ih", "weight_hh")].shape[1])
    return verdicts


def probe_10_5(tt, rng):
    """A cell that halves and adds, with one state and with two, over sequences of equal and of different lengths."""
    cases = []
    for word, B, T, lengths in (
        ("one sequence", 1, 2, [2]),
        ("three sequences", 3, 4, [4, 4, 4]),
        ("of different lengths", 3, 4, [2, 4, 1]),
        ("one of no length", 2, 3, [3, 0]),
    ):
        mask = np.arange(T) < np.array(lengths)[:, None]
        inputs = {"X": rng.normal(size=(B, T, 2)), "h": rng.normal(size=(B, 2)), "c": rng.normal(size=(B, 2))}
        cases.append((word, mask, inputs, [rng.normal(size=(B, T, 2)), *rng.normal(size=(2, B, 2))]))
    unroll = tt.core.recurrent.unroll

    def halved_sum(x, state):
        h, c = state
        return h / 2 + x, c / 2 + h * x + 1

    for word, mask, inputs, arriving in cases:

        def read(X, h, c, mask=mask):
            outputs, (h, c) = unroll(halved_sum, X, (h, c), mask)
            return outputs, h, c

        results, gradients = results_and_gradients(tt, read, inputs, arriving)
        given = {**inputs, "mask": mask}
        names = ("the states after each step", "the last h", "the last c")
        for name, result in zip(names, results, strict=True):
            yield f"{name}, {word}", result, given
        for name, gradient in zip(inputs, gradients, strict=True):
            yield f"the gradient in {name}, {word}", gradient, given
        X, h = (tt.Tensor(inputs[name], dtype=np.float64) for name in ("X", "h"))
        outputs, last = unroll(lambda x, state: (state[0] / 2 + x,), X, (h,), mask)
        (only,) = last
        yield f"with one state, {word}", [outputs.numpy(), only.numpy()], given
        yield f"whether the last state is a tuple, {word}", isinstance(last, tuple), given


def plain_states(a, start, weight_hh, mask):
    """States (T + 1, B, H) of a plain cell, `a` (T, B, H) being what the inputs add inside each tanh."""
    states = [start]
    for step, reads in zip(a, mask, strict=True):
        states.append(np.where(reads, np.tanh(step + states[-1] @ weight_hh.T), states[-1]))
    return np.stack(states)


def probe_10_6(tt, rng):
    """Back through sequences of equal and of different lengths."""
    cases = []
    for word, T, B, H, lengths in (
        ("one step", 1, 1, 1, [1]),
        ("two steps", 2, 1, 2, [2]),
        ("two of two numbers", 3, 2, 2, [3, 3]),
        ("of different lengths", 5, 4, 3, [2, 5, 0, 3]),
    ):
        mask = (np.arange(T) < np.array(lengths)[:, None]).T[:, :, None]
        weight_hh = rng.normal(size=(H, H))
        states = plain_states(rng.normal(size=(T, B, H)), rng.normal(size=(B, H)), weight_hh, mask)
        cases.append((word, [rng.normal(size=(T + 1, B, H)), states, weight_hh, mask]))
    for word, arrays in cases:
        before = dict(zip(("g", "states", "weight_hh", "mask"), (array.copy() for array in arrays), strict=True))
        da, dh = tt.core.recurrent.rnn_back(*arrays)
        yield f"the gradient inside each tanh, {word}", da, before
        yield f"the gradient in the first state, {word}", dh, before
        yield f"what was given, {word}", arrays, before


def draw_steps(rng):
    """`(word, a, c)` for steps of an LSTM."""
    sizes = (("one number", 1, 1), ("two of two", 2, 2), ("three sequences", 3, 4))
    return [(word, rng.normal(size=(B, 4 * H)), rng.normal(size=(B, H))) for word, B, H in sizes]


def probe_10_7(tt, rng):
    """One step: the results, the gates that are left in the same memory, and types."""
    cases = draw_steps(rng)
    for word, a, c in cases:
        given = {"a": a.copy(), "c": c.copy()}
        gates = a.copy()
        h, new_c, squashed = tt.core.recurrent.lstm_step(gates, c)
        yield f"h, {word}", h, given
        yield f"the new c, {word}", new_c, given
        yield f"tanh of the new c, {word}", squashed, given
        yield f"the gates in the memory of a, {word}", gates, given
        yield f"the memory before, {word}", c, given
        narrow = a.astype(np.float32)
        results = tt.core.recurrent.lstm_step(narrow, c.astype(np.float32))
        together = np.concatenate([part.ravel() for part in (*results, narrow)])  # a sum near 0 has few digits
        yield f"results and gates of float32, {word}", together, given
        yield f"types of results of float32, {word}", [str(result.dtype) for result in results], given


def probe_10_8(tt, rng):
    """One step back, with room for the result and without."""
    cases = []
    for word, a, c in draw_steps(rng):
        i, f, g, o = np.split(a, 4, axis=1)
        i, f, g, o = (0.5 + 0.5 * np.tanh(i / 2), 0.5 + 0.5 * np.tanh(f / 2), np.tanh(g), 0.5 + 0.5 * np.tanh(o / 2))
        dh, dc = rng.normal(size=(2, *c.shape))
        cases.append((word, [dh, dc, np.concatenate([i, f, g, o], axis=1), c, np.tanh(f * c + i * g)]))
    back = tt.core.recurrent.lstm_step_back
    for word, arrays in cases:
        before = dict(zip(("dh", "dc", "gates", "c", "squashed"), (array.copy() for array in arrays), strict=True))
        da, dc = back(*arrays)
        yield f"the gradient before tanh and sigmoid, {word}", da, before
        yield f"the gradient in the memory before, {word}", dc, before
        room = np.full_like(arrays[2], np.nan)
        _, dc = back(*arrays, room)
        yield f"the gradient in the room that was given, {word}", room, before
        yield f"the gradient in the memory before, with room, {word}", dc, before
        yield f"what was given, {word}", arrays, before
