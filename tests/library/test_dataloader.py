"""Loaders beside PyTorch's, and what must hold for any data, any sizes, any seed."""

import json
import subprocess
import sys
import textwrap
import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytorch.core.dataloader import (
    Compose,
    DataLoader,
    Dataset,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    Subset,
    TensorDataset,
    collate,
    prefetched,
    random_split,
    shuffled_stream,
)
from tinytorch.core.tensor import Tensor
from tinytorch.random import manual_seed

SIZES = st.tuples(st.integers(0, 40), st.integers(1, 12), st.booleans())


def rng(seed=0):
    return np.random.default_rng(seed)


class Numbers(Dataset):
    """Sample i is (i, [10 i, 10 i + 1])."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return index, np.array([10.0 * index, 10.0 * index + 1])


class Jitter:
    """Adds noise, so that every number of a batch depends on its generator."""

    def __call__(self, x, rng=None):
        return x + rng.normal(size=x.shape)


def inputs(batches):
    return [x.data.tolist() for x, _ in batches]


# --- beside PyTorch --------------------------------------------------------------------------------------------------


@given(SIZES)
def test_batches_in_order_are_those_of_pytorch(sizes):
    torch_data = pytest.importorskip("torch.utils.data", reason="PyTorch is optional")
    total, size, drop_last = sizes
    theirs = torch_data.DataLoader(Numbers(total), size, drop_last=drop_last)
    ours = DataLoader(Numbers(total), size, drop_last=drop_last)
    assert len(ours) == len(theirs)
    pairs = list(zip(ours, theirs, strict=True))
    assert len(pairs) == len(ours)
    for (x, y), (a, b) in pairs:
        np.testing.assert_array_equal(x.data, a.numpy())
        np.testing.assert_array_equal(y.data, b.numpy())
        assert x.dtype == a.numpy().dtype, "classes keep their type"


@given(SIZES, st.integers(0, 2**32))
def test_a_shuffled_epoch_has_the_batches_of_pytorch_in_another_order(sizes, seed):
    torch_data = pytest.importorskip("torch.utils.data", reason="PyTorch is optional")
    total, size, drop_last = sizes
    theirs = torch_data.DataLoader(list(range(total)), size, shuffle=total > 0, drop_last=drop_last)
    ours = DataLoader(list(range(total)), size, shuffle=True, drop_last=drop_last, rng=rng(seed))
    mine = [batch.data.astype(int).tolist() for batch in ours]
    assert [len(batch) for batch in mine] == [len(batch) for batch in theirs]
    flat = sum(mine, [])
    assert len(flat) == len(set(flat)) and set(flat) <= set(range(total))


@pytest.mark.filterwarnings("ignore:Length of split")  # PyTorch warns of an empty part
@given(
    st.integers(1, 60),
    st.lists(st.sampled_from([0.1, 0.2, 0.25, 1 / 3, 0.5, 0.05]), min_size=1, max_size=4).filter(lambda f: sum(f) < 1),
)
def test_fractions_are_rounded_as_in_pytorch(total, fractions):
    torch_data = pytest.importorskip("torch.utils.data", reason="PyTorch is optional")
    fractions = [*fractions, 1 - sum(fractions)]
    theirs = torch_data.random_split(range(total), fractions)
    assert [len(part) for part in random_split(range(total), fractions)] == [len(part) for part in theirs]


def test_nested_samples_are_collated_as_in_pytorch():
    torch_data = pytest.importorskip("torch.utils.data", reason="PyTorch is optional")
    samples = [((i, np.full(2, i)), float(i), np.float32(i)) for i in range(3)]
    (a, b), c, d = collate(samples)
    (p, q), r, s = torch_data.default_collate(samples)
    for mine, theirs in zip((a, b, c, d), (p, q, r, s), strict=True):
        np.testing.assert_array_equal(mine, theirs.numpy())
        assert mine.dtype == theirs.numpy().dtype


@pytest.mark.parametrize(
    "arguments", [{"batch_size": 0}, {"batch_size": -1}, {"batch_size": 2.5}, {"batch_size": True}, {"prefetch": -1}]
)
def test_sizes_that_are_none_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        DataLoader(range(5), **arguments)


# --- an order from a seed --------------------------------------------------------------------------------------------


@given(SIZES, st.integers(0, 2**63 - 1), st.integers(0, 3))
def test_the_same_seed_gives_the_same_epochs_however_many_are_ahead(sizes, seed, ahead):
    total, size, drop_last = sizes
    runs = []
    for prefetch in (0, ahead):
        data = TensorDataset(np.arange(total * 2.0).reshape(total, 2), np.arange(total))
        loader = DataLoader(data, size, True, drop_last, rng(seed), transform=Jitter(), prefetch=prefetch)
        runs.append([inputs(loader) for _ in range(2)])
    assert runs[0] == runs[1]


@given(SIZES, st.integers(0, 2**32), st.data())
def test_stopped_after_any_batch_it_goes_on_with_the_next(sizes, seed, data):
    total, size, drop_last = sizes

    def loader(seed, prefetch):
        return DataLoader(Numbers(total), size, True, drop_last, rng(seed), transform=Jitter(), prefetch=prefetch)

    whole = loader(seed, 0)
    straight = [inputs(whole) for _ in range(3)]
    count = len(whole)
    stop = data.draw(st.integers(0, count), "stop")
    cut = loader(seed, data.draw(st.integers(0, 2), "ahead"))
    batches = iter(cut)
    done = inputs(next(batches) for _ in range(stop))
    state = json.loads(json.dumps(cut.state_dict()))
    batches.close()
    assert state["position"] == stop
    resumed = loader(seed + 1, data.draw(st.integers(0, 2), "ahead after"))
    resumed.load_state_dict(state)
    assert done + inputs(resumed) == straight[0]
    assert [inputs(resumed) for _ in range(2)] == straight[1:]


def test_between_epochs_the_state_is_that_of_a_new_epoch():
    loader = DataLoader(Numbers(9), 2, shuffle=True, rng=rng(3))
    inputs(loader)
    state = loader.state_dict()
    assert (state["position"], state["seed"]) == (0, None)
    expected = inputs(loader)
    other = DataLoader(Numbers(9), 2, shuffle=True, rng=rng(8))
    other.load_state_dict(state)
    assert inputs(other) == expected


def test_a_loop_that_was_left_early_is_followed_by_a_whole_epoch():
    loader = DataLoader(Numbers(10), 3, shuffle=True, rng=rng(), prefetch=2)
    for _ in loader:
        break
    assert sum(len(x) for x in inputs(loader)) == 10


def test_the_default_generator_gives_the_order_and_nothing_else_is_touched():
    state = np.random.get_state()[1].copy()
    orders = []
    for _ in range(2):
        manual_seed(5)
        orders.append([inputs(DataLoader(Numbers(20), 4, shuffle=True)) for _ in range(2)])
    assert orders[0] == orders[1] and orders[0][0] != orders[0][1]
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_every_order_is_equally_likely():
    loader = DataLoader(range(3), 3, shuffle=True, rng=rng())
    counts = {}
    for _ in range(3000):
        order = tuple(next(iter(loader)).data.tolist())
        counts[order] = counts.get(order, 0) + 1
    chi_square = sum((count - 500) ** 2 / 500 for count in counts.values())
    assert len(counts) == 6 and chi_square < 20.5, "the 0.999 quantile for 5 degrees of freedom"


def test_a_state_of_other_batches_is_refused_and_changes_nothing():
    loader = DataLoader(Numbers(10), 3, shuffle=True, rng=rng())
    batches = iter(loader)
    next(batches)
    state, before = DataLoader(Numbers(10), 4, rng=rng(1)).state_dict(), loader.state_dict()
    with pytest.raises(ValueError, match="batch_size is 3 here and 4 in the state; shuffle is True here and False"):
        loader.load_state_dict(state)
    with pytest.raises(ValueError, match="generator of its own"):
        loader.load_state_dict({**before, "rng": None})
    assert loader.state_dict() == before
    with pytest.raises(TypeError, match="default_rng"):
        DataLoader(Numbers(3), rng=0)
    with pytest.raises(TypeError, match="is no dataset"):
        DataLoader(iter([1, 2]))


# --- datasets --------------------------------------------------------------------------------------------------------


def test_arrays_are_not_copied_and_tensors_stay_tensors():
    array = np.arange(6.0).reshape(3, 2)
    dataset = TensorDataset(array, Tensor([1.0, 2.0, 3.0]))
    assert np.shares_memory(dataset[1][0], array)
    assert isinstance(dataset[1][1], Tensor)
    x, y = next(iter(DataLoader(dataset, 2)))
    assert isinstance(x, Tensor) and y.data.tolist() == [1, 2]
    assert not np.shares_memory(x.data, array), "a batch is a copy, so training cannot write into the data"
    with pytest.raises(ValueError, match=r"these have \[3, 2\]"):
        TensorDataset(array, array[:2])
    with pytest.raises(ValueError, match="these have"):
        TensorDataset()


def test_gradients_flow_through_a_batch_of_tensors():
    x = Tensor(np.ones((4, 2)), requires_grad=True)
    for (part,) in DataLoader(TensorDataset(x), 3):
        (part * 2).sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.full((4, 2), 2.0))


def test_subsets_of_subsets():
    outer = Subset(Numbers(20), [3, 5, 7, 9])
    inner = Subset(outer, [2, 0])
    assert inner[0][0] == 7 and len(inner) == 2 and inner[-1][0] == 3
    assert inner.batch(np.array([1, 0]))[0].tolist() == [3, 7]
    assert Subset(list(range(10)), [4, 6]).batch(np.array([1]))[0] == 6
    assert outer[1:3][0].tolist() == [5, 7]


@given(st.integers(0, 50), st.integers(1, 5), st.integers(0, 2**32))
def test_a_split_has_everything_once(total, parts, seed):
    cuts = np.sort(rng(seed).integers(0, total + 1, size=parts - 1))
    lengths = np.diff([0, *cuts, total])
    subsets = random_split(range(total), lengths, rng(seed))
    assert [len(part) for part in subsets] == lengths.tolist()
    assert sorted(i for part in subsets for i in part.indices) == list(range(total))


@pytest.mark.parametrize(
    ("lengths", "message"),
    [([3, 3], "sum to 6"), ([0.5, 0.4], "sum to 0.9"), ([2.5, 2.5], "give counts"), ([6, -1], "negative")],
)
def test_lengths_that_do_not_fit(lengths, message):
    with pytest.raises(ValueError, match=message):
        random_split(range(5), lengths)


def test_samples_that_do_not_fit_together():
    with pytest.raises(ValueError, match=r"\[1, 2\] parts"):
        collate([(1, 2), (3,)])
    with pytest.raises(ValueError, match="shape"):
        collate([np.zeros(2), np.zeros(3)])


def test_a_dataset_can_be_walked_through():
    assert [index for index, _ in Numbers(4)] == [0, 1, 2, 3]
    assert [y for _x, y in TensorDataset([1, 2], [3, 4])] == [3, 4]


def test_what_a_subclass_forgot_is_named():
    class Half(Dataset):
        def __len__(self):
            return 3

    with pytest.raises(NotImplementedError, match="Half.__getitem__"):
        next(iter(DataLoader(Half(), 2)))


# --- transforms ------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32), st.integers(0, 3))
def test_transforms_leave_what_they_are_given(seed, padding):
    x = rng(seed).integers(256, size=(5, 2, 4, 3)).astype(np.uint8)
    before = x.copy()
    change = Compose([RandomHorizontalFlip(), RandomCrop(padding), Normalize([1, 2], [3, 4])])
    first, second = change(x, rng(seed)), change(x, rng(seed))
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(first, second)
    assert first.shape == x.shape and first.dtype == np.float32


def test_transforms_change_a_memory_map_that_cannot_be_written(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(24, dtype=np.uint8).reshape(4, 1, 2, 3))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    change = Compose([RandomHorizontalFlip(1.0), Normalize(0, 255)])
    (x,) = next(iter(DataLoader(TensorDataset(mapped), 4, transform=change)))
    np.testing.assert_allclose(x.data, mapped[..., ::-1] / 255, rtol=1e-6)


def test_a_seed_is_drawn_only_where_something_is_random():
    def drawn(**options):
        generator = rng()
        list(DataLoader(Numbers(4), 2, rng=generator, **options))
        return generator.bit_generator.state != rng().bit_generator.state

    assert not drawn() and not drawn(transform=Normalize(0, 1)) and not drawn(transform=Compose([Normalize(0, 1)]))
    assert drawn(shuffle=True) and drawn(transform=Jitter()) and drawn(transform=lambda x, rng: x)
    assert drawn(transform=Compose([Normalize(0, 1), Jitter()]))


def test_a_crop_is_a_window_of_the_padded_image():
    x = rng().integers(1, 256, size=(200, 3, 5, 4)).astype(np.uint8)
    y = RandomCrop(2)(x, rng(1))
    padded = np.pad(x, [(0, 0), (0, 0), (2, 2), (2, 2)])
    places = []
    for image, old in zip(y, padded, strict=True):
        fits = [(i, j) for i in range(5) for j in range(5) if np.array_equal(image, old[:, i : i + 5, j : j + 4])]
        assert len(fits) == 1, "all channels move together"
        places += fits
    assert len(set(places)) == 25


def test_normalize_by_channel_and_its_errors():
    x = rng().normal(size=(8, 3, 4, 4)) * np.array([1, 5, 9]).reshape(3, 1, 1) + 2
    y = Normalize(x.mean(axis=(0, 2, 3)), x.std(axis=(0, 2, 3)))(x)
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(y.std(axis=(0, 2, 3)), 1, rtol=1e-5)
    with pytest.raises(ValueError, match="no channel can have 0"):
        Normalize(0, [1, 0])
    with pytest.raises(ValueError, match="one for each channel"):
        Normalize(np.zeros((2, 2)), 1)
    with pytest.raises(ValueError, match="p is 1.5"):
        RandomHorizontalFlip(1.5)


@given(st.integers(0, 60), st.integers(1, 20), st.integers(0, 2**32))
def test_a_shuffled_stream_loses_nothing(total, size, seed):
    order = list(shuffled_stream(iter(range(total)), size, rng(seed)))
    assert sorted(order) == list(range(total))
    assert all(n <= place + size for place, n in enumerate(order))


# --- ahead of time ---------------------------------------------------------------------------------------------------


def test_the_next_batch_is_made_while_the_caller_has_one():
    """The caller waits with each batch until the next is begun; one by one, nobody would ever begin it."""
    begun = [threading.Event() for _ in range(5)]

    def make(n):
        begun[n].set()
        return n

    for n in prefetched(make, range(5), 1):
        assert n == 4 or begun[n + 1].wait(60)


def test_the_thread_ends_with_the_loop():
    before = threading.active_count()
    loader = DataLoader(Numbers(100), 2, prefetch=3)
    for _ in loader:
        break
    batches = iter(loader)
    next(batches)
    assert threading.active_count() == before + 1
    batches.close()
    assert threading.active_count() == before


def test_an_error_in_the_thread_arrives_at_its_batch():
    class Broken(Numbers):
        def __getitem__(self, index):
            if index == 5:
                raise OSError("sample 5 cannot be read")
            return super().__getitem__(index)

    seen = []
    with pytest.raises(OSError, match="sample 5"):
        for x, _ in DataLoader(Broken(9), 2, prefetch=2):
            seen += x.data.tolist()
    assert seen == [0, 1, 2, 3]


def test_stopped_in_mid_epoch_it_goes_on_in_another_process():
    program = textwrap.dedent("""
        import json, sys
        import numpy as np
        from tinytorch.core.dataloader import DataLoader, TensorDataset

        class Jitter:
            def __call__(self, x, rng=None):
                return x + rng.normal(size=x.shape)

        data = TensorDataset(np.arange(100.0).reshape(50, 2))
        loader = DataLoader(data, 7, True, rng=np.random.default_rng(3), transform=Jitter(), prefetch=2)
        loader.load_state_dict(json.loads(sys.argv[1]))
        print(json.dumps([x.data.tolist() for _ in range(2) for (x,) in loader]))
    """)
    data = TensorDataset(np.arange(100.0).reshape(50, 2))
    loader = DataLoader(data, 7, True, rng=rng(12), transform=Jitter())
    batches = iter(loader)
    for _ in range(3):
        next(batches)
    command = [sys.executable, "-c", program, json.dumps(loader.state_dict())]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rest = [x.data.tolist() for (x,) in batches] + [x.data.tolist() for (x,) in loader]
    assert len(rest) == 5 + 8 and json.loads(done.stdout) == rest


def test_a_batch_takes_no_more_memory_from_more_data():
    """A batch of 64 from 100 times the data is the same gathering."""

    def most(total):
        data = TensorDataset(np.zeros((total, 16), dtype=np.float32))
        batches = iter(DataLoader(data, 64, shuffle=True, rng=rng()))
        next(batches)  # draws the order
        tracemalloc.start()
        for _ in range(3):
            next(batches)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    few, many = most(2_000), most(200_000)
    assert 64 * 16 * 4 < many < 1.5 * few
