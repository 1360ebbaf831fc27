"""Trains every optimizer under every schedule, to be stopped and resumed: `python resume.py straight|stop|go FOLDER`.

Each mode runs in a process of its own and leaves `MODE.npz` with the parameters, moments and history at its end.
"""

import sys
from pathlib import Path

import numpy as np

from tinytorch.core.activations import ReLU
from tinytorch.core.layers import Dropout, Linear, Sequential
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.optimizers import SGD, Adagrad, Adam, AdamW, Lion, RMSprop
from tinytorch.core.training import (
    CosineSchedule,
    ExponentialDecay,
    LinearWarmup,
    MixedPrecisionTrainer,
    SequentialSchedule,
    StepDecay,
    Trainer,
)
from tinytorch.datasets import load_digits
from tinytorch.random import default_generator, manual_seed

EPOCHS = 2
OPTIMIZERS = {
    "sgd": lambda params: SGD(params, lr=0.1, weight_decay=1e-3),
    "momentum": lambda params: SGD(params, lr=0.05, momentum=0.9, nesterov=True),
    "rmsprop": lambda params: RMSprop(params, lr=1e-3, momentum=0.5, centered=True),
    "adam": lambda params: Adam(params, lr=3e-3),
    "adamw": lambda params: AdamW(params, lr=3e-3),
    "adagrad": lambda params: Adagrad(params, lr=0.02, lr_decay=1e-3),
    "lion": lambda params: Lion(params, lr=1e-3),
    "groups": lambda params: Adam([{"params": [p], "lr": 1e-3 * (i + 1)} for i, p in enumerate(params)]),
}
SCHEDULES = {
    "none": lambda: None,
    "cosine": lambda: CosineSchedule(0.05, 0.001, 2 * EPOCHS),
    "steps": lambda: StepDecay(0.05, 1, gamma=0.5),
    "exponential": lambda: ExponentialDecay(0.05, 0.7),
    "warmup": lambda: LinearWarmup(CosineSchedule(0.05, 0.001, 2 * EPOCHS), 2),
    "chained": lambda: SequentialSchedule([ExponentialDecay(0.01, 2), CosineSchedule(0.02, 0.001, 3)], [1]),
}
IMAGES, LABELS = load_digits()
X, Y = IMAGES[:200].reshape(-1, 64) / 16, LABELS[:200]


class Shuffled:
    """Batches of 32 in an order that the default generator draws anew for each epoch."""

    def __iter__(self):
        order = default_generator.permutation(len(X))
        return ((X[rows], Y[rows]) for rows in np.array_split(order, 7))


def trainer(optimizer, schedule, seed):
    """A run with everything in it; under a warm-up in half precision, whose scale is still being searched for."""
    manual_seed(seed)
    model = Sequential(Linear(64, 16), ReLU(), Dropout(0.2), Linear(16, 10))
    kind = MixedPrecisionTrainer if schedule == "warmup" else Trainer
    made = OPTIMIZERS[optimizer](model.parameters())
    run = kind(model, made, CrossEntropyLoss(), scheduler=SCHEDULES[schedule](), grad_clip_norm=1.0)
    if schedule == "warmup":
        run.scaler.scale, run.scaler.growth_interval = 2.0**20, 2
    return run


def accumulation_steps(schedule):
    """Seven batches make groups of three, three and one."""
    return 3 if schedule in ("cosine", "warmup") else 1


def state(run):
    """Everything that training moves, as arrays."""
    scaler = vars(run.scaler) if hasattr(run, "scaler") else {}
    arrays = {f"scaler.{name}": np.asarray(value) for name, value in scaler.items()}
    arrays |= {f"model.{name}": value for name, value in run.model.state_dict().items()}
    for index, moments in run.optimizer.state_dict()["state"].items():
        arrays |= {f"optimizer.{index}.{name}": np.asarray(value) for name, value in moments.items()}
    return arrays | {f"history.{name}": np.asarray(values) for name, values in run.history.items()}


def main(mode, folder):
    results = {}
    for optimizer in OPTIMIZERS:
        for schedule in SCHEDULES:
            run = trainer(optimizer, schedule, seed=99 if mode == "go" else 0)
            path = folder / f"{optimizer}-{schedule}.pkl"
            if mode == "go":
                run.load_checkpoint(path)
            epochs = 2 * EPOCHS if mode == "straight" else EPOCHS
            held_out, steps = [(X[:50], Y[:50])], accumulation_steps(schedule)
            run.fit(Shuffled(), held_out, epochs=epochs, verbose=False, accumulation_steps=steps)
            if mode == "stop":
                run.save_checkpoint(path)
            results |= {f"{optimizer}-{schedule}.{name}": value for name, value in state(run).items()}
    np.savez(folder / f"{mode}.npz", **results)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
