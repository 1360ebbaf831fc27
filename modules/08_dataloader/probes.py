"""What grading compares: each probe runs on the student's package and on the reference with the same numbers."""

import threading

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


def probe_08_1(tt, rng):
    """Samples by number, slice and array of numbers, of arrays, Tensors and lists."""
    x, y = rng.normal(size=(5, 2)), rng.integers(10, 100, size=5)
    z = rng.normal(size=(5, 3, 2))
    row, rows = int(rng.integers(1, 4)), rng.permutation(5)[[0, 3, 0, 1]]
    make, given = tt.core.dataloader.TensorDataset, {"first array": x, "second array": y}
    dataset = make(x, y)

    for name, index in (("a number", row), ("a number from the end", -1), ("a slice", slice(1, 4)), ("rows", rows)):
        found, place = dataset[index], str(index) if isinstance(index, slice) else index
        yield f"whether {name} gives a tuple", type(found) is tuple, {**given, "index": place}
        left, right = found
        yield f"what {name} gives", [numbers(left), numbers(right)], {**given, "index": place}
        yield f"the types of what {name} gives", [str(left.dtype), str(right.dtype)], {**given, "index": place}
    x[row] = 7.0
    yield "a sample after its array was written to", numbers(dataset[row][0]), {**given, "index": row}
    three = make(tt.Tensor(z), y, y.tolist())
    given = {"a Tensor": z, "an array": y, "a list": y}
    yield "a sample of three parts", [numbers(part) for part in three[row]], {**given, "index": row}
    yield "rows of three parts", [numbers(part) for part in three[rows]], {**given, "index": rows}
    yield "a sample of one part", [numbers(part) for part in make(z)[row]], {"an array": z, "index": row}
    yield "arrays of other lengths are an error", raised(lambda: make(x, y[:4]), ValueError), {"lengths": [5, 4]}


def probe_08_2(tt, rng):
    """Samples that are pairs, lists, single arrays, numbers, and tuples in tuples."""
    x, y = rng.normal(size=(3, 2)), rng.integers(10, 100, size=3)
    wide, many = rng.normal(size=(4, 2, 3)), rng.integers(10, 100, size=4)
    collate = tt.core.dataloader.collate

    given = {"inputs": x, "targets": y}
    for name, samples in (
        ("pairs", [(a, int(b)) for a, b in zip(x, y)]),
        ("lists", [[a, b] for a, b in zip(x, y)]),
        ("pairs of Tensors", [(tt.Tensor(a), tt.Tensor(b)) for a, b in zip(x, y)]),
    ):
        batch = collate(samples)
        yield f"a batch of {name}", [numbers(part) for part in batch], given
        yield f"whether a batch of {name} is a tuple", isinstance(batch, tuple), given
        yield f"the kind of the targets of {name}", numbers(batch[1]).dtype.kind, given
        yield f"whether parts of a batch of {name} are Tensors", [isinstance(p, tt.Tensor) for p in batch], given
    yield "a batch of single arrays", numbers(collate([a for a in wide])), {"samples": wide}
    yield "a batch of numbers", numbers(collate([float(a) for a in x[:, 0]])), {"samples": x[:, 0]}
    (left, right), z = collate([((a, int(b)), tt.Tensor(a[0])) for a, b in zip(wide, many)])
    parts = [numbers(part) for part in (left, right, z)]
    yield "a batch of tuples in tuples", parts, {"first": wide, "second": many}
    yield "one sample is a batch of one", [numbers(part) for part in collate([(x[0], y[0])])], given
    for name, samples in (
        ("other numbers of parts", [(x[0], 1), (x[1],)]),
        ("other numbers of parts inside", [((x[0], 1), 2), ((x[1], 1, 1), 2)]),
        ("other shapes", [(wide[0], 1), (wide[1, :1], 2)]),
    ):
        yield f"samples with {name} are an error", raised(lambda s=samples: collate(s), ValueError), {}


