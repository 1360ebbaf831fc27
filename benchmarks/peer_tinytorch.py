"""tinytorch through its public names, as a user would write it."""

from itertools import cycle

from tinytorch.core.activations import ReLU
from tinytorch.core.autograd import no_grad
from tinytorch.core.layers import Flatten, Linear, Sequential
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.optimizers import SGD, Adam
from tinytorch.core.recurrent import LSTM
from tinytorch.core.spatial import Conv2d, MaxPool2d
from tinytorch.core.tensor import Tensor
from tinytorch.core.training import clip_grad_norm


class Classifier:
    """What the trained networks share."""

    def __init__(self, work, layers, optimizer, **options):
        self.model = Sequential(*layers)
        for parameter, values in zip(self.model.parameters(), work.parameters):
            parameter.data = values
        self.loss_fn = CrossEntropyLoss()
        self.optimizer = optimizer(self.model.parameters(), lr=work.lr, **options)
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


class Mlp(Classifier):
    def __init__(self, work):
        layers = []
        for fan_in, fan_out in zip(work.sizes, work.sizes[1:]):
            layers += [Linear(fan_in, fan_out), ReLU()]
        super().__init__(work, layers[:-1], SGD, momentum=work.momentum)


class Cnn(Classifier):
    def __init__(self, work):
        layers = []
        for before, after in zip((1, *work.channels), work.channels):
            layers += [Conv2d(before, after, 3, padding=1), ReLU(), MaxPool2d(2)]
        layers += [Flatten(), Linear(work.features, work.classes)]
        super().__init__(work, layers, Adam, betas=work.betas, eps=work.eps)


class Lstm(Classifier):
    def __init__(self, work):
        super().__init__(work, [LSTM(work.inputs, work.hidden, work.classes)], SGD)
        self.clip = work.clip

    def step(self):
        x, y = next(self.batches)
        self.optimizer.zero_grad()
        loss = self.loss_fn(self.model(x), y)
        loss.backward()
        clip_grad_norm(self.model.parameters(), self.clip)
        self.optimizer.step()
        return loss.item()


class Convolution:
    def __init__(self, work):
        self.layer = Conv2d(work.shape[1], work.out, 3, padding=1)
        for parameter, values in zip(self.layer.parameters(), work.parameters):
            parameter.data = values
        self.x = Tensor(work.x)

    def step(self):
        with no_grad():
            self.y = self.layer(self.x)
        return self.y.data[-1, -1, -1, -1].item()

    def gradients(self):
        return [self.y.data]


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
