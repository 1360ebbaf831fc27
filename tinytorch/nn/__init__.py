"""Layers, activations and losses under the names that PyTorch gives them; the modules of the course define them.

First values for weights are functions of a shape, `tinytorch.core.layers.kaiming` and its like; there is no `nn.init`.
Of recurrent networks only the cells are here; their third argument is `output_size`. `RNN`, `LSTM` and `GRU` of
`tinytorch.core.recurrent` differ from PyTorch's: the batch comes first, they give one Tensor and not a pair, and may
have a readout. Weights travel both ways.
`MultiHeadAttention` has the weights of PyTorch's `MultiheadAttention` and not its name, for its masks mean the contrary
(True may attend), batches come first, and it returns the result alone. PyTorch has no `RelationalMemory`.
"""

from tinytorch._lazy import lazy

_NAMES = {
    "tinytorch.core.layers": ("Module", "Parameter", "ModuleList", "Sequential", "Linear", "Dropout", "Flatten"),
    "tinytorch.core.spatial": (
        *("Conv2d", "MaxPool2d", "AvgPool2d"),
        *("BatchNorm1d", "BatchNorm2d", "LayerNorm", "GroupNorm"),
    ),
    "tinytorch.core.recurrent": ("RNNCell", "LSTMCell", "GRUCell"),
    "tinytorch.core.attention": ("MultiHeadAttention",),
    "tinytorch.core.relational": ("RelationalMemory",),
    "tinytorch.core.activations": ("ReLU", "LeakyReLU", "Sigmoid", "Tanh", "GELU", "Softmax"),
    "tinytorch.core.losses": (
        *("MSELoss", "CrossEntropyLoss", "BCEWithLogitsLoss"),
        *("MeanSquaredError", "BinaryCrossEntropyLoss"),  # the names they have in the course
    ),
}
_SUBMODULES = ("functional",)
__getattr__, __dir__, __all__ = lazy(globals(), _NAMES, _SUBMODULES)
