"""PyTorch on the processor, one thread, as a user would write it."""

from itertools import cycle

import torch

torch.set_num_threads(1)


def copy_into(model, work):
    with torch.no_grad():
        for parameter, values in zip(model.parameters(), work.parameters):
            parameter.copy_(torch.tensor(values))


class Classifier:
    """What the trained networks share."""

    def __init__(self, work, layers, optimizer, **options):
        self.model = torch.nn.Sequential(*layers)
        copy_into(self.model, work)
        self.loss_fn = torch.nn.CrossEntropyLoss()
        self.optimizer = optimizer(self.model.parameters(), lr=work.lr, **options)
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


class Mlp(Classifier):
    def __init__(self, work):
        layers = []
        for fan_in, fan_out in zip(work.sizes, work.sizes[1:]):
            layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
        super().__init__(work, layers[:-1], torch.optim.SGD, momentum=work.momentum)


class Cnn(Classifier):
    def __init__(self, work):
        layers = []
        for before, after in zip((1, *work.channels), work.channels):
            layers += [torch.nn.Conv2d(before, after, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2)]
        layers += [torch.nn.Flatten(), torch.nn.Linear(work.features, work.classes)]
        super().__init__(work, layers, torch.optim.Adam, betas=work.betas, eps=work.eps)


class LastState(torch.nn.Module):
    """An LSTM whose last state is classified."""

    def __init__(self, work):
        super().__init__()
        self.lstm = torch.nn.LSTM(work.inputs, work.hidden, batch_first=True)
        self.head = torch.nn.Linear(work.hidden, work.classes)

    def forward(self, x):
        _, (h, _) = self.lstm(x)
        return self.head(h[0])


class Lstm(Classifier):
    def __init__(self, work):
        super().__init__(work, [LastState(work)], torch.optim.SGD)
        self.clip = work.clip

    def step(self):
        x, y = next(self.batches)
        self.optimizer.zero_grad()
        loss = self.loss_fn(self.model(x), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        return loss.item()


class Convolution:
    def __init__(self, work):
        self.layer = torch.nn.Conv2d(work.shape[1], work.out, 3, padding=1)
        copy_into(self.layer, work)
        self.x = torch.tensor(work.x)

    def step(self):
        with torch.no_grad():
            self.y = self.layer(self.x)
        return self.y[-1, -1, -1, -1].item()

    def gradients(self):
        return [self.y.numpy()]


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
