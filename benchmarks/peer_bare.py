"""The same tape with every check left out: what the calls of Python and NumPy cost on this machine, and what checks do.

Layers, losses, a loop over rules and an optimizer as in tinytorch, but no shape, type or index is looked at, no written
value is noticed, no array is copied for safety, and there is one type of number and one form of every argument.
"""

from itertools import cycle

import numpy as np


class Node:
    """An array, and how it was computed: a rule, what it needs, and the nodes it was computed from."""

    __slots__ = ("data", "grad", "inputs", "needs_grad", "rule", "saved")

    def __init__(self, data, needs_grad=False, rule=None, inputs=(), saved=None):
        self.data, self.grad, self.needs_grad = data, None, needs_grad
        self.rule, self.inputs, self.saved = rule, inputs, saved

    def backward(self):
        uses, waiting = {}, [self]
        while waiting:
            for x in waiting.pop().inputs:
                if x.needs_grad:
                    if x in uses:
                        uses[x] += 1
                    else:
                        uses[x] = 1
                        waiting.append(x)
        self.grad, ready = np.ones_like(self.data), [self]
        while ready:
            node = ready.pop()
            for x, dx in zip(node.inputs, node.rule(node.grad, node, *node.inputs)):
                if x.needs_grad:
                    x.grad = dx if x.grad is None else x.grad + dx
                    uses[x] -= 1
                    if not uses[x] and x.rule:
                        ready.append(x)
            node.inputs, node.grad = (), None


# --- operations, each below its rule ---


def multiply_rule(g, node, a, b):
    return g * b.data, g * a.data


def multiply(a, b):
    return Node(a.data * b.data, True, multiply_rule, (a, b))


def add_rule(g, node, a, b):
    return g, g


def add(a, b):
    return Node(a.data + b.data, True, add_rule, (a, b))


def total_rule(g, node, x):
    return (np.broadcast_to(g, x.data.shape),)


def total(x):
    return Node(x.data.sum(), True, total_rule, (x,))


def linear_rule(g, node, x, weight, bias):
    dx = g @ weight.data if x.needs_grad else None
    return dx, g.T @ x.data, node.saved @ g


def linear(x, weight, bias, ones):
    y = x.data @ weight.data.T
    y += bias.data
    return Node(y, True, linear_rule, (x, weight, bias), ones)


def relu_rule(g, node, x):
    return (g * np.sign(node.data),)


def relu(x):
    return Node(np.maximum(x.data, 0), True, relu_rule, (x,))


def cross_entropy_rule(g, node, logits):
    p, rows, labels = node.saved
    share = g / len(p)
    dx = p * share
    dx[rows, labels] -= share
    return (dx,)


def cross_entropy(logits, labels, rows):
    z = logits.data - logits.data.max(axis=1, keepdims=True)
    p = np.exp(z)
    sums = p.sum(axis=1, keepdims=True)
    p /= sums
    loss = (np.log(sums[:, 0]) - z[rows, labels]).mean()
    return Node(loss, True, cross_entropy_rule, (logits,), (p, rows, labels))


# --- the workloads ---


class Mlp:
    def __init__(self, work):
        self.parameters = [Node(values.copy(), True) for values in work.parameters]
        self.velocities = [np.zeros_like(p.data) for p in self.parameters]
        self.layers = list(zip(self.parameters[0::2], self.parameters[1::2]))
        self.rows, self.ones = np.arange(work.batch), np.ones(work.batch, dtype=np.float32)
        self.lr, self.momentum = work.lr, work.momentum
        self.batches = cycle([(Node(x), y) for x, y in work.batches])

    def step(self):
        x, y = next(self.batches)
        for parameter in self.parameters:
            parameter.grad = None
        *hidden, last = self.layers
        for weight, bias in hidden:
            x = relu(linear(x, weight, bias, self.ones))
        loss = cross_entropy(linear(x, *last, self.ones), y, self.rows)
        loss.backward()
        for parameter, velocity in zip(self.parameters, self.velocities):
            velocity *= self.momentum
            velocity += parameter.grad
            parameter.data -= self.lr * velocity
        return loss.data.item()

    def gradients(self):
        return [parameter.grad for parameter in self.parameters]


class Chain:
    def __init__(self, work):
        self.leaves = [Node(values, True) for values in work.parameters]
        self.length = work.length

    def step(self):
        x, w, b = self.leaves
        x.grad = w.grad = b.grad = None
        y = x
        for _ in range(self.length):
            y = add(multiply(y, w), b)
        loss = total(y)
        loss.backward()
        return loss.data.item()

    def gradients(self):
        return [leaf.grad for leaf in self.leaves]
