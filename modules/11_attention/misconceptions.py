"""Wrong solutions that a student plausibly writes: each fails a visible test, and no other has its fingerprint."""

_SPLIT = (
    "q = split_heads(self.project(query, 0), self.num_heads)\n"
    "k = split_heads(self.project(key, 1), self.num_heads)\n"
    "v = split_heads(self.project(value, 2), self.num_heads)\n"
)
_ARRIVES = "softmax_rule(g @ np.swapaxes(v, -1, -2), weights, None)"
_FOR_Q = "    lambda: scores @ k,\n"
_FOR_K = "    lambda: np.swapaxes(scores, -1, -2) @ q,\n"
_FOR_V = "    lambda: np.swapaxes(weights, -1, -2) @ g,\n"
_SPEED = "speed = 10000.0 ** (-np.arange(0, dim, 2) / dim)\n"
_ANGLE = "angle = np.arange(length)[:, None] * speed\n"
_FILL = "out[:, 0::2], out[:, 1::2] = np.sin(angle), np.cos(angle)"


def _rule(scores, parts):
    """A body of the rule with this line for what arrives in the scores, and these three functions."""
    return f"scores = {scores}\nreturn (\n{parts})"


WRONG = [
    dict(
        task="11-1",
        mistake="the scale is missing",
        body="return q @ k.transpose(-2, -1)",
    ),
    dict(
        task="11-1",
        mistake="the scores are divided by d instead of its root",
        body="return q @ k.transpose(-2, -1) / q.shape[-1]",
    ),
    dict(
        task="11-1",
        mistake="the scores are multiplied by the root of d",
        body="return q @ k.transpose(-2, -1) * math.sqrt(q.shape[-1])",
    ),
    dict(
        task="11-1",
        mistake="the root is taken of the number of keys",
        body="return q @ k.transpose(-2, -1) / math.sqrt(k.shape[-2])",
    ),
    dict(
        task="11-1",
        mistake="the root is taken of the number of queries",
        body="return q @ k.transpose(-2, -1) / math.sqrt(q.shape[-2])",
    ),
    dict(
        task="11-1",
        mistake="keys stand in rows and queries in columns",
        body="return k @ q.transpose(-2, -1) / math.sqrt(q.shape[-1])",
    ),
    dict(
        task="11-1",
        mistake="the keys are not transposed",
        body="return q @ k / math.sqrt(q.shape[-1])",
    ),
    dict(
        task="11-1",
        mistake="all dimensions of a stack are turned around by .T",
        body="return q @ k.T / math.sqrt(q.shape[-1])",
    ),
    dict(
        task="11-1",
        mistake="the first two dimensions are exchanged instead of the last two",
        body="return q @ k.transpose(0, 1) / math.sqrt(q.shape[-1])",
    ),
    dict(
        task="11-1",
        mistake="the arrays are taken out of the Tensors, so that no gradient passes",
        body="return Tensor(q.data @ np.swapaxes(k.data, -2, -1) / math.sqrt(q.shape[-1]))",
    ),
    dict(
        task="11-2",
        mistake="the mask is applied after the softmax",
        body=(
            "top = scores.max(axis=-1, keepdims=True)\n"
            "powers = np.exp(scores - top)\n"
            "shares = powers / powers.sum(axis=-1, keepdims=True)\n"
            "return shares if mask is None else np.where(mask, shares, 0)"
        ),
    ),
    dict(
        task="11-2",
        mistake="the mask is applied after the softmax, and added",
        body=(
            "top = scores.max(axis=-1, keepdims=True)\n"
            "powers = np.exp(scores - top)\n"
            "shares = powers / powers.sum(axis=-1, keepdims=True)\n"
            "return shares if mask is None else shares + np.where(mask, 0, -np.inf)"
        ),
    ),
    dict(
        task="11-2",
        mistake="the mask is inverted: True is hidden",
        body=(
            "if mask is not None:\n"
            "    scores = np.where(mask, -np.inf, scores)\n"
            "top = scores.max(axis=-1, keepdims=True)\n"
            "powers = np.exp(scores - np.where(top == -np.inf, 0, top))\n"
            "total = powers.sum(axis=-1, keepdims=True)\n"
            "return powers / np.where(total == 0, 1, total)"
        ),
    ),
    dict(
        task="11-2",
        mistake="the softmax runs over the queries instead of the keys",
        body=(
            "if mask is not None:\n"
            "    scores = np.where(mask, scores, -np.inf)\n"
            "top = scores.max(axis=-2, keepdims=True)\n"
            "powers = np.exp(scores - np.where(top == -np.inf, 0, top))\n"
            "total = powers.sum(axis=-2, keepdims=True)\n"
            "return powers / np.where(total == 0, 1, total)"
        ),
    ),
    dict(
        task="11-2",
        mistake="the sum runs over all scores and not over each row",
        body=(
            "if mask is not None:\n"
            "    scores = np.where(mask, scores, -np.inf)\n"
            "top = scores.max(axis=-1, keepdims=True)\n"
            "powers = np.exp(scores - np.where(top == -np.inf, 0, top))\n"
            "total = powers.sum()\n"
            "return powers / np.where(total == 0, 1, total)"
        ),
    ),
    dict(
        task="11-2",
        mistake="hidden scores become 0, whose power is 1",
        body=(
            "if mask is not None:\n"
            "    scores = np.where(mask, scores, 0)\n"
            "powers = np.exp(scores - scores.max(axis=-1, keepdims=True))\n"
            "return powers / powers.sum(axis=-1, keepdims=True)"
        ),
    ),
    dict(
        task="11-2",
        mistake="the mask is multiplied with the scores by its numbers 0 and 1, and added",
        body=(
            "if mask is not None:\n"
            "    scores = scores + mask\n"
            "powers = np.exp(scores - scores.max(axis=-1, keepdims=True))\n"
            "return powers / powers.sum(axis=-1, keepdims=True)"
        ),
    ),
    dict(
        task="11-2",
        mistake="a row that may attend to nothing becomes nan",
        body=(
            "if mask is not None:\n"
            "    scores = np.where(mask, scores, -np.inf)\n"
            "powers = np.exp(scores - scores.max(axis=-1, keepdims=True))\n"
            "return powers / powers.sum(axis=-1, keepdims=True)"
        ),
    ),
    dict(
        task="11-2",
        mistake="hidden scores become a large negative number, so that a row of them is shared equally",
        body=(
            "if mask is not None:\n"
            "    scores = np.where(mask, scores, -1e9)\n"
            "powers = np.exp(scores - scores.max(axis=-1, keepdims=True))\n"
            "return powers / powers.sum(axis=-1, keepdims=True)"
        ),
    ),
    dict(
        task="11-2",
        mistake="hidden scores become a negative number that is not low enough",
        body=(
            "if mask is not None:\n"
            "    scores = np.where(mask, scores, -100)\n"
            "powers = np.exp(scores - scores.max(axis=-1, keepdims=True))\n"
            "return powers / powers.sum(axis=-1, keepdims=True)"
        ),
    ),
    dict(
        task="11-2",
        mistake="the largest score is not taken away, so that powers overflow",
        body=(
            "if mask is not None:\n"
            "    scores = np.where(mask, scores, -np.inf)\n"
            "powers = np.exp(scores)\n"
            "total = powers.sum(axis=-1, keepdims=True)\n"
            "return powers / np.where(total == 0, 1, total)"
        ),
    ),
    dict(
        task="11-2",
        mistake="the largest score is looked for among the hidden ones too",
        body=(
            "top = scores.max(axis=-1, keepdims=True)\n"
            "powers = np.exp(scores - top)\n"
            "if mask is not None:\n"
            "    powers = np.where(mask, powers, 0)\n"
            "total = powers.sum(axis=-1, keepdims=True)\n"
            "return powers / np.where(total == 0, 1, total)"
        ),
    ),
    dict(
        task="11-2",
        mistake="the scores themselves are written into",
        body=(
            "if mask is not None:\n"
            "    scores[~np.broadcast_to(mask, scores.shape)] = -np.inf\n"
            "top = scores.max(axis=-1, keepdims=True)\n"
            "powers = np.exp(scores - np.where(top == -np.inf, 0, top))\n"
            "total = powers.sum(axis=-1, keepdims=True)\n"
            "return powers / np.where(total == 0, 1, total)"
        ),
    ),
    dict(
        task="11-2",
        mistake="the mask is a list of places and not compared by broadcasting",
        body=(
            "scores = scores.copy()\n"
            "if mask is not None:\n"
            "    scores[~mask] = -np.inf\n"
            "top = scores.max(axis=-1, keepdims=True)\n"
            "powers = np.exp(scores - np.where(top == -np.inf, 0, top))\n"
            "total = powers.sum(axis=-1, keepdims=True)\n"
            "return powers / np.where(total == 0, 1, total)"
        ),
    ),
    dict(
        task="11-3",
        mistake="a place does not see itself: the mask is off by one",
        body="place = np.arange(queries)[:, None] + (keys - queries)\nreturn Tensor(np.arange(keys) < place)",
    ),
    dict(
        task="11-3",
        mistake="a place sees the next one too: the mask is off by one",
        body="place = np.arange(queries)[:, None] + (keys - queries)\nreturn Tensor(np.arange(keys) <= place + 1)",
    ),
    dict(
        task="11-3",
        mistake="the mask is inverted: True where a place may not attend",
        body="place = np.arange(queries)[:, None] + (keys - queries)\nreturn Tensor(np.arange(keys) > place)",
    ),
    dict(
        task="11-3",
        mistake="a place sees itself and what comes after it",
        body="place = np.arange(queries)[:, None] + (keys - queries)\nreturn Tensor(np.arange(keys) >= place)",
    ),
    dict(
        task="11-3",
        mistake="the queries are the first places instead of the last",
        body="return Tensor(np.arange(keys) <= np.arange(queries)[:, None])",
    ),
    dict(
        task="11-3",
        mistake="the table has a row for each key",
        body="return Tensor(np.arange(queries) >= np.arange(keys)[:, None] - (keys - queries))",
    ),
    dict(
        task="11-3",
        mistake="the table has as many columns as there are queries",
        body="place = np.arange(queries)[:, None]\nreturn Tensor(np.arange(queries) <= place)",
    ),
    dict(
        task="11-3",
        mistake="the mask holds numbers 0 and 1 and no truth values",
        body=(
            "place = np.arange(queries)[:, None] + (keys - queries)\n"
            "return Tensor((np.arange(keys) <= place).astype(float))"
        ),
    ),
    dict(
        task="11-3",
        mistake="an array is returned and no Tensor",
        body="place = np.arange(queries)[:, None] + (keys - queries)\nreturn np.arange(keys) <= place",
    ),
    dict(
        task="11-4",
        mistake="the root of d is forgotten on the way back",
        body=_rule(_ARRIVES, _FOR_Q + _FOR_K + _FOR_V),
    ),
    dict(
        task="11-4",
        mistake="the scores are divided by d instead of its root on the way back",
        body=_rule(_ARRIVES + " / q.shape[-1]", _FOR_Q + _FOR_K + _FOR_V),
    ),
    dict(
        task="11-4",
        mistake="multiplied by the root of d on the way back, instead of divided",
        body=_rule(_ARRIVES + " * math.sqrt(q.shape[-1])", _FOR_Q + _FOR_K + _FOR_V),
    ),
    dict(
        task="11-4",
        mistake="the softmax is skipped on the way back",
        body=_rule("g @ np.swapaxes(v, -1, -2) / math.sqrt(q.shape[-1])", _FOR_Q + _FOR_K + _FOR_V),
    ),
    dict(
        task="11-4",
        mistake="through the softmax only p times what arrives, without the part that all others lose",
        body=_rule("weights * (g @ np.swapaxes(v, -1, -2)) / math.sqrt(q.shape[-1])", _FOR_Q + _FOR_K + _FOR_V),
    ),
    dict(
        task="11-4",
        mistake="through the softmax with p times one minus p only",
        body=_rule(
            "weights * (1 - weights) * (g @ np.swapaxes(v, -1, -2)) / math.sqrt(q.shape[-1])", _FOR_Q + _FOR_K + _FOR_V
        ),
    ),
    dict(
        task="11-4",
        mistake="the softmax rule runs over the queries",
        body=_rule(
            "softmax_rule(g @ np.swapaxes(v, -1, -2), weights, None, dim=-2) / math.sqrt(q.shape[-1])",
            _FOR_Q + _FOR_K + _FOR_V,
        ),
    ),
    dict(
        task="11-4",
        mistake="the gradients in queries and keys have changed places",
        body=_rule(_ARRIVES + " / math.sqrt(q.shape[-1])", _FOR_K + _FOR_Q + _FOR_V),
    ),
    dict(
        task="11-4",
        mistake="the gradient in the values comes first",
        body=_rule(_ARRIVES + " / math.sqrt(q.shape[-1])", _FOR_V + _FOR_Q + _FOR_K),
    ),
    dict(
        task="11-4",
        mistake="the gradient in the values goes through the gradient of the scores instead of the weights",
        body=_rule(
            _ARRIVES + " / math.sqrt(q.shape[-1])", _FOR_Q + _FOR_K + "    lambda: np.swapaxes(scores, -1, -2) @ g,\n"
        ),
    ),
    dict(
        task="11-4",
        mistake="the gradient in the keys is taken through the weights instead of the gradient of the scores",
        body=_rule(
            _ARRIVES + " / math.sqrt(q.shape[-1])", _FOR_Q + "    lambda: np.swapaxes(weights, -1, -2) @ q,\n" + _FOR_V
        ),
    ),
    dict(
        task="11-4",
        mistake="what arrives in the scores is not transposed for the keys",
        body=_rule(_ARRIVES + " / math.sqrt(q.shape[-1])", _FOR_Q + "    lambda: scores @ q,\n" + _FOR_V),
    ),
    dict(
        task="11-4",
        mistake="the weights are not transposed for the values",
        body=_rule(_ARRIVES + " / math.sqrt(q.shape[-1])", _FOR_Q + _FOR_K + "    lambda: weights @ g,\n"),
    ),
    dict(
        task="11-4",
        mistake="the values are not transposed",
        body=_rule("softmax_rule(g @ v, weights, None) / math.sqrt(q.shape[-1])", _FOR_Q + _FOR_K + _FOR_V),
    ),
    dict(
        task="11-4",
        mistake="a stack is turned around as a whole by .T",
        body=(
            f"scores = {_ARRIVES} / math.sqrt(q.shape[-1])\n"
            "return (lambda: scores @ k), (lambda: scores.T @ q), (lambda: weights.T @ g)"
        ),
    ),
    dict(
        task="11-4",
        mistake="the weights are written into",
        body=(
            "scores = g @ np.swapaxes(v, -1, -2)\n"
            "mean = (scores * weights).sum(axis=-1, keepdims=True)\n"
            "kept = weights.copy()\n"
            "weights *= (scores - mean) / math.sqrt(q.shape[-1])\n"
            "return (lambda: weights @ k), (lambda: np.swapaxes(weights, -1, -2) @ q), "
            "(lambda: np.swapaxes(kept, -1, -2) @ g)"
        ),
    ),
    dict(
        task="11-5",
        mistake="heads are split by a reshape without exchanging two dimensions",
        body="return x.reshape(N, num_heads, T, E // num_heads)",
    ),
    dict(
        task="11-5",
        mistake="the exchange is missing, so that places come before heads",
        body="return x.reshape(N, T, num_heads, E // num_heads)",
    ),
    dict(
        task="11-5",
        mistake="every H-th feature goes to one head, instead of features that stand together",
        body="return x.reshape(N, T, E // num_heads, num_heads).permute(0, 3, 1, 2)",
    ),
    dict(
        task="11-5",
        mistake="the number of heads and the features of a head have changed places",
        body="return x.reshape(N, T, E // num_heads, num_heads).transpose(1, 2)",
    ),
    dict(
        task="11-5",
        mistake="features and places are exchanged, instead of heads and places",
        body="return x.reshape(N, T, num_heads, E // num_heads).permute(0, 2, 3, 1)",
    ),
    dict(
        task="11-5",
        mistake="heads come before the sequences",
        body="return x.reshape(N, T, num_heads, E // num_heads).permute(2, 0, 1, 3)",
    ),
    dict(
        task="11-5",
        mistake="every head gets all features",
        body="return stack([x] * num_heads, dim=1)",
    ),
    dict(
        task="11-5",
        mistake="the sequences are put one after the other",
        body="return x.reshape(1, N * T, num_heads, E // num_heads).transpose(1, 2)",
    ),
    dict(
        task="11-5",
        mistake="an array is dealt out and returned, and no Tensor",
        body="return np.moveaxis(x.data.reshape(N, T, num_heads, E // num_heads), 2, 1)",
    ),
    dict(
        task="11-5",
        mistake="a new Tensor is made of the array, through which no gradient comes",
        body="return Tensor(np.moveaxis(x.data.reshape(N, T, num_heads, E // num_heads), 2, 1))",
    ),
    dict(
        task="11-6",
        mistake="heads are joined by a reshape without exchanging two dimensions",
        body="return x.reshape(N, T, H * D)",
    ),
    dict(
        task="11-6",
        mistake="the heads are not joined back",
        body="return x.transpose(1, 2)",
    ),
    dict(
        task="11-6",
        mistake="the features of the heads are interleaved, instead of head after head",
        body="return x.permute(0, 2, 3, 1).reshape(N, T, H * D)",
    ),
    dict(
        task="11-6",
        mistake="the heads are added up, instead of standing side by side",
        body="return x.sum(dim=1)",
    ),
    dict(
        task="11-6",
        mistake="the heads stand below each other, as more places",
        body="return x.reshape(N, H * T, D)",
    ),
    dict(
        task="11-6",
        mistake="features and places are exchanged",
        body="return x.transpose(2, 3).reshape(N, T, H * D)",
    ),
    dict(
        task="11-6",
        mistake="the sequences and the places have changed places",
        body="return x.permute(2, 0, 1, 3).reshape(N, T, H * D)",
    ),
    dict(
        task="11-6",
        mistake="an array is joined and returned, and no Tensor",
        body="return np.moveaxis(x.data, 2, 1).reshape(N, T, H * D)",
    ),
    dict(
        task="11-6",
        mistake="a new Tensor is made of the array, through which no gradient comes",
        body="return Tensor(np.moveaxis(x.data, 2, 1).reshape(N, T, H * D))",
    ),
    dict(
        task="11-7",
        mistake="the last layer, out_proj, is left out",
        body=_SPLIT + "return join_heads(scaled_dot_product_attention(q, k, v, mask))",
    ),
    dict(
        task="11-7",
        mistake="the mask is not passed on",
        body=_SPLIT + "return self.out_proj(join_heads(scaled_dot_product_attention(q, k, v)))",
    ),
    dict(
        task="11-7",
        mistake="the heads are not joined back but read as if they were",
        body=_SPLIT + "heads = scaled_dot_product_attention(q, k, v, mask)\n"
        "return self.out_proj(heads.reshape(query.shape))",
    ),
    dict(
        task="11-7",
        mistake="there is one head for all features",
        body=(
            "q, k, v = self.project(query, 0), self.project(key, 1), self.project(value, 2)\n"
            "mask = mask[:, 0] if mask is not None and mask.ndim == 4 else mask\n"
            "return self.out_proj(scaled_dot_product_attention(q, k, v, mask))"
        ),
    ),
    dict(
        task="11-7",
        mistake="queries and keys have changed places in the packed weight",
        body=_SPLIT.replace("query, 0", "query, 1").replace("key, 1", "key, 0")
        + "return self.out_proj(join_heads(scaled_dot_product_attention(q, k, v, mask)))",
    ),
    dict(
        task="11-7",
        mistake="keys and values have changed places in the packed weight",
        body=_SPLIT.replace("key, 1", "key, 2").replace("value, 2", "value, 1")
        + "return self.out_proj(join_heads(scaled_dot_product_attention(q, k, v, mask)))",
    ),
    dict(
        task="11-7",
        mistake="one projection makes queries, keys and values",
        body=_SPLIT.replace("key, 1", "key, 0").replace("value, 2", "value, 0")
        + "return self.out_proj(join_heads(scaled_dot_product_attention(q, k, v, mask)))",
    ),
    dict(
        task="11-7",
        mistake="nothing is projected: the inputs are queries, keys and values",
        body=(
            "q, k, v = (split_heads(x, self.num_heads) for x in (query, key, value))\n"
            "return self.out_proj(join_heads(scaled_dot_product_attention(q, k, v, mask)))"
        ),
    ),
    dict(
        task="11-7",
        mistake="keys and values are made from the query, also when others are given",
        body=_SPLIT.replace("key, 1", "query, 1").replace("value, 2", "query, 2")
        + "return self.out_proj(join_heads(scaled_dot_product_attention(q, k, v, mask)))",
    ),
    dict(
        task="11-7",
        mistake="values are made from the key, also when others are given",
        body=_SPLIT.replace("value, 2", "key, 2")
        + "return self.out_proj(join_heads(scaled_dot_product_attention(q, k, v, mask)))",
    ),
    dict(
        task="11-7",
        mistake="keys and values have changed places in the attention",
        body=_SPLIT + "return self.out_proj(join_heads(scaled_dot_product_attention(q, v, k, mask)))",
    ),
    dict(
        task="11-7",
        mistake="the input is added to the result",
        body=_SPLIT + "return query + self.out_proj(join_heads(scaled_dot_product_attention(q, k, v, mask)))",
    ),
    dict(
        task="11-8",
        mistake="sine and cosine have changed places",
        body=_SPEED + _ANGLE + "out[:, 0::2], out[:, 1::2] = np.cos(angle), np.sin(angle)",
    ),
    dict(
        task="11-8",
        mistake="all sines stand first and then all cosines, instead of in turn",
        body=_SPEED + _ANGLE + "out[:, : dim // 2], out[:, dim // 2 :] = np.sin(angle), np.cos(angle)",
    ),
    dict(
        task="11-8",
        mistake="places are counted from one",
        body=_SPEED + "angle = (np.arange(length)[:, None] + 1) * speed\n" + _FILL,
    ),
    dict(
        task="11-8",
        mistake="the exponent has i in place of 2i, so that clocks slow down half as fast",
        body="speed = 10000.0 ** (-np.arange(dim // 2) / dim)\n" + _ANGLE + _FILL,
    ),
    dict(
        task="11-8",
        mistake="the exponent has 4i in place of 2i: the numbers were doubled twice",
        body="speed = 10000.0 ** (-2 * np.arange(0, dim, 2) / dim)\n" + _ANGLE + _FILL,
    ),
    dict(
        task="11-8",
        mistake="the sign of the exponent is missing, so that clocks get faster",
        body="speed = 10000.0 ** (np.arange(0, dim, 2) / dim)\n" + _ANGLE + _FILL,
    ),
    dict(
        task="11-8",
        mistake="all clocks have one speed",
        body="speed = np.ones(dim // 2)\n" + _ANGLE + _FILL,
    ),
    dict(
        task="11-8",
        mistake="each column has a speed of its own, also the two hands of one clock",
        body=(
            "speed = 10000.0 ** (-np.arange(dim) / dim)\n" + _ANGLE + "out[:, 0::2], out[:, 1::2] = "
            "np.sin(angle[:, 0::2]), np.cos(angle[:, 1::2])"
        ),
    ),
    dict(
        task="11-8",
        mistake="the base is 1000 instead of 10000",
        body="speed = 1000.0 ** (-np.arange(0, dim, 2) / dim)\n" + _ANGLE + _FILL,
    ),
    dict(
        task="11-8",
        mistake="both hands are sines",
        body=_SPEED + _ANGLE + "out[:, 0::2], out[:, 1::2] = np.sin(angle), np.sin(angle)",
    ),
    dict(
        task="11-8",
        mistake="angles are taken as degrees",
        body=_SPEED + "angle = np.radians(np.arange(length)[:, None] * speed)\n" + _FILL,
    ),
    dict(
        task="11-8",
        mistake="the slowest clock turns by exactly one ten-thousandth, for the exponent is divided by dim less two",
        body="speed = 10000.0 ** (-np.arange(0, dim, 2) / (dim - 2))\n" + _ANGLE + _FILL,
    ),
    dict(
        task="11-8",
        mistake="the features are returned in float64",
        body=(
            "speed = 10000.0 ** (-np.arange(0, dim, 2) / dim)\n"
            "angle = np.arange(length)[:, None] * speed\n"
            "out[:, 0::2], out[:, 1::2] = np.sin(angle), np.cos(angle)\n"
            "return Tensor(out, dtype=np.float64)"
        ),
    ),
    dict(
        task="11-9",
        mistake="the sums are not shrunk when a larger score comes",
        body=(
            "larger = np.maximum(top, scores.max(axis=1, keepdims=True))\n"
            "powers = np.exp(scores - larger)\n"
            "total = total + powers.sum(axis=1, keepdims=True)\n"
            "y = y + powers @ values\n"
            "top = larger"
        ),
    ),
    dict(
        task="11-9",
        mistake="only the total is shrunk, and not the sum of values",
        body=(
            "larger = np.maximum(top, scores.max(axis=1, keepdims=True))\n"
            "powers, shrink = np.exp(scores - larger), np.exp(top - larger)\n"
            "total = total * shrink + powers.sum(axis=1, keepdims=True)\n"
            "y = y + powers @ values\n"
            "top = larger"
        ),
    ),
    dict(
        task="11-9",
        mistake="the largest score is that of the block alone",
        body=(
            "larger = scores.max(axis=1, keepdims=True)\n"
            "powers = np.exp(scores - larger)\n"
            "shrink = np.exp(np.minimum(top - larger, 0))\n"
            "total = total * shrink + powers.sum(axis=1, keepdims=True)\n"
            "y = y * shrink + powers @ values\n"
            "top = larger"
        ),
    ),
    dict(
        task="11-9",
        mistake="nothing is taken away before the exponential",
        body=("powers = np.exp(scores)\ntotal = total + powers.sum(axis=1, keepdims=True)\ny = y + powers @ values"),
    ),
    dict(
        task="11-10",
        mistake="the points are turned to the right",
        body=(
            "sine, cosine = clocks[:, 0::2], clocks[:, 1::2]\n"
            "turned = stack([a * cosine + b * sine, b * cosine - a * sine], dim=-1)\n"
            "return turned.reshape(x.shape)"
        ),
    ),
    dict(
        task="11-10",
        mistake="sine and cosine have changed places",
        body=(
            "cosine, sine = clocks[:, 0::2], clocks[:, 1::2]\n"
            "turned = stack([a * cosine - b * sine, a * sine + b * cosine], dim=-1)\n"
            "return turned.reshape(x.shape)"
        ),
    ),
    dict(
        task="11-10",
        mistake="all first numbers stand before all second numbers",
        body=(
            "sine, cosine = clocks[:, 0::2], clocks[:, 1::2]\n"
            "turned = stack([a * cosine - b * sine, a * sine + b * cosine], dim=-2)\n"
            "return turned.reshape(x.shape)"
        ),
    ),
    dict(
        task="11-10",
        mistake="the clocks are added and do not turn anything",
        body="return x + clocks",
    ),
]
