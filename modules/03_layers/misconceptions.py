"""Wrong solutions that a student plausibly writes: each fails a visible test, and no other has its fingerprint."""

WRONG = [
    dict(
        task="03-1",
        mistake="the weight is not transposed",
        body="y = x @ weight\nif bias is not None:\n    y = y + bias\nreturn y",
    ),
    dict(
        task="03-1",
        mistake="weight and input have changed places, so that outputs come as columns",
        body="y = weight @ x.T\nif bias is not None:\n    y = y + bias[:, None]\nreturn y",
    ),
    dict(
        task="03-1",
        mistake="the bias is left out",
        body="return x @ weight.T",
    ),
    dict(
        task="03-1",
        mistake="the bias is added also when it is None",
        body="return x @ weight.T + bias",
    ),
    dict(
        task="03-1",
        mistake="an array is asked whether it is true, instead of whether it is None",
        body="y = x @ weight.T\nif bias:\n    y += bias\nreturn y",
    ),
    dict(
        task="03-1",
        mistake="the dimensions in front are not restored after putting all rows below each other",
        body="y = x.reshape(-1, x.shape[-1]) @ weight.T\nif bias is not None:\n    y += bias\nreturn y",
    ),
    dict(
        task="03-2",
        mistake="the module itself is not handed out",
        body=(
            "if self in memo:\n    return\nmemo.add(self)\n"
            "for name, child in self.named_children():\n"
            '    path = f"{prefix}.{name}" if prefix else name\n'
            "    yield path, child\n"
            "    yield from child.named_modules(memo, path, remove_duplicate)"
        ),
    ),
    dict(
        task="03-2",
        mistake="only the direct children are visited, and not what is below them",
        body=(
            "yield prefix, self\nfor name, child in self.named_children():\n"
            '    yield f"{prefix}.{name}" if prefix else name, child'
        ),
    ),
    dict(
        task="03-2",
        mistake="the walks of the children are started, but what they hand out is not passed on",
        body=(
            "yield prefix, self\nfor name, child in self.named_children():\n"
            '    child.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)'
        ),
    ),
    dict(
        task="03-2",
        mistake="a path is only the module's own name, without its parent's path",
        body=(
            "if self in memo:\n    return\nmemo.add(self)\nyield prefix, self\n"
            "for name, child in self.named_children():\n"
            "    yield from child.named_modules(memo, name, remove_duplicate)"
        ),
    ),
    dict(
        task="03-2",
        mistake="there is a dot in front of names below the empty path",
        body=(
            "if self in memo:\n    return\nmemo.add(self)\nyield prefix, self\n"
            "for name, child in self.named_children():\n"
            '    yield from child.named_modules(memo, f"{prefix}.{name}", remove_duplicate)'
        ),
    ),
    dict(
        task="03-2",
        mistake="a module is handed out after what is below it",
        body=(
            "if self in memo:\n    return\nmemo.add(self)\n"
            "for name, child in self.named_children():\n"
            '    path = f"{prefix}.{name}" if prefix else name\n'
            "    yield from child.named_modules(memo, path, remove_duplicate)\n"
            "yield prefix, self"
        ),
    ),
    dict(
        task="03-2",
        mistake="the prefix is used for the module itself and not handed on",
        body=(
            "if self in memo:\n    return\nmemo.add(self)\nyield prefix, self\n"
            "for name, child in self.named_children():\n"
            "    for path, module in child.named_modules(memo, '', remove_duplicate):\n"
            '        yield f"{name}.{path}" if path else name, module'
        ),
    ),
    dict(
        task="03-2",
        mistake="the memo is not handed to the children, so that each begins with an empty one",
        body=(
            "if self in memo:\n    return\nmemo.add(self)\nyield prefix, self\n"
            "for name, child in self.named_children():\n"
            '    path = f"{prefix}.{name}" if prefix else name\n'
            "    yield from child.named_modules(prefix=path, remove_duplicate=remove_duplicate)"
        ),
    ),
    dict(
        task="03-2",
        mistake="the flag remove_duplicate is not handed to the children",
        body=(
            "if self in memo:\n    return\nmemo.add(self)\nyield prefix, self\n"
            "for name, child in self.named_children():\n"
            '    path = f"{prefix}.{name}" if prefix else name\n'
            "    yield from child.named_modules(memo, path)"
        ),
    ),
    dict(
        task="03-3",
        mistake="the values become attributes under their dotted names, and never reach the layers below",
        body="for name in own:\n    vars(self)[name] = Parameter(arrays[name])",
    ),
    dict(
        task="03-3",
        mistake="the values are put in place of the Parameters, which are no longer the same objects",
        body=(
            "if set(own) != set(arrays):\n    raise ValueError(f'{set(own) ^ set(arrays)}')\n"
            "for path, module in self.named_modules():\n"
            "    for name in [n for n, v in vars(module).items() if isinstance(v, Parameter)]:\n"
            "        values = arrays[f'{path}.{name}' if path else name]\n"
            "        vars(module)[name] = Parameter(values)\n"
            "    for name in module._buffers:\n"
            "        setattr(module, name, Tensor(arrays[f'{path}.{name}' if path else name]))"
        ),
    ),
    dict(
        task="03-3",
        mistake="only Parameters are loaded, and buffers are not",
        body=(
            "problems = [name for name in own if name not in arrays] + [name for name in arrays if name not in own]\n"
            "if problems:\n    raise ValueError(str(problems))\n"
            "for name, parameter in self.named_parameters():\n    parameter.data = arrays[name]"
        ),
    ),
    dict(
        task="03-3",
        mistake="unexpected names are passed over",
        body=(
            "problems = [f'missing {name}' for name in own if name not in arrays]\n"
            "problems += [f'shape of {n}' for n in own if n in arrays and arrays[n].shape != own[n].shape]\n"
            "if problems:\n    raise ValueError('; '.join(problems))\n"
            "for name, tensor in own.items():\n    tensor.data = arrays[name]"
        ),
    ),
    dict(
        task="03-3",
        mistake="missing names are passed over",
        body=(
            "problems = [f'unexpected {name}' for name in arrays if name not in own]\n"
            "problems += [f'shape of {n}' for n in own if n in arrays and arrays[n].shape != own[n].shape]\n"
            "if problems:\n    raise ValueError('; '.join(problems))\n"
            "for name, tensor in own.items():\n    if name in arrays:\n        tensor.data = arrays[name]"
        ),
    ),
    dict(
        task="03-3",
        mistake="shapes are not compared",
        body=(
            "problems = [f'missing {name}' for name in own if name not in arrays]\n"
            "problems += [f'unexpected {name}' for name in arrays if name not in own]\n"
            "if problems:\n    raise ValueError('; '.join(problems))\n"
            "for name, tensor in own.items():\n    tensor.detach()[...] = arrays[name]"
        ),
    ),
    dict(
        task="03-3",
        mistake="an array is taken to fit when it can be stretched to the shape of the Parameter",
        body=(
            "problems = [f'missing {name}' for name in own if name not in arrays]\n"
            "problems += [f'unexpected {name}' for name in arrays if name not in own]\n"
            "for name in own:\n"
            "    if name in arrays:\n"
            "        try:\n            np.broadcast_to(arrays[name], own[name].shape)\n"
            "        except ValueError:\n            problems.append(f'shape of {name}')\n"
            "if problems:\n    raise ValueError('; '.join(problems))\n"
            "for name, tensor in own.items():\n    tensor.detach()[...] = arrays[name]"
        ),
    ),
    dict(
        task="03-3",
        mistake="the first problem is reported alone",
        body=(
            "for name in arrays:\n    if name not in own:\n        raise ValueError(f'unexpected {name}')\n"
            "for name in own:\n    if name not in arrays:\n        raise ValueError(f'missing {name}')\n"
            "    if arrays[name].shape != own[name].shape:\n        raise ValueError(f'shape of {name}')\n"
            "for name, tensor in own.items():\n    tensor.data = arrays[name]"
        ),
    ),
    dict(
        task="03-3",
        mistake="values are written before the last of them has been looked at",
        body=(
            "problems = [f'unexpected {name}' for name in arrays if name not in own]\n"
            "for name, tensor in own.items():\n"
            "    if name not in arrays:\n        problems.append(f'missing {name}')\n"
            "    elif arrays[name].shape != tensor.shape:\n        problems.append(f'shape of {name}')\n"
            "    else:\n        tensor.data = arrays[name]\n"
            "if problems:\n    raise ValueError('; '.join(problems))"
        ),
    ),
    dict(
        task="03-4",
        mistake="the weight has shape (in, out)",
        body=(
            "bound = 1 / math.sqrt(in_features)\n"
            "self.weight = Parameter(rng.uniform(-bound, bound, size=(in_features, out_features)))\n"
            "if bias:\n    self.bias = Parameter(rng.uniform(-bound, bound, size=out_features))"
        ),
    ),
    dict(
        task="03-4",
        mistake="weight and bias are Tensors, which no optimizer will find",
        body=(
            "bound = 1 / math.sqrt(in_features)\n"
            "self.weight = Tensor(rng.uniform(-bound, bound, size=(out_features, in_features)))\n"
            "if bias:\n    self.bias = Tensor(rng.uniform(-bound, bound, size=out_features))"
        ),
    ),
    dict(
        task="03-4",
        mistake="there is a bias also with bias=False",
        body=(
            "bound = 1 / math.sqrt(in_features)\n"
            "self.weight = Parameter(rng.uniform(-bound, bound, size=(out_features, in_features)))\n"
            "self.bias = Parameter(rng.uniform(-bound, bound, size=out_features))"
        ),
    ),
    dict(
        task="03-4",
        mistake="the bound is 1/in instead of 1/sqrt(in)",
        body=(
            "bound = 1 / in_features\n"
            "self.weight = Parameter(rng.uniform(-bound, bound, size=(out_features, in_features)))\n"
            "if bias:\n    self.bias = Parameter(rng.uniform(-bound, bound, size=out_features))"
        ),
    ),
    dict(
        task="03-4",
        mistake="the bound is taken from the number of outputs",
        body=(
            "bound = 1 / math.sqrt(out_features)\n"
            "self.weight = Parameter(rng.uniform(-bound, bound, size=(out_features, in_features)))\n"
            "if bias:\n    self.bias = Parameter(rng.uniform(-bound, bound, size=out_features))"
        ),
    ),
    dict(
        task="03-4",
        mistake="the numbers are drawn between 0 and the bound",
        body=(
            "bound = 1 / math.sqrt(in_features)\n"
            "self.weight = Parameter(rng.uniform(0, bound, size=(out_features, in_features)))\n"
            "if bias:\n    self.bias = Parameter(rng.uniform(0, bound, size=out_features))"
        ),
    ),
    dict(
        task="03-4",
        mistake="the numbers are normal with the bound as standard deviation, instead of uniform",
        body=(
            "bound = 1 / math.sqrt(in_features)\n"
            "self.weight = Parameter(rng.normal(0, bound, size=(out_features, in_features)))\n"
            "if bias:\n    self.bias = Parameter(rng.normal(0, bound, size=out_features))"
        ),
    ),
    dict(
        task="03-4",
        mistake="the bias starts at zero",
        body=(
            "bound = 1 / math.sqrt(in_features)\n"
            "self.weight = Parameter(rng.uniform(-bound, bound, size=(out_features, in_features)))\n"
            "if bias:\n    self.bias = Parameter(np.zeros(out_features))"
        ),
    ),
    dict(
        task="03-4",
        mistake="all units start with the same weights",
        body=(
            "bound = 1 / math.sqrt(in_features)\n"
            "row = rng.uniform(-bound, bound, size=in_features)\n"
            "self.weight = Parameter(np.tile(row, (out_features, 1)))\n"
            "if bias:\n    self.bias = Parameter(rng.uniform(-bound, bound, size=out_features))"
        ),
    ),
    dict(
        task="03-4",
        mistake="the numbers come from a new generator, and not from rng",
        body=(
            "fresh, bound = np.random.default_rng(), 1 / math.sqrt(in_features)\n"
            "self.weight = Parameter(fresh.uniform(-bound, bound, size=(out_features, in_features)))\n"
            "if bias:\n    self.bias = Parameter(fresh.uniform(-bound, bound, size=out_features))"
        ),
    ),
    dict(
        task="03-5",
        mistake="the variance is given where the standard deviation is asked for",
        body="return rng.normal(0, 2 / fan_in, size=shape).astype(np.float32)",
    ),
    dict(
        task="03-5",
        mistake="the variance is 1 / fan in, which forgets what the ReLU takes away",
        body="return rng.normal(0, math.sqrt(1 / fan_in), size=shape).astype(np.float32)",
    ),
    dict(
        task="03-5",
        mistake="fan out is used in the place of fan in",
        body="return rng.normal(0, math.sqrt(2 / fan_out), size=shape).astype(np.float32)",
    ),
    dict(
        task="03-5",
        mistake="fan in and fan out are added, as xavier does",
        body="return rng.normal(0, math.sqrt(2 / (fan_in + fan_out)), size=shape).astype(np.float32)",
    ),
    dict(
        task="03-5",
        mistake="the second size of the shape is used, which leaves out the window of a convolution",
        body="return rng.normal(0, math.sqrt(2 / shape[1]), size=shape).astype(np.float32)",
    ),
    dict(
        task="03-5",
        mistake="the numbers are uniform, though with the right variance",
        body="a = math.sqrt(6 / fan_in)\nreturn rng.uniform(-a, a, size=shape).astype(np.float32)",
    ),
    dict(
        task="03-5",
        mistake="the numbers stay in float64",
        body="return rng.normal(0, math.sqrt(2 / fan_in), size=shape)",
    ),
    dict(
        task="03-5",
        mistake="the numbers come from a new generator, and not from rng",
        body="return np.random.default_rng().normal(0, math.sqrt(2 / fan_in), size=shape).astype(np.float32)",
    ),
    dict(
        task="03-6",
        mistake="the columns have length 1, and are not at right angles to each other",
        body=(
            "a = rng.normal(size=(rows, columns))\n"
            "return (a / np.linalg.norm(a, axis=0)).reshape(shape).astype(np.float32)"
        ),
    ),
    dict(
        task="03-6",
        mistake="the triangular matrix R is returned, and not Q",
        body=(
            "q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), max(rows, columns))))\n"
            "return r[:rows, :columns].reshape(shape).astype(np.float32)"
        ),
    ),
    dict(
        task="03-6",
        mistake="a wide matrix is decomposed as it is, which gives fewer columns than were asked for",
        body=(
            "q, r = np.linalg.qr(rng.normal(size=(rows, columns)))\n"
            "q = q * np.sign(np.diag(r))\nreturn q.reshape(shape).astype(np.float32)"
        ),
    ),
    dict(
        task="03-6",
        mistake="a wide matrix is put into shape by reshape, where it has to be transposed",
        body=(
            "q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))\n"
            "q = q * np.sign(np.diag(r))\nreturn q.reshape(shape).astype(np.float32)"
        ),
    ),
    dict(
        task="03-6",
        mistake="the result stays a matrix where more than two sizes were asked for",
        body=(
            "q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))\n"
            "q = q * np.sign(np.diag(r))\nreturn (q.T if rows < columns else q).astype(np.float32)"
        ),
    ),
    dict(
        task="03-6",
        mistake="the signs are multiplied into the rows of Q, and not into its columns",
        body=(
            "q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))\n"
            "q = q * np.sign(np.diag(r))[:, None]\nif rows < columns:\n    q = q.T\n"
            "return q.reshape(shape).astype(np.float32)"
        ),
    ),
    dict(
        task="03-6",
        mistake="the signs are left as the decomposition chose them",
        body=(
            "q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))\n"
            "if rows < columns:\n    q = q.T\nreturn q.reshape(shape).astype(np.float32)"
        ),
    ),
    dict(
        task="03-6",
        mistake="the matrix stays in float64",
        body=(
            "q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))\n"
            "q = q * np.sign(np.diag(r))\nreturn (q.T if rows < columns else q).reshape(shape)"
        ),
    ),
    dict(
        task="03-7",
        mistake="the layers are walked from the last to the first",
        body="for layer in reversed(self.layers):\n    x = layer(x)\nreturn x",
    ),
    dict(
        task="03-7",
        mistake="each layer gets the input of the chain, and not what the one before it gave",
        body="y = x\nfor layer in self.layers:\n    y = layer(x)\nreturn y",
    ),
    dict(
        task="03-7",
        mistake="the return stands inside the loop, which ends it after the first layer",
        body="for layer in self.layers:\n    x = layer(x)\n    return x\nreturn x",
    ),
    dict(
        task="03-7",
        mistake="nothing is returned",
        body="for layer in self.layers:\n    x = layer(x)",
    ),
    dict(
        task="03-7",
        mistake="the results are added up",
        body="total = 0\nfor layer in self.layers:\n    x = layer(x)\n    total = total + x\nreturn total",
    ),
    dict(
        task="03-7",
        mistake="forward is called, which a plain function does not have",
        body="for layer in self.layers:\n    x = layer.forward(x)\nreturn x",
    ),
    dict(
        task="03-7",
        mistake="the result is asked for after the loop, where a chain without layers has none",
        body="y = None\nfor layer in self.layers:\n    y = layer(x if y is None else y)\nreturn y",
    ),
    dict(
        task="03-8",
        mistake="values are dropped also when the network is used",
        body=(
            "keep = rng.random(x.shape, dtype=np.float32) >= self.p\n"
            "return dropout(x, mask=keep.astype(x.dtype) / (1 - self.p))"
        ),
    ),
    dict(
        task="03-8",
        mistake="values are scaled by 1 - p when the network is used, and not while it is trained",
        body=(
            "if not self.training:\n    return x * (1 - self.p)\n"
            "return dropout(x, mask=(rng.random(x.shape, dtype=np.float32) >= self.p).astype(x.dtype))"
        ),
    ),
    dict(
        task="03-8",
        mistake="values that survive are not scaled at all",
        body=(
            "if not self.training:\n    return x\n"
            "return dropout(x, mask=(rng.random(x.shape, dtype=np.float32) >= self.p).astype(x.dtype))"
        ),
    ),
    dict(
        task="03-8",
        mistake="values that survive are divided by p instead of 1 - p",
        body=(
            "if not self.training or self.p == 0:\n    return x\n"
            "keep = rng.random(x.shape, dtype=np.float32) >= self.p\n"
            "return dropout(x, mask=keep.astype(x.dtype) / self.p)"
        ),
    ),
    dict(
        task="03-8",
        mistake="values are multiplied by 1 - p instead of divided by it",
        body=(
            "if not self.training:\n    return x\n"
            "keep = rng.random(x.shape, dtype=np.float32) >= self.p\n"
            "return dropout(x, mask=keep.astype(x.dtype) * (1 - self.p))"
        ),
    ),
    dict(
        task="03-8",
        mistake="values are kept with probability p instead of dropped with it",
        body=(
            "if not self.training:\n    return x\n"
            "keep = rng.random(x.shape, dtype=np.float32) < self.p\n"
            "return dropout(x, mask=keep.astype(x.dtype) / (1 - self.p))"
        ),
    ),
    dict(
        task="03-8",
        mistake="one mask is drawn for a row and used for all of them",
        body=(
            "if not self.training:\n    return x\n"
            "keep = rng.random(x.shape[-1], dtype=np.float32) >= self.p\n"
            "return dropout(x, mask=np.broadcast_to(keep.astype(x.dtype) / (1 - self.p), x.shape))"
        ),
    ),
    dict(
        task="03-8",
        mistake="the mask is drawn once and used in every call",
        body=(
            "if not self.training:\n    return x\n"
            "if not hasattr(self, 'mask'):\n"
            "    keep = rng.random(x.shape, dtype=np.float32) >= self.p\n"
            "    self.mask = keep.astype(x.dtype) / (1 - self.p)\n"
            "return dropout(x, mask=self.mask)"
        ),
    ),
    dict(
        task="03-8",
        mistake="true and false times a number make the mask float64",
        body=(
            "if not self.training or self.p == 0:\n    return x\n"
            "keep = rng.random(x.shape, dtype=np.float32) >= self.p\n"
            "return dropout(x, mask=keep * (1 / (1 - self.p) if self.p < 1 else 0.0))"
        ),
    ),
    dict(
        task="03-8",
        mistake="the scale is computed also for p = 1, where it is 1 / 0",
        body=(
            "if not self.training or self.p == 0:\n    return x\n"
            "keep = rng.random(x.shape, dtype=np.float32) >= self.p\n"
            "return dropout(x, mask=keep.astype(x.dtype) * (1 / (1 - self.p)))"
        ),
    ),
    dict(
        task="03-8",
        mistake="the mask is applied by a product of its own, so that no receipt keeps it",
        body=(
            "if not self.training or self.p == 0:\n    return x\n"
            "keep = rng.random(x.shape, dtype=np.float32) >= self.p\n"
            "scale = 1 / (1 - self.p) if self.p < 1 else 0.0\n"
            "return x * (keep.astype(x.dtype) * scale)"
        ),
    ),
    dict(
        task="03-8",
        mistake="the random numbers come from a new generator, and not from rng",
        body=(
            "if not self.training or self.p == 0:\n    return x\n"
            "keep = np.random.default_rng().random(x.shape, dtype=np.float32) >= self.p\n"
            "scale = 1 / (1 - self.p) if self.p < 1 else 0.0\n"
            "return dropout(x, mask=keep.astype(x.dtype) * scale)"
        ),
    ),
    dict(
        task="03-9",
        mistake="only the weight is divided, so that the bias keeps the output from spread 1",
        body=(
            "if isinstance(layer, Linear):\n"
            "    layer.weight.data = layer.weight.data / layer(x).data.std()\n"
            "x = layer(x)"
        ),
    ),
    dict(
        task="03-9",
        mistake="the next layer gets what came out before the layer was changed",
        body=(
            "y = layer(x)\n"
            "if isinstance(layer, Linear):\n"
            "    spread = y.data.std()\n"
            "    for parameter in layer.parameters():\n"
            "        parameter.data = parameter.data / spread\n"
            "x = y"
        ),
    ),
    dict(
        task="03-9",
        mistake="the variance is divided by, and not its root",
        body=(
            "if isinstance(layer, Linear):\n"
            "    spread = layer(x).data.var()\n"
            "    for parameter in layer.parameters():\n"
            "        parameter.data = parameter.data / spread\n"
            "x = layer(x)"
        ),
    ),
    dict(
        task="03-10",
        mistake="the pieces are taken from the wrong place: the last dimension is split into pieces, then units",
        body=("y = self.linear(x)\nreturn y.reshape(*y.shape[:-1], self.pieces, self.out_features).max(dim=-2)"),
    ),
    dict(
        task="03-10",
        mistake="the largest is taken over all values, and not over the pieces of each unit",
        body="return self.linear(x).max(dim=-1, keepdim=True)",
    ),
    dict(
        task="03-10",
        mistake="the pieces are averaged",
        body=("y = self.linear(x)\nreturn y.reshape(*y.shape[:-1], self.out_features, self.pieces).mean(dim=-1)"),
    ),
]
