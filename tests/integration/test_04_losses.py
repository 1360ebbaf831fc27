"""Losses on real data and real networks. `tito module complete` runs this on the student's package."""

import numpy as np
import pytest

from tinytorch.core.activations import ReLU, log_softmax
from tinytorch.core.layers import Linear, Parameter, Sequential
from tinytorch.core.losses import (
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    MSELoss,
    cross_entropy_loss,
    mse_loss,
    negative_log_likelihood,
)
from tinytorch.core.tensor import Tensor
from tinytorch.datasets import digits_split, load_digits
from tinytorch.random import manual_seed

LOSSES = {"cross_entropy": CrossEntropyLoss(), "mean_squared_error": MSELoss()}
LOSSES["binary_cross_entropy_with_logits"] = BCEWithLogitsLoss()


def digits(count=200):
    images, labels = load_digits()
    train, _ = digits_split()
    return images[train[:count]].reshape(-1, 64) / 16, labels[train[:count]]


def network(seed=0):
    manual_seed(seed)
    return Sequential(Linear(64, 32), ReLU(), Linear(32, 10))


def test_a_new_network_loses_about_the_logarithm_of_the_number_of_classes():
    x, t = digits()
    for seed in range(3):
        assert abs(CrossEntropyLoss()(network(seed)(Tensor(x)), t).item() - np.log(10)) < 0.2


def test_every_loss_leads_from_one_number_to_every_parameter():
    x, t = digits()
    one_hot = np.eye(10, dtype=np.float32)[t]
    for name, loss in LOSSES.items():
        model = network()
        result = loss(model(Tensor(x)), one_hot)
        assert result.shape == () and result.dtype == np.float32 and result.requires_grad
        assert result.receipt.operation == name
        found, waiting = set(), [result]
        while waiting:
            y = waiting.pop()
            if isinstance(y, Parameter):
                found.add(y)
            elif isinstance(y, Tensor) and y.receipt:
                waiting += y.receipt.inputs
        assert found == set(model.parameters())
        assert loss.forward(model(Tensor(x)), one_hot).item() == result.item()


def test_labels_may_come_in_any_form():
    x, t = digits(40)
    logits = network()(Tensor(x))
    expected = negative_log_likelihood(log_softmax(logits), t).item()
    forms = [t, t.tolist(), t.astype(np.uint8), t.astype(np.float32), Tensor(t), Tensor(t.tolist()), np.eye(10)[t]]
    for targets in forms:
        assert CrossEntropyLoss()(logits, targets).item() == pytest.approx(expected, rel=1e-5)
    assert cross_entropy_loss(logits.numpy(), t) == pytest.approx(expected, rel=1e-5)
    singles = [CrossEntropyLoss()(row, label).item() for row, label in zip(logits, t, strict=True)]
    assert np.mean(singles) == pytest.approx(expected, rel=1e-5)


def test_the_kept_probabilities_make_a_step_that_lowers_the_loss():
    x, t = digits()
    model, loss = Linear(64, 10), CrossEntropyLoss()
    model.weight.data, model.bias.data = np.zeros((10, 64)), np.zeros(10)
    losses = []
    for _ in range(30):
        result = loss(model(Tensor(x)), t)
        losses.append(result.item())
        difference = (result.receipt.saved - np.eye(10)[t]) / len(t)  # (B, 10)
        model.weight.data = model.weight.data - difference.T @ x
        model.bias.data = model.bias.data - difference.sum(axis=0)
    assert losses[0] == pytest.approx(np.log(10), rel=1e-5)
    assert all(b < a for a, b in zip(losses, losses[1:], strict=False))
    assert losses[-1] < 0.8


def test_wild_logits_are_ordinary_numbers():
    x, t = digits()
    logits = network()(Tensor(x * 1e6))
    with np.errstate(all="raise", under="ignore"):
        for loss in (CrossEntropyLoss(), BCEWithLogitsLoss()):
            assert np.isfinite(loss(logits, np.eye(10)[t]).item())


def test_what_does_not_fit_is_an_error_that_names_it():
    x, t = digits(4)
    logits = network()(Tensor(x))
    t[2] = 10
    with pytest.raises(ValueError, match=r"10.*row 2.*10 classes"):
        CrossEntropyLoss()(logits, t)
    with pytest.raises(ValueError, match=r"\(4, 10\).*\(3,\)"):
        CrossEntropyLoss()(logits, t[:3])
    with pytest.raises(ValueError, match=r"\(4, 1\).*\(4,\)"):
        MSELoss()(logits[:, :1], t)
    with pytest.raises(ValueError, match=r"1\.5"):
        BCEWithLogitsLoss()(logits[0], [0.0] * 9 + [1.5])
    with pytest.raises(ValueError, match=r"\(0, 10\)"):
        CrossEntropyLoss()(logits[:0], t[:0])
    assert mse_loss([1.0, 2.0], [1.0, 4.0]) == 2.0
