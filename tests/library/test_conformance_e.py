"""Sequences: promised names and defaults, and the one protocol of all networks that read them.

What they compute is compared in test_recurrent.py, test_attention.py, test_relational.py and test_reasoning.py.
"""

import numpy as np
import pytest

from tests.library.conformance import require_signature
from tinytorch import datasets
from tinytorch.core import attention, recurrent, relational
from tinytorch.core.tensor import Tensor
from tito.course import Course

LAYERS = (recurrent.RNN, recurrent.LSTM, recurrent.GRU, relational.RelationalRNN)
CELLS = (recurrent.RNNCell, recurrent.LSTMCell, recurrent.GRUCell)


@pytest.mark.parametrize(
    ("target", "number"), [("core.recurrent", 10), ("core.attention", 11), ("core.relational", 12)]
)
def test_each_file_is_built_by_its_module(target, number):
    assert Course.find().owners[target].number == number


@pytest.mark.parametrize(
    ("function", "text"),
    [
        *((kind, "(input_size, hidden_size, output_size=None)") for kind in (*CELLS, *LAYERS)),
        (attention.scaled_dot_product_attention, "(q, k, v, mask=None)"),
        (attention.MultiHeadAttention, "(embed_dim, num_heads)"),
        (
            relational.RelationalMemory,
            "(mem_slots, head_size, num_heads=1, num_blocks=1, forget_bias=1.0, input_bias=0.0, gate_style='unit', "
            "attention_mlp_layers=2, key_size=None)",
        ),
        (datasets.object_tracking, "(n=1000, seq_len=15, n_objects=3, grid_size=5)"),
        (datasets.pair_matching, "(n=1000, seq_len=10, vocab_size=20)"),
        (datasets.babi_simple, "(n=1000, max_facts=5, n_entities=5, n_locations=4)"),
        (datasets.nth_farthest, "(n=1000)"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_signatures(function, text):
    require_signature(function, text)


@pytest.mark.parametrize("kind", [*CELLS, *LAYERS])
def test_one_protocol(kind):
    model, X = kind(3, 4, 2, rng=np.random.default_rng(0)), Tensor(np.zeros((5, 6, 3)))
    require_signature(kind.forward, "(self, X, return_sequences=False)" if kind in LAYERS else "(self, x)")
    assert model(X).shape == (5, 2) and model(X, return_sequences=True).shape == (5, 6, 2)
    params = model.get_params()
    model.set_params({name: value + 1 for name, value in params.items()})
    assert all((model.get_params()[name] == value + 1).all() for name, value in params.items())
