"""tinytorch with its Trainer: a whole round is one epoch, so that counting, accuracy and history are paid for, too."""

from itertools import islice

import peer_tinytorch

from tinytorch.core.training import Trainer


class Mlp(peer_tinytorch.Mlp):
    def __init__(self, work):
        super().__init__(work)
        self.trainer = Trainer(self.model, self.optimizer, self.loss_fn)

    def step(self):
        return self.trainer.train_step(*next(self.batches))[0]

    def steps(self, count):
        self.trainer.train_epoch(list(islice(self.batches, count)))
