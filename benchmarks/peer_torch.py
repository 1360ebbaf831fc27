"""PyTorch on the processor, one thread, as a user would write it."""

from itertools import cycle

import torch

torch.set_num_threads(1)


class Mlp:
    def __init__(self, work):
        layers = []
        for fan_in, fan_out in zip(work.sizes, work.sizes[1:]):
            layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
        self.model = torch.nn.Sequential(*layers[:-1])
        with torch.no_grad():
            for parameter, values in zip(self.model.parameters(), work.parameters):
                parameter.copy_(torch.tensor(values))
        self.loss_fn = torch.nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=work.lr, momentum=work.momentum)
        self.batches = cycle([(torch.tensor(x), torch.tensor(y)) for x, y in work.batches])

    def step(self):
        x, y = next(self.batches)
        self.optimizer.zero_grad()
        loss = self.loss_fn(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def gradients(self):
        return [parameter.grad.numpy() for parameter in self.model.parameters()]


class Chain:
    def __init__(self, work):
        self.leaves = [torch.tensor(values, requires_grad=True) for values in work.parameters]
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
        return [leaf.grad.numpy() for leaf in self.leaves]
