"""Right solutions that differ from the reference: probes and visible tests must pass all of them."""

RIGHT = [
    dict(
        task="12-1",
        how="by two loops",
        body=(
            "rows = []\n"
            "for slot in range(mem_slots):\n"
            "    rounds, place = divmod(slot, size)\n"
            "    rows.append([1.0 + rounds if at == place else 0.0 for at in range(size)])\n"
            "return np.array(rows, dtype=np.float32)"
        ),
    ),
    dict(
        task="12-1",
        how="with rows of one identity, picked and multiplied",
        body=(
            "slot = np.arange(mem_slots)\n"
            "return (np.eye(size)[slot % size] * (slot // size + 1)[:, None]).astype(np.float32)"
        ),
    ),
    dict(
        task="12-1",
        how="with identities below each other, cut off",
        body=(
            "rounds = mem_slots // size + 1\n"
            "return np.concatenate([n * np.eye(size, dtype=np.float32) for n in range(1, rounds + 1)])[:mem_slots]"
        ),
    ),
    dict(
        task="12-2",
        how="with rows projected apart, and heads one by one",
        body=(
            "asks, seen = project(memory), concatenate([project(memory), project(x)], dim=1)\n"
            "width = asks.shape[-1] // num_heads\n"
            "answers = []\n"
            "for start in range(0, num_heads * width, width):\n"
            "    q, k = asks[..., start : start + K], seen[..., start + K : start + 2 * K]\n"
            "    answers.append(scaled_dot_product_attention(q, k, seen[..., start + 2 * K : start + width]))\n"
            "return concatenate(answers, dim=-1)"
        ),
    ),
    dict(
        task="12-2",
        how="with all rows asking, cut off at the end",
        body=(
            "parts = split_heads(project(concatenate([memory, x], dim=1)), num_heads)\n"
            "q, k, v = parts[..., :K], parts[..., K : 2 * K], parts[..., 2 * K :]\n"
            "return join_heads(scaled_dot_product_attention(q, k, v))[:, :S]"
        ),
    ),
    dict(
        task="12-2",
        how="with the input in front of the memory, and attention in single operations",
        body=(
            "parts = split_heads(project(concatenate([x, memory], dim=1)), num_heads)\n"
            "N = x.shape[1]\n"
            "scores = parts[:, :, N:, :K] @ parts[..., K : 2 * K].transpose(-1, -2) * K**-0.5\n"
            "powers = (scores - scores.max(dim=-1, keepdim=True).detach()).exp()\n"
            "return join_heads(powers / powers.sum(dim=-1, keepdim=True) @ parts[..., 2 * K :])"
        ),
    ),
    dict(
        task="12-3",
        how="with a ReLU behind each layer, and the last one taken away",
        body=(
            "parts = []\n"
            "for n in range(len(sizes) - 1):\n"
            "    parts.extend([level(sizes[n], sizes[n + 1], rng), ReLU()])\n"
            "return Sequential(*parts[:-1])"
        ),
    ),
    dict(
        task="12-3",
        how="by appending to a Sequential",
        body=(
            "model = Sequential()\n"
            "for n, (before, after) in enumerate(zip(sizes, sizes[1:])):\n"
            "    if n > 0:\n"
            "        model.append(ReLU())\n"
            "    model.append(level(before, after, rng=rng))\n"
            "return model"
        ),
    ),
    dict(
        task="12-3",
        how="from the last layer to the first",
        body=(
            "model = [level(sizes[-2], sizes[-1], rng)]\n"
            "for n in reversed(range(1, len(sizes) - 1)):\n"
            "    model = [level(sizes[n - 1], sizes[n], rng), ReLU()] + model\n"
            "return Sequential(model)"
        ),
    ),
    dict(
        task="12-4",
        how="in one expression each, added the other way round",
        body=(
            "looked = self.norm_attention(\n"
            "    attend_over(memory, x, self.project, num_heads=self.num_heads, key_size=self.key_size) + memory\n"
            ")\n"
            "return self.norm_mlp(self.mlp(looked) + looked)"
        ),
    ),
    dict(
        task="12-4",
        how="layer by layer",
        body=(
            "y = attend_over(memory, x, self.project, self.num_heads, self.key_size)\n"
            "y = kept = self.norm_attention.forward(y + memory)\n"
            "for layer in self.mlp:\n"
            "    y = layer(y)\n"
            "return self.norm_mlp.forward(kept + y)"
        ),
    ),
    dict(
        task="12-4",
        how="slot by slot behind the attention",
        body=(
            "found = attend_over(memory, x, self.project, self.num_heads, self.key_size)\n"
            "slots = []\n"
            "for s in range(memory.shape[1]):\n"
            "    seen = self.norm_attention(memory[:, s] + found[:, s])\n"
            "    slots.append(self.norm_mlp(seen + self.mlp(seen)))\n"
            "return stack(slots, dim=1)"
        ),
    ),
    dict(
        task="12-5",
        how="with both gates from one sigmoid",
        body=(
            "biases = np.repeat([input_bias, forget_bias], G)\n"
            "both = sigmoid(a + Tensor(biases, dtype=a.dtype))\n"
            "return tanh(candidate) * both[..., :G] + memory * both[..., G:]"
        ),
    ),
    dict(
        task="12-5",
        how="with sigmoids that are made of tanh",
        body=(
            "def half(x):\n"
            "    return (1 + tanh(x / 2)) * 0.5\n\n"
            "return memory * half(a[..., G:] + forget_bias) + half(a[..., :G] + input_bias) * tanh(candidate)"
        ),
    ),
    dict(
        task="12-5",
        how="with exponentials",
        body=(
            "keep = 1 / (1 + (-forget_bias - a[..., -G:]).exp())\n"
            "write = tanh(candidate) / (1 + (-input_bias - a[..., :-G]).exp())\n"
            "return keep * memory + write"
        ),
    ),
    dict(
        task="12-6",
        how="with one array that is filled",
        body=(
            "G = i.shape[-1]\n"
            "da = np.empty((*i.shape[:-1], 2 * G), dtype=g.dtype)\n"
            "da[..., :G] = i * (1 - i) * unbroadcast(squashed * g, i.shape)\n"
            "da[..., G:] = f * (1 - f) * unbroadcast(memory * g, f.shape)\n"
            "return f * g, (1 - squashed**2) * (i * g), da"
        ),
    ),
    dict(
        task="12-6",
        how="with the slope first, summed afterwards",
        body=(
            "into_i = unbroadcast(g * squashed * (i - i * i), i.shape)\n"
            "into_f = unbroadcast(g * memory * (f - f * f), f.shape)\n"
            "return g * f, g * i - g * i * squashed * squashed, np.concatenate((into_i, into_f), axis=2)"
        ),
    ),
    dict(
        task="12-6",
        how="with sums written out, in float64",
        body=(
            "G, wide = i.shape[-1], g.astype(np.float64)\n"
            "parts = []\n"
            "for gate, beside in ((i, squashed), (f, memory)):\n"
            "    arrives = wide * beside\n"
            "    if G == 1:\n"
            "        arrives = arrives.sum(axis=-1, keepdims=True)\n"
            "    parts.append(arrives * gate * (1 - gate))\n"
            "da = np.dstack([part.reshape(-1, 1, G) for part in parts]).reshape(*i.shape[:-1], 2 * G)\n"
            "slope = (1 + squashed) * (1 - squashed)\n"
            "return (wide * f).astype(g.dtype), (wide * i * slope).astype(g.dtype), da.astype(g.dtype)"
        ),
    ),
    dict(
        task="12-7",
        how="with gates that are made before the blocks",
        body=(
            "gates = None\n"
            "if self.gate_style is not None:\n"
            "    gates = self.gates_from_input(row) + self.gates_from_memory(tanh(memory))\n"
            "looked = memory\n"
            "for n in range(self.num_blocks):\n"
            "    looked = self.blocks[n].forward(looked, row)\n"
            "if gates is None:\n"
            "    return looked\n"
            "return gated(memory, looked, gates, forget_bias=self.forget_bias, input_bias=self.input_bias)"
        ),
    ),
    dict(
        task="12-7",
        how="with blocks called, and the biases added to what stands in the gates",
        body=(
            "new = memory\n"
            "for block in self.blocks:\n"
            "    new = block(new, row)\n"
            "if self.gates_from_memory is None:\n"
            "    return new\n"
            "half = self.gates_from_memory.out_features // 2\n"
            "a = self.gates_from_memory(tanh(memory)) + self.gates_from_input(x).reshape(len(x), 1, 2 * half)\n"
            "a = a + Tensor(np.repeat([self.input_bias, self.forget_bias], half), dtype=a.dtype)\n"
            "return gated(memory, new, a, 0.0, 0.0)"
        ),
    ),
    dict(
        task="12-7",
        how="by recursion over the blocks, gates by slots",
        body=(
            "def through(blocks, rows):\n"
            "    return through(blocks[1:], blocks[0].forward(rows, row)) if len(blocks) else rows\n\n"
            "candidate = through(list(self.blocks), memory)\n"
            "if not self.gate_style:\n"
            "    return candidate\n"
            "by_slot = stack([self.gates_from_memory(tanh(memory[:, s])) for s in range(self.mem_slots)], dim=1)\n"
            "return gated(memory, candidate, by_slot + self.gates_from_input(row), self.input_bias, self.forget_bias)"
        ),
    ),
    dict(
        task="12-8",
        how="with a mask that is always there",
        body=(
            "mask = np.ones(x.shape[:2], dtype=bool) if mask is None else np.asarray(mask)\n"
            "kept = [memory]\n"
            "for t, runs in enumerate(mask.T):\n"
            "    kept.append(where(runs.reshape(-1, 1, 1), step(x[:, t], kept[-1]), kept[-1]))\n"
            "return stack(kept[1:], dim=1), kept[-1]"
        ),
    ),
    dict(
        task="12-8",
        how="with numbers 1 and 0 instead of a choice",
        body=(
            "seen, t = [], 0\n"
            "while t < x.shape[1]:\n"
            "    new = step(x[:, t], memory)\n"
            "    if mask is None:\n"
            "        memory = new\n"
            "    else:\n"
            "        on = mask[:, t].astype(memory.dtype)[:, None, None]\n"
            "        memory = new * on + memory * (1 - on)\n"
            "    seen.append(memory)\n"
            "    t += 1\n"
            "return stack(seen, dim=1), seen[-1]"
        ),
    ),
    dict(
        task="12-8",
        how="with steps first, and turned around at the end",
        body=(
            "rows = []\n"
            "for part in x.permute(1, 0, 2):\n"
            "    before, memory = memory, step(part, memory)\n"
            "    if mask is not None:\n"
            "        ended = np.flatnonzero(~mask[:, len(rows)])\n"
            "        stays = np.isin(np.arange(len(mask)), ended)[:, None, None]\n"
            "        memory = where(stays, before, memory)\n"
            "    rows.append(memory)\n"
            "return stack(rows).permute(1, 0, 2, 3), memory"
        ),
    ),
]
