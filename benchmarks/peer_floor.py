"""The floor: each workload by hand in NumPy, with buffers made once and no framework.

The parameters are arrays of their own, as in every peer; everything else may be as fast as NumPy allows.
"""

from itertools import cycle

import numpy as np


def cross_entropy(z, y, p, column, rows, scale):
    """The mean cross-entropy of the scores `z`, which are written over; leaves its gradient in `p`."""
    np.maximum.reduce(z, 1, None, column, True)
    np.subtract(z, column, z)
    np.exp(z, p)
    np.add.reduce(p, 1, None, column, True)
    picked = z[rows, y]
    np.multiply(p, scale / column, p)
    p[rows, y] -= scale
    return float(np.add.reduce(np.log(column[:, 0]) - picked)) * float(scale)


class Mlp:
    def __init__(self, work):
        self.parameters = [p.copy() for p in work.parameters]
        self.weights, self.biases = self.parameters[0::2], self.parameters[1::2]
        self.batches = cycle(work.batches)
        self.rows = np.arange(work.batch)
        self.ones = np.ones(work.batch, dtype=np.float32)
        self.scale = np.float32(1 / work.batch)
        self.lr, self.momentum = np.float32(work.lr), np.float32(work.momentum)
        self.outputs = [np.empty((work.batch, n), dtype=np.float32) for n in work.sizes[1:]]  # after the ReLU
        self.deltas = [np.empty_like(h) for h in self.outputs]  # gradients before the ReLU
        self.masks = [np.empty(h.shape, dtype=bool) for h in self.outputs]
        self.column = np.empty((work.batch, 1), dtype=np.float32)
        self.velocities = [np.zeros_like(p) for p in self.parameters]
        self.slopes = [np.empty_like(p) for p in self.parameters]
        self.scratch = [np.empty_like(p) for p in self.parameters]

    def step(self):
        x, y = next(self.batches)
        self.forward(x)
        loss = self.loss(y)
        self.backward(x)
        self.update()
        return loss

    def forward(self, x):
        last = len(self.weights) - 1
        for i, (weight, bias, h) in enumerate(zip(self.weights, self.biases, self.outputs)):
            np.matmul(x, weight.T, h)
            np.add(h, bias, h)
            if i < last:
                np.maximum(h, 0, out=h)
            x = h

    def loss(self, y):
        return cross_entropy(self.outputs[-1], y, self.deltas[-1], self.column, self.rows, self.scale)

    def backward(self, x):
        for i in reversed(range(len(self.weights))):
            delta, below = self.deltas[i], self.outputs[i - 1] if i else x
            np.matmul(delta.T, below, self.slopes[2 * i])
            np.matmul(self.ones, delta, self.slopes[2 * i + 1])
            if i:
                np.matmul(delta, self.weights[i], self.deltas[i - 1])
                np.greater(below, 0, self.masks[i - 1])
                np.multiply(self.deltas[i - 1], self.masks[i - 1], self.deltas[i - 1])

    def update(self):
        for p, v, g, scratch in zip(self.parameters, self.velocities, self.slopes, self.scratch):
            np.multiply(v, self.momentum, v)
            np.add(v, g, v)
            np.multiply(v, self.lr, scratch)
            np.subtract(p, scratch, p)

    def gradients(self):
        return self.slopes


