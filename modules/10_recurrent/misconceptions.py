"""Wrong solutions that a student plausibly writes: each fails a visible test, and no other has its fingerprint."""

WRONG = [
    dict(
        task="10-1",
        mistake="the tanh is forgotten",
        body="return (linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh))",
    ),
    dict(
        task="10-1",
        mistake="a sigmoid stands in place of the tanh",
        body="return sigmoid(linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh))",
    ),
    dict(
        task="10-1",
        mistake="the state is forgotten, so that nothing is remembered",
        body="return tanh(linear(x, weight_ih, bias_ih))",
    ),
    dict(
        task="10-1",
        mistake="the inputs are forgotten",
        body="return tanh(linear(h, weight_hh, bias_hh))",
    ),
    dict(
        task="10-1",
        mistake="bias_hh is forgotten",
        body="return tanh(linear(x, weight_ih, bias_ih) + linear(h, weight_hh))",
    ),
    dict(
        task="10-1",
        mistake="bias_ih is forgotten",
        body="return tanh(linear(x, weight_ih) + linear(h, weight_hh, bias_hh))",
    ),
    dict(
        task="10-1",
        mistake="the recurrent weights are not transposed",
        body="return tanh(linear(x, weight_ih, bias_ih) + (h @ weight_hh + bias_hh))",
    ),
    dict(
        task="10-1",
        mistake="weights times states, so that the sequences of a batch are mixed with each other",
        body="return tanh(linear(x, weight_ih, bias_ih) + (weight_hh @ h + bias_hh))",
    ),
    dict(
        task="10-1",
        mistake="the state is detached, so that no gradient goes back to earlier steps",
        body="return tanh(linear(x, weight_ih, bias_ih) + linear(h.detach(), weight_hh, bias_hh))",
    ),
    dict(
        task="10-1",
        mistake="the inputs are detached, so that no gradient reaches them",
        body="return tanh(linear(x.detach(), weight_ih, bias_ih) + linear(h, weight_hh, bias_hh))",
    ),
    dict(
        task="10-1",
        mistake="the tanh is taken of the inputs only",
        body="return tanh(linear(x, weight_ih, bias_ih)) + linear(h, weight_hh, bias_hh)",
    ),
    dict(
        task="10-1",
        mistake="each of the two has a tanh of its own",
        body="return tanh(linear(x, weight_ih, bias_ih)) + tanh(linear(h, weight_hh, bias_hh))",
    ),
    dict(
        task="10-2",
        mistake="the tanh on the cell is forgotten",
        body=(
            "a = linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh)\n"
            "i = sigmoid(a[:, :H])\n"
            "f = sigmoid(a[:, H : 2 * H])\n"
            "g = tanh(a[:, 2 * H : 3 * H])\n"
            "o = sigmoid(a[:, 3 * H :])\n"
            "c = f * c + i * g\n"
            "return o * c, c"
        ),
    ),
    dict(
        task="10-2",
        mistake="the order of the gates is i, f, o, g",
        body=(
            "a = linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh)\n"
            "i = sigmoid(a[:, :H])\n"
            "f = sigmoid(a[:, H : 2 * H])\n"
            "g = tanh(a[:, 3 * H :])\n"
            "o = sigmoid(a[:, 2 * H : 3 * H])\n"
            "c = f * c + i * g\n"
            "return o * tanh(c), c"
        ),
    ),
    dict(
        task="10-2",
        mistake="the order of the gates is f, i, g, o",
        body=(
            "a = linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh)\n"
            "i = sigmoid(a[:, H : 2 * H])\n"
            "f = sigmoid(a[:, :H])\n"
            "g = tanh(a[:, 2 * H : 3 * H])\n"
            "o = sigmoid(a[:, 3 * H :])\n"
            "c = f * c + i * g\n"
            "return o * tanh(c), c"
        ),
    ),
    dict(
        task="10-2",
        mistake="the order of the gates is i, g, f, o",
        body=(
            "a = linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh)\n"
            "i = sigmoid(a[:, :H])\n"
            "f = sigmoid(a[:, 2 * H : 3 * H])\n"
            "g = tanh(a[:, H : 2 * H])\n"
            "o = sigmoid(a[:, 3 * H :])\n"
            "c = f * c + i * g\n"
            "return o * tanh(c), c"
        ),
    ),
    dict(
        task="10-2",
        mistake="the news goes through a sigmoid in place of a tanh",
        body=(
            "a = linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh)\n"
            "i = sigmoid(a[:, :H])\n"
            "f = sigmoid(a[:, H : 2 * H])\n"
            "g = sigmoid(a[:, 2 * H : 3 * H])\n"
            "o = sigmoid(a[:, 3 * H :])\n"
            "c = f * c + i * g\n"
            "return o * tanh(c), c"
        ),
    ),
    dict(
        task="10-2",
        mistake="the output shows the old memory",
        body=(
            "a = linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh)\n"
            "i = sigmoid(a[:, :H])\n"
            "f = sigmoid(a[:, H : 2 * H])\n"
            "g = tanh(a[:, 2 * H : 3 * H])\n"
            "o = sigmoid(a[:, 3 * H :])\n"
            "new = f * c + i * g\n"
            "return o * tanh(c), new"
        ),
    ),
    dict(
        task="10-2",
        mistake="the forget gate is left out, so that nothing is ever forgotten",
        body=(
            "a = linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh)\n"
            "i = sigmoid(a[:, :H])\n"
            "f = sigmoid(a[:, H : 2 * H])\n"
            "g = tanh(a[:, 2 * H : 3 * H])\n"
            "o = sigmoid(a[:, 3 * H :])\n"
            "c = c + i * g\n"
            "return o * tanh(c), c"
        ),
    ),
    dict(
        task="10-2",
        mistake="the input gate is left out",
        body=(
            "a = linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh)\n"
            "i = sigmoid(a[:, :H])\n"
            "f = sigmoid(a[:, H : 2 * H])\n"
            "g = tanh(a[:, 2 * H : 3 * H])\n"
            "o = sigmoid(a[:, 3 * H :])\n"
            "c = f * c + g\n"
            "return o * tanh(c), c"
        ),
    ),
    dict(
        task="10-2",
        mistake="the output gate is left out",
        body=(
            "a = linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh)\n"
            "i = sigmoid(a[:, :H])\n"
            "f = sigmoid(a[:, H : 2 * H])\n"
            "g = tanh(a[:, 2 * H : 3 * H])\n"
            "o = sigmoid(a[:, 3 * H :])\n"
            "c = f * c + i * g\n"
            "return tanh(c), c"
        ),
    ),
    dict(
        task="10-2",
        mistake="the forget gate says how much is forgotten, and not how much stays",
        body=(
            "a = linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh)\n"
            "i = sigmoid(a[:, :H])\n"
            "f = sigmoid(a[:, H : 2 * H])\n"
            "g = tanh(a[:, 2 * H : 3 * H])\n"
            "o = sigmoid(a[:, 3 * H :])\n"
            "c = (1 - f) * c + i * g\n"
            "return o * tanh(c), c"
        ),
    ),
    dict(
        task="10-2",
        mistake="one gate decides both, so that what stays is what is not written",
        body=(
            "a = linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh)\n"
            "i = sigmoid(a[:, :H])\n"
            "f = sigmoid(a[:, H : 2 * H])\n"
            "g = tanh(a[:, 2 * H : 3 * H])\n"
            "o = sigmoid(a[:, 3 * H :])\n"
            "c = (1 - i) * c + i * g\n"
            "return o * tanh(c), c"
        ),
    ),
    dict(
        task="10-2",
        mistake="the pair is handed out as (c, h)",
        body=(
            "a = linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh)\n"
            "i = sigmoid(a[:, :H])\n"
            "f = sigmoid(a[:, H : 2 * H])\n"
            "g = tanh(a[:, 2 * H : 3 * H])\n"
            "o = sigmoid(a[:, 3 * H :])\n"
            "c = f * c + i * g\n"
            "return c, o * tanh(c)"
        ),
    ),
    dict(
        task="10-2",
        mistake="only one of the two biases is added",
        body=(
            "a = linear(x, weight_ih, bias_ih) + linear(h, weight_hh)\n"
            "i = sigmoid(a[:, :H])\n"
            "f = sigmoid(a[:, H : 2 * H])\n"
            "g = tanh(a[:, 2 * H : 3 * H])\n"
            "o = sigmoid(a[:, 3 * H :])\n"
            "c = f * c + i * g\n"
            "return o * tanh(c), c"
        ),
    ),
    dict(
        task="10-2",
        mistake="the gates see the memory and not the hidden state",
        body=(
            "a = linear(x, weight_ih, bias_ih) + linear(c, weight_hh, bias_hh)\n"
            "i = sigmoid(a[:, :H])\n"
            "f = sigmoid(a[:, H : 2 * H])\n"
            "g = tanh(a[:, 2 * H : 3 * H])\n"
            "o = sigmoid(a[:, 3 * H :])\n"
            "c = f * c + i * g\n"
            "return o * tanh(c), c"
        ),
    ),
    dict(
        task="10-2",
        mistake="the memory is detached, so that no gradient goes back along it",
        body=(
            "a = linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh)\n"
            "i = sigmoid(a[:, :H])\n"
            "f = sigmoid(a[:, H : 2 * H])\n"
            "g = tanh(a[:, 2 * H : 3 * H])\n"
            "o = sigmoid(a[:, 3 * H :])\n"
            "c = f * c.detach() + i * g\n"
            "return o * tanh(c), c"
        ),
    ),
    dict(
        task="10-2",
        mistake="the hidden state is detached, so that no gradient goes back through it",
        body=(
            "a = linear(x, weight_ih, bias_ih) + linear(h.detach(), weight_hh, bias_hh)\n"
            "i = sigmoid(a[:, :H])\n"
            "f = sigmoid(a[:, H : 2 * H])\n"
            "g = tanh(a[:, 2 * H : 3 * H])\n"
            "o = sigmoid(a[:, 3 * H :])\n"
            "c = f * c + i * g\n"
            "return o * tanh(c), c"
        ),
    ),
    dict(
        task="10-2",
        mistake="the state is transposed before the product, which mixes the sequences of a batch",
        body=(
            "a = linear(x, weight_ih, bias_ih) + linear(h.T, weight_hh, bias_hh)\n"
            "i = sigmoid(a[:, :H])\n"
            "f = sigmoid(a[:, H : 2 * H])\n"
            "g = tanh(a[:, 2 * H : 3 * H])\n"
            "o = sigmoid(a[:, 3 * H :])\n"
            "c = f * c + i * g\n"
            "return o * tanh(c), c"
        ),
    ),
    dict(
        task="10-3",
        mistake="old state and news have changed places behind the update gate",
        body=(
            "u, v = linear(x, weight_ih, bias_ih), linear(h, weight_hh, bias_hh)\n"
            "r = sigmoid(u[:, :H] + v[:, :H])\n"
            "z = sigmoid(u[:, H : 2 * H] + v[:, H : 2 * H])\n"
            "n = tanh(u[:, 2 * H :] + r * v[:, 2 * H :])\n"
            "return z * n + (1 - z) * h"
        ),
    ),
    dict(
        task="10-3",
        mistake="the reset gate is applied before the matrix product",
        body=(
            "u, v = linear(x, weight_ih, bias_ih), linear(h, weight_hh, bias_hh)\n"
            "r = sigmoid(u[:, :H] + v[:, :H])\n"
            "z = sigmoid(u[:, H : 2 * H] + v[:, H : 2 * H])\n"
            "n = tanh(u[:, 2 * H :] + linear(r * h, weight_hh[2 * H :], bias_hh[2 * H :]))\n"
            "return (1 - z) * n + z * h"
        ),
    ),
    dict(
        task="10-3",
        mistake="the reset gate is left out",
        body=(
            "u, v = linear(x, weight_ih, bias_ih), linear(h, weight_hh, bias_hh)\n"
            "r = sigmoid(u[:, :H] + v[:, :H])\n"
            "z = sigmoid(u[:, H : 2 * H] + v[:, H : 2 * H])\n"
            "n = tanh(u[:, 2 * H :] + v[:, 2 * H :])\n"
            "return (1 - z) * n + z * h"
        ),
    ),
    dict(
        task="10-3",
        mistake="the reset gate leaves out the bias, which belongs to the product",
        body=(
            "u, v = linear(x, weight_ih, bias_ih), linear(h, weight_hh, bias_hh)\n"
            "r = sigmoid(u[:, :H] + v[:, :H])\n"
            "z = sigmoid(u[:, H : 2 * H] + v[:, H : 2 * H])\n"
            "n = tanh(u[:, 2 * H :] + r * (v[:, 2 * H :] - bias_hh[2 * H :]) + bias_hh[2 * H :])\n"
            "return (1 - z) * n + z * h"
        ),
    ),
    dict(
        task="10-3",
        mistake="the order of the gates is z, r, n",
        body=(
            "u, v = linear(x, weight_ih, bias_ih), linear(h, weight_hh, bias_hh)\n"
            "z = sigmoid(u[:, :H] + v[:, :H])\n"
            "r = sigmoid(u[:, H : 2 * H] + v[:, H : 2 * H])\n"
            "n = tanh(u[:, 2 * H :] + r * v[:, 2 * H :])\n"
            "return (1 - z) * n + z * h"
        ),
    ),
    dict(
        task="10-3",
        mistake="the news goes through a sigmoid in place of a tanh",
        body=(
            "u, v = linear(x, weight_ih, bias_ih), linear(h, weight_hh, bias_hh)\n"
            "r = sigmoid(u[:, :H] + v[:, :H])\n"
            "z = sigmoid(u[:, H : 2 * H] + v[:, H : 2 * H])\n"
            "n = sigmoid(u[:, 2 * H :] + r * v[:, 2 * H :])\n"
            "return (1 - z) * n + z * h"
        ),
    ),
    dict(
        task="10-3",
        mistake="the tanh is forgotten on the news",
        body=(
            "u, v = linear(x, weight_ih, bias_ih), linear(h, weight_hh, bias_hh)\n"
            "r = sigmoid(u[:, :H] + v[:, :H])\n"
            "z = sigmoid(u[:, H : 2 * H] + v[:, H : 2 * H])\n"
            "n = u[:, 2 * H :] + r * v[:, 2 * H :]\n"
            "return (1 - z) * n + z * h"
        ),
    ),
    dict(
        task="10-3",
        mistake="the reset gate multiplies what comes from the inputs as well",
        body=(
            "u, v = linear(x, weight_ih, bias_ih), linear(h, weight_hh, bias_hh)\n"
            "r = sigmoid(u[:, :H] + v[:, :H])\n"
            "z = sigmoid(u[:, H : 2 * H] + v[:, H : 2 * H])\n"
            "n = tanh(r * (u[:, 2 * H :] + v[:, 2 * H :]))\n"
            "return (1 - z) * n + z * h"
        ),
    ),
    dict(
        task="10-3",
        mistake="the gates do not see the state",
        body=(
            "u, v = linear(x, weight_ih, bias_ih), linear(h, weight_hh, bias_hh)\n"
            "r = sigmoid(u[:, :H])\n"
            "z = sigmoid(u[:, H : 2 * H])\n"
            "n = tanh(u[:, 2 * H :] + r * v[:, 2 * H :])\n"
            "return (1 - z) * n + z * h"
        ),
    ),
    dict(
        task="10-3",
        mistake="the news is added to the whole old state",
        body=(
            "u, v = linear(x, weight_ih, bias_ih), linear(h, weight_hh, bias_hh)\n"
            "r = sigmoid(u[:, :H] + v[:, :H])\n"
            "z = sigmoid(u[:, H : 2 * H] + v[:, H : 2 * H])\n"
            "n = tanh(u[:, 2 * H :] + r * v[:, 2 * H :])\n"
            "return (1 - z) * n + h"
        ),
    ),
    dict(
        task="10-3",
        mistake="the update gate multiplies the old state, and the news comes in whole",
        body=(
            "u, v = linear(x, weight_ih, bias_ih), linear(h, weight_hh, bias_hh)\n"
            "r = sigmoid(u[:, :H] + v[:, :H])\n"
            "z = sigmoid(u[:, H : 2 * H] + v[:, H : 2 * H])\n"
            "n = tanh(u[:, 2 * H :] + r * v[:, 2 * H :])\n"
            "return n + z * h"
        ),
    ),
    dict(
        task="10-3",
        mistake="the state is detached, so that no gradient goes back to earlier steps",
        body=(
            "u, v = linear(x, weight_ih, bias_ih), linear(h.detach(), weight_hh, bias_hh)\n"
            "r = sigmoid(u[:, :H] + v[:, :H])\n"
            "z = sigmoid(u[:, H : 2 * H] + v[:, H : 2 * H])\n"
            "n = tanh(u[:, 2 * H :] + r * v[:, 2 * H :])\n"
            "return (1 - z) * n + z * h.detach()"
        ),
    ),
    dict(
        task="10-3",
        mistake="the state is detached where the gates look at it, so that part of its gradient is lost",
        body=(
            "u, v = linear(x, weight_ih, bias_ih), linear(h.detach(), weight_hh, bias_hh)\n"
            "r = sigmoid(u[:, :H] + v[:, :H])\n"
            "z = sigmoid(u[:, H : 2 * H] + v[:, H : 2 * H])\n"
            "n = tanh(u[:, 2 * H :] + r * v[:, 2 * H :])\n"
            "return (1 - z) * n + z * h"
        ),
    ),
    dict(
        task="10-4",
        mistake="one tall orthogonal matrix stands in place of one for each block",
        body=(
            "weight_ih = np.concatenate([xavier((H, D), rng) for _ in range(gates)])\n"
            "weight_hh = orthogonal((gates * H, H), rng)\n"
            "bias_ih, bias_hh = np.zeros(gates * H, dtype=np.float32), np.zeros(gates * H, dtype=np.float32)\n"
            "if forget is not None:\n"
            "    bias_ih[forget * H : (forget + 1) * H] = 1\n"
            "return weight_ih, weight_hh, bias_ih, bias_hh"
        ),
    ),
    dict(
        task="10-4",
        mistake="the bias of the forget gate is missing",
        body=(
            "weight_ih = np.concatenate([xavier((H, D), rng) for _ in range(gates)])\n"
            "weight_hh = np.concatenate([orthogonal((H, H), rng) for _ in range(gates)])\n"
            "bias_ih, bias_hh = np.zeros(gates * H, dtype=np.float32), np.zeros(gates * H, dtype=np.float32)\n"
            "if forget is not None:\n"
            "    pass\n"
            "return weight_ih, weight_hh, bias_ih, bias_hh"
        ),
    ),
    dict(
        task="10-4",
        mistake="both biases of the forget gate are 1, which makes 2",
        body=(
            "weight_ih = np.concatenate([xavier((H, D), rng) for _ in range(gates)])\n"
            "weight_hh = np.concatenate([orthogonal((H, H), rng) for _ in range(gates)])\n"
            "bias_ih, bias_hh = np.zeros(gates * H, dtype=np.float32), np.zeros(gates * H, dtype=np.float32)\n"
            "if forget is not None:\n"
            "    bias_ih[forget * H : (forget + 1) * H] = bias_hh[forget * H : (forget + 1) * H] = 1\n"
            "return weight_ih, weight_hh, bias_ih, bias_hh"
        ),
    ),
    dict(
        task="10-4",
        mistake="the 1 stands in bias_hh",
        body=(
            "weight_ih = np.concatenate([xavier((H, D), rng) for _ in range(gates)])\n"
            "weight_hh = np.concatenate([orthogonal((H, H), rng) for _ in range(gates)])\n"
            "bias_ih, bias_hh = np.zeros(gates * H, dtype=np.float32), np.zeros(gates * H, dtype=np.float32)\n"
            "if forget is not None:\n"
            "    bias_hh[forget * H : (forget + 1) * H] = 1\n"
            "return weight_ih, weight_hh, bias_ih, bias_hh"
        ),
    ),
    dict(
        task="10-4",
        mistake="the 1 stands in the block before, that of the input gate",
        body=(
            "weight_ih = np.concatenate([xavier((H, D), rng) for _ in range(gates)])\n"
            "weight_hh = np.concatenate([orthogonal((H, H), rng) for _ in range(gates)])\n"
            "bias_ih, bias_hh = np.zeros(gates * H, dtype=np.float32), np.zeros(gates * H, dtype=np.float32)\n"
            "if forget is not None:\n"
            "    bias_ih[(forget - 1) * H : forget * H] = 1\n"
            "return weight_ih, weight_hh, bias_ih, bias_hh"
        ),
    ),
    dict(
        task="10-4",
        mistake="only one number of the forget gate is 1, for blocks were counted as single numbers",
        body=(
            "weight_ih = np.concatenate([xavier((H, D), rng) for _ in range(gates)])\n"
            "weight_hh = np.concatenate([orthogonal((H, H), rng) for _ in range(gates)])\n"
            "bias_ih, bias_hh = np.zeros(gates * H, dtype=np.float32), np.zeros(gates * H, dtype=np.float32)\n"
            "if forget is not None:\n"
            "    bias_ih[forget] = 1\n"
            "return weight_ih, weight_hh, bias_ih, bias_hh"
        ),
    ),
    dict(
        task="10-4",
        mistake="all biases are 1",
        body=(
            "weight_ih = np.concatenate([xavier((H, D), rng) for _ in range(gates)])\n"
            "weight_hh = np.concatenate([orthogonal((H, H), rng) for _ in range(gates)])\n"
            "bias_ih, bias_hh = np.zeros(gates * H, dtype=np.float32), np.zeros(gates * H, dtype=np.float32)\n"
            "if forget is not None:\n"
            "    bias_ih[:] = 1\n"
            "return weight_ih, weight_hh, bias_ih, bias_hh"
        ),
    ),
    dict(
        task="10-4",
        mistake="the recurrent weights are not orthogonal",
        body=(
            "weight_ih = np.concatenate([xavier((H, D), rng) for _ in range(gates)])\n"
            "weight_hh = np.concatenate([xavier((H, H), rng) for _ in range(gates)])\n"
            "bias_ih, bias_hh = np.zeros(gates * H, dtype=np.float32), np.zeros(gates * H, dtype=np.float32)\n"
            "if forget is not None:\n"
            "    bias_ih[forget * H : (forget + 1) * H] = 1\n"
            "return weight_ih, weight_hh, bias_ih, bias_hh"
        ),
    ),
    dict(
        task="10-4",
        mistake="all blocks have the same recurrent weights",
        body=(
            "weight_ih = np.concatenate([xavier((H, D), rng) for _ in range(gates)])\n"
            "weight_hh = np.concatenate([orthogonal((H, H), rng)] * gates)\n"
            "bias_ih, bias_hh = np.zeros(gates * H, dtype=np.float32), np.zeros(gates * H, dtype=np.float32)\n"
            "if forget is not None:\n"
            "    bias_ih[forget * H : (forget + 1) * H] = 1\n"
            "return weight_ih, weight_hh, bias_ih, bias_hh"
        ),
    ),
    dict(
        task="10-4",
        mistake="the weights of the inputs are drawn as one tall matrix, and so are too small",
        body=(
            "weight_ih = xavier((gates * H, D), rng)\n"
            "weight_hh = np.concatenate([orthogonal((H, H), rng) for _ in range(gates)])\n"
            "bias_ih, bias_hh = np.zeros(gates * H, dtype=np.float32), np.zeros(gates * H, dtype=np.float32)\n"
            "if forget is not None:\n"
            "    bias_ih[forget * H : (forget + 1) * H] = 1\n"
            "return weight_ih, weight_hh, bias_ih, bias_hh"
        ),
    ),
    dict(
        task="10-4",
        mistake="the biases are float64",
        body=(
            "weight_ih = np.concatenate([xavier((H, D), rng) for _ in range(gates)])\n"
            "weight_hh = np.concatenate([orthogonal((H, H), rng) for _ in range(gates)])\n"
            "bias_ih, bias_hh = np.zeros(gates * H), np.zeros(gates * H)\n"
            "if forget is not None:\n"
            "    bias_ih[forget * H : (forget + 1) * H] = 1\n"
            "return weight_ih, weight_hh, bias_ih, bias_hh"
        ),
    ),
    dict(
        task="10-4",
        mistake="the blocks stand beside and not below each other",
        body=(
            "weight_ih = np.concatenate([xavier((H, D), rng) for _ in range(gates)], axis=1)\n"
            "weight_hh = np.concatenate([orthogonal((H, H), rng) for _ in range(gates)])\n"
            "bias_ih, bias_hh = np.zeros(gates * H, dtype=np.float32), np.zeros(gates * H, dtype=np.float32)\n"
            "if forget is not None:\n"
            "    bias_ih[forget * H : (forget + 1) * H] = 1\n"
            "return weight_ih, weight_hh, bias_ih, bias_hh"
        ),
    ),
    dict(
        task="10-4",
        mistake="the shape of the input weights is (in, out)",
        body=(
            "weight_ih = np.concatenate([xavier((D, H), rng) for _ in range(gates)])\n"
            "weight_hh = np.concatenate([orthogonal((H, H), rng) for _ in range(gates)])\n"
            "bias_ih, bias_hh = np.zeros(gates * H, dtype=np.float32), np.zeros(gates * H, dtype=np.float32)\n"
            "if forget is not None:\n"
            "    bias_ih[forget * H : (forget + 1) * H] = 1\n"
            "return weight_ih, weight_hh, bias_ih, bias_hh"
        ),
    ),
    dict(
        task="10-4",
        mistake="a forget gate in block 0 is taken for none",
        body=(
            "weight_ih = np.concatenate([xavier((H, D), rng) for _ in range(gates)])\n"
            "weight_hh = np.concatenate([orthogonal((H, H), rng) for _ in range(gates)])\n"
            "bias_ih, bias_hh = np.zeros(gates * H, dtype=np.float32), np.zeros(gates * H, dtype=np.float32)\n"
            "if forget:\n"
            "    bias_ih[forget * H : (forget + 1) * H] = 1\n"
            "return weight_ih, weight_hh, bias_ih, bias_hh"
        ),
    ),
    dict(
        task="10-5",
        mistake="the state is detached after each step",
        body=(
            "for t in range(X.shape[1]):\n"
            "    new = step(X[:, t], state)\n"
            "    state = tuple(where(mask[:, t, None], b, a).detach() for a, b in zip(state, new))\n"
            "    outputs.append(state[0])\n"
            "return stack(outputs, dim=1), state"
        ),
    ),
    dict(
        task="10-5",
        mistake="sequences and steps have changed places",
        body=(
            "for t in range(X.shape[1]):\n"
            "    new = step(X[t], state)\n"
            "    state = tuple(where(mask[:, t, None], b, a) for a, b in zip(state, new))\n"
            "    outputs.append(state[0])\n"
            "return stack(outputs, dim=1), state"
        ),
    ),
    dict(
        task="10-5",
        mistake="the mask is left out, so that the last state is the one after the padding",
        body=(
            "for t in range(X.shape[1]):\n"
            "    new = step(X[:, t], state)\n"
            "    state = new\n"
            "    outputs.append(state[0])\n"
            "return stack(outputs, dim=1), state"
        ),
    ),
    dict(
        task="10-5",
        mistake="the mask of a step has no last dimension of one, so that it runs along the numbers of a state",
        body=(
            "for t in range(X.shape[1]):\n"
            "    new = step(X[:, t], state)\n"
            "    state = tuple(where(mask[:, t], b, a) for a, b in zip(state, new))\n"
            "    outputs.append(state[0])\n"
            "return stack(outputs, dim=1), state"
        ),
    ),
    dict(
        task="10-5",
        mistake="the mask is turned around",
        body=(
            "for t in range(X.shape[1]):\n"
            "    new = step(X[:, t], state)\n"
            "    state = tuple(where(mask[:, t, None], a, b) for a, b in zip(state, new))\n"
            "    outputs.append(state[0])\n"
            "return stack(outputs, dim=1), state"
        ),
    ),
    dict(
        task="10-5",
        mistake="a sequence that has ended gets a state of zeros",
        body=(
            "for t in range(X.shape[1]):\n"
            "    new = step(X[:, t], state)\n"
            "    state = tuple(where(mask[:, t, None], b, a * 0) for a, b in zip(state, new))\n"
            "    outputs.append(state[0])\n"
            "return stack(outputs, dim=1), state"
        ),
    ),
    dict(
        task="10-5",
        mistake="the mask is applied to what comes out and not to the state",
        body=(
            "for t in range(X.shape[1]):\n"
            "    new = step(X[:, t], state)\n"
            "    outputs.append(where(mask[:, t, None], new[0], state[0]))\n"
            "    state = new\n"
            "return stack(outputs, dim=1), state"
        ),
    ),
    dict(
        task="10-5",
        mistake="the mask is applied to the first part of the state only",
        body=(
            "for t in range(X.shape[1]):\n"
            "    new = step(X[:, t], state)\n"
            "    state = (where(mask[:, t, None], new[0], state[0]), *new[1:])\n"
            "    outputs.append(state[0])\n"
            "return stack(outputs, dim=1), state"
        ),
    ),
    dict(
        task="10-5",
        mistake="what comes out is not masked, so that it runs on behind the end",
        body=(
            "for t in range(X.shape[1]):\n"
            "    new = step(X[:, t], state)\n"
            "    state = tuple(where(mask[:, t, None], b, a) for a, b in zip(state, new))\n"
            "    outputs.append(new[0])\n"
            "return stack(outputs, dim=1), state"
        ),
    ),
    dict(
        task="10-5",
        mistake="what comes out is stacked with time first",
        body=(
            "for t in range(X.shape[1]):\n"
            "    new = step(X[:, t], state)\n"
            "    state = tuple(where(mask[:, t, None], b, a) for a, b in zip(state, new))\n"
            "    outputs.append(state[0])\n"
            "return stack(outputs, dim=0), state"
        ),
    ),
    dict(
        task="10-5",
        mistake="what comes out is the state before each step",
        body=(
            "for t in range(X.shape[1]):\n"
            "    outputs.append(state[0])\n"
            "    new = step(X[:, t], state)\n"
            "    state = tuple(where(mask[:, t, None], b, a) for a, b in zip(state, new))\n"
            "return stack(outputs, dim=1), state"
        ),
    ),
    dict(
        task="10-5",
        mistake="the state is not handed on, so that each step begins anew",
        body=(
            "first = state\n"
            "for t in range(X.shape[1]):\n"
            "    new = step(X[:, t], first)\n"
            "    state = tuple(where(mask[:, t, None], b, a) for a, b in zip(state, new))\n"
            "    outputs.append(state[0])\n"
            "return stack(outputs, dim=1), state"
        ),
    ),
    dict(
        task="10-5",
        mistake="the sequence is read backwards",
        body=(
            "for t in reversed(range(X.shape[1])):\n"
            "    new = step(X[:, t], state)\n"
            "    state = tuple(where(mask[:, t, None], b, a) for a, b in zip(state, new))\n"
            "    outputs.append(state[0])\n"
            "return stack(outputs, dim=1), state"
        ),
    ),
    dict(
        task="10-5",
        mistake="the last step is left out",
        body=(
            "for t in range(X.shape[1] - 1):\n"
            "    new = step(X[:, t], state)\n"
            "    state = tuple(where(mask[:, t, None], b, a) for a, b in zip(state, new))\n"
            "    outputs.append(state[0])\n"
            "return stack(outputs, dim=1), state"
        ),
    ),
    dict(
        task="10-5",
        mistake="the state is not reset between sequences: a call begins where the last one ended",
        body=(
            'state = getattr(unroll, "state", state)\n'
            "for t in range(X.shape[1]):\n"
            "    new = step(X[:, t], state)\n"
            "    state = tuple(where(mask[:, t, None], b, a) for a, b in zip(state, new))\n"
            "    outputs.append(state[0])\n"
            "unroll.state = state\n"
            "return stack(outputs, dim=1), state"
        ),
    ),
    dict(
        task="10-5",
        mistake="each sequence begins with the state of the one before it in the batch",
        body=(
            "state = tuple(s[[-1, *range(len(s) - 1)]] for s in state)\n"
            "for t in range(X.shape[1]):\n"
            "    new = step(X[:, t], state)\n"
            "    state = tuple(where(mask[:, t, None], b, a) for a, b in zip(state, new))\n"
            "    outputs.append(state[0])\n"
            "return stack(outputs, dim=1), state"
        ),
    ),
    dict(
        task="10-5",
        mistake="the state always begins at zero, whatever is given",
        body=(
            "state = tuple(s * 0 for s in state)\n"
            "for t in range(X.shape[1]):\n"
            "    new = step(X[:, t], state)\n"
            "    state = tuple(where(mask[:, t, None], b, a) for a, b in zip(state, new))\n"
            "    outputs.append(state[0])\n"
            "return stack(outputs, dim=1), state"
        ),
    ),
    dict(
        task="10-5",
        mistake="what comes out is the last part of the state and not the first",
        body=(
            "for t in range(X.shape[1]):\n"
            "    new = step(X[:, t], state)\n"
            "    state = tuple(where(mask[:, t, None], b, a) for a, b in zip(state, new))\n"
            "    outputs.append(state[-1])\n"
            "return stack(outputs, dim=1), state"
        ),
    ),
    dict(
        task="10-5",
        mistake="the last state is handed out without its tuple",
        body=(
            "for t in range(X.shape[1]):\n"
            "    new = step(X[:, t], state)\n"
            "    state = tuple(where(mask[:, t, None], b, a) for a, b in zip(state, new))\n"
            "    outputs.append(state[0])\n"
            "return stack(outputs, dim=1), state[0]"
        ),
    ),
    dict(
        task="10-5",
        mistake="the last state is a list",
        body=(
            "for t in range(X.shape[1]):\n"
            "    new = step(X[:, t], state)\n"
            "    state = [where(mask[:, t, None], b, a) for a, b in zip(state, new)]\n"
            "    outputs.append(state[0])\n"
            "return stack(outputs, dim=1), state"
        ),
    ),
    dict(
        task="10-6",
        mistake="the slope of the tanh is missing",
        body=(
            "for t in reversed(range(T)):\n"
            "    da[t] = mask[t] * dh\n"
            "    dh = g[t] + da[t] @ weight_hh + ~mask[t] * dh\n"
            "return da, dh"
        ),
    ),
    dict(
        task="10-6",
        mistake="the slope is taken at the state before the step",
        body=(
            "for t in reversed(range(T)):\n"
            "    da[t] = mask[t] * dh * (1 - states[t] ** 2)\n"
            "    dh = g[t] + da[t] @ weight_hh + ~mask[t] * dh\n"
            "return da, dh"
        ),
    ),
    dict(
        task="10-6",
        mistake="the slope is 1 minus the state, not minus its square",
        body=(
            "for t in reversed(range(T)):\n"
            "    da[t] = mask[t] * dh * (1 - states[t + 1])\n"
            "    dh = g[t] + da[t] @ weight_hh + ~mask[t] * dh\n"
            "return da, dh"
        ),
    ),
    dict(
        task="10-6",
        mistake="the recurrent weights are transposed on the way back",
        body=(
            "for t in reversed(range(T)):\n"
            "    da[t] = mask[t] * dh * (1 - states[t + 1] ** 2)\n"
            "    dh = g[t] + da[t] @ weight_hh.T + ~mask[t] * dh\n"
            "return da, dh"
        ),
    ),
    dict(
        task="10-6",
        mistake="what arrives for the states on the way is left out, and only the last counts",
        body=(
            "for t in reversed(range(T)):\n"
            "    da[t] = mask[t] * dh * (1 - states[t + 1] ** 2)\n"
            "    dh = da[t] @ weight_hh + ~mask[t] * dh\n"
            "return da, dh"
        ),
    ),
    dict(
        task="10-6",
        mistake="nothing is carried back, so that each step sees only its own gradient",
        body=(
            "for t in reversed(range(T)):\n"
            "    da[t] = mask[t] * dh * (1 - states[t + 1] ** 2)\n"
            "    dh = g[t]\n"
            "return da, dh"
        ),
    ),
    dict(
        task="10-6",
        mistake="what arrives is taken one step too late",
        body=(
            "for t in reversed(range(T)):\n"
            "    da[t] = mask[t] * dh * (1 - states[t + 1] ** 2)\n"
            "    dh = g[t + 1] + da[t] @ weight_hh + ~mask[t] * dh\n"
            "return da, dh"
        ),
    ),
    dict(
        task="10-6",
        mistake="the walk goes forwards in time",
        body=(
            "for t in range(T):\n"
            "    da[t] = mask[t] * dh * (1 - states[t + 1] ** 2)\n"
            "    dh = g[t] + da[t] @ weight_hh + ~mask[t] * dh\n"
            "return da, dh"
        ),
    ),
    dict(
        task="10-6",
        mistake="the mask is left out",
        body=(
            "for t in reversed(range(T)):\n"
            "    da[t] = dh * (1 - states[t + 1] ** 2)\n"
            "    dh = g[t] + da[t] @ weight_hh\n"
            "return da, dh"
        ),
    ),
    dict(
        task="10-6",
        mistake="the gradient stops at the end of a sequence, and does not pass by the steps that were not made",
        body=(
            "for t in reversed(range(T)):\n"
            "    da[t] = mask[t] * dh * (1 - states[t + 1] ** 2)\n"
            "    dh = g[t] + da[t] @ weight_hh\n"
            "return da, dh"
        ),
    ),
    dict(
        task="10-6",
        mistake="the gradient passes by, but goes into the steps that were not made as well",
        body=(
            "for t in reversed(range(T)):\n"
            "    da[t] = dh * (1 - states[t + 1] ** 2)\n"
            "    dh = g[t] + da[t] @ weight_hh + ~mask[t] * dh\n"
            "return da, dh"
        ),
    ),
    dict(
        task="10-6",
        mistake="the state before gets all of the gradient once more, as if every step had been copied",
        body=(
            "for t in reversed(range(T)):\n"
            "    da[t] = mask[t] * dh * (1 - states[t + 1] ** 2)\n"
            "    dh = g[t] + da[t] @ weight_hh + dh\n"
            "return da, dh"
        ),
    ),
    dict(
        task="10-6",
        mistake="the product takes the gradient before the tanh was gone through",
        body=(
            "for t in reversed(range(T)):\n"
            "    da[t] = mask[t] * dh * (1 - states[t + 1] ** 2)\n"
            "    dh = g[t] + (mask[t] * dh) @ weight_hh + ~mask[t] * dh\n"
            "return da, dh"
        ),
    ),
    dict(
        task="10-6",
        mistake="the carried gradient is added in place, into what arrived",
        body=(
            "for t in reversed(range(T)):\n"
            "    da[t] = mask[t] * dh * (1 - states[t + 1] ** 2)\n"
            "    carried = da[t] @ weight_hh + ~mask[t] * dh\n"
            "    g[t] += carried\n"
            "    dh = g[t]\n"
            "return da, dh"
        ),
    ),
    dict(
        task="10-7",
        mistake="the halving before the tanh is missing",
        body=(
            "np.tanh(a, out=a)\n"
            "a *= half\n"
            "a += 1 - half\n"
            "i, f, g, o = blocks(a, 4)\n"
            "c = f * c + i * g\n"
            "squashed = np.tanh(c)\n"
            "return o * squashed, c, squashed"
        ),
    ),
    dict(
        task="10-7",
        mistake="the halving after the tanh is missing",
        body=(
            "a *= half\n"
            "np.tanh(a, out=a)\n"
            "a += 1 - half\n"
            "i, f, g, o = blocks(a, 4)\n"
            "c = f * c + i * g\n"
            "squashed = np.tanh(c)\n"
            "return o * squashed, c, squashed"
        ),
    ),
    dict(
        task="10-7",
        mistake="the shift is missing, so that gates lie between -0.5 and 0.5",
        body=(
            "a *= half\n"
            "np.tanh(a, out=a)\n"
            "a *= half\n"
            "i, f, g, o = blocks(a, 4)\n"
            "c = f * c + i * g\n"
            "squashed = np.tanh(c)\n"
            "return o * squashed, c, squashed"
        ),
    ),
    dict(
        task="10-7",
        mistake="the shift is half in every block, also in that of the news",
        body=(
            "a *= half\n"
            "np.tanh(a, out=a)\n"
            "a *= half\n"
            "a += 0.5\n"
            "i, f, g, o = blocks(a, 4)\n"
            "c = f * c + i * g\n"
            "squashed = np.tanh(c)\n"
            "return o * squashed, c, squashed"
        ),
    ),
    dict(
        task="10-7",
        mistake="the shift is `half`, so that the news is moved by 1",
        body=(
            "a *= half\n"
            "np.tanh(a, out=a)\n"
            "a *= half\n"
            "a += half\n"
            "i, f, g, o = blocks(a, 4)\n"
            "c = f * c + i * g\n"
            "squashed = np.tanh(c)\n"
            "return o * squashed, c, squashed"
        ),
    ),
    dict(
        task="10-7",
        mistake="all four blocks go through the tanh alone",
        body=(
            "np.tanh(a, out=a)\n"
            "i, f, g, o = blocks(a, 4)\n"
            "c = f * c + i * g\n"
            "squashed = np.tanh(c)\n"
            "return o * squashed, c, squashed"
        ),
    ),
    dict(
        task="10-7",
        mistake="all four blocks go through the sigmoid, the news too",
        body=(
            "a *= 0.5\n"
            "np.tanh(a, out=a)\n"
            "a *= 0.5\n"
            "a += 0.5\n"
            "i, f, g, o = blocks(a, 4)\n"
            "c = f * c + i * g\n"
            "squashed = np.tanh(c)\n"
            "return o * squashed, c, squashed"
        ),
    ),
    dict(
        task="10-7",
        mistake="the order of the gates is i, f, o, g",
        body=(
            "a *= half\n"
            "np.tanh(a, out=a)\n"
            "a *= half\n"
            "a += 1 - half\n"
            "i, f, o, g = blocks(a, 4)\n"
            "c = f * c + i * g\n"
            "squashed = np.tanh(c)\n"
            "return o * squashed, c, squashed"
        ),
    ),
    dict(
        task="10-7",
        mistake="the order of the gates is f, i, g, o",
        body=(
            "a *= half\n"
            "np.tanh(a, out=a)\n"
            "a *= half\n"
            "a += 1 - half\n"
            "f, i, g, o = blocks(a, 4)\n"
            "c = f * c + i * g\n"
            "squashed = np.tanh(c)\n"
            "return o * squashed, c, squashed"
        ),
    ),
    dict(
        task="10-7",
        mistake="the tanh on the cell is forgotten",
        body=(
            "a *= half\n"
            "np.tanh(a, out=a)\n"
            "a *= half\n"
            "a += 1 - half\n"
            "i, f, g, o = blocks(a, 4)\n"
            "c = f * c + i * g\n"
            "squashed = c\n"
            "return o * squashed, c, squashed"
        ),
    ),
    dict(
        task="10-7",
        mistake="the output gate is left out",
        body=(
            "a *= half\n"
            "np.tanh(a, out=a)\n"
            "a *= half\n"
            "a += 1 - half\n"
            "i, f, g, o = blocks(a, 4)\n"
            "c = f * c + i * g\n"
            "squashed = np.tanh(c)\n"
            "return squashed, c, squashed"
        ),
    ),
    dict(
        task="10-7",
        mistake="the forget gate is left out",
        body=(
            "a *= half\n"
            "np.tanh(a, out=a)\n"
            "a *= half\n"
            "a += 1 - half\n"
            "i, f, g, o = blocks(a, 4)\n"
            "c = c + i * g\n"
            "squashed = np.tanh(c)\n"
            "return o * squashed, c, squashed"
        ),
    ),
    dict(
        task="10-7",
        mistake="the gates are put into an array of their own, and `a` stays as it was",
        body=(
            "a = np.tanh(a * half) * half\n"
            "a = a + 1 - half\n"
            "i, f, g, o = blocks(a, 4)\n"
            "c = f * c + i * g\n"
            "squashed = np.tanh(c)\n"
            "return o * squashed, c, squashed"
        ),
    ),
    dict(
        task="10-7",
        mistake="the memory before is written over",
        body=(
            "a *= half\n"
            "np.tanh(a, out=a)\n"
            "a *= half\n"
            "a += 1 - half\n"
            "i, f, g, o = blocks(a, 4)\n"
            "c *= f\n"
            "c += i * g\n"
            "squashed = np.tanh(c)\n"
            "return o * squashed, c, squashed"
        ),
    ),
    dict(
        task="10-7",
        mistake="the tanh of the old memory is handed out",
        body=(
            "a *= half\n"
            "np.tanh(a, out=a)\n"
            "a *= half\n"
            "a += 1 - half\n"
            "i, f, g, o = blocks(a, 4)\n"
            "squashed = np.tanh(c)\n"
            "c = f * c + i * g\n"
            "return o * np.tanh(c), c, squashed"
        ),
    ),
    dict(
        task="10-7",
        mistake="h is handed out in place of tanh(c)",
        body=(
            "a *= half\n"
            "np.tanh(a, out=a)\n"
            "a *= half\n"
            "a += 1 - half\n"
            "i, f, g, o = blocks(a, 4)\n"
            "c = f * c + i * g\n"
            "squashed = np.tanh(c)\n"
            "return o * squashed, c, o * squashed"
        ),
    ),
    dict(
        task="10-7",
        mistake="the results are float64",
        body=(
            "a *= half\n"
            "np.tanh(a, out=a)\n"
            "a *= half\n"
            "a += 1 - half\n"
            "wide = a.astype(np.float64)\n"
            "i, f, g, o = blocks(wide, 4)\n"
            "c = f * c + i * g\n"
            "squashed = np.tanh(c)\n"
            "return o * squashed, c, squashed"
        ),
    ),
    dict(
        task="10-8",
        mistake="what h adds to the gradient of the memory is left out",
        body=(
            "np.multiply(dh, squashed, out=do)\n"
            "np.multiply(dc, g, out=di)\n"
            "np.multiply(dc, c, out=df)\n"
            "np.multiply(dc, i, out=dg)\n"
            "da *= (1 - gates) * (gates + (2 * half - 1))\n"
            "return da, dc * f"
        ),
    ),
    dict(
        task="10-8",
        mistake="what arrives for the memory is left out, and only h counts",
        body=(
            "np.multiply(dh, squashed, out=do)\n"
            "dc = dh * o * (1 - squashed * squashed)\n"
            "np.multiply(dc, g, out=di)\n"
            "np.multiply(dc, c, out=df)\n"
            "np.multiply(dc, i, out=dg)\n"
            "da *= (1 - gates) * (gates + (2 * half - 1))\n"
            "return da, dc * f"
        ),
    ),
    dict(
        task="10-8",
        mistake="the output gate is missing on the way from h to the memory",
        body=(
            "np.multiply(dh, squashed, out=do)\n"
            "dc = dc + dh * (1 - squashed * squashed)\n"
            "np.multiply(dc, g, out=di)\n"
            "np.multiply(dc, c, out=df)\n"
            "np.multiply(dc, i, out=dg)\n"
            "da *= (1 - gates) * (gates + (2 * half - 1))\n"
            "return da, dc * f"
        ),
    ),
    dict(
        task="10-8",
        mistake="the slope of the tanh on the cell is missing",
        body=(
            "np.multiply(dh, squashed, out=do)\n"
            "dc = dc + dh * o\n"
            "np.multiply(dc, g, out=di)\n"
            "np.multiply(dc, c, out=df)\n"
            "np.multiply(dc, i, out=dg)\n"
            "da *= (1 - gates) * (gates + (2 * half - 1))\n"
            "return da, dc * f"
        ),
    ),
    dict(
        task="10-8",
        mistake="the slopes of the gates are missing",
        body=(
            "np.multiply(dh, squashed, out=do)\n"
            "dc = dc + dh * o * (1 - squashed * squashed)\n"
            "np.multiply(dc, g, out=di)\n"
            "np.multiply(dc, c, out=df)\n"
            "np.multiply(dc, i, out=dg)\n"
            "return da, dc * f"
        ),
    ),
    dict(
        task="10-8",
        mistake="the slope of a sigmoid is used for all four blocks",
        body=(
            "np.multiply(dh, squashed, out=do)\n"
            "dc = dc + dh * o * (1 - squashed * squashed)\n"
            "np.multiply(dc, g, out=di)\n"
            "np.multiply(dc, c, out=df)\n"
            "np.multiply(dc, i, out=dg)\n"
            "da *= (1 - gates) * gates\n"
            "return da, dc * f"
        ),
    ),
    dict(
        task="10-8",
        mistake="the slope of a tanh is used for all four blocks",
        body=(
            "np.multiply(dh, squashed, out=do)\n"
            "dc = dc + dh * o * (1 - squashed * squashed)\n"
            "np.multiply(dc, g, out=di)\n"
            "np.multiply(dc, c, out=df)\n"
            "np.multiply(dc, i, out=dg)\n"
            "da *= (1 - gates) * (gates + 1)\n"
            "return da, dc * f"
        ),
    ),
    dict(
        task="10-8",
        mistake="input gate and news get each other's gradient",
        body=(
            "np.multiply(dh, squashed, out=do)\n"
            "dc = dc + dh * o * (1 - squashed * squashed)\n"
            "np.multiply(dc, i, out=di)\n"
            "np.multiply(dc, c, out=df)\n"
            "np.multiply(dc, g, out=dg)\n"
            "da *= (1 - gates) * (gates + (2 * half - 1))\n"
            "return da, dc * f"
        ),
    ),
    dict(
        task="10-8",
        mistake="the forget gate gets the gradient times tanh(c) in place of the memory before",
        body=(
            "np.multiply(dh, squashed, out=do)\n"
            "dc = dc + dh * o * (1 - squashed * squashed)\n"
            "np.multiply(dc, g, out=di)\n"
            "np.multiply(dc, squashed, out=df)\n"
            "np.multiply(dc, i, out=dg)\n"
            "da *= (1 - gates) * (gates + (2 * half - 1))\n"
            "return da, dc * f"
        ),
    ),
    dict(
        task="10-8",
        mistake="the gates get only what arrived for the memory, without what h adds",
        body=(
            "np.multiply(dh, squashed, out=do)\n"
            "np.multiply(dc, g, out=di)\n"
            "np.multiply(dc, c, out=df)\n"
            "np.multiply(dc, i, out=dg)\n"
            "dc = dc + dh * o * (1 - squashed * squashed)\n"
            "da *= (1 - gates) * (gates + (2 * half - 1))\n"
            "return da, dc * f"
        ),
    ),
    dict(
        task="10-8",
        mistake="the memory before gets the gradient without the forget gate",
        body=(
            "np.multiply(dh, squashed, out=do)\n"
            "dc = dc + dh * o * (1 - squashed * squashed)\n"
            "np.multiply(dc, g, out=di)\n"
            "np.multiply(dc, c, out=df)\n"
            "np.multiply(dc, i, out=dg)\n"
            "da *= (1 - gates) * (gates + (2 * half - 1))\n"
            "return da, dc"
        ),
    ),
    dict(
        task="10-8",
        mistake="the output gate gets dh times the memory, without its tanh",
        body=(
            "np.multiply(dh, c, out=do)\n"
            "dc = dc + dh * o * (1 - squashed * squashed)\n"
            "np.multiply(dc, g, out=di)\n"
            "np.multiply(dc, c, out=df)\n"
            "np.multiply(dc, i, out=dg)\n"
            "da *= (1 - gates) * (gates + (2 * half - 1))\n"
            "return da, dc * f"
        ),
    ),
    dict(
        task="10-8",
        mistake="what arrives for the memory is written over",
        body=(
            "np.multiply(dh, squashed, out=do)\n"
            "dc += dh * o * (1 - squashed * squashed)\n"
            "np.multiply(dc, g, out=di)\n"
            "np.multiply(dc, c, out=df)\n"
            "np.multiply(dc, i, out=dg)\n"
            "da *= (1 - gates) * (gates + (2 * half - 1))\n"
            "return da, dc * f"
        ),
    ),
    dict(
        task="10-8",
        mistake="the gates are written over",
        body=(
            "np.multiply(dh, squashed, out=do)\n"
            "dc = dc + dh * o * (1 - squashed * squashed)\n"
            "np.multiply(dc, g, out=di)\n"
            "np.multiply(dc, c, out=df)\n"
            "np.multiply(dc, i, out=dg)\n"
            "back = dc * f\n"
            "da *= (1 - gates) * (gates + (2 * half - 1))\n"
            "gates[...] = da\n"
            "return da, back"
        ),
    ),
    dict(
        task="10-8",
        mistake="a new array is made for the first result, and the room that was given stays empty",
        body=(
            "dc = dc + dh * o * (1 - squashed * squashed)\n"
            "full = np.concatenate([dc * g, dc * c, dc * i, dh * squashed], axis=1)\n"
            "return full * (1 - gates) * (gates + (2 * half - 1)), dc * f"
        ),
    ),
    dict(
        task="10-9",
        mistake="the state is not handed on, so that each part begins anew",
        body=(
            "for start in range(0, X.shape[1], size):\n"
            "    states, state = model.scan(X[:, start : start + size])\n"
            "    outputs.append(states)\n"
            "    state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()\n"
            "return outputs"
        ),
    ),
    dict(
        task="10-9",
        mistake="the state is not detached, so that gradients go back through all parts",
        body=(
            "for start in range(0, X.shape[1], size):\n"
            "    states, state = model.scan(X[:, start : start + size], state)\n"
            "    outputs.append(states)\n"
            "return outputs"
        ),
    ),
    dict(
        task="10-9",
        mistake="the last, shorter part is left out",
        body=(
            "for start in range(0, X.shape[1] - size + 1, size):\n"
            "    states, state = model.scan(X[:, start : start + size], state)\n"
            "    outputs.append(states)\n"
            "    state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()\n"
            "return outputs"
        ),
    ),
    dict(
        task="10-9",
        mistake="only the first part of the state is handed on",
        body=(
            "for start in range(0, X.shape[1], size):\n"
            "    states, state = model.scan(X[:, start : start + size], state)\n"
            "    outputs.append(states)\n"
            "    state = state[0].detach() if isinstance(state, tuple) else state.detach()\n"
            "return outputs"
        ),
    ),
    dict(
        task="10-9",
        mistake="the states are detached as well, so that nothing can be trained",
        body=(
            "for start in range(0, X.shape[1], size):\n"
            "    states, state = model.scan(X[:, start : start + size], state)\n"
            "    outputs.append(states.detach())\n"
            "    state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()\n"
            "return outputs"
        ),
    ),
    dict(
        task="10-9",
        mistake="only the last state of each part is kept",
        body=(
            "for start in range(0, X.shape[1], size):\n"
            "    states, state = model.scan(X[:, start : start + size], state)\n"
            "    outputs.append(states[:, -1:])\n"
            "    state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()\n"
            "return outputs"
        ),
    ),
    dict(
        task="10-9",
        mistake="the sequences are cut into parts, and not the steps",
        body=(
            "for start in range(0, X.shape[1], size):\n"
            "    states, state = model.scan(X[start : start + size], state)\n"
            "    outputs.append(states)\n"
            "    state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()\n"
            "return outputs"
        ),
    ),
    dict(
        task="10-10",
        mistake="everything is turned around, the padding too",
        body=("steps = (X.shape[1] - 1 - t) + 0 * n\nreturn X[np.arange(len(n))[:, None], steps]"),
    ),
    dict(
        task="10-10",
        mistake="the 1 is missing, so that step 0 lies behind the end",
        body=("steps = np.where(t < n, (n - t) % X.shape[1], t)\nreturn X[np.arange(len(n))[:, None], steps]"),
    ),
    dict(
        task="10-10",
        mistake="the padding is put in front",
        body=("steps = (n - 1 - t) % X.shape[1]\nreturn X[np.arange(len(n))[:, None], steps]"),
    ),
    dict(
        task="10-10",
        mistake="the steps are not turned around",
        body=("steps = t + 0 * n\nreturn X[np.arange(len(n))[:, None], steps]"),
    ),
    dict(
        task="10-10",
        mistake="the result is taken off the graph",
        body=("steps = np.where(t < n, n - 1 - t, t)\nreturn X.detach()[np.arange(len(n))[:, None], steps]"),
    ),
]
