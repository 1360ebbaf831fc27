"""The adding problem: two numbers far back in a noisy sequence; the plain cell loses them, and LSTM keeps them."""

import numpy as np

import tinytorch
from tinytorch.core.autograd import no_grad
from tinytorch.core.losses import MeanSquaredError
from tinytorch.core.optimizers import Adam
from tinytorch.core.recurrent import LSTM, RNN
from tinytorch.core.tensor import Tensor
from tinytorch.core.training import CosineSchedule, clip_grad_norm

STEPS = 100  # of the shortest sequence; the longest has a tenth more
HIDDEN = 16
TOLERANCE = 0.04  # an answer that is this close counts as right, as in the paper
UPDATES, SHORT_UPDATES, BATCH = 800, 40, 32
POINTS = 20  # of each curve
TESTS, SHORT_TESTS = 500, 100
SHOWN = 100  # test sequences whose slopes are drawn

LSTM_RATE = 0.02
PLAIN_RATES = (0.001, 0.003, 0.01)  # the plain cell gets its choice
KEEPING, CLOSED = 5.0, -4.0  # first biases of the forget gates, 0.993 open, and of the input gates, 0.018 open


# --- the task ---


def sequences(rng, count):
    """X (count, T, 2), how long each is, and the answers (count, 1), half the sum of the two marked numbers.

    At each step a number between 0 and 1, and a mark: 1 at two steps, one of the first ten and one of the first half,
    and 0 elsewhere. The end of X is padded with zeros.
    Source: Hochreiter and Schmidhuber 1997, section 5.4, with numbers between 0 and 1 and without marks at both ends.
    """
    longest = STEPS + STEPS // 10
    lengths = rng.integers(STEPS, longest + 1, count)
    numbers = np.where(np.arange(longest) < lengths[:, None], rng.random((count, longest)), 0)
    first = rng.integers(0, 10, count)
    second = rng.integers(0, STEPS // 2 - 1, count)
    second += second >= first  # never the same step
    marks, rows = np.zeros_like(numbers), np.arange(count)
    marks[rows, first] = marks[rows, second] = 1
    answers = (numbers * marks).sum(axis=1, keepdims=True) / 2
    return np.stack([numbers, marks], axis=2).astype(np.float32), lengths, answers.astype(np.float32)


def guessing_right():
    """How often the best constant answer, 1/2, is right: the share of two numbers with |a + b - 1| <= 2 * TOLERANCE."""
    return 1 - (1 - 2 * TOLERANCE) ** 2


# --- the two networks ---


def plain():
    """Its recurrent weights begin orthogonal, which is the best start that a plain cell can have here."""
    return RNN(2, HIDDEN, 1)


def lstm():
    """As in 1997: there was no forget gate, so ours begin open, and the input gates begin nearly shut.

    With both, a gradient is multiplied by about 0.993 + 0.5 * 0.018 at each step back, which is 1.
    """
    model = LSTM(2, HIDDEN, 1)
    model.bias_ih_l0.data[:HIDDEN] = CLOSED
    model.bias_ih_l0.data[HIDDEN : 2 * HIDDEN] = KEEPING
    return model


NETWORKS = {"lstm": lstm, "plain": plain}


def examine(model, test):
    """(share of the test sequences that are right, mean squared error)"""
    X, lengths, answers = test
    with no_grad():
        errors = np.abs(model(Tensor(X), lengths=lengths).data - answers)
    return float(np.mean(errors <= TOLERANCE)), float(np.mean(errors**2))


def train(name, rate, seed, updates, test, report):
    """Train one of NETWORKS on fresh sequences, the same for each network of a seed; returns (model, numbers about it).

    The test sequences are looked at for the curves; nothing is chosen by what is seen there.
    """
    tinytorch.manual_seed(seed)
    rng, loss_fn, losses = np.random.default_rng(seed), MeanSquaredError(), []
    model = NETWORKS[name]()
    optimizer, schedule = Adam(model.parameters(), lr=rate), CosineSchedule(rate, rate / 100, updates)
    curve = {"seen": [0], "right": [], "error": []}

    def look():
        right, error = examine(model, test)
        curve["right"].append(right)
        curve["error"].append(error)

    look()
    for update in range(1, updates + 1):
        X, lengths, answers = sequences(rng, BATCH)
        optimizer.lr = schedule.get_lr(update - 1)
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(X), lengths=lengths), Tensor(answers))
        loss.backward()
        clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        if update % (updates // POINTS) == 0:
            curve["seen"].append(update * BATCH)
            look()
        if update % (updates // 2) == 0:
            report(f"  {LOOKS[name][1]}, rate {rate:g}, update {update}: {curve['right'][-1]:.3f} right")
    return model, {
        "right": curve["right"][-1],
        "rate": rate,
        "last_losses": float(np.mean(losses[-updates // 10 :])),
        "curve": curve,
    }


# --- what they do ---


def slopes(model, X, lengths):
    """How the answer moves with each marked number, (N, 2): 1/2 in truth; and at which steps these numbers stand."""
    inputs = Tensor(X, requires_grad=True)
    model(inputs, lengths=lengths).sum().backward()
    marked = np.array([np.flatnonzero(marks) for marks in X[:, :, 1]])  # (N, 2)
    return np.take_along_axis(inputs.grad.data[:, :, 0], marked, axis=1), marked


def watch(model, X):
    """What a network keeps while it reads X (N, T, 2): what it would answer at each step (N, T), its memory (N, T, H).

    The memory is c in an LSTM, and in a plain cell, which has nothing else, the state h.
    """
    answers, memory, state = [], [], None
    with no_grad():
        for step in X.transpose(1, 0, 2)[:, :, None]:  # (T, N, 1, 2)
            _, state = model.scan(Tensor(step), state)
            h, c = state if isinstance(state, tuple) else (state, state)
            answers.append(model.head(h).data[:, 0])
            memory.append(c.data)
    return np.stack(answers, axis=1), np.stack(memory, axis=1)


def study(model, test, example):
    """Slopes for a part of the test; answers and memory while it reads the sequence with number `example`.

    From the memory its mean over all sequences is taken: what is left is what this sequence has put there.
    """
    X, lengths, _ = test
    slope, step = slopes(model, X[:SHOWN], lengths[:SHOWN])
    answers, memory = watch(model, X[:, :STEPS])
    parts = {"slopes": slope.ravel(), "answers": answers[example], "memory": (memory - memory.mean(axis=0))[example]}
    return {"steps": step.ravel().tolist(), **{name: np.round(part, 4).tolist() for name, part in parts.items()}}


def far_apart(X):
    """The number of the sequence whose marks are furthest apart."""
    return int(np.argmax([np.ptp(np.flatnonzero(marks)) for marks in X[:, :, 1]]))


def run(seed=0, short=False, report=print):
    """Train and test both networks once. The result holds numbers, lists and dictionaries only."""
    updates, tests = (SHORT_UPDATES, SHORT_TESTS) if short else (UPDATES, TESTS)
    test = sequences(np.random.default_rng([seed, 1]), tests)
    report(f"seed {seed}: {updates} updates, each with {BATCH} new sequences of at least {STEPS} steps;")
    report(f"  always answering 1/2 is right in {guessing_right():.3f} of all")
    model, ours = train("lstm", LSTM_RATE, seed, updates, test, report)
    trials = [train("plain", rate, seed, updates, test, report) for rate in PLAIN_RATES]
    other_model, other = min(trials, key=lambda trial: trial[1]["last_losses"])
    report(
        f"  {tests} test sequences: LSTM {ours['right']:.3f} right, plain cell {other['right']:.3f} at its best rate"
    )
    X, _, answers = test
    example = far_apart(X)
    return {
        "metric": ours["right"],
        "guessing": guessing_right(),
        "seed": seed,
        "lstm": {**ours, **study(model, test, example)},
        "plain": {**other, **study(other_model, test, example)},
        "example": {"inputs": np.round(X[example, :STEPS], 4).tolist(), "answer": answers[example, 0].item()},
    }


# --- the picture ---

LOOKS = {"lstm": ("C0", "LSTM"), "plain": ("C1", "plain cell")}


def draw(results, path):
    """Save the picture of this milestone as a PNG file at `path`.

    results: list of what `run` returned, one for each seed. The lower panels show the least accurate seed.
    """
    from matplotlib.figure import Figure

    worst = min(results, key=lambda result: result["metric"])
    figure = Figure(figsize=(10, 11), layout="constrained")
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=(4, 4, 4.5))
    right, error = top.subplots(1, 2)
    draw_curves(right, results, "right", f"test answers within {TOLERANCE}", ".3f")
    right.axhline(results[0]["guessing"], color="black", linestyle=":", label="always 1/2")
    right.axhline(1, color="black", linestyle="-.", linewidth=1, label="ceiling: the answer is in the sequence")
    right.set(ylim=(0, 1.03))
    draw_curves(error, results, "error", "squared test error", ".5f")
    error.axhline(1 / 24, color="black", linestyle=":", label="always 1/2: 1/24")
    error.set(yscale="log")
    for axes in (right, error):
        axes.legend(fontsize="small", loc="center right" if axes is right else "lower left")
    answers, depends = middle.subplots(1, 2)
    draw_answers(answers, worst)
    draw_slopes(depends, worst)
    draw_memory(bottom.subplots(2, 1, sharex=True), worst)
    figure.savefig(path, format="png", dpi=90)


def draw_curves(axes, results, name, title, form):
    """For each network a thin line a seed, also of those that are stuck; the median, and the range of all seeds."""
    for network, (color, text) in LOOKS.items():
        curves = np.array([result[network]["curve"][name] for result in results])  # (seeds, points)
        seen = results[0][network]["curve"]["seen"]
        axes.fill_between(seen, curves.min(axis=0), curves.max(axis=0), color=color, alpha=0.2, linewidth=0)
        for curve in curves:
            axes.plot(seen, curve, color=color, linewidth=0.7)
        median = np.median(curves, axis=0)
        axes.plot(seen, median, color=color, linewidth=2.5, label=f"{text}: {median[-1]:{form}}")
    axes.set(title=f"{title}: {len(results)} seeds and their median", xlabel="training sequences seen")
    axes.grid(alpha=0.3)


def draw_answers(axes, result):
    """One test sequence: the numbers, the marked ones, and what each network would answer if it had to stop there."""
    inputs = np.array(result["example"]["inputs"])
    marked = np.flatnonzero(inputs[:, 1])
    axes.plot(inputs[:, 0], ".", color="lightgray", label="numbers")
    axes.plot(marked, inputs[marked, 0], "o", color="black", label="marked numbers")
    axes.axhline(result["example"]["answer"], color="black", linestyle="--", linewidth=1, label="half their sum")
    for network, (color, text) in LOOKS.items():
        axes.plot(result[network]["answers"], color=color, label=text)
    axes.set(title=f"seed {result['seed']}: the answer, if reading stopped here", xlabel="step", ylim=(-0.4, 1.05))
    axes.legend(fontsize="small", ncols=2, loc="lower right")


def draw_slopes(axes, result):
    for network, (color, text) in LOOKS.items():
        axes.plot(result[network]["steps"], result[network]["slopes"], ".", color=color, label=text)
    axes.axhline(0.5, color="black", linestyle="--", linewidth=1, label="as it should: 1/2")
    title = f"seed {result['seed']}: how much the answer moves\nwith a marked number, {STEPS} steps later or more"
    axes.set(title=title, xlabel="step of the marked number")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)


def draw_memory(panels, result):
    """Every number that both networks keep, step by step through the same sequence; the marks are dashed."""
    marked = np.flatnonzero(np.array(result["example"]["inputs"])[:, 1])
    for axes, (network, (color, text)) in zip(panels, LOOKS.items(), strict=True):
        memory = np.array(result[network]["memory"])  # (T, HIDDEN)
        axes.plot(memory, color=color, linewidth=0.9)
        for step in marked:
            axes.axvline(step, color="black", linestyle="--", linewidth=1)
        what = "memory c" if network == "lstm" else "state h"
        axes.set_title(f"{text}: the {HIDDEN} numbers of its {what}, less their mean over all test sequences")
        axes.margins(x=0.01)
    panels[-1].set(xlabel="step")
