# %% [markdown]
# # Module 01. Doubling
#
# Two functions on arrays.

# %%
#| default_exp core.double
#| export
import numpy as np

# %%
from tinytorch.testing import check, check_close

print(np.add([1, 2], [1, 2]), np.arange(3), np.negative([1]))

# %% [markdown]
# ## Part 3. Implementation
#
# ### Task 01-1. Twice


# %% nbgrader={"grade_id": "01-1", "solution": true}
#| export
def double(x):
    """Twice `x`, elementwise."""
    ### BEGIN SOLUTION
    return np.add(x, x)
    ### END SOLUTION


# %% nbgrader={"grade_id": "01-1-test", "points": 5}
def test_unit_double():
    check_close(double([1.0, 2.0]), [2.0, 4.0], "each value is doubled")
    check_close(double(-3.0), -6.0, "a negative number too")


test_unit_double()

# %% [markdown]
# ### Task 01-2. Four times


# %% nbgrader={"grade_id": "01-2", "solution": true}
#| export
def quadruple(x):
    """Four times `x`, elementwise, by doubling twice."""
    ### BEGIN SOLUTION
    return double(double(x))
    ### END SOLUTION


# %% nbgrader={"grade_id": "01-2-test", "points": 5}
def test_unit_quadruple():
    check_close(quadruple([1.0, 2.0]), [4.0, 8.0], "each value is taken four times")


test_unit_quadruple()

# %% tags=["measure"]
print("a measurement", quadruple(np.arange(3)))

# %% [markdown]
# ## Part 6. Module test


# %% nbgrader={"grade_id": "01-module"}
def test_module():
    test_unit_double()
    test_unit_quadruple()
    check(quadruple(1.0) == double(2.0), "both functions agree")


test_module()

# %% [markdown] nbgrader={"grade_id": "01-q1", "points": 5, "solution": true}
# Why does doubling twice give four times?
#
# ### BEGIN MARK SCHEME
# 5 points for 2 * 2 = 4.
# ### END MARK SCHEME
