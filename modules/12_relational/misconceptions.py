"""Wrong solutions that a student plausibly writes: each fails a visible test, and no other has its fingerprint."""

_ROWS = "rows = concatenate([memory, x], dim=1)\n"
_PARTS = "parts = split_heads(project(rows), num_heads)\n"
_CUT = "q, k, v = parts[:, :, :S, :K], parts[..., K : 2 * K], parts[..., 2 * K :]\n"
_JOIN = "return join_heads(scaled_dot_product_attention(q, k, v))"
_FOUND = "found = attend_over(memory, x, self.project, self.num_heads, self.key_size)\n"
_CANDIDATE = "candidate = memory\nfor block in self.blocks:\n    candidate = block.forward(candidate, row)\n"
_NO_GATES = "if self.gate_style is None:\n    return candidate\n"
_A = "a = self.gates_from_memory(tanh(memory)) + self.gates_from_input(row)\n"
_GATED = "return gated(memory, candidate, a, self.input_bias, self.forget_bias)"
_NEW = "new = step(x[:, t], memory)\n"


def _back(for_memory="g * f", for_candidate="g * i * (1 - squashed * squashed)", di=None, df=None, order="di, df"):
    """A body of the way back with these pieces."""
    di = di or "unbroadcast(g * squashed, i.shape) * i * (1 - i)"
    df = df or "unbroadcast(g * memory, f.shape) * f * (1 - f)"
    return f"di = {di}\ndf = {df}\nreturn {for_memory}, {for_candidate}, np.concatenate([{order}], axis=-1)"


def _gates(i="sigmoid(a[..., :G] + input_bias)", f="sigmoid(a[..., G:] + forget_bias)", new="i * tanh(candidate)"):
    return f"i = {i}\nf = {f}\nreturn {new} + f * memory"


def _loop(lines, result="return stack(memories, dim=1), memory", over="range(x.shape[1])", before=""):
    """A body of the loop over the steps, with these lines inside."""
    inside = "".join(f"    {line}\n" for line in lines.strip().split("\n"))
    return f"{before}memories = []\nfor t in {over}:\n{inside}{result}"


_KEEP = "memory = new if mask is None else where(mask[:, t, None, None], new, memory)\n"

