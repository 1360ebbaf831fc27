"""tinytorch through its public names, as a user would write it."""

from itertools import cycle

from tinytorch.core.activations import ReLU
from tinytorch.core.layers import Linear, Sequential
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.optimizers import SGD
from tinytorch.core.tensor import Tensor


class Mlp:
    def __init__(self, work):
        layers = []
        for fan_in, fan_out in zip(work.sizes, work.sizes[1:]):
            layers += [Linear(fan_in, fan_out), ReLU()]
        self.model = Sequential(*layers[:-1])
        for parameter, values in zip(self.model.parameters(), work.parameters):
            parameter.data = values
        self.loss_fn = CrossEntropyLoss()
        self.optimizer = SGD(self.model.parameters(), lr=work.lr, momentum=work.momentum)
        self.batches = cycle([(Tensor(x), Tensor(y)) for x, y in work.batches])

    def step(self):
        x, y = next(self.batches)
        self.optimizer.zero_grad()
        loss = self.loss_fn(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def gradients(self):
        return [parameter.grad.data for parameter in self.model.parameters()]


class Chain:
    def __init__(self, work):
        self.leaves = [Tensor(values, requires_grad=True) for values in work.parameters]
        self.length = work.length

    def step(self):
        x, w, b = self.leaves
        x.grad = w.grad = b.grad = None
        y = x
        for _ in range(self.length):
            y = y * w
            y = y + b
        loss = y.sum()
        loss.backward()
        return loss.item()

    def gradients(self):
        return [leaf.grad.data for leaf in self.leaves]