def probe_08_3(tt, rng):
    """Counts and fractions, with a generator and with the default one."""
    seed = int(rng.integers(2**31))
    counts = [int(n) for n in rng.integers(2, 9, size=3)]
    data = rng.normal(size=sum(counts))
    split = tt.core.dataloader.random_split

    for name, lengths, n in (
        ("two parts of three", [2, 1], 3),
        ("three parts", counts, len(data)),
        ("fractions", [0.5, 0.25, 0.25], len(data)),
        ("a part without samples", [4, 0, 3], 7),
    ):
        whole = data[:n]
        parts = split(whole, lengths, rng=np.random.default_rng(seed))
        given = {"data": whole, "lengths": lengths, "seed of rng": seed}
        yield f"sizes of {name}", np.array([len(part) for part in parts]), given
        yield f"row numbers of {name}", [np.asarray(part.indices) for part in parts], given
        samples = np.array([part[i] for part in parts for i in range(len(part))])
        yield f"samples of {name}", samples, given
        yield f"whether {name} are a list", isinstance(parts, list), given
        yield f"whether {name} look into the dataset itself", [part.dataset is whole for part in parts], given
    tt.manual_seed(seed)
    parts = split(data, counts)
    given = {"data": data, "lengths": counts, "seed": seed}
    yield "row numbers that the default generator draws", [np.asarray(part.indices) for part in parts], given
    fails = raised(lambda: split(data, [len(data), 1]), ValueError)
    yield "counts with another sum are an error", fails, {"lengths": [len(data), 1]}


def probe_08_4(tt, rng):
    """Images of which all, none, and a share are mirrored."""
    bytes_, line = rng.permutation(24).astype(np.uint8).reshape(2, 2, 2, 3), rng.normal(size=(3, 4))
    images, p, seed = rng.normal(size=(400, 1, 1, 3)), rng.uniform(0.15, 0.3), int(rng.integers(2**31))
    make = tt.core.dataloader.RandomHorizontalFlip

    for name, x in (("rows", line), ("images of bytes", bytes_)):
        for word, probability in (("all", 1.0), ("none", 0.0)):
            before, given = x.copy(), {"images": x, "p": probability}
            y = make(probability)(x, np.random.default_rng(seed))
            yield f"{name}, {word} mirrored", y, given
            yield f"the type of {name}, {word} mirrored", str(y.dtype), given
            yield f"whether {name}, {word} mirrored, share memory with what was given", np.shares_memory(x, y), given
            yield f"what was given, {name}, {word} mirrored", x, {"images": before, "p": probability}
    given = {"images": images[:2], "number of images": 400, "p": p}
    mirrored = make(p)(images, np.random.default_rng(seed))
    yield "images of which some are mirrored", mirrored, given
    yield "the same generator again", make(p)(images, np.random.default_rng(seed)), given
    tt.manual_seed(seed)
    yield "images of which the default generator mirrors some", make(p)(images), given
    tt.manual_seed(seed)
    yield "the default generator again", make(p)(images), given
    yield "the images themselves", images, given
    yield "the probability", p, given
    yield "a probability above one is an error", raised(lambda: make(1.5), ValueError), {"p": 1.5}


def judge_08_4(student, reference, rng):
    """Which images are mirrored depends on how coins are drawn; how many, how, and that it can be repeated do not."""
    images, p = reference["the images themselves"], float(reference["the probability"])

    def fault(y):
        if y.shape != images.shape or y.dtype != images.dtype:
            return f"it is {y.dtype} of shape {y.shape} and should be {images.dtype} of shape {images.shape}"
        kept, turned = ((y == x).all(axis=(1, 2, 3)) for x in (images, images[..., ::-1]))
        if not (kept | turned).all():
            return "an image is neither as it was nor mirrored"
        share, sigma = turned.mean(), np.sqrt(p * (1 - p) / len(images))
        return None if abs(share - p) < 6 * sigma else f"with p = {p:.3f} a share of {share:.3f} is mirrored"

    verdicts = {}
    for first, again in (
        ("images of which some are mirrored", "the same generator again"),
        ("images of which the default generator mirrors some", "the default generator again"),
    ):
        verdicts[first] = fault(student[first])
        same = np.array_equal(student[first], student[again])
        verdicts[again] = None if same else "the same seed mirrors other images"
    return verdicts