class Columns:
    """A convolution 3 x 3 with a frame of 1, as one product for each row of the map.

    Images lie as (H, C, W, N), the batch innermost: then every slice copies long runs, and a row fits the cache.
    """

    def __init__(self, weight, bias, size, batch):
        out, channels = weight.shape[:2]
        self.kernels, self.bias = weight.reshape(out, -1), bias[:, None]  # views
        self.size, self.ones = size, np.ones(size * batch, dtype=np.float32)
        self.around = np.zeros((size + 2, channels, size + 2, batch), dtype=np.float32)
        self.image = self.around[1:-1, :, 1:-1]
        self.columns = np.empty((size, channels, 3, 3, size, batch), dtype=np.float32)
        self.matrices = self.columns.reshape(size, 9 * channels, size * batch)
        self.y = np.empty((size, out, size * batch), dtype=np.float32)
        self.under = [
            (self.around[i : i + size, :, j : j + size], self.columns[:, :, i, j]) for i in range(3) for j in range(3)
        ]

    def forward(self, x):
        """x: (H, C, W, N) in any memory; the result (H, out, W * N) is written over by the next call."""
        self.image[...] = x
        for pixels, columns in self.under:
            columns[...] = pixels
        np.matmul(self.kernels, self.matrices, self.y)
        return np.add(self.y, self.bias, self.y)

    def prepare_backward(self, needs_image):
        self.by_row = np.empty((self.size, *self.kernels.shape), dtype=np.float32)
        if needs_image:
            self.lost = np.empty_like(self.matrices)
            self.gradient = np.empty_like(self.around)
            self.back = [
                (
                    self.gradient[i : i + self.size, :, j : j + self.size],
                    self.lost.reshape(self.columns.shape)[:, :, i, j],
                )
                for i in range(3)
                for j in range(3)
            ]

    def backward(self, g, dweight, dbias):
        """g: (H, out, W * N). Writes the gradients of kernels and bias."""
        np.matmul(g, self.matrices.transpose(0, 2, 1), self.by_row)
        np.add.reduce(self.by_row, 0, None, dweight.reshape(self.kernels.shape))
        np.add.reduce(g @ self.ones, 0, None, dbias)

    def backward_image(self, g):
        """The gradient in the image, (H, C, W, N)."""
        np.matmul(self.kernels.T, g, self.lost)
        self.gradient.fill(0)
        for pixels, columns in self.back:
            np.add(pixels, columns, pixels)
        return self.gradient[1:-1, :, 1:-1]