WRONG = [
    dict(
        task="12-1",
        mistake="all slots begin at 0, so that they are identical and stay so",
        body="return np.zeros((mem_slots, size), dtype=np.float32)",
    ),
    dict(
        task="12-1",
        mistake="every slot has its 1 at the same place, so that slots are identical",
        body="memory = np.zeros((mem_slots, size), dtype=np.float32)\nmemory[:, 0] = 1\nreturn memory",
    ),
    dict(
        task="12-1",
        mistake="all slots begin at 1, so that they are identical and stay so",
        body="return np.ones((mem_slots, size), dtype=np.float32)",
    ),
    dict(
        task="12-1",
        mistake="slots beyond the number of places are all 0",
        body="return np.eye(mem_slots, size, dtype=np.float32)",
    ),
    dict(
        task="12-1",
        mistake="when the places are used up, slots repeat with a 1 again",
        body="return np.eye(size, dtype=np.float32)[np.arange(mem_slots) % size]",
    ),
    dict(
        task="12-1",
        mistake="the number in a slot grows with the slot, instead of when the places are used up",
        body=(
            "memory, slot = np.zeros((mem_slots, size), dtype=np.float32), np.arange(mem_slots)\n"
            "memory[slot, slot % size] = 1 + slot\nreturn memory"
        ),
    ),
    dict(
        task="12-1",
        mistake="the rows of the second round begin with a 1, and the first ones with a 0",
        body=(
            "memory, slot = np.zeros((mem_slots, size), dtype=np.float32), np.arange(mem_slots)\n"
            "memory[slot, slot % size] = slot // size\nreturn memory"
        ),
    ),
    dict(
        task="12-1",
        mistake="slots and places are exchanged: the array is (E, S)",
        body=(
            "memory, slot = np.zeros((size, mem_slots), dtype=np.float32), np.arange(mem_slots)\n"
            "memory[slot % size, slot] = 1 + slot // size\nreturn memory"
        ),
    ),
    dict(
        task="12-1",
        mistake="slots that share a place stand beside each other, instead of one round after the other",
        body=(
            "memory, slot, rounds = np.zeros((mem_slots, size), dtype=np.float32), np.arange(mem_slots), "
            "-(-mem_slots // size)\n"
            "memory[slot, slot // rounds] = 1 + slot % rounds\nreturn memory"
        ),
    ),
    dict(
        task="12-1",
        mistake="the numbers are float64",
        body=(
            "memory, slot = np.zeros((mem_slots, size)), np.arange(mem_slots)\n"
            "memory[slot, slot % size] = 1 + slot // size\nreturn memory"
        ),
    ),
    dict(
        task="12-2",
        mistake="slots look at slots only, and not at the input",
        body=_PARTS.replace("rows", "memory") + _CUT + _JOIN,
    ),
    dict(
        task="12-2",
        mistake="slots look at the input only, and not at each other",
        body=(
            _ROWS
            + _PARTS
            + "q, k, v = parts[:, :, :S, :K], parts[:, :, S:, K : 2 * K], parts[:, :, S:, 2 * K :]\n"
            + _JOIN
        ),
    ),
    dict(
        task="12-2",
        mistake="the input asks too, so that there is a row too many",
        body=_ROWS + _PARTS + _CUT.replace(":, :, :S, :K", "..., :K") + _JOIN,
    ),
    dict(
        task="12-2",
        mistake="the last rows ask, of which one is the input, instead of the slots",
        body=_ROWS + _PARTS + _CUT.replace(":S, :K", "-S:, :K") + _JOIN,
    ),
    dict(
        task="12-2",
        mistake="memory and input are joined along their features",
        body=_ROWS.replace("dim=1", "dim=2") + _PARTS + _CUT + _JOIN,
    ),
    dict(
        task="12-2",
        mistake="queries and keys have changed places",
        body=_ROWS + _PARTS + "q, k, v = parts[:, :, :S, K : 2 * K], parts[..., :K], parts[..., 2 * K :]\n" + _JOIN,
    ),
    dict(
        task="12-2",
        mistake="the values are cut off first, then queries and keys",
        body=(
            _ROWS + _PARTS + "D = parts.shape[-1] - 2 * K\n"
            "q, k, v = parts[:, :, :S, D : D + K], parts[..., D + K :], parts[..., :D]\n" + _JOIN
        ),
    ),
    dict(
        task="12-2",
        mistake="heads are split by a reshape without exchanging two dimensions",
        body=(
            _ROWS
            + "parts = project(rows)\nparts = parts.reshape(len(x), num_heads, rows.shape[1], -1)\n"
            + _CUT
            + _JOIN
        ),
    ),
    dict(
        task="12-2",
        mistake="queries, keys and values are cut before the heads are split",
        body=(
            _ROWS + "parts, H = project(rows), num_heads\n"
            "q, k, v = parts[:, :S, : H * K], parts[..., H * K : 2 * H * K], parts[..., 2 * H * K :]\n"
            "return join_heads(scaled_dot_product_attention(split_heads(q, H), split_heads(k, H), split_heads(v, H)))"
        ),
    ),
    dict(
        task="12-2",
        mistake="the heads are joined by a reshape without exchanging two dimensions",
        body=(
            _ROWS + _PARTS + _CUT + "found = scaled_dot_product_attention(q, k, v)\n"
            "return found.reshape(len(x), S, num_heads * v.shape[-1])"
        ),
    ),
    dict(
        task="12-2",
        mistake="the scale is missing",
        body=_ROWS + _PARTS + _CUT + "return join_heads(scaled_dot_product_attention(q * K**0.5, k, v))",
    ),
    dict(
        task="12-2",
        mistake="the softmax runs over the slots that ask instead of over what is looked at",
        body=(
            "from tinytorch.core.activations import softmax\n\n"
            + _ROWS
            + _PARTS
            + _CUT
            + "return join_heads(softmax(q @ k.transpose(-2, -1) / K**0.5, dim=-2) @ v)"
        ),
    ),
    dict(
        task="12-2",
        mistake="what was found is added to the memory here already",
        body=_ROWS + _PARTS + _CUT + "return memory + join_heads(scaled_dot_product_attention(q, k, v))",
    ),
    dict(
        task="12-3",
        mistake="one layer stands in the list several times, so that layers are tied",
        body=(
            "if len(set(sizes)) > 1 or len(sizes) == 2:\n"
            "    parts = [level(sizes[0], sizes[1], rng)]\n"
            "    for before, after in zip(sizes[1:], sizes[2:]):\n"
            "        parts += [ReLU(), level(before, after, rng)]\n"
            "    return Sequential(parts)\n"
            "layer = level(sizes[0], sizes[1], rng)\n"
            "return Sequential([layer] + [ReLU(), layer] * (len(sizes) - 2))"
        ),
    ),
    dict(
        task="12-3",
        mistake="the ReLU is missing",
        body="return Sequential([level(before, after, rng) for before, after in zip(sizes, sizes[1:])])",
    ),
    dict(
        task="12-3",
        mistake="the layers begin as Linear does, and not as level does",
        body=(
            "parts = [Linear(sizes[0], sizes[1], rng=rng)]\nfor before, after in zip(sizes[1:], sizes[2:]):\n"
            "    parts += [ReLU(), Linear(before, after, rng=rng)]\nreturn Sequential(parts)"
        ),
    ),
    dict(
        task="12-3",
        mistake="a ReLU stands behind the last layer too",
        body=(
            "parts = []\nfor before, after in zip(sizes, sizes[1:]):\n"
            "    parts += [level(before, after, rng), ReLU()]\nreturn Sequential(parts)"
        ),
    ),
    dict(
        task="12-3",
        mistake="a ReLU stands in front of the first layer too",
        body=(
            "parts = []\nfor before, after in zip(sizes, sizes[1:]):\n"
            "    parts += [ReLU(), level(before, after, rng)]\nreturn Sequential(parts)"
        ),
    ),
    dict(
        task="12-3",
        mistake="only the first two layers are made",
        body=(
            "parts = [level(sizes[0], sizes[1], rng)]\nif len(sizes) > 2:\n"
            "    parts += [ReLU(), level(sizes[1], sizes[2], rng)]\nreturn Sequential(parts)"
        ),
    ),
    dict(
        task="12-3",
        mistake="rng is not handed on, so that nobody can repeat the beginning",
        body=(
            "parts = [level(sizes[0], sizes[1])]\nfor before, after in zip(sizes[1:], sizes[2:]):\n"
            "    parts += [ReLU(), level(before, after)]\nreturn Sequential(parts)"
        ),
    ),
    dict(
        task="12-3",
        mistake="a generator with a seed of its own is made for each layer, instead of rng",
        body=(
            "rng = np.random.default_rng(0)\nparts = [level(sizes[-2], sizes[-1], rng)]\n"
            "for before, after in reversed(list(zip(sizes, sizes[1:-1]))):\n"
            "    parts = [level(before, after, rng), *parts]\nreturn Sequential(parts)"
        ),
    ),
    dict(
        task="12-4",
        mistake="what was found is not added to the memory",
        body=_FOUND + "seen = self.norm_attention(found)\nreturn self.norm_mlp(seen + self.mlp(seen))",
    ),
    dict(
        task="12-4",
        mistake="what was thought is not added",
        body=_FOUND + "seen = self.norm_attention(memory + found)\nreturn self.norm_mlp(self.mlp(seen))",
    ),
    dict(
        task="12-4",
        mistake="thinking is added to the memory of the beginning, instead of to what was seen",
        body=_FOUND + "seen = self.norm_attention(memory + found)\nreturn self.norm_mlp(memory + self.mlp(seen))",
    ),
    dict(
        task="12-4",
        mistake="the first norm is missing",
        body=_FOUND + "seen = memory + found\nreturn self.norm_mlp(seen + self.mlp(seen))",
    ),
    dict(
        task="12-4",
        mistake="the second norm is missing",
        body=_FOUND + "seen = self.norm_attention(memory + found)\nreturn seen + self.mlp(seen)",
    ),
    dict(
        task="12-4",
        mistake="the norms have changed places",
        body=_FOUND + "seen = self.norm_mlp(memory + found)\nreturn self.norm_attention(seen + self.mlp(seen))",
    ),
    dict(
        task="12-4",
        mistake="the first norm is used twice",
        body=_FOUND + "seen = self.norm_attention(memory + found)\nreturn self.norm_attention(seen + self.mlp(seen))",
    ),
    dict(
        task="12-4",
        mistake="only what was found is normalised, and added then",
        body=_FOUND + "seen = memory + self.norm_attention(found)\nreturn seen + self.norm_mlp(self.mlp(seen))",
    ),
    dict(
        task="12-4",
        mistake="the rows are normalised before they look and think, instead of afterwards",
        body=(
            "normal = self.norm_attention(memory)\n"
            "seen = memory + attend_over(normal, x, self.project, self.num_heads, self.key_size)\n"
            "return seen + self.mlp(self.norm_mlp(seen))"
        ),
    ),
    dict(
        task="12-4",
        mistake="slots think first and look afterwards",
        body=(
            "thought = self.norm_mlp(memory + self.mlp(memory))\n"
            "return self.norm_attention(thought + attend_over(thought, x, self.project, self.num_heads, self.key_size))"
        ),
    ),
    dict(
        task="12-5",
        mistake="the gates are not biased",
        body=_gates(i="sigmoid(a[..., :G])", f="sigmoid(a[..., G:])"),
    ),
    dict(
        task="12-5",
        mistake="the biases have changed places",
        body=_gates(i="sigmoid(a[..., :G] + forget_bias)", f="sigmoid(a[..., G:] + input_bias)"),
    ),
    dict(
        task="12-5",
        mistake="both gates have the bias of the forget gate",
        body=_gates(i="sigmoid(a[..., :G] + forget_bias)"),
    ),
    dict(
        task="12-5",
        mistake="the biases are added behind the sigmoid",
        body=_gates(i="sigmoid(a[..., :G]) + input_bias", f="sigmoid(a[..., G:]) + forget_bias"),
    ),
    dict(
        task="12-5",
        mistake="forget gates are taken from the first half and input gates from the second",
        body=_gates(i="sigmoid(a[..., G:] + input_bias)", f="sigmoid(a[..., :G] + forget_bias)"),
    ),
    dict(
        task="12-5",
        mistake="the candidate is not squashed",
        body=_gates(new="i * candidate"),
    ),
    dict(
        task="12-5",
        mistake="the sum is squashed instead of the candidate",
        body=(
            "i = sigmoid(a[..., :G] + input_bias)\nf = sigmoid(a[..., G:] + forget_bias)\n"
            "return tanh(i * candidate + f * memory)"
        ),
    ),
    dict(
        task="12-5",
        mistake="gates are a tanh instead of a sigmoid",
        body=_gates(i="tanh(a[..., :G] + input_bias)", f="tanh(a[..., G:] + forget_bias)"),
    ),
    dict(
        task="12-5",
        mistake="the forget gate says how much is forgotten, instead of kept",
        body=_gates(f="1 - sigmoid(a[..., G:] + forget_bias)"),
    ),
    dict(
        task="12-5",
        mistake="the forget gate is one minus the input gate",
        body="i = sigmoid(a[..., :G] + input_bias)\nreturn i * tanh(candidate) + (1 - i) * memory",
    ),
    dict(
        task="12-5",
        mistake="the input gate opens for the memory and the forget gate for the candidate",
        body=(
            "i = sigmoid(a[..., :G] + input_bias)\nf = sigmoid(a[..., G:] + forget_bias)\n"
            "return f * tanh(candidate) + i * memory"
        ),
    ),
    dict(
        task="12-6",
        mistake="the slope of the sigmoid is missing",
        body=_back(di="unbroadcast(g * squashed, i.shape)", df="unbroadcast(g * memory, f.shape)"),
    ),
    dict(
        task="12-6",
        mistake="the slope of the tanh is missing",
        body=_back(for_candidate="g * i"),
    ),
    dict(
        task="12-6",
        mistake="the slope of the tanh is 1 - t instead of 1 - t squared",
        body=_back(for_candidate="g * i * (1 - squashed)"),
    ),
    dict(
        task="12-6",
        mistake="the input gate is missing on the way into the candidate",
        body=_back(for_candidate="g * (1 - squashed * squashed)"),
    ),
    dict(
        task="12-6",
        mistake="the slope of the tanh is taken where the one of the sigmoid belongs",
        body=_back(
            di="unbroadcast(g * squashed, i.shape) * (1 - i * i)", df="unbroadcast(g * memory, f.shape) * (1 - f * f)"
        ),
    ),
    dict(
        task="12-6",
        mistake="the halves for input and forget gates have changed places",
        body=_back(order="df, di"),
    ),
    dict(
        task="12-6",
        mistake="the gradient in the forget gate is taken with the candidate instead of the memory",
        body=_back(df="unbroadcast(g * squashed, f.shape) * f * (1 - f)"),
    ),
    dict(
        task="12-6",
        mistake="the gradient in the input gate is taken with the memory instead of the candidate",
        body=_back(di="unbroadcast(g * memory, i.shape) * i * (1 - i)"),
    ),
    dict(
        task="12-6",
        mistake="the input gate is taken for the memory, instead of the forget gate",
        body=_back(for_memory="g * i"),
    ),
    dict(
        task="12-6",
        mistake="all that arrives goes into the memory, past the forget gate",
        body=_back(for_memory="g"),
    ),
    dict(
        task="12-6",
        mistake="a gate that was stretched over a slot is not summed back",
        body=_back(di="g * squashed * i * (1 - i)", df="g * memory * f * (1 - f)"),
    ),
    dict(
        task="12-6",
        mistake="the gradient in a stretched gate is the mean over the slot, instead of the sum",
        body=_back(
            di="unbroadcast(g * squashed, i.shape) * i.shape[-1] / g.shape[-1] * i * (1 - i)",
            df="unbroadcast(g * memory, f.shape) * f.shape[-1] / g.shape[-1] * f * (1 - f)",
        ),
    ),
    dict(
        task="12-6",
        mistake="the gradients of the two gates are put below each other instead of side by side",
        body=_back().replace("axis=-1", "axis=-2"),
    ),
    dict(
        task="12-7",
        mistake="the gates look at the candidate instead of the old memory",
        body=_CANDIDATE + _NO_GATES + _A.replace("tanh(memory)", "tanh(candidate)") + _GATED,
    ),
    dict(
        task="12-7",
        mistake="the memory is not squashed in front of the gates",
        body=_CANDIDATE + _NO_GATES + _A.replace("tanh(memory)", "memory") + _GATED,
    ),
    dict(
        task="12-7",
        mistake="the gates look at the memory only, and not at the input",
        body=_CANDIDATE + _NO_GATES + "a = self.gates_from_memory(tanh(memory))\n" + _GATED,
    ),
    dict(
        task="12-7",
        mistake="the layers of the gates have changed places",
        body=(
            _CANDIDATE + _NO_GATES + "a = self.gates_from_input(tanh(memory)) + self.gates_from_memory(row)\n" + _GATED
        ),
    ),
    dict(
        task="12-7",
        mistake="the biases of the gates are not handed on, so that it is always 0 and 1",
        body=_CANDIDATE + _NO_GATES + _A + "return gated(memory, candidate, a)",
    ),
    dict(
        task="12-7",
        mistake="the biases are handed on in the wrong order",
        body=_CANDIDATE + _NO_GATES + _A + "return gated(memory, candidate, a, self.forget_bias, self.input_bias)",
    ),
    dict(
        task="12-7",
        mistake="memory and candidate have changed places in the gates",
        body=_CANDIDATE + _NO_GATES + _A + "return gated(candidate, memory, a, self.input_bias, self.forget_bias)",
    ),
    dict(
        task="12-7",
        mistake="every block gets the old memory, so that only the last one counts",
        body=_CANDIDATE.replace("(candidate, row)", "(memory, row)") + _NO_GATES + _A + _GATED,
    ),
    dict(
        task="12-7",
        mistake="only the first block is used",
        body="candidate = self.blocks[0].forward(memory, row)\n" + _NO_GATES + _A + _GATED,
    ),
    dict(
        task="12-7",
        mistake="without gates the memory stays as it was",
        body=_CANDIDATE + _NO_GATES.replace("return candidate", "return memory") + _A + _GATED,
    ),
    dict(
        task="12-7",
        mistake="that there may be no gates is not looked at",
        body=_CANDIDATE + _A + _GATED,
    ),
    dict(
        task="12-7",
        mistake="without gates the candidate is squashed",
        body=_CANDIDATE + _NO_GATES.replace("return candidate", "return tanh(candidate)") + _A + _GATED,
    ),
    dict(
        task="12-7",
        mistake="the old memory is overwritten by the candidate before the gates need it",
        body="for block in self.blocks:\n    memory = block.forward(memory, row)\ncandidate = memory\n"
        + _NO_GATES
        + _A
        + _GATED,
    ),
    dict(
        task="12-8",
        mistake="every step begins with the first memory",
        body=_loop(
            "new = step(x[:, t], first)\n" + _KEEP + "memories.append(memory)\n",
            before="first = memory\n",
        ),
    ),
    dict(
        task="12-8",
        mistake="the memory before each step is kept, instead of the one after it",
        body=_loop("memories.append(memory)\n" + _NEW + _KEEP),
    ),
    dict(
        task="12-8",
        mistake="the sequence is read from its end",
        body=_loop(_NEW + _KEEP + "memories.append(memory)\n", over="reversed(range(x.shape[1]))"),
    ),
    dict(
        task="12-8",
        mistake="the memory is detached after each step, so that no gradient reaches earlier inputs",
        body=_loop(_NEW + _KEEP + "memories.append(memory)\nmemory = memory.detach()\n"),
    ),
    dict(
        task="12-8",
        mistake="the steps come first in the result, and then the sequences",
        body=_loop(_NEW + _KEEP + "memories.append(memory)\n", result="return stack(memories, dim=0), memory"),
    ),
    dict(
        task="12-8",
        mistake="the mask is not looked at",
        body=_loop("memory = step(x[:, t], memory)\nmemories.append(memory)\n"),
    ),
    dict(
        task="12-8",
        mistake="the mask is inverted",
        body=_loop(_NEW + _KEEP.replace("new, memory)", "memory, new)") + "memories.append(memory)\n"),
    ),
    dict(
        task="12-8",
        mistake="where the mask is False the memory becomes 0, instead of staying",
        body=_loop(_NEW + _KEEP.replace("new, memory)", "new, 0 * memory)") + "memories.append(memory)\n"),
    ),
    dict(
        task="12-8",
        mistake="the new memory is kept in the list, also where the sequence has ended",
        body=_loop(_NEW + _KEEP + "memories.append(new)\n"),
    ),
    dict(
        task="12-8",
        mistake="the last new memory is returned, also of sequences that have ended",
        body=_loop(_NEW + _KEEP + "memories.append(memory)\n", result="return stack(memories, dim=1), new"),
    ),
]