def probe_08_5(tt, rng):
    """Numbers of batches for samples that fill them, do not, and are none."""
    size = int(rng.integers(3, 8))
    full = size * int(rng.integers(2, 6))
    some = int(rng.integers(1, size))
    loader = tt.core.dataloader.DataLoader
    for drop_last in (False, True):
        for name, n in (
            ("a short batch", full + some),
            ("full batches", full),
            ("one sample short", full - 1),
            ("one sample more", full + 1),
            ("less than a batch", some),
            ("no samples", 0),
        ):
            given = {"samples": n, "batch_size": size, "drop_last": drop_last}
            yield f"{name}, drop_last {drop_last}", len(loader(range(n), size, drop_last=drop_last)), given
    yield "batches of one", len(loader(range(full))), {"samples": full}


def probe_08_6(tt, rng):
    """Row numbers in order and shuffled, with a short batch, without, and without it by drop_last."""
    size, seeds = int(rng.integers(3, 6)), [int(seed) for seed in rng.integers(2**31, size=2)]
    full = size * int(rng.integers(3, 5))
    some = int(rng.integers(1, size))
    make = tt.core.dataloader.DataLoader

    before = np.random.get_state()[1].copy()
    for name, n in (("a short batch", full + some), ("full batches", full), ("less than a batch", some)):
        for drop_last in (False, True):
            for word, shuffle, seed in (("in order", False, None), ("shuffled", True, seeds[0])):
                rows = make(range(n), size, shuffle=shuffle, drop_last=drop_last).rows(seed)
                given = {"samples": n, "batch_size": size, "shuffle": shuffle, "drop_last": drop_last, "seed": seed}
                label = f"{name}, {word}, drop_last {drop_last}"
                yield f"the number of batches: {label}", len(rows), given
                yield f"row numbers: {label}", [np.asarray(part) for part in rows], given
                yield f"integers: {label}", all(np.asarray(part).dtype.kind == "i" for part in rows), given
    shuffling = make(range(full), size, shuffle=True)
    given = {"samples": full, "batch_size": size, "shuffle": True, "seed": seeds[1]}
    yield "row numbers of another seed", [np.asarray(part) for part in shuffling.rows(seeds[1])], given
    yield "the number of batches without samples", len(make([], size).rows(None)), {"samples": 0}
    after = np.random.get_state()[1]
    yield "whether NumPy's global generator stays as it was", np.array_equal(before, after), {}


def counted(values, taken):
    """The same values; the list `taken` gets each of them when somebody takes it."""
    for value in values:
        taken.append(value)
        yield value


def probe_08_7(tt, rng):
    """Results in their order, how many calls are begun when, in which thread, and errors in their place."""
    values = rng.normal(size=9)
    prefetched = tt.core.dataloader.prefetched

    def square(i):
        return float(values[i]) ** 2

    def broken(i):
        if i == 2:
            raise ZeroDivisionError
        return square(i)

    given = {"values": values}
    for ahead in (1, 2, 4, 20):
        results = np.array([result for result in prefetched(square, range(9), ahead)], dtype=float)
        yield f"all squares, {ahead} ahead", results, {**given, "ahead": ahead}
    for ahead in (1, 3):
        taken, begun = [], []
        for _ in prefetched(square, counted(range(9), taken), ahead):
            begun.append(len(taken))
        yield f"calls begun at each result, {ahead} ahead", np.array(begun), {"calls": 9, "ahead": ahead}
    threads = [result for result in prefetched(lambda i: threading.get_ident(), range(3), 1)]
    yield "the number of results of a thread", len(threads), {"calls": 3, "ahead": 1}
    yield "whether the caller's thread makes results", threading.get_ident() in threads, {"calls": 3, "ahead": 1}
    yield "results of no numbers", len([result for result in prefetched(square, [], 3)]), {"ahead": 3}
    results = prefetched(broken, range(4), 1)
    given = {**given, "fails for": 2, "ahead": 1}
    yield "results before an error", np.array([next(results), next(results)]), given
    yield "the error in place of its result", raised(lambda: next(results), ZeroDivisionError), given


