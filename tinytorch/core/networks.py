"""Whole networks, put together from the layers and activations of modules 02 and 03."""

from itertools import pairwise

from tinytorch.core.activations import ReLU
from tinytorch.core.layers import Linear, Sequential

__all__ = ["Sequential", "create_mlp"]


def create_mlp(input_size, hidden_sizes, output_size, activation=ReLU):
    """A Sequential of Linear layers with an activation after each but the last.

    hidden_sizes: a number, or a list of numbers; an empty list gives one Linear layer.
    activation: what makes an activation when called, once for each hidden layer: a class, or `lambda: LeakyReLU(0.2)`.
    Raises: TypeError for an activation that cannot be called without arguments.
    """
    hidden = list(hidden_sizes) if hasattr(hidden_sizes, "__iter__") else [hidden_sizes]
    *pairs, last = pairwise([input_size, *hidden, output_size])
    layers = [layer for sizes in pairs for layer in (Linear(*sizes), _make(activation))]
    return Sequential(*layers, Linear(*last))


def _make(activation):
    try:
        return activation()
    except TypeError as error:
        what = "must make a layer when called without arguments; give a class, such as ReLU, without brackets"
        raise TypeError(f"create_mlp: activation {activation!r} {what}") from error
