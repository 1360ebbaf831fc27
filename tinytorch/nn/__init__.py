"""Layers, activations and losses under the names that PyTorch gives them; the modules of the course define them.

First values for weights are functions of a shape, `tinytorch.core.layers.kaiming` and its like; there is no `nn.init`.
"""

from tinytorch._lazy import lazy

_NAMES = {
    "tinytorch.core.layers": ("Module", "Parameter", "ModuleList", "Sequential", "Linear", "Dropout", "Flatten"),
    "tinytorch.core.spatial": (
        *("Conv2d", "MaxPool2d", "AvgPool2d"),
        *("BatchNorm1d", "BatchNorm2d", "LayerNorm", "GroupNorm"),
    ),
    "tinytorch.core.activations": ("ReLU", "LeakyReLU", "Sigmoid", "Tanh", "GELU", "Softmax"),
    "tinytorch.core.losses": (
        *("MSELoss", "CrossEntropyLoss", "BCEWithLogitsLoss"),
        *("MeanSquaredError", "BinaryCrossEntropyLoss"),  # the names they have in the course
    ),
}
_SUBMODULES = ("functional",)
__getattr__, __dir__, __all__ = lazy(globals(), _NAMES, _SUBMODULES)
