"""The floor: each workload by hand in NumPy, with buffers made once and no framework.

The parameters are arrays of their own, as in every peer; everything else may be as fast as NumPy allows.
"""

from itertools import cycle

import numpy as np


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
        """The mean cross-entropy of the last outputs; leaves its gradient in the last of `deltas`."""
        z, p, column = self.outputs[-1], self.deltas[-1], self.column
        np.maximum.reduce(z, 1, None, column, True)
        np.subtract(z, column, z)
        np.exp(z, p)
        np.add.reduce(p, 1, None, column, True)
        picked = z[self.rows, y]
        np.multiply(p, self.scale / column, p)
        p[self.rows, y] -= self.scale
        return float(np.add.reduce(np.log(column[:, 0]) - picked)) * float(self.scale)

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
