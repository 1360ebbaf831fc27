"""Losses, activations and metrics: one test for each promise, in the order in which they are promised."""

import inspect
import math
import re

import numpy as np
import pytest

from tests.library.conformance import require_signature
from tinytorch.core import activations, losses, metrics, training
from tinytorch.core.autograd import Variable
from tinytorch.core.tensor import Tensor
from tito.course import Course

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(5, 4))
CLASSES = np.array([2, 0, 3, 2, 1])


def tensor(values):
    """A float64 Tensor on the graph, so that results can be compared with formulas."""
    return Tensor(values, requires_grad=True, dtype=np.float64)


def gradient(loss, x, y):
    """The gradient of `loss(x, y)` in `x`, an array."""
    x = tensor(x)
    loss(x, y).backward()
    return x.grad.numpy()


def softmax64(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


LOG_SHARES = np.log(softmax64(SCORES))


def sigmoid64(x):
    return 1 / (1 + np.exp(-x))


def strictly():
    return np.errstate(all="raise", under="ignore")


# --- who builds what ---


@pytest.mark.parametrize(
    ("target", "number"), [("core.activations", 2), ("core.losses", 4), ("core.metrics", 7), ("core.training", 7)]
)
def test_each_file_is_built_by_its_module(target, number):
    assert Course.find().owners[target].number == number


# --- every loss ---

LOSSES = {
    "MeanSquaredError": (SCORES, RNG.normal(size=(5, 4))),
    "CrossEntropyLoss": (SCORES, CLASSES),
    "BinaryCrossEntropyLoss": (SCORES, (SCORES > 0.3).astype(float)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_made_without_arguments(name):
    require_signature(getattr(losses, name), "()")


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("method", ["__call__", "forward"])
def test_a_loss_is_called_or_its_forward_is(name, method):
    call = getattr(getattr(losses, name)(), method)
    require_signature(call, "(predictions, targets)")
    x, y = LOSSES[name]
    loss = call(Tensor(x), y)
    assert isinstance(loss, Tensor) and loss.shape == () and loss.item() > 0


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_on_the_graph_and_backward_works(name):
    loss, (x, y) = getattr(losses, name)(), LOSSES[name]
    step = 1e-6 * RNG.normal(size=x.shape)
    slope = (loss(tensor(x + step), y).item() - loss(tensor(x - step), y).item()) / 2
    assert loss(tensor(x), y).requires_grad
    assert np.vdot(gradient(loss, x, y), step) == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_of_float32_is_float32_and_of_float64_float64(name):
    loss, (x, y) = getattr(losses, name)(), LOSSES[name]
    assert loss(Tensor(x), y).dtype == loss(Tensor(x.astype(np.float16)), y).dtype == np.float32
    assert loss(Tensor(x, dtype=np.float64), y).dtype == np.float64


# --- MeanSquaredError ---


def test_mean_squared_error_and_its_alias():
    assert losses.MSELoss is losses.MeanSquaredError


def test_mean_squared_error_is_the_mean_over_all_elements():
    assert losses.MSELoss()(Tensor([[1.0, 2.0], [3.0, 4.0]]), Tensor([[1.0, 0.0], [0.0, 0.0]])).item() == 29 / 4
    x, y = LOSSES["MeanSquaredError"]
    np.testing.assert_allclose(gradient(losses.MSELoss(), x, y), 2 * (x - y) / 20, rtol=1e-12)


@pytest.mark.parametrize(("here", "there"), [((4, 1), (4,)), ((2, 3), (3, 2)), ((3,), ()), ((1, 3), (2, 3))])
def test_mean_squared_error_names_both_shapes_where_they_differ(here, there):
    with pytest.raises(ValueError) as caught:
        losses.MSELoss()(Tensor(np.zeros(here)), Tensor(np.zeros(there)))
    assert str(here) in str(caught.value) and str(there) in str(caught.value)


# --- CrossEntropyLoss ---


def test_cross_entropy_of_class_indices():
    p = softmax64(SCORES)
    loss = losses.CrossEntropyLoss()(tensor(SCORES), CLASSES)
    assert loss.item() == pytest.approx(-np.log(p[np.arange(5), CLASSES]).mean(), rel=1e-12)
    np.testing.assert_allclose(
        gradient(losses.CrossEntropyLoss(), SCORES, CLASSES), (p - np.eye(4)[CLASSES]) / 5, atol=1e-12
    )


def test_cross_entropy_of_one_hot_rows():
    loss = losses.CrossEntropyLoss()
    one_hot = np.eye(4)[CLASSES]
    assert loss(tensor(SCORES), one_hot).item() == pytest.approx(loss(tensor(SCORES), CLASSES).item(), rel=1e-12)
    np.testing.assert_allclose(gradient(loss, SCORES, one_hot), gradient(loss, SCORES, CLASSES), atol=1e-12)


def test_cross_entropy_of_soft_rows():
    shares, p = RNG.dirichlet(np.ones(4), size=5), softmax64(SCORES)
    loss = losses.CrossEntropyLoss()(tensor(SCORES), Tensor(shares, dtype=np.float64))
    assert loss.item() == pytest.approx(-(shares * np.log(p)).sum() / 5, rel=1e-12)
    got = gradient(losses.CrossEntropyLoss(), SCORES, Tensor(shares, dtype=np.float64))
    np.testing.assert_allclose(got, (p - shares) / 5, atol=1e-12)


@pytest.mark.parametrize("size", [1000.0, 1e30])
def test_cross_entropy_uses_log_sum_exp(size):
    x = Tensor([[size, -size], [-size, size]], requires_grad=True)
    with strictly():
        assert losses.CrossEntropyLoss()(x, [0, 1]).item() == 0
        loss = losses.CrossEntropyLoss()(x, [1, 0])
        loss.backward()
    assert loss.item() == pytest.approx(2 * size, rel=1e-6)
    np.testing.assert_allclose(x.grad.numpy(), [[0.5, -0.5], [-0.5, 0.5]])


@pytest.mark.parametrize("target", [2, [2], np.array(2), Tensor([2.0]), [0, 0, 1, 0]])
def test_cross_entropy_takes_logits_of_one_sample(target):
    x = SCORES[0]
    loss = losses.CrossEntropyLoss()(tensor(x), target)
    assert loss.shape == () and loss.item() == pytest.approx(-np.log(softmax64(x)[2]), rel=1e-12)


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.int64, np.float32, np.float64])
def test_cross_entropy_takes_whole_numbers_of_any_type(kind):
    loss = losses.CrossEntropyLoss()
    assert loss(tensor(SCORES), CLASSES.astype(kind)).item() == loss(tensor(SCORES), CLASSES).item()


@pytest.mark.parametrize("bad", [4, -1, 1000])
def test_cross_entropy_names_an_index_out_of_range(bad):
    with pytest.raises(ValueError, match=rf"(?<![\d-]){bad}\b"):
        losses.CrossEntropyLoss()(tensor(SCORES), np.array([0, 1, bad, 2, 3]))


@pytest.mark.parametrize("bad", [0.5, math.nan, math.inf])
def test_cross_entropy_names_an_index_that_is_no_class(bad):
    with pytest.raises(ValueError, match=str(bad)):
        losses.CrossEntropyLoss()(tensor(SCORES), np.array([0, 1, bad, 2, 3]))


@pytest.mark.parametrize("bad", [np.array([True] * 5), np.array(["1"] * 5), np.array([None] * 5)])
def test_cross_entropy_takes_nothing_else_for_classes(bad):
    with pytest.raises(ValueError, match=str(bad.dtype)):
        losses.CrossEntropyLoss()(tensor(SCORES), bad)


# --- BinaryCrossEntropyLoss ---


def test_binary_cross_entropy_and_its_alias():
    assert losses.BCEWithLogitsLoss is losses.BinaryCrossEntropyLoss


@pytest.mark.parametrize("shape", [(), (6,), (6, 1), (2, 3), (2, 3, 4)])
def test_binary_cross_entropy_takes_logits_of_any_shape(shape):
    x, y = RNG.normal(size=shape), RNG.uniform(size=shape)
    loss = losses.BinaryCrossEntropyLoss()(tensor(x), Tensor(y, dtype=np.float64))
    expected = np.mean(np.maximum(x, 0) - x * y + np.log1p(np.exp(-np.abs(x))))
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    got = gradient(losses.BinaryCrossEntropyLoss(), x, Tensor(y, dtype=np.float64))
    np.testing.assert_allclose(got, (sigmoid64(x) - y) / max(x.size, 1), atol=1e-12)


def test_binary_cross_entropy_of_labels():
    x = np.array([-2.0, 0.0, 3.0])
    loss = losses.BinaryCrossEntropyLoss()(tensor(x), np.array([0, 1, 1]))
    expected = -np.log([1 - sigmoid64(-2), 0.5, sigmoid64(3)]).mean()
    assert loss.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("size", [100.0, 1000.0])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_binary_cross_entropy_of_large_logits_does_not_overflow(size, kind):
    x = Tensor([size, -size], requires_grad=True, dtype=kind)
    with strictly():
        assert losses.BinaryCrossEntropyLoss()(x, [1, 0]).item() == pytest.approx(0, abs=1e-40)
        loss = losses.BinaryCrossEntropyLoss()(x, [0, 1])
        loss.backward()
    assert loss.item() == size
    np.testing.assert_allclose(x.grad.numpy(), [0.5, -0.5])


@pytest.mark.parametrize("label", [-0.25, 1.5, 2, math.nan])
def test_binary_cross_entropy_names_a_label_outside_of_0_to_1(label):
    with pytest.raises(ValueError, match=str(label)):
        losses.BinaryCrossEntropyLoss()(tensor(np.zeros(3)), np.array([0, label, 1]))


# --- the functional forms ---

FUNCTIONS = {
    "cross_entropy_loss": (SCORES, CLASSES, -np.log(softmax64(SCORES)[np.arange(5), CLASSES]).mean()),
    "mse_loss": (SCORES, np.ones((5, 4)), np.square(SCORES - 1).mean()),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_functional_loss_takes_predictions_and_targets(name):
    require_signature(getattr(losses, name), "(predictions, targets)")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_functional_loss_of_arrays_is_a_float(name):
    x, y, expected = FUNCTIONS[name]
    got = getattr(losses, name)(x, y)
    assert type(got) is float and got == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_functional_loss_of_tensors_is_a_tensor(name):
    x, y, expected = FUNCTIONS[name]
    got = getattr(losses, name)(tensor(x), Tensor(y))
    assert isinstance(got, Tensor) and got.requires_grad and got.item() == pytest.approx(expected, rel=1e-6)


# --- activations ---

CLASS_FORMS = ("ReLU", "Sigmoid", "Tanh", "GELU", "Softmax", "LeakyReLU")
FORMULAS = {
    "ReLU": lambda x: np.maximum(x, 0),
    "Sigmoid": sigmoid64,
    "Tanh": np.tanh,
    "GELU": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "Softmax": softmax64,
    "LeakyReLU": lambda x: np.where(x > 0, x, 0.01 * x),
}
FAR_OUT = {  # at 1000 and -1000
    "ReLU": [1000, 0],
    "Sigmoid": [1, 0],
    "Tanh": [1, -1],
    "GELU": [1000, 0],
    "Softmax": [1, 0],
    "LeakyReLU": [1000, -10],
}


@pytest.mark.parametrize("name", CLASS_FORMS)
def test_an_activation_is_a_class_made_without_arguments(name):
    layer = getattr(activations, name)()
    assert list(layer.parameters()) == []
    got = layer(tensor(SCORES))
    np.testing.assert_allclose(got.numpy(), FORMULAS[name](SCORES), rtol=1e-12)
    np.testing.assert_array_equal(layer.forward(tensor(SCORES)).numpy(), got.numpy())


@pytest.mark.parametrize("name", CLASS_FORMS)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_an_activation_is_stable_at_1000(name, kind):
    x = Tensor([1000.0, -1000.0], requires_grad=True, dtype=kind)
    with strictly():
        got = getattr(activations, name)()(x)
        got.sum().backward()
    assert got.dtype == kind
    np.testing.assert_allclose(got.numpy(), FAR_OUT[name], rtol=1e-6)
    assert np.isfinite(x.grad.numpy()).all()


@pytest.mark.parametrize(("name", "expected"), [("softmax", softmax64(SCORES)), ("log_softmax", LOG_SHARES)])
def test_softmax_and_log_softmax_as_functions(name, expected):
    function = getattr(activations, name)
    np.testing.assert_allclose(function(tensor(SCORES)).numpy(), expected, rtol=1e-12)
    assert next(iter(inspect.signature(function).parameters)) == "x"


@pytest.mark.parametrize(("name", "expected"), [("softmax", [1, 0]), ("log_softmax", [0, -2000])])
def test_softmax_and_log_softmax_are_stable_at_1000(name, expected):
    x = Tensor([1000.0, -1000.0], requires_grad=True)
    with strictly():
        got = getattr(activations, name)(x)
        got.sum().backward()
    np.testing.assert_array_equal(got.numpy(), expected)
    assert np.isfinite(x.grad.numpy()).all()


def test_the_gradient_of_relu_at_0_is_0():
    x = Tensor([-1.0, 0.0, 1.0], requires_grad=True)
    activations.ReLU()(x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [0, 0, 1])


# --- metrics ---

GUESSES = SCORES.argmax(axis=1)
HITS = float(np.mean(GUESSES == CLASSES))
METRICS = ("Accuracy", "Precision", "Recall", "F1", "MeanAbsoluteError", "ConfusionMatrix")
TWO_SCORES, TWO_CLASSES = np.array([0.9, 0.8, 0.3, 0.6, 0.2, 0.1]), np.array([1, 0, 1, 1, 0, 0])
TWO = {  # of 3 guesses 2 are right, of 3 members 2 were found, 4 of 6 are right
    "Accuracy": 4 / 6,
    "Precision": 2 / 3,
    "Recall": 2 / 3,
    "F1": 2 / 3,
    "MeanAbsoluteError": (0.1 + 0.8 + 0.7 + 0.4 + 0.2 + 0.1) / 6,
}


def test_accuracy_is_made_with_a_border_or_without():
    require_signature(metrics.Accuracy, "(from_logits=False)")
    require_signature(metrics.accuracy, "(predictions, targets)")


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_takes_predictions_first(name):
    require_signature(getattr(metrics, name)().__call__, "(y_pred, y_true)")


@pytest.mark.parametrize("name", TWO)
def test_a_metric_is_a_float(name):
    got = getattr(metrics, name)()(TWO_SCORES, TWO_CLASSES)
    assert type(got) is float and got == pytest.approx(TWO[name], rel=1e-12)


@pytest.mark.parametrize("name", TWO)
def test_a_metric_takes_tensors(name):
    got = getattr(metrics, name)()(Tensor(TWO_SCORES), Tensor(TWO_CLASSES))
    assert got == pytest.approx(TWO[name], rel=1e-6)


def test_a_confusion_matrix_counts_true_classes_in_rows():
    np.testing.assert_array_equal(metrics.ConfusionMatrix()(TWO_SCORES, TWO_CLASSES), [[2, 1], [1, 2]])


@pytest.mark.parametrize("name", ["Precision", "Recall", "F1"])
def test_a_ratio_of_two_classes_is_that_of_class_1(name):
    found = {"Precision": 1 / 2, "Recall": 1 / 3, "F1": 2 / 5}[name]  # one hit, two guesses, three members
    assert getattr(metrics, name)()(np.array([0.9, 0.8, 0.1, 0.2]), [1, 0, 1, 1]) == pytest.approx(found)


def test_accuracy_takes_the_largest_of_several_scores():
    assert metrics.Accuracy()(SCORES, CLASSES) == metrics.accuracy(SCORES, CLASSES) == HITS
    assert 0 < HITS < 1


def test_accuracy_takes_one_hot_rows():
    assert metrics.Accuracy()(SCORES, np.eye(4)[CLASSES]) == metrics.accuracy(SCORES, np.eye(4)[CLASSES]) == HITS


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
@pytest.mark.parametrize("flat", [True, False])
def test_accuracy_of_one_score_has_its_border_at_a_half(shape, flat):
    y = np.array([0, 0, 1, 1]).reshape(-1 if flat else shape)
    assert metrics.Accuracy()(np.array([-3.0, 0.49, 0.51, 7.0]).reshape(shape), y) == 1.0
    assert metrics.Accuracy()(np.array([0.51, 0.49, 0.49, 7.0]).reshape(shape), y) == 0.5


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_accuracy_of_one_logit_has_its_border_at_0(shape):
    x = np.array([-0.1, -3.0, 0.1, 0.4]).reshape(shape)
    assert metrics.Accuracy(from_logits=True)(x, [0, 0, 1, 1]) == 1.0
    assert metrics.Accuracy(from_logits=False)(x, [0, 0, 1, 1]) == 0.5


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_over_uneven_batches_is_exact(name):
    whole, streamed = getattr(metrics, name)(), getattr(metrics, name)()
    streamed.update(TWO_SCORES[:1] + 1, TWO_CLASSES[:1])
    streamed.reset()
    for rows in (slice(0, 1), slice(1, 5), slice(5, 6)):
        streamed.update(TWO_SCORES[rows], TWO_CLASSES[rows])
    np.testing.assert_allclose(streamed.compute(), whole(TWO_SCORES, TWO_CLASSES), rtol=1e-15)


@pytest.mark.parametrize("name", ["ConfusionMatrix", "Precision", "Recall", "F1"])
@pytest.mark.parametrize("cut", [1, 3, 5])
def test_a_metric_over_batches_with_other_classes_is_exact(name, cut):
    guesses, y = np.array([0, 1, 1, 3, 2, 0]), np.array([0, 1, 2, 3, 1, 0])
    for order in (slice(None), slice(None, None, -1)):  # from few classes to many, and from many to few
        streamed, (p, t) = getattr(metrics, name)(), (guesses[order], y[order])
        streamed.update(p[:cut], t[:cut])
        streamed.update(p[cut:], t[cut:])
        np.testing.assert_array_equal(streamed.compute(), getattr(metrics, name)()(p, t))


@pytest.mark.parametrize("name", ["Accuracy", "ConfusionMatrix", "F1"])
@pytest.mark.parametrize(("p", "y", "word"), [(np.eye(3), [0, 1, 3], "class 3"), ([2.0, 0.0], [2, 0], "class 2")])
def test_a_class_that_no_prediction_can_be_is_named(name, p, y, word):
    with pytest.raises(ValueError, match=f"{word} among the targets"):
        getattr(metrics, name)()(p, y)


def test_a_class_beyond_num_classes_is_named():
    with pytest.raises(ValueError, match="class 2, and num_classes is 2"):
        metrics.ConfusionMatrix(num_classes=2)(np.eye(3), [0, 1, 1])


def test_the_mean_of_batch_accuracies_would_not_be_exact():
    parts = [metrics.accuracy(TWO_SCORES[rows], TWO_CLASSES[rows]) for rows in (slice(0, 1), slice(1, 6))]
    assert np.mean(parts) != pytest.approx(TWO["Accuracy"])


# --- unwrapping ---


class Wrapped:
    """Something that keeps its numbers in `.data`."""

    def __init__(self, data):
        self.data = data


NUMBERS = np.array([[1.5, -2.0], [0.0, 4.0]])
WRAPPINGS = {
    "array": NUMBERS,
    "list": NUMBERS.tolist(),
    "memoryview": memoryview(NUMBERS),
    "Tensor": Tensor(NUMBERS),
    "Variable": Variable(NUMBERS, requires_grad=True),
    "result": Tensor(NUMBERS, requires_grad=True) * 1,
    "nested": Wrapped(Wrapped(Tensor(NUMBERS))),
    "around a memoryview": Wrapped(memoryview(NUMBERS)),
}
SCALARS = {
    "int": (3, 3.0),
    "float": (0.1, 0.1),
    "bool": (True, 1.0),
    "float32": (np.float32(0.1), float(np.float32(0.1))),
    "0-d array": (np.array(2.5), 2.5),
    "one element": (np.array([[2.5]]), 2.5),
    "Tensor": (Tensor([2.5]), 2.5),
    "Variable": (Variable(2.5), 2.5),
    "nested": (Wrapped(Wrapped(2.5)), 2.5),
    "memoryview": (memoryview(np.array([2.5])), 2.5),
}
NOT_NUMBERS = [  # and what the message names
    (None, "None"),
    ("three", "'three'"),
    (object(), "object"),
    ({"a": 1}, "{'a': 1}"),
    (["a", "b"], "'a'"),
    ([1.0, None], "None"),
    (len, "built-in function len"),
    (Wrapped(None), "Wrapped"),
    ([[1, 2], [3]], "[[1, 2], [3]]"),
]


@pytest.mark.parametrize("name", WRAPPINGS)
def test_extract_numpy_data_unwraps(name):
    got = metrics.extract_numpy_data(WRAPPINGS[name])
    assert isinstance(got, np.ndarray)
    np.testing.assert_array_equal(got, NUMBERS)


@pytest.mark.parametrize("name", SCALARS)
def test_get_tensor_value_and_extract_numpy_data_take_scalars(name):
    value, expected = SCALARS[name]
    got = metrics.get_tensor_value(value)
    assert type(got) is float and got == expected
    assert metrics.extract_numpy_data(value).size == 1


@pytest.mark.parametrize("helper", ["extract_numpy_data", "get_tensor_value"])
@pytest.mark.parametrize(("value", "word"), NOT_NUMBERS)
def test_what_cannot_be_unwrapped_is_a_type_error_and_nothing_is_printed(helper, value, word, capsys):
    with pytest.raises(TypeError, match=re.escape(word)):
        getattr(metrics, helper)(value)
    assert capsys.readouterr() == ("", "")


def test_get_tensor_value_of_several_numbers_is_a_type_error():
    with pytest.raises(TypeError, match=r"\(2, 2\)"):
        metrics.get_tensor_value(Tensor(NUMBERS))


# --- what core.training gives as well ---


@pytest.mark.parametrize("name", ["MeanSquaredError", "CrossEntropyLoss", "BinaryCrossEntropyLoss"])
def test_core_training_has_the_losses(name):
    assert getattr(training, name) is getattr(losses, name)


@pytest.mark.parametrize("name", ["Accuracy", "extract_numpy_data", "get_tensor_value"])
def test_core_training_has_accuracy_and_the_helpers(name):
    assert getattr(training, name) is getattr(metrics, name)
