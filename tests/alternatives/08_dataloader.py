"""Right solutions that differ from the reference: probes and visible tests must pass all of them."""

RIGHT = [
    dict(
        task="08-1",
        how="by a loop and a list",
        body=(
            "found = []\n"
            "for position in range(len(self.tensors)):\n"
            "    found.append(self.tensors[position][index])\n"
            "return tuple(found)"
        ),
    ),
    dict(
        task="08-1",
        how="with a function that takes what stands at the index",
        body="import operator\nreturn (*map(operator.itemgetter(index), self.tensors),)",
    ),
    dict(
        task="08-1",
        how="by np.take, with a slice made row numbers first",
        body=(
            "if isinstance(index, slice):\n"
            "    index = range(self.rows)[index]\n"
            "return tuple([np.take(as_array(part), index, axis=0) for part in self.tensors])"
        ),
    ),
    dict(
        task="08-2",
        how="into an array that is there first, sample by sample",
        body=(
            "if isinstance(samples[0], tuple | list):\n"
            "    return tuple(collate([sample[i] for sample in samples]) for i in range(len(samples[0])))\n"
            "first = as_array(samples[0])\n"
            "batch = np.empty((len(samples), *first.shape), dtype=first.dtype)\n"
            "for i, sample in enumerate(samples):\n"
            "    if np.shape(as_array(sample)) != first.shape:\n"
            "        raise ValueError(f'sample {i} has another shape than the first')\n"
            "    batch[i] = as_array(sample)\n"
            "return batch"
        ),
    ),
    dict(
        task="08-2",
        how="by np.array, asking for parts first",
        body=(
            "if not max(counts):\n"
            "    return np.array([as_array(sample) for sample in samples])\n"
            "return (*map(collate, map(list, zip(*samples))),)"
        ),
    ),
    dict(
        task="08-2",
        how="by gluing along a dimension that each sample gets first",
        body=(
            "sample = samples[0]\n"
            "if isinstance(sample, (tuple, list)):\n"
            "    columns = [[] for _ in sample]\n"
            "    for sample in samples:\n"
            "        for column, part in zip(columns, sample):\n"
            "            column.append(part)\n"
            "    return tuple(collate(column) for column in columns)\n"
            "return np.concatenate([as_array(sample)[np.newaxis] for sample in samples], axis=0)"
        ),
    ),
    dict(
        task="08-3",
        how="by shuffling numbers in place, and slices from a running sum",
        body=(
            "order = np.arange(len(dataset))\n"
            "rng.shuffle(order)\n"
            "parts, first = [], 0\n"
            "for size in sizes:\n"
            "    parts.append(Subset(dataset, order[first : first + size]))\n"
            "    first += size\n"
            "return parts"
        ),
    ),
    dict(
        task="08-3",
        how="by dealing row numbers out one by one",
        body=(
            "import itertools\n"
            "order = iter(rng.permutation(len(dataset)).tolist())\n"
            "return [Subset(dataset, np.array([*itertools.islice(order, size)], dtype=np.int64)) for size in sizes]"
        ),
    ),
    dict(
        task="08-3",
        how="by the number of the part to which each place belongs",
        body=(
            "order = rng.permutation(np.arange(sum(sizes)))\n"
            "owner = np.repeat(np.arange(len(sizes)), sizes)\n"
            "return [Subset(dataset, order[owner == part]) for part in range(len(sizes))]"
        ),
    ),
    dict(
        task="08-4",
        how="choosing between two arrays, by a binomial draw",
        body=(
            "coins = rng.binomial(1, self.p, size=len(x)).astype(bool)\n"
            "return np.where(coins.reshape(-1, *[1] * (x.ndim - 1)), np.flip(x, axis=-1), x)"
        ),
    ),
    dict(
        task="08-4",
        how="image by image, with a coin tossed for each",
        body=(
            "images = []\n"
            "for image in x:\n"
            "    images.append(image[..., ::-1] if rng.random() >= 1 - self.p else image)\n"
            "return np.stack(images)"
        ),
    ),
    dict(
        task="08-4",
        how="by row numbers, with coins drawn by choice",
        body=(
            "coins = rng.choice([True, False], size=x.shape[0], p=[self.p, 1 - self.p])\n"
            "y = np.array(x)\n"
            "for i in np.flatnonzero(coins):\n"
            "    y[i] = np.flip(y[i], -1).copy()\n"
            "return y"
        ),
    ),
    dict(
        task="08-4",
        how="by the columns, backwards or not, with coins in float32",
        body=(
            "coins = rng.random(len(x), dtype=np.float32) < self.p\n"
            "columns = np.arange(x.shape[-1])\n"
            "order = np.where(coins[:, None], columns[::-1], columns)\n"
            "order = order.reshape(len(x), *[1] * (x.ndim - 2), -1)\n"
            "return np.take_along_axis(x, order, axis=-1)"
        ),
    ),
    dict(
        task="08-5",
        how="by division with a remainder",
        body=(
            "full, rest = divmod(samples, self.batch_size)\nreturn full + 1 if rest and not self.drop_last else full"
        ),
    ),
    dict(
        task="08-5",
        how="by adding almost a batch before the division",
        body=("spare = 0 if self.drop_last else self.batch_size - 1\nreturn (samples + spare) // self.batch_size"),
    ),
    dict(
        task="08-5",
        how="by counting the first rows of the batches",
        body=("last = self.batch_size - 1 if self.drop_last else 0\nreturn len(range(last, samples, self.batch_size))"),
    ),
    dict(
        task="08-6",
        how="by shuffling in place, and leaving short batches out at the end",
        body=(
            "order = np.arange(samples)\n"
            "if self.shuffle:\n"
            "    np.random.default_rng(seed).shuffle(order)\n"
            "batches = []\n"
            "while len(order):\n"
            "    batches.append(order[: self.batch_size])\n"
            "    order = order[self.batch_size :]\n"
            "return [rows for rows in batches if len(rows) == self.batch_size or not self.drop_last]"
        ),
    ),
    dict(
        task="08-6",
        how="by np.split at the first rows of the batches",
        body=(
            "rng = np.random.default_rng(seed)\n"
            "order = rng.permutation(np.arange(samples)) if self.shuffle else np.arange(samples)\n"
            "if self.drop_last:\n"
            "    order = order[: samples // self.batch_size * self.batch_size]\n"
            "pieces = np.split(order, range(self.batch_size, len(order), self.batch_size))\n"
            "return pieces if len(order) else []"
        ),
    ),
    dict(
        task="08-6",
        how="as rows of a matrix, and the rest behind them",
        body=(
            "order = np.random.default_rng(seed).permutation(samples) if self.shuffle else np.array(range(samples))\n"
            "full = samples // self.batch_size\n"
            "batches = list(order[: full * self.batch_size].reshape(full, self.batch_size))\n"
            "rest = order[full * self.batch_size :]\n"
            "if rest.size and not self.drop_last:\n"
            "    batches.append(rest)\n"
            "return batches"
        ),
    ),
    dict(
        task="08-7",
        how="by filling up first, then one more for each result",
        body=(
            "import itertools\n"
            "numbers = iter(numbers)\n"
            "for n in itertools.islice(numbers, ahead):\n"
            "    waiting.append(pool.submit(make, n))\n"
            "for n in numbers:\n"
            "    waiting.append(pool.submit(make, n))\n"
            "    yield waiting.popleft().result()\n"
            "for future in waiting:\n"
            "    yield future.result()"
        ),
    ),
    dict(
        task="08-7",
        how="in one loop that fills up before each result",
        body=(
            "numbers, nothing = iter(numbers), object()\n"
            "while True:\n"
            "    while len(waiting) <= ahead:\n"
            "        n = next(numbers, nothing)\n"
            "        if n is nothing:\n"
            "            break\n"
            "        waiting.append(pool.submit(make, n))\n"
            "    if not waiting:\n"
            "        return\n"
            "    yield waiting.popleft().result()"
        ),
    ),
    dict(
        task="08-7",
        how="with a list in place of the deque",
        body=(
            "futures = []\n"
            "for n in numbers:\n"
            "    futures = [*futures, pool.submit(lambda n=n: make(n))]\n"
            "    if len(futures) == ahead + 1:\n"
            "        oldest, *futures = futures\n"
            "        yield oldest.result()\n"
            "yield from (future.result() for future in futures)"
        ),
    ),
    dict(
        task="08-8",
        how="with numbered batches, and the flag read once",
        body=(
            "goes_on, self.resumed = self.resumed, False\n"
            "if not goes_on:\n"
            "    self.position = 0\n"
            "    self.seed = self.draw_seed()\n"
            "rows = self.rows(self.seed)\n"
            "for number, batch in enumerate(self.fetched(rows, self.position), self.position + 1):\n"
            "    self.position = number\n"
            "    yield batch\n"
            "self.position, self.seed = 0, None"
        ),
    ),
    dict(
        task="08-8",
        how="with an iterator that is asked for the next batch",
        body=(
            "if self.resumed:\n"
            "    self.resumed = False\n"
            "else:\n"
            "    self.position, self.seed = 0, self.draw_seed()\n"
            "batches, nothing = iter(self.fetched(self.rows(self.seed), self.position)), object()\n"
            "batch = next(batches, nothing)\n"
            "while batch is not nothing:\n"
            "    self.position += 1\n"
            "    yield batch\n"
            "    batch = next(batches, nothing)\n"
            "self.seed = None\n"
            "self.position = 0"
        ),
    ),
    dict(
        task="08-8",
        how="counting in a function that the batches pass through",
        body=(
            "if not self.resumed:\n"
            "    self.seed = self.draw_seed()\n"
            "    self.position = 0\n"
            "self.resumed = False\n"
            "\n"
            "def counted(batch):\n"
            "    self.position = self.position + 1\n"
            "    return batch\n"
            "\n"
            "yield from map(counted, self.fetched(self.rows(self.seed), self.position))\n"
            "self.position, self.seed = 0, None"
        ),
    ),
]