class Pool:
    """ReLU and max pooling 2 x 2 on (H, C, W, N). ReLU changes no order, so it follows on a quarter of the numbers."""

    def __init__(self, size, channels, batch):
        shape = size // 2, channels, size // 2, batch
        self.largest, self.g = (np.empty(shape, dtype=np.float32) for _ in range(2))
        self.high = np.empty((size // 2, channels, size, batch), dtype=np.float32)
        self.hit, self.free = (np.empty(shape, dtype=bool) for _ in range(2))
        self.back = np.empty((size, channels, size, batch), dtype=np.float32)

    def forward(self, x):
        self.x = x
        np.maximum(x[0::2], x[1::2], out=self.high)
        np.maximum(self.high[:, :, 0::2], self.high[:, :, 1::2], out=self.largest)
        np.maximum(self.largest, 0, out=self.g)
        return self.g

    def backward(self, g):
        """The first of the largest takes all, and nobody where ReLU is flat."""
        np.greater(self.largest, 0, self.free)
        for i in (0, 1):
            for j in (0, 1):
                np.equal(self.x[i::2, :, j::2], self.largest, self.hit)
                np.logical_and(self.hit, self.free, self.hit)
                np.logical_xor(self.hit, self.free, self.free)
                np.multiply(g, self.hit, self.back[i::2, :, j::2])
        return self.back


class Cnn:
    def __init__(self, work):
        self.parameters = [p.copy() for p in work.parameters]
        self.slopes = [np.empty_like(p) for p in self.parameters]
        self.batches, self.batch, size = cycle(work.batches), work.batch, work.size
        self.layers = []
        for weight, bias in zip(self.parameters[0:-2:2], self.parameters[1:-2:2]):
            layer, pool = Columns(weight, bias, size, work.batch), Pool(size, len(weight), work.batch)
            layer.prepare_backward(needs_image=bool(self.layers))
            self.layers.append((layer, pool))
            size //= 2
        self.last = size, work.channels[-1], size
        self.weight = np.empty((work.classes, *self.last), dtype=np.float32)  # the last weight in the order (H, C, W)
        self.dweight = np.empty((work.classes, work.features), dtype=np.float32)
        self.scores, self.delta = (np.empty((work.batch, work.classes), dtype=np.float32) for _ in range(2))
        self.below = np.empty((work.features, work.batch), dtype=np.float32)
        self.column = np.empty((work.batch, 1), dtype=np.float32)
        self.rows, self.scale = np.arange(work.batch), np.float32(1 / work.batch)
        self.ones = np.ones(work.batch, dtype=np.float32)
        self.adam = Adam(self.parameters, work)

    def step(self):
        x, y = next(self.batches)
        features = self.forward(x.transpose(2, 1, 3, 0))
        loss = cross_entropy(self.scores, y, self.delta, self.column, self.rows, self.scale)
        self.backward(features)
        self.adam.update(self.slopes)
        return loss

    def forward(self, x):
        for layer, pool in self.layers:
            y = layer.forward(x)
            x = pool.forward(y.reshape(layer.size, y.shape[1], layer.size, self.batch))
        H, C, W = self.last
        features = x.reshape(-1, self.batch)
        self.weight[...] = self.parameters[-2].reshape(-1, C, H, W).transpose(0, 2, 1, 3)
        np.matmul(features.T, self.weight.reshape(len(self.weight), -1).T, self.scores)
        np.add(self.scores, self.parameters[-1], self.scores)
        return features

    def backward(self, features):
        H, C, W = self.last
        np.matmul(self.delta.T, features.T, self.dweight)
        self.slopes[-2].reshape(-1, C, H, W)[...] = self.dweight.reshape(-1, H, C, W).transpose(0, 2, 1, 3)
        np.matmul(self.ones, self.delta, self.slopes[-1])
        np.matmul(self.weight.reshape(len(self.weight), -1).T, self.delta.T, self.below)
        g = self.below.reshape(H, C, W, self.batch)
        for k in reversed(range(len(self.layers))):
            layer, pool = self.layers[k]
            g = pool.backward(g).reshape(layer.y.shape)
            layer.backward(g, *self.slopes[2 * k : 2 * k + 2])
            if k:
                g = layer.backward_image(g)

    def gradients(self):
        return self.slopes


class Adam:
    def __init__(self, parameters, work):
        self.parameters, self.lr, self.betas, self.eps, self.t = parameters, work.lr, work.betas, work.eps, 0
        self.moments = [tuple(np.zeros_like(p) for _ in range(3)) for p in parameters]

    def update(self, slopes):
        self.t += 1
        (b1, b2), t = self.betas, self.t
        correction = (1 - b2**t) ** 0.5
        rate, eps = self.lr * correction / (1 - b1**t), self.eps * correction
        for p, g, (m, v, scratch) in zip(self.parameters, slopes, self.moments):
            np.multiply(m, b1, m)
            np.multiply(g, 1 - b1, scratch)
            np.add(m, scratch, m)
            np.multiply(v, b2, v)
            np.multiply(g, g, scratch)
            np.multiply(scratch, 1 - b2, scratch)
            np.add(v, scratch, v)
            np.sqrt(v, scratch)
            np.add(scratch, eps, scratch)
            np.divide(m, scratch, scratch)
            np.multiply(scratch, rate, scratch)
            np.subtract(p, scratch, p)


class Lstm:
    """Time first, blocks i, f, g, o; weights of i, f and o are halved once, so that one tanh makes all gates."""

    def __init__(self, work):
        self.parameters = [p.copy() for p in work.parameters]
        self.slopes = [np.empty_like(p) for p in self.parameters]
        self.batches, self.lr, self.clip = cycle(work.batches), work.lr, work.clip
        T, B, D, H = work.length, work.batch, work.inputs, work.hidden
        self.half = np.repeat(np.array([0.5, 0.5, 1, 0.5], dtype=np.float32), H)
        self.shift, self.k = 1 - self.half, 2 * self.half - 1
        self.x, self.scaled_ih, self.across = room(T, B, D), room(D, 4 * H), room(H, 4 * H)
        self.bias, self.ones = room(4 * H), np.ones(T * B, dtype=np.float32)
        self.gates, self.da, self.product = room(T, B, 4 * H), room(T, B, 4 * H), room(B, 4 * H)
        self.h, self.c = (np.zeros((T + 1, B, H), dtype=np.float32) for _ in range(2))  # the first states are 0
        self.squashed = room(T, B, H)
        self.dh, self.dc, self.scratch = room(B, H), room(B, H), room(B, H)
        self.scores, self.delta = room(B, work.classes), room(B, work.classes)
        self.column, self.rows, self.scale = room(B, 1), np.arange(B), np.float32(1 / B)

    def step(self):
        x, y = next(self.batches)
        self.forward(x)
        loss = cross_entropy(self.scores, y, self.delta, self.column, self.rows, self.scale)
        self.backward()
        self.update()
        return loss

    def parts(self, a):
        H = self.h.shape[2]
        return a[:, :H], a[:, H : 2 * H], a[:, 2 * H : 3 * H], a[:, 3 * H :]

    def forward(self, x):
        weight_ih, weight_hh, bias_ih, bias_hh, weight, bias = self.parameters
        np.copyto(self.x, x.transpose(1, 0, 2))
        np.multiply(weight_ih.T, self.half, self.scaled_ih)
        np.multiply(weight_hh.T, self.half, self.across)
        np.add(bias_ih, bias_hh, self.bias)
        np.multiply(self.bias, self.half, self.bias)
        rows = self.gates.reshape(-1, len(self.bias))
        np.matmul(self.x.reshape(len(rows), -1), self.scaled_ih, rows)
        np.add(rows, self.bias, rows)
        for t, a in enumerate(self.gates):
            self.read(t, a)
        np.matmul(self.h[-1], weight.T, self.scores)
        np.add(self.scores, bias, self.scores)

    def read(self, t, a):
        np.matmul(self.h[t], self.across, self.product)
        np.add(a, self.product, a)
        np.tanh(a, a)
        np.multiply(a, self.half, a)
        np.add(a, self.shift, a)
        i, f, g, o = self.parts(a)
        c = self.c[t + 1]
        np.multiply(f, self.c[t], c)
        np.multiply(i, g, self.scratch)
        np.add(c, self.scratch, c)
        np.tanh(c, self.squashed[t])
        np.multiply(o, self.squashed[t], self.h[t + 1])

    def backward(self):
        _, weight_hh, _, _, weight, _ = self.parameters
        np.matmul(self.delta.T, self.h[-1], self.slopes[4])
        np.add.reduce(self.delta, 0, None, self.slopes[5])
        np.matmul(self.delta, weight, self.dh)
        self.dc.fill(0)
        for t in reversed(range(len(self.gates))):
            self.read_back(t)
            if t:
                np.matmul(self.da[t], weight_hh, self.dh)
        rows = self.da.reshape(len(self.ones), -1)
        np.matmul(rows.T, self.x.reshape(len(rows), -1), self.slopes[0])
        np.matmul(rows.T, self.h[:-1].reshape(len(rows), -1), self.slopes[1])
        np.matmul(self.ones, rows, self.slopes[2])
        self.slopes[3][:] = self.slopes[2]

    def read_back(self, t):
        gates, dh, dc, scratch, squashed = self.gates[t], self.dh, self.dc, self.scratch, self.squashed[t]
        (i, f, g, o), (di, df, dg, do) = self.parts(gates), self.parts(self.da[t])
        np.multiply(dh, squashed, do)
        np.multiply(squashed, squashed, scratch)
        np.subtract(1, scratch, scratch)
        np.multiply(scratch, o, scratch)
        np.multiply(scratch, dh, scratch)
        np.add(dc, scratch, dc)
        np.multiply(dc, g, di)
        np.multiply(dc, self.c[t], df)
        np.multiply(dc, i, dg)
        np.multiply(dc, f, dc)
        np.add(gates, self.k, self.product)
        np.multiply(self.da[t], self.product, self.da[t])
        np.subtract(1, gates, self.product)
        np.multiply(self.da[t], self.product, self.da[t])

    def update(self):
        norm = sum(float(np.vdot(g, g)) for g in self.slopes) ** 0.5
        factor = min(1.0, self.clip / norm)
        for p, g in zip(self.parameters, self.slopes):
            np.multiply(g, factor, g)
            p -= self.lr * g

    def gradients(self):
        return self.slopes


def room(*shape):
    return np.empty(shape, dtype=np.float32)


class Convolution:
    def __init__(self, work):
        (N, _, H, W), (weight, bias) = work.shape, work.parameters
        self.x = work.x.transpose(2, 1, 3, 0)
        self.layer = Columns(weight, bias, H, N)
        self.y = self.layer.y.reshape(H, work.out, W, N)

    def step(self):
        self.layer.forward(self.x)
        return float(self.y[-1, -1, -1, -1])

    def gradients(self):
        return [self.y]


class Chain:
    def __init__(self, work):
        self.x, self.w, self.b = work.parameters
        self.length = work.length
        self.values = [np.empty_like(self.x) for _ in range(work.length + 1)]
        self.values[0][:] = self.x
        self.g, self.dw, self.db, self.product = (np.empty_like(self.x) for _ in range(4))

    def step(self):
        multiply, add, values, w, b = np.multiply, np.add, self.values, self.w, self.b
        for before, after in zip(values, values[1:]):
            multiply(before, w, after)
            add(after, b, after)
        g, dw, db, product = self.g, self.dw, self.db, self.product
        g[:], dw[:], db[:] = 1, 0, 0
        for before in values[-2::-1]:
            add(db, g, db)
            multiply(g, before, product)
            add(dw, product, dw)
            multiply(g, w, g)
        return float(np.add.reduce(values[-1]))

    def gradients(self):
        return [self.g, self.dw, self.db]