class Watched(list):
    """Counts how often a sample was read, and knows by which threads."""

    reads = 0

    def __init__(self, samples):
        super().__init__(samples)
        self.threads = set()

    def __getitem__(self, index):
        self.reads += 1
        self.threads.add(threading.get_ident())
        return super().__getitem__(index)


def probe_08_8(tt, rng):
    """Epochs that are shuffled and changed, cut off and gone on with, left early, and one that draws nothing."""
    seeds = [int(seed) for seed in rng.integers(2**31, size=3)]
    samples, stop = [(float(x), i) for i, x in enumerate(rng.normal(size=10))], int(rng.integers(1, 4))
    make = tt.core.dataloader.DataLoader

    def shuffling(seed):
        def change(x, rng):
            return x + rng.normal(size=x.shape)

        return make(samples, 3, shuffle=True, rng=np.random.default_rng(seed), transform=change)

    def arrays(batches):
        return [numbers(part) for batch in batches for part in batch]

    def epoch(loader):
        return [batch for batch in loader]  # `list` would ask for the length as well, which is another task

    given = {"values": [x for x, _ in samples], "batch_size": 3}
    plain = make(samples, 3)
    tt.manual_seed(seeds[0])
    for word in ("first", "second"):
        yield f"the {word} epoch in order", arrays(epoch(plain)), given
    yield "numbers that the default generator draws afterwards", tt.default_generator.random(5), {"seed": seeds[0]}
    loader = shuffling(seeds[1])
    given = {**given, "shuffle": True, "seed of rng": seeds[1]}
    for word in ("first", "second"):
        yield f"the {word} epoch shuffled", arrays(epoch(loader)), given
        state = loader.state_dict()
        yield f"the position after the {word} epoch", state["position"], given
        yield f"whether there is a seed after the {word} epoch", state["seed"] is not None, given
    yield "whether a batch is Tensors", [isinstance(part, tt.Tensor) for part in next(iter(loader))], given

    loader, positions = shuffling(seeds[1]), []
    batches = iter(loader)
    for _ in range(stop):
        next(batches)
        positions.append(loader.state_dict()["position"])
    state = loader.state_dict()
    given = {**given, "stopped after": stop}
    yield "positions while the caller has a batch", np.array(positions), given
    yield "the rest of the epoch", arrays(batch for batch in batches), given
    resumed = shuffling(seeds[2])
    resumed.load_state_dict(state)
    yield "the rest of the epoch, gone on with elsewhere", arrays(epoch(resumed)), given
    yield "the position after it", resumed.state_dict()["position"], given
    yield "the flag after it", bool(resumed.resumed), given
    yield "the next epoch elsewhere", arrays(epoch(resumed)), given

    watched = Watched(samples)
    loader = make(watched, 2)
    batches = iter(loader)
    next(batches)
    yield "samples read for the first batch of two", watched.reads, {"batch_size": 2}
    batches.close()
    yield "the epoch after one that was left early", arrays(epoch(loader)), {"batch_size": 2}

    loader = shuffling(seeds[1])
    batches = iter(loader)
    for _ in range(stop):
        next(batches)
    again = shuffling(seeds[2])
    again.load_state_dict(loader.state_dict())
    going_on = iter(again)
    given = {"stopped after": stop, "gone on for": 1}
    yield "the next batch, gone on with elsewhere", arrays([next(going_on)]), given
    yield "the position then", again.state_dict()["position"], given
    going_on.close()
    yield "batches of an epoch after one that was gone on with and left", len(epoch(again)), given

    watched = Watched(samples)
    yield "an epoch with a batch ahead", arrays(epoch(make(watched, 2, prefetch=1))), {"prefetch": 1}
    yield "whether the caller reads samples then", threading.get_ident() in watched.threads, {"prefetch": 1}
