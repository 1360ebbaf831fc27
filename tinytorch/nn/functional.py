"""Functions of Tensors under the names that PyTorch gives them; the modules of the course define them.

`dropout` is missing on purpose: PyTorch's draws its own random numbers and has to be told whether the model is being
trained. Here the layer `nn.Dropout` knows that, and `tinytorch.core.layers.dropout(x, mask=...)` is given its mask.

`scaled_dot_product_attention` takes truth values as its mask, True may attend, as PyTorch's does; the argument is
called `mask`, and numbers to be added to the scores are refused.
"""

from tinytorch._lazy import lazy

_NAMES = {
    "tinytorch.core.layers": ("linear",),
    "tinytorch.core.activations": (
        *("relu", "leaky_relu", "sigmoid", "tanh", "gelu", "softplus"),
        *("softmax", "log_softmax"),
    ),
    "tinytorch.core.spatial": (
        *("conv2d", "max_pool2d", "avg_pool2d"),
        *("batch_norm", "layer_norm", "group_norm"),
    ),
    "tinytorch.core.attention": ("scaled_dot_product_attention",),
    "tinytorch.core.losses": ("mse_loss", "cross_entropy", "binary_cross_entropy_with_logits"),
}
__getattr__, __dir__, __all__ = lazy(globals(), _NAMES)
