"""The one random generator behind every `rng=None`. NumPy's global generator is never touched."""

import numpy as np

default_generator = np.random.Generator(np.random.PCG64())


def manual_seed(seed):
    """Start `default_generator` again from `seed`, so that what follows can be repeated; returns the generator."""
    default_generator.bit_generator.state = np.random.PCG64(seed).state
    return default_generator
