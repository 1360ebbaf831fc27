"""Wrong solutions that a student plausibly writes: each fails a visible test, and no other has its fingerprint."""

WRONG = [
    dict(task="01-1", mistake="the array is returned with the type NumPy gave it", body="return array"),
    dict(
        task="01-1",
        mistake="only lists are made float32, and float64 arrays stay",
        body=(
            'if array.dtype.kind not in "biuf":\n    raise TypeError("not numbers")\n'
            "if dtype is None:\n    dtype = array.dtype if has_type else np.float32\nreturn array.astype(dtype)"
        ),
    ),
    dict(
        task="01-1",
        mistake="only floating data becomes float32, and lists of whole numbers stay integers",
        body=(
            'if array.dtype.kind not in "biuf":\n    raise TypeError("not numbers")\n'
            'if dtype is None:\n    dtype = np.float32 if array.dtype.kind == "f" else array.dtype\n'
            "return array.astype(dtype)"
        ),
    ),
    dict(
        task="01-1",
        mistake="everything becomes float32, labels too",
        body=(
            'if array.dtype.kind not in "biuf":\n    raise TypeError("not numbers")\n'
            "return array.astype(np.float32 if dtype is None else dtype)"
        ),
    ),
    dict(
        task="01-1",
        mistake="booleans in a list are taken for numbers",
        body=(
            'if array.dtype.kind not in "biuf":\n    raise TypeError("not numbers")\n'
            "if dtype is None:\n"
            '    dtype = array.dtype if has_type and array.dtype.kind in "biu" else np.float32\n'
            "return array.astype(dtype)"
        ),
    ),
    dict(
        task="01-1",
        mistake="dtype is ignored",
        body=(
            'kind = array.dtype.kind\nif kind not in "biuf":\n    raise TypeError("not numbers")\n'
            'return array if kind == "b" or (kind in "iu" and has_type) else array.astype(np.float32)'
        ),
    ),
    dict(
        task="01-1",
        mistake="what is not numbers is not refused",
        body=(
            "kind = array.dtype.kind\n"
            'if dtype is None and (kind == "f" or (kind in "iu" and not has_type)):\n    dtype = np.float32\n'
            "return array if dtype is None else array.astype(dtype)"
        ),
    ),
    dict(
        task="01-2",
        mistake="the shorter shape is padded on the right",
        body=(
            "ndim = max(len(shape_a), len(shape_b))\n"
            "a = shape_a + (1,) * (ndim - len(shape_a))\nb = shape_b + (1,) * (ndim - len(shape_b))\n"
            'for m, n in zip(a, b):\n    if m != n and 1 not in (m, n):\n        raise ValueError(f"{m} and {n}")\n'
            "return tuple(n if m == 1 else m for m, n in zip(a, b))"
        ),
    ),
    dict(
        task="01-2",
        mistake="zip stops at the shorter shape, so the dimensions in front are lost",
        body=(
            "sizes = []\nfor m, n in zip(reversed(shape_a), reversed(shape_b)):\n"
            '    if m != n and 1 not in (m, n):\n        raise ValueError(f"{m} and {n}")\n'
            "    sizes.append(n if m == 1 else m)\nreturn tuple(reversed(sizes))"
        ),
    ),
    dict(
        task="01-2",
        mistake="a 1 in the first shape is not stretched",
        body=(
            "ndim = max(len(shape_a), len(shape_b))\n"
            "a = (1,) * (ndim - len(shape_a)) + shape_a\nb = (1,) * (ndim - len(shape_b)) + shape_b\n"
            'for m, n in zip(a, b):\n    if m != n and n != 1:\n        raise ValueError(f"sizes {m} and {n}")\n'
            "return a"
        ),
    ),
    dict(
        task="01-2",
        mistake="the larger size is taken, which is wrong for 1 beside 0",
        body=(
            "ndim = max(len(shape_a), len(shape_b))\n"
            "a = (1,) * (ndim - len(shape_a)) + shape_a\nb = (1,) * (ndim - len(shape_b)) + shape_b\n"
            'for m, n in zip(a, b):\n    if m != n and 1 not in (m, n):\n        raise ValueError(f"{m} and {n}")\n'
            "return tuple(max(m, n) for m, n in zip(a, b))"
        ),
    ),
    dict(
        task="01-2",
        mistake="sizes that do not fit are let through",
        body=(
            "ndim = max(len(shape_a), len(shape_b))\n"
            "a = (1,) * (ndim - len(shape_a)) + shape_a\nb = (1,) * (ndim - len(shape_b)) + shape_b\n"
            "return tuple(n if m == 1 else m for m, n in zip(a, b))"
        ),
    ),
    dict(
        task="01-2",
        mistake="the error counts the dimension from the front",
        body=(
            "ndim = max(len(shape_a), len(shape_b))\n"
            "a = (1,) * (ndim - len(shape_a)) + shape_a\nb = (1,) * (ndim - len(shape_b)) + shape_b\n"
            "for dim, (m, n) in enumerate(zip(a, b)):\n    if m != n and 1 not in (m, n):\n"
            '        raise ValueError(f"sizes {m} and {n} do not fit in dimension {dim}")\n'
            "return tuple(n if m == 1 else m for m, n in zip(a, b))"
        ),
    ),
    dict(
        task="01-3",
        mistake="the factors are multiplied elementwise",
        body="return a * b",
    ),
    dict(task="01-3", mistake="the factors are exchanged", body="return np.matmul(b, a)"),
    dict(
        task="01-3",
        mistake="the inner size of b is read from its first dimension, also in a stack",
        body=(
            "if a.shape[-1] != b.shape[0]:\n"
            '    raise ValueError(f"matmul: {a.shape} @ {b.shape}: inner sizes differ")\nreturn np.matmul(a, b)'
        ),
    ),
    dict(
        task="01-3",
        mistake="the last sizes of both are compared, as if b were transposed",
        body=(
            "if a.shape[-1] != b.shape[-1]:\n"
            '    raise ValueError(f"{a.shape} and {b.shape} do not fit")\nreturn np.matmul(a, b)'
        ),
    ),
    dict(
        task="01-3",
        mistake="every matrix of one stack is multiplied with every matrix of the other",
        body=(
            "inner = b.shape[0] if b.ndim == 1 else b.shape[-2]\nif a.shape[-1] != inner:\n"
            '    raise ValueError(f"{a.shape} @ {b.shape}")\nreturn np.dot(a, b)'
        ),
    ),
    dict(
        task="01-3",
        mistake="a vector on the right has no last but one size",
        body=(
            "if a.shape[-1] != b.shape[-2]:\n"
            '    raise ValueError(f"matmul: {a.shape} @ {b.shape}: inner sizes differ")\nreturn np.matmul(a, b)'
        ),
    ),
    dict(task="01-3", mistake="nothing is checked and the error is NumPy's", body="return np.matmul(a, b)"),
    dict(
        task="01-4",
        mistake="the -1 is one of the factors",
        body="return tuple(size // math.prod(shape) if n == -1 else n for n in shape)",
    ),
    dict(
        task="01-4",
        mistake="the -1 becomes the number of all values",
        body="return tuple(size if n == -1 else n for n in shape)",
    ),
    dict(
        task="01-4",
        mistake="the known sizes are added instead of multiplied",
        body=(
            "known = sum(n for n in shape if n != -1)\n"
            "return tuple(size // known if n == -1 else n for n in shape) if -1 in shape else shape"
        ),
    ),
    dict(
        task="01-4",
        mistake="the missing size is divided with / and becomes a float",
        body=(
            "known = math.prod(n for n in shape if n != -1)\n"
            "shape = tuple(size / known if n == -1 else n for n in shape)\n"
            'if math.prod(shape) != size:\n    raise ValueError(f"{size} values do not fill {shape}")\nreturn shape'
        ),
    ),
    dict(
        task="01-4",
        mistake="a complete shape is not compared with the number of values",
        body=(
            "if -1 not in shape:\n    return shape\nknown = math.prod(n for n in shape if n != -1)\n"
            'if known == 0 or size % known or shape.count(-1) > 1:\n    raise ValueError("does not fit")\n'
            "return tuple(size // known if n == -1 else n for n in shape)"
        ),
    ),
    dict(
        task="01-4",
        mistake="a remainder is dropped",
        body=(
            "known = math.prod(n for n in shape if n != -1)\n"
            'if -1 not in shape and known != size:\n    raise ValueError("does not fit")\n'
            "return tuple(size // known if n == -1 else n for n in shape)"
        ),
    ),
    dict(
        task="01-4",
        mistake="beside a 0 the division is attempted",
        body=(
            "known = math.prod(n for n in shape if n != -1)\n"
            "if -1 in shape:\n    shape = tuple(size // known if n == -1 else n for n in shape)\n"
            'if math.prod(shape) != size:\n    raise ValueError("does not fit")\nreturn shape'
        ),
    ),
    dict(
        task="01-5",
        mistake="the values are reshaped, not transposed",
        body=(
            "shape = list(x.shape)\nshape[dim0], shape[dim1] = shape[dim1], shape[dim0]\nreturn np.reshape(x, shape)"
        ),
    ),
    dict(task="01-5", mistake="all dimensions are reversed", body="return np.transpose(x)"),
    dict(
        task="01-5",
        mistake="it is always the last two dimensions that change places",
        body="axes = list(range(x.ndim))\naxes[-2], axes[-1] = axes[-1], axes[-2]\nreturn np.transpose(x, axes)",
    ),
    dict(
        task="01-5",
        mistake="one dimension is moved and the others close up",
        body=("axes = list(range(x.ndim))\naxes.remove(dim0)\naxes.insert(dim1, dim0)\nreturn np.transpose(x, axes)"),
    ),
    dict(
        task="01-5",
        mistake="only one of the two places in the order is written",
        body="axes = list(range(x.ndim))\naxes[dim0] = dim1\nreturn np.transpose(x, axes)",
    ),
    dict(
        task="01-5",
        mistake="the values are copied into a new array",
        body=("axes = list(range(x.ndim))\naxes[dim0], axes[dim1] = dim1, dim0\nreturn np.transpose(x, axes).copy()"),
    ),
    dict(task="01-6", mistake="the sum is not divided", body="return x.sum(axis=dims, keepdims=keepdim)"),
    dict(
        task="01-6",
        mistake="the sum is divided by the number of all values, whatever dim is",
        body="return x.sum(axis=dims, keepdims=keepdim) / x.size",
    ),
    dict(
        task="01-6",
        mistake="the sum is divided by the number of rows",
        body="return x.sum(axis=dims, keepdims=keepdim) / len(x)",
    ),
    dict(
        task="01-6",
        mistake="keepdim is ignored",
        body="return x.sum(axis=dims) / math.prod(x.shape[d] for d in dims)",
    ),
    dict(
        task="01-6",
        mistake="dim is ignored",
        body="return x.sum(keepdims=keepdim) / x.size",
    ),
    dict(
        task="01-6",
        mistake="only the first of several dimensions is counted",
        body="return x.sum(axis=dims, keepdims=keepdim) / x.shape[dims[0]]",
    ),
    dict(
        task="01-6",
        mistake="the sizes of the dimensions are added instead of multiplied",
        body="return x.sum(axis=dims, keepdims=keepdim) / sum(x.shape[d] for d in dims)",
    ),
    dict(
        task="01-7",
        mistake="the root is taken, which gives the standard deviation",
        body=(
            "n = math.prod(x.shape[d] for d in dims)\nm = x.sum(axis=dims, keepdims=True) / n\n"
            "return np.sqrt(np.square(x - m).sum(axis=dims, keepdims=keepdim) / (n - correction))"
        ),
    ),
    dict(
        task="01-7",
        mistake="the distances are not squared",
        body=(
            "n = math.prod(x.shape[d] for d in dims)\nm = x.sum(axis=dims, keepdims=True) / n\n"
            "return np.abs(x - m).sum(axis=dims, keepdims=keepdim) / (n - correction)"
        ),
    ),
    dict(
        task="01-7",
        mistake="the correction is ignored",
        body=(
            "n = math.prod(x.shape[d] for d in dims)\nm = x.sum(axis=dims, keepdims=True) / n\n"
            "return np.square(x - m).sum(axis=dims, keepdims=keepdim) / n"
        ),
    ),
    dict(
        task="01-7",
        mistake="the correction is added instead of subtracted",
        body=(
            "n = math.prod(x.shape[d] for d in dims)\nm = x.sum(axis=dims, keepdims=True) / n\n"
            "return np.square(x - m).sum(axis=dims, keepdims=keepdim) / (n + correction)"
        ),
    ),
    dict(
        task="01-7",
        mistake="the mean of the squares less the square of the mean is taken, which float32 cannot hold",
        body=(
            "n = math.prod(x.shape[d] for d in dims)\nm = x.sum(axis=dims, keepdims=keepdim) / n\n"
            "return (np.square(x).sum(axis=dims, keepdims=keepdim) / n - np.square(m)) * n / (n - correction)"
        ),
    ),
    dict(
        task="01-7",
        mistake="the mean of everything is subtracted from every row",
        body=(
            "n = math.prod(x.shape[d] for d in dims)\nm = x.sum() / x.size\n"
            "return np.square(x - m).sum(axis=dims, keepdims=keepdim) / (n - correction)"
        ),
    ),
    dict(
        task="01-7",
        mistake="the mean is taken without keepdims and does not line up",
        body=(
            "n = math.prod(x.shape[d] for d in dims)\nm = x.sum(axis=dims) / n\n"
            "return np.square(x - m).sum(axis=dims, keepdims=keepdim) / (n - correction)"
        ),
    ),
    dict(
        task="01-7",
        mistake="keepdim is ignored in the result",
        body=(
            "n = math.prod(x.shape[d] for d in dims)\nm = x.sum(axis=dims, keepdims=True) / n\n"
            "return np.square(x - m).sum(axis=dims) / (n - correction)"
        ),
    ),
    dict(
        task="01-8",
        mistake="every piece is written at the beginning, over the one before",
        body=(
            "shape = list(arrays[0].shape)\nshape[dim] = sum(a.shape[dim] for a in arrays)\n"
            "out = np.zeros(shape, dtype=np.result_type(*arrays))\n"
            "for a in arrays:\n    out[(slice(None),) * dim + (slice(0, a.shape[dim]),)] = a\nreturn out"
        ),
    ),
    dict(
        task="01-8",
        mistake="the result has the shape of the first piece",
        body=(
            "out = np.zeros(arrays[0].shape, dtype=np.result_type(*arrays))\nstart = 0\nfor a in arrays:\n"
            "    out[(slice(None),) * dim + (slice(start, start + a.shape[dim]),)] = a\n"
            "    start += a.shape[dim]\nreturn out"
        ),
    ),
    dict(
        task="01-8",
        mistake="the pieces always go below each other, whatever dim is",
        body=(
            "shape = list(arrays[0].shape)\nshape[0] = sum(a.shape[0] for a in arrays)\n"
            "out = np.zeros(shape, dtype=np.result_type(*arrays))\nstart = 0\n"
            "for a in arrays:\n    out[start : start + len(a)] = a\n    start += len(a)\nreturn out"
        ),
    ),
    dict(
        task="01-8",
        mistake="all pieces are taken to be as long as the first",
        body=(
            "n = arrays[0].shape[dim]\nshape = list(arrays[0].shape)\nshape[dim] = n * len(arrays)\n"
            "out = np.zeros(shape, dtype=np.result_type(*arrays))\n"
            "for i, a in enumerate(arrays):\n"
            "    out[(slice(None),) * dim + (slice(i * n, i * n + a.shape[dim]),)] = a\nreturn out"
        ),
    ),
    dict(
        task="01-8",
        mistake="the slice stands in the second place, whatever dim is",
        body=(
            "shape = list(arrays[0].shape)\nshape[dim] = sum(a.shape[dim] for a in arrays)\n"
            "out = np.zeros(shape, dtype=np.result_type(*arrays))\nstart = 0\nfor a in arrays:\n"
            "    part = slice(start, start + a.shape[dim])\n    out[part if dim == 0 else (slice(None), part)] = a\n"
            "    start += a.shape[dim]\nreturn out"
        ),
    ),
    dict(
        task="01-8",
        mistake="the result has the type of the first piece, and decimals are cut off",
        body=(
            "shape = list(arrays[0].shape)\nshape[dim] = sum(a.shape[dim] for a in arrays)\n"
            "out = np.zeros(shape, dtype=arrays[0].dtype)\nstart = 0\nfor a in arrays:\n"
            "    out[(slice(None),) * dim + (slice(start, start + a.shape[dim]),)] = a\n"
            "    start += a.shape[dim]\nreturn out"
        ),
    ),
    dict(
        task="01-8",
        mistake="the result is always floating",
        body=(
            "shape = list(arrays[0].shape)\nshape[dim] = sum(a.shape[dim] for a in arrays)\n"
            "out = np.zeros(shape)\nstart = 0\nfor a in arrays:\n"
            "    out[(slice(None),) * dim + (slice(start, start + a.shape[dim]),)] = a\n"
            "    start += a.shape[dim]\nreturn out"
        ),
    ),
]
