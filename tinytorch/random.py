"""The one random generator behind every `rng=None`. NumPy's global generator is never touched."""

import numpy as np

default_generator = np.random.Generator(np.random.PCG64())


def chosen_generator(owner, rng):
    """`rng`, or the default generator for None. Raises: TypeError that begins with `owner` for anything else."""
    if rng is not None and not isinstance(rng, np.random.Generator):
        raise TypeError(f"{owner}: rng is {rng!r:.60}, a {type(rng).__name__}; try rng=np.random.default_rng(0)")
    return default_generator if rng is None else rng


def manual_seed(seed):
    """Start `default_generator` again from `seed`, so that what follows can be repeated; returns the generator."""
    default_generator.bit_generator.state = np.random.PCG64(seed).state
    return default_generator
