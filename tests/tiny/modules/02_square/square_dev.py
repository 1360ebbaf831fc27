# %% [markdown]
# # Module 02. Squares
#
# One function that uses module 01.

# %%
#| default_exp core.square
#| export
import numpy as np

from tinytorch.core.double import double

# %%
from tinytorch.testing import check_close

print(double(2), np.multiply([1, 2], [3, 4]))

# %% [markdown]
# ## Part 3. Implementation
#
# ### Task 02-1. Squares


# %% nbgrader={"grade_id": "02-1", "solution": true}
#| export
def twice_the_square(x):
    """`2 * x * x`, elementwise."""
    ### BEGIN SOLUTION
    return double(np.multiply(x, x))
    ### END SOLUTION


# %% nbgrader={"grade_id": "02-1-test", "points": 5}
def test_unit_twice_the_square():
    check_close(twice_the_square([1.0, 3.0]), [2.0, 18.0], "squared, then doubled")


test_unit_twice_the_square()

# %% [markdown]
# ## Part 6. Module test


# %% nbgrader={"grade_id": "02-module"}
def test_module():
    test_unit_twice_the_square()
    check_close(twice_the_square(double(1.0)), 8.0, "together with module 01")


test_module()
