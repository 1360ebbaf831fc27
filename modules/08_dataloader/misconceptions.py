"""Wrong solutions that a student plausibly writes: each fails a visible test, and no other has its fingerprint."""

WRONG = [
    dict(
        task="08-1",
        mistake="only the inputs are returned, without the targets",
        body="return self.tensors[0][index]",
    ),
    dict(
        task="08-1",
        mistake="a sample is a list and not a tuple",
        body="return [part[index] for part in self.tensors]",
    ),
    dict(
        task="08-1",
        mistake="a generator is returned, because brackets alone make no tuple",
        body="return (part[index] for part in self.tensors)",
    ),
    dict(
        task="08-1",
        mistake="the whole array with this number is returned, and not a row of each",
        body="return tuple(self.tensors[index])",
    ),
    dict(
        task="08-1",
        mistake="samples are counted from one",
        body="return tuple(part[index - 1] for part in self.tensors)",
    ),
    dict(
        task="08-1",
        mistake="columns are taken instead of rows",
        body="return tuple(part.T[index] for part in self.tensors)",
    ),
    dict(
        task="08-1",
        mistake="only the first two arrays are used",
        body="x, y = self.tensors[:2]\nreturn x[index], y[index]",
    ),
    dict(
        task="08-1",
        mistake="samples are looked up one by one in an order that was sorted",
        body=(
            "if isinstance(index, np.ndarray):\n"
            "    index = np.sort(index)\n"
            "return tuple(part[index] for part in self.tensors)"
        ),
    ),
    dict(
        task="08-1",
        mistake="the index is made an array of numbers, which a slice is not",
        body=("rows = np.asarray(index)\nreturn tuple(part[rows] for part in self.tensors)"),
    ),
    dict(
        task="08-2",
        mistake="samples are glued together instead of stacked, so that the batch has no dimension of its own",
        body=(
            "if isinstance(samples[0], tuple | list):\n"
            "    return tuple(collate(part) for part in zip(*samples))\n"
            "return np.concatenate([np.atleast_1d(as_array(sample)) for sample in samples])"
        ),
    ),
    dict(
        task="08-2",
        mistake="the samples stay one below the other, and are not turned inside out",
        body=(
            "if isinstance(samples[0], tuple | list):\n"
            "    return tuple(collate(list(sample)) for sample in samples[:2])\n"
            "return np.stack([as_array(sample).ravel()[:1] for sample in samples])"
        ),
    ),
    dict(
        task="08-2",
        mistake="everything becomes floating, also the classes",
        body=(
            "if isinstance(samples[0], tuple | list):\n"
            "    return tuple(collate(part) for part in zip(*samples))\n"
            "return np.stack([as_array(sample).astype(np.float32) for sample in samples])"
        ),
    ),
    dict(
        task="08-2",
        mistake="the batch is the last dimension instead of the first",
        body=(
            "if isinstance(samples[0], tuple | list):\n"
            "    return tuple(collate(part) for part in zip(*samples))\n"
            "return np.stack([as_array(sample) for sample in samples], axis=-1)"
        ),
    ),
    dict(
        task="08-2",
        mistake="the last sample is left out",
        body=(
            "if isinstance(samples[0], tuple | list):\n"
            "    return tuple(collate(part) for part in zip(*samples))\n"
            "return np.stack([as_array(sample) for sample in samples[:-1]])"
        ),
    ),
    dict(
        task="08-2",
        mistake="every sample is taken for a tuple",
        body="return tuple(np.stack([as_array(x) for x in part]) for part in zip(*samples))",
    ),
    dict(
        task="08-2",
        mistake="only tuples are turned inside out, and lists are not",
        body=(
            "if isinstance(samples[0], tuple):\n"
            "    return tuple(collate(part) for part in zip(*samples))\n"
            "return np.stack([as_array(sample) for sample in samples])"
        ),
    ),
    dict(
        task="08-2",
        mistake="the parts come in a list, and not in a tuple",
        body=(
            "if isinstance(samples[0], tuple | list):\n"
            "    return [collate(part) for part in zip(*samples)]\n"
            "return np.stack([as_array(sample) for sample in samples])"
        ),
    ),
    dict(
        task="08-2",
        mistake="tuples inside of tuples are stacked, and not turned inside out as well",
        body=(
            "if isinstance(samples[0], tuple | list):\n"
            "    return tuple(np.stack([as_array(x) for x in part]) for part in zip(*samples))\n"
            "return np.stack([as_array(sample) for sample in samples])"
        ),
    ),
    dict(
        task="08-2",
        mistake="Tensors are handed out, and not arrays",
        body=(
            "if isinstance(samples[0], tuple | list):\n"
            "    return tuple(collate(part) for part in zip(*samples))\n"
            "return Tensor(np.stack([as_array(sample) for sample in samples]))"
        ),
    ),
    dict(
        task="08-3",
        mistake="rows are drawn with replacement, so that some are twice in it and some never",
        body=(
            "order = rng.integers(len(dataset), size=len(dataset))\n"
            "return [Subset(dataset, rows) for rows in np.split(order, np.cumsum(sizes)[:-1])]"
        ),
    ),
    dict(
        task="08-3",
        mistake="each part draws a permutation of its own, so that parts overlap",
        body="return [Subset(dataset, rng.permutation(len(dataset))[:size]) for size in sizes]",
    ),
    dict(
        task="08-3",
        mistake="nothing is shuffled",
        body=(
            "order = np.arange(len(dataset))\n"
            "return [Subset(dataset, rows) for rows in np.split(order, np.cumsum(sizes)[:-1])]"
        ),
    ),
    dict(
        task="08-3",
        mistake="the sizes themselves are taken for the places where to cut",
        body="return [Subset(dataset, rows) for rows in np.split(rng.permutation(len(dataset)), sizes[:-1])]",
    ),
    dict(
        task="08-3",
        mistake="the end is named as a place to cut, so that an empty part is left over",
        body="return [Subset(dataset, rows) for rows in np.split(rng.permutation(len(dataset)), np.cumsum(sizes))]",
    ),
    dict(
        task="08-3",
        mistake="every part begins one row late, so that a row between two parts is lost",
        body=(
            "order, parts, first = rng.permutation(len(dataset)), [], 0\n"
            "for size in sizes:\n"
            "    parts.append(Subset(dataset, order[first : first + size]))\n"
            "    first += size + 1\n"
            "return parts"
        ),
    ),
    dict(
        task="08-3",
        mistake="the rows of each part are sorted",
        body=(
            "order = rng.permutation(len(dataset))\n"
            "return [Subset(dataset, np.sort(rows)) for rows in np.split(order, np.cumsum(sizes)[:-1])]"
        ),
    ),
    dict(
        task="08-3",
        mistake="a generator with a fixed seed is used instead of the one that was given",
        body=(
            "order = np.random.default_rng(42).permutation(len(dataset))\n"
            "return [Subset(dataset, rows) for rows in np.split(order, np.cumsum(sizes)[:-1])]"
        ),
    ),
    dict(
        task="08-3",
        mistake="rows are shuffled by NumPy's global generator",
        body=(
            "order = np.random.permutation(len(dataset))\n"
            "return [Subset(dataset, rows) for rows in np.split(order, np.cumsum(sizes)[:-1])]"
        ),
    ),
    dict(
        task="08-3",
        mistake="all parts get the same size, whatever was asked for",
        body="return [Subset(dataset, rows) for rows in np.array_split(rng.permutation(len(dataset)), len(sizes))]",
    ),
    dict(
        task="08-3",
        mistake="the row numbers are handed out, and not subsets of the dataset",
        body="return np.split(rng.permutation(len(dataset)), np.cumsum(sizes)[:-1])",
    ),
    dict(
        task="08-3",
        mistake="the parts are a tuple",
        body=(
            "order = rng.permutation(len(dataset))\n"
            "return tuple(Subset(dataset, rows) for rows in np.split(order, np.cumsum(sizes)[:-1]))"
        ),
    ),
    dict(
        task="08-4",
        mistake="the stored images are mirrored in place",
        body=("mirrored = rng.random(len(x)) < self.p\ny = x\ny[mirrored] = x[mirrored][..., ::-1]\nreturn y"),
    ),
    dict(
        task="08-4",
        mistake="one coin is tossed for the whole batch",
        body="return x[..., ::-1].copy() if rng.random() < self.p else x.copy()",
    ),
    dict(
        task="08-4",
        mistake="images are turned upside down instead of left to right",
        body=(
            "mirrored = rng.random(len(x)) < self.p\n"
            "y = x.copy()\n"
            "y[mirrored] = x[mirrored][:, ..., ::-1, :] if x.ndim > 2 else x[mirrored]\n"
            "return y"
        ),
    ),
    dict(
        task="08-4",
        mistake="the images of the batch change places instead of being mirrored",
        body=("mirrored = rng.random(len(x)) < self.p\ny = x.copy()\ny[mirrored] = x[mirrored][::-1]\nreturn y"),
    ),
    dict(
        task="08-4",
        mistake="all dimensions are read backwards, also channels and rows",
        body=(
            "mirrored = rng.random(len(x)) < self.p\n"
            "y = x.copy()\n"
            "y[mirrored] = np.flip(x[mirrored], axis=tuple(range(1, x.ndim)))\n"
            "return y"
        ),
    ),
    dict(
        task="08-4",
        mistake="images are mirrored with probability 1 - p",
        body=("mirrored = rng.random(len(x)) > self.p\ny = x.copy()\ny[mirrored] = x[mirrored][..., ::-1]\nreturn y"),
    ),
    dict(
        task="08-4",
        mistake="p is not used: every image is mirrored with probability one half",
        body=(
            "mirrored = rng.random(len(x)) < (0.5 if 0 < self.p < 1 else self.p)\n"
            "y = x.copy()\n"
            "y[mirrored] = x[mirrored][..., ::-1]\n"
            "return y"
        ),
    ),
    dict(
        task="08-4",
        mistake="a coin is tossed for every number, and images are torn apart",
        body="return np.where(rng.random(x.shape) < self.p, x[..., ::-1], x)",
    ),
    dict(
        task="08-4",
        mistake="the coins come from another generator than the one that was given",
        body=(
            "mirrored = np.random.random(len(x)) < self.p\ny = x.copy()\ny[mirrored] = x[mirrored][..., ::-1]\nreturn y"
        ),
    ),
    dict(
        task="08-4",
        mistake="bytes become floating numbers",
        body=(
            "mirrored = rng.random(len(x)) < self.p\n"
            "y = x.astype(np.float32)\n"
            "y[mirrored] = x[mirrored][..., ::-1]\n"
            "return y"
        ),
    ),
    dict(
        task="08-4",
        mistake="what the mask gathered is a copy, and the mirrored images are written into that",
        body=("mirrored = rng.random(len(x)) < self.p\ny = x.copy()\ny[mirrored][..., ::-1] = x[mirrored]\nreturn y"),
    ),
    dict(
        task="08-4",
        mistake="every image is mirrored, whatever p is",
        body="return x[..., ::-1].copy()",
    ),
    dict(
        task="08-4",
        mistake="only the mirrored images are handed out, and the others are lost",
        body=("mirrored = rng.random(len(x)) < self.p\nreturn x[mirrored][..., ::-1]"),
    ),
    dict(
        task="08-4",
        mistake="where no image is mirrored, the array that was given comes out itself",
        body=(
            "mirrored = rng.random(len(x)) < self.p\n"
            "if not mirrored.any():\n"
            "    return x\n"
            "y = x.copy()\n"
            "y[mirrored] = x[mirrored][..., ::-1]\n"
            "return y"
        ),
    ),
    dict(
        task="08-5",
        mistake="the last short batch is never counted",
        body="return samples // self.batch_size",
    ),
    dict(
        task="08-5",
        mistake="one is always added, also where no batch is short",
        body="return samples // self.batch_size + (0 if self.drop_last else 1)",
    ),
    dict(
        task="08-5",
        mistake="drop_last is ignored",
        body="return math.ceil(samples / self.batch_size)",
    ),
    dict(
        task="08-5",
        mistake="drop_last is understood the wrong way round",
        body="return math.ceil(samples / self.batch_size) if self.drop_last else samples // self.batch_size",
    ),
    dict(
        task="08-5",
        mistake="drop_last takes a batch away even where all are full",
        body="return math.ceil(samples / self.batch_size) - (1 if self.drop_last else 0)",
    ),
    dict(
        task="08-5",
        mistake="samples are counted instead of batches",
        body="return samples - samples % self.batch_size if self.drop_last else samples",
    ),
    dict(
        task="08-5",
        mistake="the quotient is rounded to the nearest whole number",
        body="return samples // self.batch_size if self.drop_last else round(samples / self.batch_size)",
    ),
    dict(
        task="08-5",
        mistake="the quotient is not rounded at all",
        body="return samples // self.batch_size if self.drop_last else samples / self.batch_size",
    ),
    dict(
        task="08-6",
        mistake="the last short batch is always left out",
        body=(
            "order = np.random.default_rng(seed).permutation(samples) if self.shuffle else np.arange(samples)\n"
            "end = samples - samples % self.batch_size\n"
            "return [order[first : first + self.batch_size] for first in range(0, end, self.batch_size)]"
        ),
    ),
    dict(
        task="08-6",
        mistake="drop_last is ignored",
        body=(
            "order = np.random.default_rng(seed).permutation(samples) if self.shuffle else np.arange(samples)\n"
            "return [order[first : first + self.batch_size] for first in range(0, samples, self.batch_size)]"
        ),
    ),
    dict(
        task="08-6",
        mistake="drop_last leaves out the last batch even where it is full",
        body=(
            "order = np.random.default_rng(seed).permutation(samples) if self.shuffle else np.arange(samples)\n"
            "pieces = [order[first : first + self.batch_size] for first in range(0, samples, self.batch_size)]\n"
            "return pieces[:-1] if self.drop_last else pieces"
        ),
    ),
    dict(
        task="08-6",
        mistake="each batch begins one row after every place, so that neighbours overlap",
        body=(
            "order = np.random.default_rng(seed).permutation(samples) if self.shuffle else np.arange(samples)\n"
            "end = samples - samples % self.batch_size if self.drop_last else samples\n"
            "return [order[first : first + self.batch_size] for first in range(0, end)]"
        ),
    ),
    dict(
        task="08-6",
        mistake="the end of a slice is counted as part of it, so that a row is lost in each batch",
        body=(
            "order = np.random.default_rng(seed).permutation(samples) if self.shuffle else np.arange(samples)\n"
            "end = samples - samples % self.batch_size if self.drop_last else samples\n"
            "return [order[first : first + self.batch_size - 1] for first in range(0, end, self.batch_size)]"
        ),
    ),
    dict(
        task="08-6",
        mistake="rows are drawn with replacement, so that some come twice and some never",
        body=(
            "order = np.random.default_rng(seed).integers(samples, size=samples) if self.shuffle "
            "else np.arange(samples)\n"
            "end = samples - samples % self.batch_size if self.drop_last else samples\n"
            "return [order[first : first + self.batch_size] for first in range(0, end, self.batch_size)]"
        ),
    ),
    dict(
        task="08-6",
        mistake="rows are shuffled with NumPy's global generator",
        body=(
            "np.random.seed(seed)\n"
            "order = np.random.permutation(samples) if self.shuffle else np.arange(samples)\n"
            "end = samples - samples % self.batch_size if self.drop_last else samples\n"
            "return [order[first : first + self.batch_size] for first in range(0, end, self.batch_size)]"
        ),
    ),
    dict(
        task="08-6",
        mistake="the seed is not used, so that every epoch has the same order",
        body=(
            "order = np.random.default_rng(0).permutation(samples) if self.shuffle else np.arange(samples)\n"
            "end = samples - samples % self.batch_size if self.drop_last else samples\n"
            "return [order[first : first + self.batch_size] for first in range(0, end, self.batch_size)]"
        ),
    ),
    dict(
        task="08-6",
        mistake="nothing is shuffled",
        body=(
            "order = np.arange(samples)\n"
            "end = samples - samples % self.batch_size if self.drop_last else samples\n"
            "return [order[first : first + self.batch_size] for first in range(0, end, self.batch_size)]"
        ),
    ),
    dict(
        task="08-6",
        mistake="everything is shuffled, whether it was asked for or not",
        body=(
            "order = np.random.default_rng(seed or 0).permutation(samples)\n"
            "end = samples - samples % self.batch_size if self.drop_last else samples\n"
            "return [order[first : first + self.batch_size] for first in range(0, end, self.batch_size)]"
        ),
    ),
    dict(
        task="08-6",
        mistake="rows change places only inside of their batch",
        body=(
            "rng = np.random.default_rng(seed)\n"
            "end = samples - samples % self.batch_size if self.drop_last else samples\n"
            "pieces = [np.arange(samples)[i : i + self.batch_size] for i in range(0, end, self.batch_size)]\n"
            "return [rng.permutation(piece) for piece in pieces] if self.shuffle else pieces"
        ),
    ),
    dict(
        task="08-6",
        mistake="whole batches change places, and the rows in them stay neighbours",
        body=(
            "end = samples - samples % self.batch_size if self.drop_last else samples\n"
            "pieces = [np.arange(samples)[i : i + self.batch_size] for i in range(0, end, self.batch_size)]\n"
            "order = np.random.default_rng(seed).permutation(len(pieces))\n"
            "return [pieces[i] for i in order] if self.shuffle else pieces"
        ),
    ),
    dict(
        task="08-6",
        mistake="the order is cut into parts of equal size, and not into full batches",
        body=(
            "order = np.random.default_rng(seed).permutation(samples) if self.shuffle else np.arange(samples)\n"
            "return np.array_split(order, len(self))"
        ),
    ),
    dict(
        task="08-6",
        mistake="the default generator is asked for the order, and not one that is made from the seed",
        body=(
            "order = default_generator.permutation(samples) if self.shuffle else np.arange(samples)\n"
            "end = samples - samples % self.batch_size if self.drop_last else samples\n"
            "return [order[first : first + self.batch_size] for first in range(0, end, self.batch_size)]"
        ),
    ),
    dict(
        task="08-6",
        mistake="a generator is handed out instead of a list, and is used up after the first reading",
        body=(
            "order = np.random.default_rng(seed).permutation(samples) if self.shuffle else np.arange(samples)\n"
            "end = samples - samples % self.batch_size if self.drop_last else samples\n"
            "return (order[first : first + self.batch_size] for first in range(0, end, self.batch_size))"
        ),
    ),
    dict(
        task="08-7",
        mistake="what is still waiting at the end is lost",
        body=(
            "for n in numbers:\n"
            "    waiting.append(pool.submit(make, n))\n"
            "    if len(waiting) > ahead:\n"
            "        yield waiting.popleft().result()"
        ),
    ),
    dict(
        task="08-7",
        mistake="the newest result is handed out first",
        body=(
            "for n in numbers:\n"
            "    waiting.append(pool.submit(make, n))\n"
            "    if len(waiting) > ahead:\n"
            "        yield waiting.pop().result()\n"
            "while waiting:\n"
            "    yield waiting.pop().result()"
        ),
    ),
    dict(
        task="08-7",
        mistake="futures are handed out instead of their results",
        body=(
            "for n in numbers:\n"
            "    waiting.append(pool.submit(make, n))\n"
            "    if len(waiting) > ahead:\n"
            "        yield waiting.popleft()\n"
            "while waiting:\n"
            "    yield waiting.popleft()"
        ),
    ),
    dict(
        task="08-7",
        mistake="the result is awaited as soon as its call is submitted, so that nothing happens side by side",
        body="for n in numbers:\n    yield pool.submit(make, n).result()",
    ),
    dict(
        task="08-7",
        mistake="one call fewer is ahead than was asked for",
        body=(
            "for n in numbers:\n"
            "    waiting.append(pool.submit(make, n))\n"
            "    if len(waiting) >= ahead:\n"
            "        yield waiting.popleft().result()\n"
            "while waiting:\n"
            "    yield waiting.popleft().result()"
        ),
    ),
    dict(
        task="08-7",
        mistake="all calls are submitted at the beginning, without a limit",
        body=(
            "for n in numbers:\n"
            "    waiting.append(pool.submit(make, n))\n"
            "while waiting:\n"
            "    yield waiting.popleft().result()"
        ),
    ),
    dict(
        task="08-7",
        mistake="batches are prepared in groups: the next group begins when the last one is used up",
        body=(
            "for n in numbers:\n"
            "    waiting.append(pool.submit(make, n))\n"
            "    if len(waiting) > ahead:\n"
            "        while waiting:\n"
            "            yield waiting.popleft().result()\n"
            "while waiting:\n"
            "    yield waiting.popleft().result()"
        ),
    ),
    dict(
        task="08-7",
        mistake="the function is called at once, and not by the thread",
        body=(
            "for n in numbers:\n"
            "    waiting.append(make(n))\n"
            "    if len(waiting) > ahead:\n"
            "        yield waiting.popleft()\n"
            "while waiting:\n"
            "    yield waiting.popleft()"
        ),
    ),
    dict(
        task="08-7",
        mistake="make is called while submitting: the thread is handed its result, and not the call",
        body=(
            "for n in numbers:\n"
            "    waiting.append(pool.submit(make(n)))\n"
            "    if len(waiting) > ahead:\n"
            "        yield waiting.popleft().result()\n"
            "while waiting:\n"
            "    yield waiting.popleft().result()"
        ),
    ),
    dict(
        task="08-8",
        mistake="the position is counted after a batch was handed out, and is saved one batch late",
        body=(
            "if not self.resumed:\n"
            "    self.position, self.seed = 0, self.draw_seed()\n"
            "self.resumed = False\n"
            "for batch in self.fetched(self.rows(self.seed), self.position):\n"
            "    yield batch\n"
            "    self.position += 1\n"
            "self.position, self.seed = 0, None"
        ),
    ),
    dict(
        task="08-8",
        mistake="the position is not counted",
        body=(
            "if not self.resumed:\n"
            "    self.position, self.seed = 0, self.draw_seed()\n"
            "self.resumed = False\n"
            "yield from self.fetched(self.rows(self.seed), self.position)\n"
            "self.position, self.seed = 0, None"
        ),
    ),
    dict(
        task="08-8",
        mistake="a seed is drawn only once, so that every epoch has the same order",
        body=(
            "if not self.resumed:\n"
            "    self.position = 0\n"
            "    if self.seed is None:\n"
            "        self.seed = self.draw_seed()\n"
            "self.resumed = False\n"
            "for batch in self.fetched(self.rows(self.seed), self.position):\n"
            "    self.position += 1\n"
            "    yield batch\n"
            "self.position = 0"
        ),
    ),
    dict(
        task="08-8",
        mistake="a new seed is drawn when the epoch goes on, so that the rest has another order",
        body=(
            "if not self.resumed:\n"
            "    self.position = 0\n"
            "self.seed, self.resumed = self.draw_seed(), False\n"
            "for batch in self.fetched(self.rows(self.seed), self.position):\n"
            "    self.position += 1\n"
            "    yield batch\n"
            "self.position, self.seed = 0, None"
        ),
    ),
    dict(
        task="08-8",
        mistake="a loaded position is ignored, and the epoch begins again",
        body=(
            "if not self.resumed:\n"
            "    self.seed = self.draw_seed()\n"
            "self.position, self.resumed = 0, False\n"
            "for batch in self.fetched(self.rows(self.seed), self.position):\n"
            "    self.position += 1\n"
            "    yield batch\n"
            "self.position, self.seed = 0, None"
        ),
    ),
    dict(
        task="08-8",
        mistake="a loaded state is ignored altogether",
        body=(
            "self.position, self.seed = 0, self.draw_seed()\n"
            "for batch in self.fetched(self.rows(self.seed), self.position):\n"
            "    self.position += 1\n"
            "    yield batch\n"
            "self.position, self.seed = 0, None"
        ),
    ),
    dict(
        task="08-8",
        mistake="the flag is not cleared, so that every later epoch goes on instead of beginning anew",
        body=(
            "if not self.resumed:\n"
            "    self.position, self.seed = 0, self.draw_seed()\n"
            "for batch in self.fetched(self.rows(self.seed), self.position):\n"
            "    self.position += 1\n"
            "    yield batch\n"
            "self.position, self.seed = 0, None"
        ),
    ),
    dict(
        task="08-8",
        mistake="after the last batch the position stays where it is",
        body=(
            "if not self.resumed:\n"
            "    self.position, self.seed = 0, self.draw_seed()\n"
            "self.resumed = False\n"
            "for batch in self.fetched(self.rows(self.seed), self.position):\n"
            "    self.position += 1\n"
            "    yield batch"
        ),
    ),
    dict(
        task="08-8",
        mistake="the batch after the one to go on with is the first, so that one is never seen",
        body=(
            "start = self.position + 1 if self.resumed else 0\n"
            "if not self.resumed:\n"
            "    self.position, self.seed = 0, self.draw_seed()\n"
            "self.resumed = False\n"
            "for batch in self.fetched(self.rows(self.seed), start):\n"
            "    self.position += 1\n"
            "    yield batch\n"
            "self.position, self.seed = 0, None"
        ),
    ),
    dict(
        task="08-8",
        mistake="all batches of the epoch are made before the first is handed out",
        body=(
            "if not self.resumed:\n"
            "    self.position, self.seed = 0, self.draw_seed()\n"
            "self.resumed = False\n"
            "for batch in list(self.fetched(self.rows(self.seed), self.position)):\n"
            "    self.position += 1\n"
            "    yield batch\n"
            "self.position, self.seed = 0, None"
        ),
    ),
    dict(
        task="08-8",
        mistake="a number is drawn even where nothing is random",
        body=(
            "if not self.resumed:\n"
            "    rng = default_generator if self.rng is None else self.rng\n"
            "    self.position, self.seed = 0, int(rng.integers(2**63))\n"
            "self.resumed = False\n"
            "for batch in self.fetched(self.rows(self.seed), self.position):\n"
            "    self.position += 1\n"
            "    yield batch\n"
            "self.position, self.seed = 0, None"
        ),
    ),
    dict(
        task="08-8",
        mistake="a loop that was left early shortens the next epoch, for the position is not put back at its beginning",
        body=(
            "if self.seed is None:\n"
            "    self.seed = self.draw_seed()\n"
            "self.resumed = False\n"
            "for batch in self.fetched(self.rows(self.seed), self.position):\n"
            "    self.position += 1\n"
            "    yield batch\n"
            "self.position, self.seed = 0, None"
        ),
    ),
    dict(
        task="08-8",
        mistake="after going on, the position is counted from the beginning again",
        body=(
            "if not self.resumed:\n"
            "    self.position, self.seed = 0, self.draw_seed()\n"
            "self.resumed = False\n"
            "for k, batch in enumerate(self.fetched(self.rows(self.seed), self.position)):\n"
            "    self.position = k + 1\n"
            "    yield batch\n"
            "self.position, self.seed = 0, None"
        ),
    ),
    dict(
        task="08-8",
        mistake="the flag is cleared only after the last batch: an epoch that was left early is followed by its rest",
        body=(
            "if not self.resumed:\n"
            "    self.position, self.seed = 0, self.draw_seed()\n"
            "for batch in self.fetched(self.rows(self.seed), self.position):\n"
            "    self.position += 1\n"
            "    yield batch\n"
            "self.position, self.seed, self.resumed = 0, None, False"
        ),
    ),
    dict(
        task="08-8",
        mistake="after the last batch the seed stays where it is",
        body=(
            "if not self.resumed:\n"
            "    self.position, self.seed = 0, self.draw_seed()\n"
            "self.resumed = False\n"
            "for batch in self.fetched(self.rows(self.seed), self.position):\n"
            "    self.position += 1\n"
            "    yield batch\n"
            "self.position = 0"
        ),
    ),
    dict(
        task="08-8",
        mistake="batches are loaded here, and not by self.fetched, so that nothing is ever prepared ahead",
        body=(
            "if not self.resumed:\n"
            "    self.position, self.seed = 0, self.draw_seed()\n"
            "self.resumed, rows = False, self.rows(self.seed)\n"
            "for k in range(self.position, len(rows)):\n"
            "    self.position += 1\n"
            "    yield self.load(rows, self.seed, k)\n"
            "self.position, self.seed = 0, None"
        ),
    ),
]
