"""Right solutions that differ from the reference: probes and visible tests must pass all of them."""

CHECKED = (
    "inner = b.shape[-2] if b.ndim > 1 else len(b)\nif a.shape[-1] != inner:\n"
    '    raise ValueError(f"{a.shape} times {b.shape}: {a.shape[-1]} is not {inner}")\n'
)

RIGHT = [
    dict(
        task="01-1",
        how="by NumPy's hierarchy of types",
        body=(
            "numeric = any(np.issubdtype(array.dtype, kind) for kind in (np.bool_, np.integer, np.floating))\n"
            'if not numeric:\n    raise TypeError("Tensor: these are not numbers")\n'
            "if dtype is not None:\n    return array.astype(dtype)\n"
            "if array.dtype == np.bool_ or (has_type and np.issubdtype(array.dtype, np.integer)):\n    return array\n"
            "return array.astype(np.float32)"
        ),
    ),
    dict(
        task="01-1",
        how="by a table from kind to type",
        body=(
            'types = {"f": np.float32, "b": np.bool_}\nfor kind in "iu":\n'
            "    types[kind] = array.dtype if has_type else np.float32\nif array.dtype.kind not in types:\n"
            '    raise TypeError("Tensor: not numbers")\n'
            "return np.asarray(array, dtype=dtype or types[array.dtype.kind])"
        ),
    ),
    dict(
        task="01-1",
        how="into memory of its own",
        body=(
            'if array.dtype == object or array.dtype.kind in "cUSVMm":\n    raise TypeError("Tensor: not numbers")\n'
            'wanted = np.float32\nif array.dtype.kind == "b":\n    wanted = bool\n'
            'elif array.dtype.kind != "f" and has_type:\n    wanted = array.dtype\n'
            "out = np.empty(array.shape, dtype=wanted if dtype is None else dtype)\nout[...] = array\nreturn out"
        ),
    ),
    dict(
        task="01-2",
        how="pairs from the end, the longer to its end",
        body=(
            "from itertools import zip_longest\nsizes = []\n"
            "pairs = zip_longest(reversed(shape_a), reversed(shape_b), fillvalue=1)\n"
            "for back, (m, n) in enumerate(pairs, 1):\n    if m != n and m != 1 and n != 1:\n"
            '        raise ValueError(f"{m} and {n} differ in dimension {-back}")\n'
            "    sizes.insert(0, m if n == 1 else n)\nreturn tuple(sizes)"
        ),
    ),
    dict(
        task="01-2",
        how="one dimension at a time, asked of both shapes",
        body=(
            "def size(shape, back):\n    return shape[-back] if back <= len(shape) else 1\nresult = ()\n"
            "for back in range(1, max(len(shape_a), len(shape_b)) + 1):\n"
            "    sizes = {size(shape_a, back), size(shape_b, back)} - {1}\n    if len(sizes) > 1:\n"
            '        raise ValueError(f"dimension -{back}: {size(shape_a, back)} against {size(shape_b, back)}")\n'
            "    result = (sizes.pop() if sizes else 1, *result)\nreturn result"
        ),
    ),
    dict(
        task="01-2",
        how="checked in a loop, computed by NumPy",
        body=(
            "for back in range(1, min(len(shape_a), len(shape_b)) + 1):\n    m, n = shape_a[-back], shape_b[-back]\n"
            "    if not (m == n or m == 1 or n == 1):\n"
            '        raise ValueError(f"{shape_a} and {shape_b}: {m} and {n} at {-back}")\n'
            "return np.broadcast_shapes(shape_a, shape_b)"
        ),
    ),
    dict(
        task="01-3",
        how="by einsum",
        body=CHECKED + 'return np.einsum("...k,k->..." if b.ndim == 1 else "...mk,...kn->...mn", a, b)',
    ),
    dict(
        task="01-3",
        how="all products of elements, then sums",
        body=CHECKED
        + "return (a * b).sum(axis=-1) if b.ndim == 1 else (a[..., None] * b[..., None, :, :]).sum(axis=-2)",
    ),
    dict(
        task="01-3",
        how="in float64 inside, with the operator",
        body=CHECKED + "return (a.astype(np.float64) @ b).astype(np.result_type(a, b))",
    ),
    dict(
        task="01-3",
        how="tried first, explained afterwards",
        body=(
            "try:\n    return np.matmul(a, b)\nexcept ValueError as error:\n"
            "    if a.shape[-1] != b.shape[-2:][0]:\n"
            '        raise ValueError(f"matmul of {a.shape} and {b.shape}: inner sizes differ") from error\n    raise'
        ),
    ),
    dict(
        task="01-4",
        how="by NumPy, on an array that takes no memory",
        body="return np.broadcast_to(np.float32(0), (size,)).reshape(shape).shape",
    ),
    dict(
        task="01-4",
        how="factor by factor, with a remainder",
        body=(
            "known, missing = 1, []\nfor d, n in enumerate(shape):\n    if n == -1:\n        missing.append(d)\n"
            "    else:\n        known *= n\nif not missing:\n    if known != size:\n"
            '        raise ValueError(f"{size} is not {known}")\n    return shape\n'
            "if len(missing) > 1 or known == 0 or size % known:\n"
            '    raise ValueError(f"{size} values and {shape}")\n'
            "return shape[: missing[0]] + (size // known,) + shape[missing[0] + 1 :]"
        ),
    ),
    dict(
        task="01-4",
        how="with NumPy's whole numbers",
        body=(
            "sizes = np.array(shape, dtype=np.int64)\nleft_out = sizes == -1\nknown = np.prod(sizes[~left_out])\n"
            "if left_out.sum() == 1 and known > 0:\n    sizes[left_out] = size // known\n"
            'if (sizes < 0).any() or np.prod(sizes) != size:\n    raise ValueError(f"{size} values, shape {shape}")\n'
            "return tuple(sizes)"
        ),
    ),
    dict(task="01-5", how="by NumPy's swapaxes", body="return np.swapaxes(x, dim0, dim1)"),
    dict(
        task="01-5",
        how="by a new header on the same memory",
        body=(
            "shape, strides = list(x.shape), list(x.strides)\n"
            "for header in (shape, strides):\n    header[dim0], header[dim1] = header[dim1], header[dim0]\n"
            "return np.lib.stride_tricks.as_strided(x, shape, strides)"
        ),
    ),
    dict(
        task="01-5",
        how="by an order in which each dimension is looked up",
        body="return x.transpose([{dim0: dim1, dim1: dim0}.get(d, d) for d in range(x.ndim)])",
    ),
    dict(
        task="01-6",
        how="by NumPy's mean",
        body="return np.mean(x, axis=dims, keepdims=keepdim)",
    ),
    dict(
        task="01-6",
        how="one dimension after the other, from the last",
        body=(
            "for d in sorted(dims, reverse=True):\n    x = np.sum(x, axis=d, keepdims=keepdim) / x.shape[d]\nreturn x"
        ),
    ),
    dict(
        task="01-6",
        how="by einsum, in float64 inside",
        body=(
            "kept = [d for d in range(x.ndim) if d not in dims]\n"
            "total = np.einsum(x.astype(np.float64), list(range(x.ndim)), kept)\n"
            "shape = [1 if d in dims else n for d, n in enumerate(x.shape)] if keepdim else total.shape\n"
            "return np.reshape(total / (x.size / total.size), shape)"
        ),
    ),
    dict(
        task="01-7",
        how="by NumPy's variance",
        body="return np.var(x, axis=dims, keepdims=keepdim, ddof=correction)",
    ),
    dict(
        task="01-7",
        how="in float64 inside",
        body=(
            "far = x.astype(np.float64)\nfar -= far.mean(axis=dims, keepdims=True)\n"
            "divisor = math.prod([x.shape[d] for d in dims]) - correction\n"
            "return (far**2 / divisor).sum(axis=dims, keepdims=keepdim)"
        ),
    ),
    dict(
        task="01-7",
        how="group by group",
        body=(
            "rows = np.moveaxis(x, dims, range(len(dims)))\nkept = rows.shape[len(dims) :]\n"
            "rows = rows.reshape(-1, math.prod(kept))\nout = []\nfor i in range(rows.shape[1]):\n"
            "    distances = rows[:, i] - np.mean(rows[:, i])\n"
            "    out.append(np.dot(distances, distances) / (len(distances) - correction))\n"
            "shape = [1 if d in dims else n for d, n in enumerate(x.shape)] if keepdim else kept\n"
            "return np.array(out).reshape(shape)"
        ),
    ),
    dict(task="01-8", how="by NumPy's concatenate", body="return np.concatenate(arrays, axis=dim)"),
    dict(
        task="01-8",
        how="along the first dimension of a view",
        body=(
            "shape = [*arrays[0].shape]\nshape[dim] = sum(piece.shape[dim] for piece in arrays)\n"
            "out = np.zeros(shape, np.result_type(*arrays))\nrows, start = np.swapaxes(out, 0, dim), 0\n"
            "for piece in arrays:\n    rows[start : start + piece.shape[dim]] = np.swapaxes(piece, 0, dim)\n"
            "    start += piece.shape[dim]\nreturn out"
        ),
    ),
    dict(
        task="01-8",
        how="from the last piece to the first",
        body=(
            "stops = np.cumsum([array.shape[dim] for array in arrays])\nshape = arrays[0].shape\n"
            "out = np.empty((*shape[:dim], stops[-1], *shape[dim + 1 :]), np.result_type(*arrays))\n"
            "for array, stop in zip(reversed(arrays), reversed(stops)):\n"
            "    place = [slice(None)] * dim + [slice(stop - array.shape[dim], stop)]\n"
            "    out[tuple(place)] = array\nreturn out"
        ),
    ),
]
