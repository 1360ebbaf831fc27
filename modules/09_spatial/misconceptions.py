"""Wrong solutions that a student plausibly writes: each fails a visible test, and no other has its fingerprint."""

WRONG = [
    dict(
        task="09-1",
        mistake="the 1 at the end is missing, so that the gaps are counted and not the posts",
        body=("extent = dilation * (kernel - 1) + 1\nreturn (size + 2 * padding - extent) // stride"),
    ),
    dict(
        task="09-1",
        mistake="the quotient is rounded up instead of down",
        body=("extent = dilation * (kernel - 1) + 1\nreturn math.ceil((size + 2 * padding - extent) / stride) + 1"),
    ),
    dict(
        task="09-1",
        mistake="the padding is counted at one end only",
        body=("extent = dilation * (kernel - 1) + 1\nreturn (size + padding - extent) // stride + 1"),
    ),
    dict(
        task="09-1",
        mistake="the padding is left out",
        body=("extent = dilation * (kernel - 1) + 1\nreturn (size - extent) // stride + 1"),
    ),
    dict(
        task="09-1",
        mistake="the extent is dilation times kernel",
        body=("extent = dilation * kernel\nreturn (size + 2 * padding - extent) // stride + 1"),
    ),
    dict(
        task="09-1",
        mistake="the dilation is left out",
        body=("extent = kernel\nreturn (size + 2 * padding - extent) // stride + 1"),
    ),
    dict(
        task="09-1",
        mistake="the stride is left out",
        body=("extent = dilation * (kernel - 1) + 1\nreturn (size + 2 * padding - extent) + 1"),
    ),
    dict(
        task="09-1",
        mistake="the 1 is added before dividing by the stride",
        body=("extent = dilation * (kernel - 1) + 1\nreturn (size + 2 * padding - extent + 1) // stride"),
    ),
    dict(
        task="09-1",
        mistake="the result is not rounded down",
        body=("extent = dilation * (kernel - 1) + 1\nreturn (size + 2 * padding - extent) / stride + 1"),
    ),
    dict(
        task="09-1",
        mistake="the dilation counts the pixels left out between two, so that 1 leaves one out",
        body=("extent = (dilation + 1) * (kernel - 1) + 1\nreturn (size + 2 * padding - extent) // stride + 1"),
    ),
    dict(
        task="09-1",
        mistake="int cuts off towards zero, so that a kernel that does not fit seems to have a place",
        body=("extent = dilation * (kernel - 1) + 1\nreturn int((size + 2 * padding - extent) / stride) + 1"),
    ),
    dict(
        task="09-1",
        mistake="the quotient is rounded to the nearest whole number",
        body=("extent = dilation * (kernel - 1) + 1\nreturn round((size + 2 * padding - extent) / stride) + 1"),
    ),
    dict(
        task="09-2",
        mistake="the padding is put on one side only, at the end",
        body=(
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=x.dtype)\n"
            "around[:H, :, :W] = x\n"
            "columns = np.empty((OH, C, KH, KW, OW, N), dtype=x.dtype)\n"
            "for i, j, key in window.places():\n"
            "    columns[:, :, i, j] = around[key]\n"
            "return columns.reshape(OH, C * KH * KW, OW * N)"
        ),
    ),
    dict(
        task="09-2",
        mistake="the padding is put on one side only, at the beginning",
        body=(
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=x.dtype)\n"
            "around[2 * p :, :, 2 * q :] = x\n"
            "columns = np.empty((OH, C, KH, KW, OW, N), dtype=x.dtype)\n"
            "for i, j, key in window.places():\n"
            "    columns[:, :, i, j] = around[key]\n"
            "return columns.reshape(OH, C * KH * KW, OW * N)"
        ),
    ),
    dict(
        task="09-2",
        mistake="there is no frame",
        body=(
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=x.dtype)\n"
            "around = x\n"
            "columns = np.empty((OH, C, KH, KW, OW, N), dtype=x.dtype)\n"
            "for i, j, key in window.places():\n"
            "    columns[:, :, i, j] = around[key]\n"
            "return columns.reshape(OH, C * KH * KW, OW * N)"
        ),
    ),
    dict(
        task="09-2",
        mistake="the frame is made of ones",
        body=(
            "around = np.ones((H + 2 * p, C, W + 2 * q, N), dtype=x.dtype)\n"
            "around[window.inner] = x\n"
            "columns = np.empty((OH, C, KH, KW, OW, N), dtype=x.dtype)\n"
            "for i, j, key in window.places():\n"
            "    columns[:, :, i, j] = around[key]\n"
            "return columns.reshape(OH, C * KH * KW, OW * N)"
        ),
    ),
    dict(
        task="09-2",
        mistake="the frame holds whatever was in memory before, for nobody cleared it",
        body=(
            "around = np.full((H + 2 * p, C, W + 2 * q, N), np.nan, dtype=x.dtype)\n"
            "around[window.inner] = x\n"
            "columns = np.empty((OH, C, KH, KW, OW, N), dtype=x.dtype)\n"
            "for i, j, key in window.places():\n"
            "    columns[:, :, i, j] = around[key]\n"
            "return columns.reshape(OH, C * KH * KW, OW * N)"
        ),
    ),
    dict(
        task="09-2",
        mistake="the rows are ordered by place in the kernel first, and by channel last",
        body=(
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=x.dtype)\n"
            "around[window.inner] = x\n"
            "columns = np.empty((OH, KH, KW, C, OW, N), dtype=x.dtype)\n"
            "for i, j, key in window.places():\n"
            "    columns[:, i, j] = around[key]\n"
            "return columns.reshape(OH, C * KH * KW, OW * N)"
        ),
    ),
    dict(
        task="09-2",
        mistake="down and across in the kernel have changed places",
        body=(
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=x.dtype)\n"
            "around[window.inner] = x\n"
            "columns = np.empty((OH, C, KW, KH, OW, N), dtype=x.dtype)\n"
            "for i, j, key in window.places():\n"
            "    columns[:, :, j, i] = around[key]\n"
            "return columns.reshape(OH, C * KH * KW, OW * N)"
        ),
    ),
    dict(
        task="09-2",
        mistake="the columns are ordered by image first, and by place in the map last",
        body=(
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=x.dtype)\n"
            "around[window.inner] = x\n"
            "columns = np.empty((OH, C, KH, KW, N, OW), dtype=x.dtype)\n"
            "for i, j, key in window.places():\n"
            "    columns[:, :, i, j] = around[key].swapaxes(2, 3)\n"
            "return columns.reshape(OH, C * KH * KW, OW * N)"
        ),
    ),
    dict(
        task="09-2",
        mistake="the batch was not counted when reshaping",
        body=(
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=x.dtype)\n"
            "around[window.inner] = x\n"
            "columns = np.empty((OH, C, KH, KW, OW, N), dtype=x.dtype)\n"
            "for i, j, key in window.places():\n"
            "    columns[:, :, i, j] = around[key]\n"
            "return columns.reshape(OH, C * KH * KW * N, OW)"
        ),
    ),
    dict(
        task="09-2",
        mistake="only the pixels of the first place in the kernel are taken, again and again",
        body=(
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=x.dtype)\n"
            "around[window.inner] = x\n"
            "columns = np.empty((OH, C, KH, KW, OW, N), dtype=x.dtype)\n"
            "for i, j, key in window.places():\n"
            "    columns[:, :, i, j] = around[next(window.places())[2]]\n"
            "return columns.reshape(OH, C * KH * KW, OW * N)"
        ),
    ),
    dict(
        task="09-2",
        mistake="every place in the kernel is written to the first one",
        body=(
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=x.dtype)\n"
            "around[window.inner] = x\n"
            "columns = np.zeros((OH, C, KH, KW, OW, N), dtype=x.dtype)\n"
            "for i, j, key in window.places():\n"
            "    columns[:, :, 0, 0] = around[key]\n"
            "return columns.reshape(OH, C * KH * KW, OW * N)"
        ),
    ),
    dict(
        task="09-2",
        mistake="the columns come as float64",
        body=(
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=x.dtype)\n"
            "around[window.inner] = x\n"
            "columns = np.empty((OH, C, KH, KW, OW, N))\n"
            "for i, j, key in window.places():\n"
            "    columns[:, :, i, j] = around[key]\n"
            "return columns.reshape(OH, C * KH * KW, OW * N)"
        ),
    ),
    dict(
        task="09-2",
        mistake="the kernel is turned by 180 degrees, as in mathematics",
        body=(
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=x.dtype)\n"
            "around[window.inner] = x\n"
            "columns = np.empty((OH, C, KH, KW, OW, N), dtype=x.dtype)\n"
            "for i, j, key in window.places():\n"
            "    columns[:, :, KH - 1 - i, KW - 1 - j] = around[key]\n"
            "return columns.reshape(OH, C * KH * KW, OW * N)"
        ),
    ),
    dict(
        task="09-2",
        mistake="np.pad with one number frames all four dimensions, also channels and images",
        body=(
            "around = np.pad(x, p)\n"
            "columns = np.empty((OH, C, KH, KW, OW, N), dtype=x.dtype)\n"
            "for i, j, key in window.places():\n"
            "    columns[:, :, i, j] = around[key]\n"
            "return columns.reshape(OH, C * KH * KW, OW * N)"
        ),
    ),
    dict(
        task="09-2",
        mistake="the last two dimensions are framed, as if the image were (N, C, H, W)",
        body=(
            "around = np.pad(x, ((0, 0), (0, 0), (p, p), (q, q)))\n"
            "columns = np.empty((OH, C, KH, KW, OW, N), dtype=x.dtype)\n"
            "for i, j, key in window.places():\n"
            "    columns[:, :, i, j] = around[key]\n"
            "return columns.reshape(OH, C * KH * KW, OW * N)"
        ),
    ),
    dict(
        task="09-2",
        mistake="the image in its frame is made for a frame at the beginning only, and ends too early",
        body=(
            "around = np.zeros((H + p, C, W + q, N), dtype=x.dtype)\n"
            "around[p:, :, q:] = x\n"
            "columns = np.empty((OH, C, KH, KW, OW, N), dtype=x.dtype)\n"
            "for i, j, key in window.places():\n"
            "    columns[:, :, i, j] = around[key]\n"
            "return columns.reshape(OH, C * KH * KW, OW * N)"
        ),
    ),
    dict(
        task="09-2",
        mistake="the paddings down and across have changed places",
        body=(
            "around = np.zeros((H + 2 * q, C, W + 2 * p, N), dtype=x.dtype)\n"
            "around[q : q + H, :, p : p + W] = x\n"
            "columns = np.empty((OH, C, KH, KW, OW, N), dtype=x.dtype)\n"
            "for i, j, key in window.places():\n"
            "    columns[:, :, i, j] = around[key]\n"
            "return columns.reshape(OH, C * KH * KW, OW * N)"
        ),
    ),
    dict(
        task="09-3",
        mistake="what arrives replaces what is there, and is not added",
        body=(
            "columns = columns.reshape(OH, C, KH, KW, OW, N)\n"
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=columns.dtype)\n"
            "for i, j, key in window.places():\n"
            "    around[key] = columns[:, :, i, j]\n"
            "return around[window.inner]"
        ),
    ),
    dict(
        task="09-3",
        mistake="the frame is not cut away",
        body=(
            "columns = columns.reshape(OH, C, KH, KW, OW, N)\n"
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=columns.dtype)\n"
            "for i, j, key in window.places():\n"
            "    around[key] += columns[:, :, i, j]\n"
            "return around"
        ),
    ),
    dict(
        task="09-3",
        mistake="the frame is cut away at the end only",
        body=(
            "columns = columns.reshape(OH, C, KH, KW, OW, N)\n"
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=columns.dtype)\n"
            "for i, j, key in window.places():\n"
            "    around[key] += columns[:, :, i, j]\n"
            "return around[:H, :, :W]"
        ),
    ),
    dict(
        task="09-3",
        mistake="the frame is cut away at the beginning only, and too much of it",
        body=(
            "columns = columns.reshape(OH, C, KH, KW, OW, N)\n"
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=columns.dtype)\n"
            "for i, j, key in window.places():\n"
            "    around[key] += columns[:, :, i, j]\n"
            "return around[2 * p :, :, 2 * q :]"
        ),
    ),
    dict(
        task="09-3",
        mistake="the rows are read by place in the kernel first, and by channel last",
        body=(
            "columns = columns.reshape(OH, KH, KW, C, OW, N)\n"
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=columns.dtype)\n"
            "for i, j, key in window.places():\n"
            "    around[key] += columns[:, i, j]\n"
            "return around[window.inner]"
        ),
    ),
    dict(
        task="09-3",
        mistake="the columns are read by image first, and by place in the map last",
        body=(
            "columns = columns.reshape(OH, C, KH, KW, N, OW).swapaxes(4, 5)\n"
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=columns.dtype)\n"
            "for i, j, key in window.places():\n"
            "    around[key] += columns[:, :, i, j]\n"
            "return around[window.inner]"
        ),
    ),
    dict(
        task="09-3",
        mistake="down and across in the kernel have changed places",
        body=(
            "columns = columns.reshape(OH, C, KW, KH, OW, N)\n"
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=columns.dtype)\n"
            "for i, j, key in window.places():\n"
            "    around[key] += columns[:, :, j, i]\n"
            "return around[window.inner]"
        ),
    ),
    dict(
        task="09-3",
        mistake="each pixel gets the mean of what arrives, and not the sum",
        body=(
            "columns = columns.reshape(OH, C, KH, KW, OW, N)\n"
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=columns.dtype)\n"
            "for i, j, key in window.places():\n"
            "    around[key] += columns[:, :, i, j]\n"
            "counts = np.zeros_like(around)\n"
            "for i, j, key in window.places():\n"
            "    counts[key] += 1\n"
            "return (around / np.maximum(counts, 1))[window.inner]"
        ),
    ),
    dict(
        task="09-3",
        mistake="the result is float64 whatever the columns are",
        body=(
            "columns = columns.reshape(OH, C, KH, KW, OW, N)\n"
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N))\n"
            "for i, j, key in window.places():\n"
            "    around[key] += columns[:, :, i, j]\n"
            "return around[window.inner]"
        ),
    ),
    dict(
        task="09-3",
        mistake="the columns themselves are written into",
        body=(
            "columns = columns.reshape(OH, C, KH, KW, OW, N)\n"
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=columns.dtype)\n"
            "for i, j, key in window.places():\n"
            "    around[key] += columns[:, :, i, j]\n"
            "    columns[:, :, i, j] = 0\n"
            "return around[window.inner]"
        ),
    ),
    dict(
        task="09-3",
        mistake="the frame is cut away by [p:-p], which leaves nothing where the padding is 0",
        body=(
            "columns = columns.reshape(OH, C, KH, KW, OW, N)\n"
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=columns.dtype)\n"
            "for i, j, key in window.places():\n"
            "    around[key] += columns[:, :, i, j]\n"
            "return around[p:-p, :, q:-q]"
        ),
    ),
    dict(
        task="09-3",
        mistake="there is no frame to add into",
        body=(
            "columns = columns.reshape(OH, C, KH, KW, OW, N)\n"
            "around = np.zeros((H, C, W, N), dtype=columns.dtype)\n"
            "for i, j, key in window.places():\n"
            "    around[key] += columns[:, :, i, j]\n"
            "return around"
        ),
    ),
    dict(
        task="09-3",
        mistake="the last two of the six dimensions have changed places",
        body=(
            "columns = columns.reshape(OH, C, KH, KW, N, OW)\n"
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=columns.dtype)\n"
            "for i, j, key in window.places():\n"
            "    around[key] += columns[:, :, i, j]\n"
            "return around[window.inner]"
        ),
    ),
    dict(
        task="09-4",
        mistake="the bias is left out",
        body=(
            "columns = im2col(x, window)\n"
            "y = weight.reshape(OC, C * KH * KW) @ columns\n"
            "return batch_first(y.reshape(OH, OC, OW, N)), columns"
        ),
    ),
    dict(
        task="09-4",
        mistake="the bias is added also when it is None",
        body=(
            "columns = im2col(x, window)\n"
            "y = weight.reshape(OC, C * KH * KW) @ columns\n"
            "y += np.asarray(bias)[:, None]\n"
            "return batch_first(y.reshape(OH, OC, OW, N)), columns"
        ),
    ),
    dict(
        task="09-4",
        mistake="an array is asked whether it is true, instead of whether it is None",
        body=(
            "columns = im2col(x, window)\n"
            "y = weight.reshape(OC, C * KH * KW) @ columns\n"
            "if bias:\n"
            "    y += bias[:, None]\n"
            "return batch_first(y.reshape(OH, OC, OW, N)), columns"
        ),
    ),
    dict(
        task="09-4",
        mistake="the bias runs along the places of the map, and not along the kernels",
        body=(
            "columns = im2col(x, window)\n"
            "y = weight.reshape(OC, C * KH * KW) @ columns\n"
            "if bias is not None:\n"
            "    y += np.resize(bias, OW * N)\n"
            "return batch_first(y.reshape(OH, OC, OW, N)), columns"
        ),
    ),
    dict(
        task="09-4",
        mistake="the bias runs along the rows of the map, and not along the kernels",
        body=(
            "columns = im2col(x, window)\n"
            "y = weight.reshape(OC, C * KH * KW) @ columns\n"
            "if bias is not None:\n"
            "    y += np.resize(bias, OH)[:, None, None]\n"
            "return batch_first(y.reshape(OH, OC, OW, N)), columns"
        ),
    ),
    dict(
        task="09-4",
        mistake="the bias is multiplied, and not added",
        body=(
            "columns = im2col(x, window)\n"
            "y = weight.reshape(OC, C * KH * KW) @ columns\n"
            "if bias is not None:\n"
            "    y *= bias[:, None]\n"
            "return batch_first(y.reshape(OH, OC, OW, N)), columns"
        ),
    ),
    dict(
        task="09-4",
        mistake="the bias is subtracted",
        body=(
            "columns = im2col(x, window)\n"
            "y = weight.reshape(OC, C * KH * KW) @ columns\n"
            "if bias is not None:\n"
            "    y -= bias[:, None]\n"
            "return batch_first(y.reshape(OH, OC, OW, N)), columns"
        ),
    ),
    dict(
        task="09-4",
        mistake="the kernels are rows of places in the kernel first, and channels last",
        body=(
            "columns = im2col(x, window)\n"
            "y = weight.transpose(0, 2, 3, 1).reshape(OC, C * KH * KW) @ columns\n"
            "if bias is not None:\n"
            "    y += bias[:, None]\n"
            "return batch_first(y.reshape(OH, OC, OW, N)), columns"
        ),
    ),
    dict(
        task="09-4",
        mistake="the kernels are turned by 180 degrees",
        body=(
            "columns = im2col(x, window)\n"
            "y = weight[:, :, ::-1, ::-1].reshape(OC, C * KH * KW) @ columns\n"
            "if bias is not None:\n"
            "    y += bias[:, None]\n"
            "return batch_first(y.reshape(OH, OC, OW, N)), columns"
        ),
    ),
    dict(
        task="09-4",
        mistake="the kernels are transposed: down and across have changed places",
        body=(
            "columns = im2col(x, window)\n"
            "y = weight.swapaxes(2, 3).reshape(OC, C * KH * KW) @ columns\n"
            "if bias is not None:\n"
            "    y += bias[:, None]\n"
            "return batch_first(y.reshape(OH, OC, OW, N)), columns"
        ),
    ),
    dict(
        task="09-4",
        mistake="the result is split by kernel before row, in the wrong order",
        body=(
            "columns = im2col(x, window)\n"
            "y = weight.reshape(OC, C * KH * KW) @ columns\n"
            "if bias is not None:\n"
            "    y += bias[:, None]\n"
            "return batch_first(y.reshape(OC, OH, OW, N).swapaxes(0, 1)), columns"
        ),
    ),
    dict(
        task="09-4",
        mistake="the result is split by image before place, in the wrong order",
        body=(
            "columns = im2col(x, window)\n"
            "y = weight.reshape(OC, C * KH * KW) @ columns\n"
            "if bias is not None:\n"
            "    y += bias[:, None]\n"
            "return batch_first(y.reshape(OH, OC, N, OW).swapaxes(2, 3)), columns"
        ),
    ),
    dict(
        task="09-4",
        mistake="the layout (H, C, W, N) is handed out, and not (N, C, H, W)",
        body=(
            "columns = im2col(x, window)\n"
            "y = weight.reshape(OC, C * KH * KW) @ columns\n"
            "if bias is not None:\n"
            "    y += bias[:, None]\n"
            "return y.reshape(OH, OC, OW, N), columns"
        ),
    ),
    dict(
        task="09-4",
        mistake="the result is reshaped to (N, C, H, W), where it should be transposed",
        body=(
            "columns = im2col(x, window)\n"
            "y = weight.reshape(OC, C * KH * KW) @ columns\n"
            "if bias is not None:\n"
            "    y += bias[:, None]\n"
            "return y.reshape(N, OC, OH, OW), columns"
        ),
    ),
    dict(
        task="09-4",
        mistake="the bias is added as it is, and does not fit the last dimension",
        body=(
            "columns = im2col(x, window)\n"
            "y = weight.reshape(OC, C * KH * KW) @ columns\n"
            "if bias is not None:\n"
            "    y += bias\n"
            "return batch_first(y.reshape(OH, OC, OW, N)), columns"
        ),
    ),
    dict(
        task="09-4",
        mistake="the columns are not handed out beside the result",
        body=(
            "columns = im2col(x, window)\n"
            "y = weight.reshape(OC, C * KH * KW) @ columns\n"
            "if bias is not None:\n"
            "    y += bias[:, None]\n"
            "return batch_first(y.reshape(OH, OC, OW, N))"
        ),
    ),
    dict(
        task="09-4",
        mistake="the columns stand before the kernels in the product",
        body=(
            "columns = im2col(x, window)\n"
            "y = columns @ weight.reshape(OC, C * KH * KW)\n"
            "if bias is not None:\n"
            "    y += bias[:, None]\n"
            "return batch_first(y.reshape(OH, OC, OW, N)), columns"
        ),
    ),
    dict(
        task="09-4",
        mistake="the kernels are not a matrix with one row of C * KH * KW numbers for each",
        body=(
            "columns = im2col(x, window)\n"
            "y = weight @ columns\n"
            "if bias is not None:\n"
            "    y += bias[:, None]\n"
            "return batch_first(y.reshape(OH, OC, OW, N)), columns"
        ),
    ),
    dict(
        task="09-5",
        mistake="in the image, the columns are not brought back to the pixels by col2im",
        body=(
            "return (\n"
            "    lambda: K.T @ G,\n"
            "    lambda: (G @ np.swapaxes(columns, 1, 2)).sum(axis=0).reshape(weight.shape),\n"
            "    lambda: G.sum(axis=(0, 2)),\n"
            ")"
        ),
    ),
    dict(
        task="09-5",
        mistake="in the image, the kernels are not transposed",
        body=(
            "return (\n"
            "    lambda: batch_first(col2im(K @ G, window)),\n"
            "    lambda: (G @ np.swapaxes(columns, 1, 2)).sum(axis=0).reshape(weight.shape),\n"
            "    lambda: G.sum(axis=(0, 2)),\n"
            ")"
        ),
    ),
    dict(
        task="09-5",
        mistake="in the image, the layout (H, C, W, N) is handed out",
        body=(
            "return (\n"
            "    lambda: col2im(K.T @ G, window),\n"
            "    lambda: (G @ np.swapaxes(columns, 1, 2)).sum(axis=0).reshape(weight.shape),\n"
            "    lambda: G.sum(axis=(0, 2)),\n"
            ")"
        ),
    ),
    dict(
        task="09-5",
        mistake="in the kernels, the columns are not transposed",
        body=(
            "return (\n"
            "    lambda: batch_first(col2im(K.T @ G, window)),\n"
            "    lambda: (G @ columns).sum(axis=0).reshape(weight.shape),\n"
            "    lambda: G.sum(axis=(0, 2)),\n"
            ")"
        ),
    ),
    dict(
        task="09-5",
        mistake="in the kernels, the rows of the map are not summed",
        body=(
            "return (\n"
            "    lambda: batch_first(col2im(K.T @ G, window)),\n"
            "    lambda: (G @ np.swapaxes(columns, 1, 2)).reshape(weight.shape),\n"
            "    lambda: G.sum(axis=(0, 2)),\n"
            ")"
        ),
    ),
    dict(
        task="09-5",
        mistake="in the kernels, only the first row of the map counts",
        body=(
            "return (\n"
            "    lambda: batch_first(col2im(K.T @ G, window)),\n"
            "    lambda: (G @ np.swapaxes(columns, 1, 2))[0].reshape(weight.shape),\n"
            "    lambda: G.sum(axis=(0, 2)),\n"
            ")"
        ),
    ),
    dict(
        task="09-5",
        mistake="in the kernels, the mean over the rows of the map is taken, and not the sum",
        body=(
            "return (\n"
            "    lambda: batch_first(col2im(K.T @ G, window)),\n"
            "    lambda: (G @ np.swapaxes(columns, 1, 2)).mean(axis=0).reshape(weight.shape),\n"
            "    lambda: G.sum(axis=(0, 2)),\n"
            ")"
        ),
    ),
    dict(
        task="09-5",
        mistake="in the kernels, the result keeps the shape of the matrix",
        body=(
            "return (\n"
            "    lambda: batch_first(col2im(K.T @ G, window)),\n"
            "    lambda: (G @ np.swapaxes(columns, 1, 2)).sum(axis=0),\n"
            "    lambda: G.sum(axis=(0, 2)),\n"
            ")"
        ),
    ),
    dict(
        task="09-5",
        mistake="in the bias, the mean is taken, and not the sum",
        body=(
            "return (\n"
            "    lambda: batch_first(col2im(K.T @ G, window)),\n"
            "    lambda: (G @ np.swapaxes(columns, 1, 2)).sum(axis=0).reshape(weight.shape),\n"
            "    lambda: G.mean(axis=(0, 2)),\n"
            ")"
        ),
    ),
    dict(
        task="09-5",
        mistake="in the bias, only the places within a row are summed, and the rows are not",
        body=(
            "return (\n"
            "    lambda: batch_first(col2im(K.T @ G, window)),\n"
            "    lambda: (G @ np.swapaxes(columns, 1, 2)).sum(axis=0).reshape(weight.shape),\n"
            "    lambda: G.sum(axis=2),\n"
            ")"
        ),
    ),
    dict(
        task="09-5",
        mistake="in the bias, everything is summed over all kernels",
        body=(
            "return (\n"
            "    lambda: batch_first(col2im(K.T @ G, window)),\n"
            "    lambda: (G @ np.swapaxes(columns, 1, 2)).sum(axis=0).reshape(weight.shape),\n"
            "    lambda: np.full(OC, G.sum()),\n"
            ")"
        ),
    ),
    dict(
        task="09-5",
        mistake="in the bias, the gradient is 1, whatever arrives",
        body=(
            "return (\n"
            "    lambda: batch_first(col2im(K.T @ G, window)),\n"
            "    lambda: (G @ np.swapaxes(columns, 1, 2)).sum(axis=0).reshape(weight.shape),\n"
            "    lambda: np.ones(OC),\n"
            ")"
        ),
    ),
    dict(
        task="09-5",
        mistake="the gradient in the image is divided by the number of images",
        body=(
            "return (\n"
            "    lambda: batch_first(col2im(K.T @ G, window) / N),\n"
            "    lambda: (G @ np.swapaxes(columns, 1, 2)).sum(axis=0).reshape(weight.shape),\n"
            "    lambda: G.sum(axis=(0, 2)),\n"
            ")"
        ),
    ),
    dict(
        task="09-5",
        mistake="the gradient in the kernels is divided by the number of images",
        body=(
            "return (\n"
            "    lambda: batch_first(col2im(K.T @ G, window)),\n"
            "    lambda: (G @ np.swapaxes(columns, 1, 2) / N).sum(axis=0).reshape(weight.shape),\n"
            "    lambda: G.sum(axis=(0, 2)),\n"
            ")"
        ),
    ),
    dict(
        task="09-5",
        mistake="arrays are handed out, and not functions of nothing",
        body=(
            "return (\n"
            "    batch_first(col2im(K.T @ G, window)),\n"
            "    (G @ np.swapaxes(columns, 1, 2)).sum(axis=0).reshape(weight.shape),\n"
            "    G.sum(axis=(0, 2)),\n"
            ")"
        ),
    ),
    dict(
        task="09-5",
        mistake="in the bias, the sum runs over the kernels and places, and the rows of the map are left",
        body=(
            "return (\n"
            "    lambda: batch_first(col2im(K.T @ G, window)),\n"
            "    lambda: (G @ np.swapaxes(columns, 1, 2)).sum(axis=0).reshape(weight.shape),\n"
            "    lambda: G.sum(axis=(1, 2)),\n"
            ")"
        ),
    ),
    dict(
        task="09-5",
        mistake="the gradient in the kernels stands first, and that in the image second",
        body=(
            "return (\n"
            "    lambda: (G @ np.swapaxes(columns, 1, 2)).sum(axis=0).reshape(weight.shape),\n"
            "    lambda: batch_first(col2im(K.T @ G, window)),\n"
            "    lambda: G.sum(axis=(0, 2)),\n"
            ")"
        ),
    ),
    dict(
        task="09-5",
        mistake="in the image, what arrives is transposed, with all of its dimensions, and the kernels are not",
        body=(
            "return (\n"
            "    lambda: batch_first(col2im(G.T @ K, window)),\n"
            "    lambda: (G @ np.swapaxes(columns, 1, 2)).sum(axis=0).reshape(weight.shape),\n"
            "    lambda: G.sum(axis=(0, 2)),\n"
            ")"
        ),
    ),
    dict(
        task="09-6",
        mistake="each of several equal pixels gets the whole gradient",
        body=("hit = around[key] == y\ndx[key] += g * hit"),
    ),
    dict(
        task="09-6",
        mistake="the last of several equal pixels wins, and not the first",
        body=(
            "hit = around[key] == y\n"
            "for _, _, before in window.places():\n"
            "    if before == key:\n"
            "        break\n"
            "    dx[before] -= g * hit * (around[before] == y)\n"
            "dx[key] += g * hit"
        ),
    ),
    dict(
        task="09-6",
        mistake="what arrives replaces what is there, so that overlapping windows forget each other",
        body=("hit = free & (around[key] == y)\ndx[key] = g * hit\nfree &= ~hit"),
    ),
    dict(
        task="09-6",
        mistake="the gradient is shared among all pixels of a window, as with a mean",
        body="dx[key] += g / math.prod(window.kernel)",
    ),
    dict(
        task="09-6",
        mistake="every pixel of a window gets the whole gradient",
        body="dx[key] += g",
    ),
    dict(
        task="09-6",
        mistake="windows that have paid out are not crossed off: the book is turned around",
        body=("hit = free & (around[key] == y)\ndx[key] += g * hit\nfree &= hit"),
    ),
    dict(
        task="09-6",
        mistake="the value of the pixel is written, and not the gradient",
        body=("hit = free & (around[key] == y)\ndx[key] += y * hit\nfree &= ~hit"),
    ),
    dict(
        task="09-6",
        mistake="the gradient is multiplied by the value of the pixel",
        body=("hit = free & (around[key] == y)\ndx[key] += g * y * hit\nfree &= ~hit"),
    ),
    dict(
        task="09-6",
        mistake="a one is written where the largest is, and what arrives is left out",
        body=("hit = free & (around[key] == y)\ndx[key] += 1.0 * hit\nfree &= ~hit"),
    ),
    dict(
        task="09-6",
        mistake="the pixels that are not the largest get the gradient",
        body=("hit = free & (around[key] != y)\ndx[key] += g * hit\nfree &= ~hit"),
    ),
    dict(
        task="09-6",
        mistake="only pixels above zero can win",
        body=("hit = free & (around[key] == y) & (y > 0)\ndx[key] += g * hit\nfree &= ~hit"),
    ),
    dict(
        task="09-6",
        mistake="and or not is used, which ask whether a whole array is true, in place of & or ~",
        body=("hit = free and (around[key] == y)\ndx[key] += g * hit\nfree &= ~hit"),
    ),
    dict(
        task="09-6",
        mistake="brackets are missing: & binds more tightly than ==",
        body=("hit = free & around[key] == y\ndx[key] += g * hit\nfree &= ~hit"),
    ),
    dict(
        task="09-6",
        mistake="truth values are subtracted",
        body=("hit = free & (around[key] == y)\ndx[key] += g * hit\nfree = free - hit"),
    ),
    dict(
        task="09-6",
        mistake="a window becomes free again when its winner is not at the next place",
        body=("hit = free & (around[key] == y)\ndx[key] += g * hit\nfree = ~hit"),
    ),
    dict(
        task="09-6",
        mistake="the gradient is added to the whole image, and not to the pixels under the key",
        body=("hit = free & (around[key] == y)\ndx += g * hit\nfree &= ~hit"),
    ),
    dict(
        task="09-7",
        mistake="the mean and the spread are taken for constants",
        body="return s * g",
    ),
    dict(
        task="09-7",
        mistake="the way through the spread is left out",
        body="return s * (g - g.mean(axis=1, keepdims=True))",
    ),
    dict(
        task="09-7",
        mistake="the way through the mean is left out",
        body="return s * (g - z * (g * z).mean(axis=1, keepdims=True))",
    ),
    dict(
        task="09-7",
        mistake="the factor s is left out",
        body=(
            "stretch = (g * z).mean(axis=1, keepdims=True)\nreturn (g - g.mean(axis=1, keepdims=True) - z * stretch)"
        ),
    ),
    dict(
        task="09-7",
        mistake="the gradient is divided by s instead of multiplied",
        body=(
            "stretch = (g * z).mean(axis=1, keepdims=True)\n"
            "return (1 / s) * (g - g.mean(axis=1, keepdims=True) - z * stretch)"
        ),
    ),
    dict(
        task="09-7",
        mistake="s appears squared",
        body=(
            "stretch = (g * z).mean(axis=1, keepdims=True)\n"
            "return s * s * (g - g.mean(axis=1, keepdims=True) - z * stretch)"
        ),
    ),
    dict(
        task="09-7",
        mistake="sums are taken in place of means",
        body=(
            "stretch = (g * z).sum(axis=1, keepdims=True)\nreturn s * (g - g.sum(axis=1, keepdims=True) - z * stretch)"
        ),
    ),
    dict(
        task="09-7",
        mistake="the means are taken over the columns, and not over the rows",
        body=(
            "stretch = (g * z).mean(axis=0, keepdims=True)\n"
            "return s * (g - g.mean(axis=0, keepdims=True) - z * stretch)"
        ),
    ),
    dict(
        task="09-7",
        mistake="the means are taken over everything",
        body=("stretch = (g * z).mean()\nreturn s * (g - g.mean() - z * stretch)"),
    ),
    dict(
        task="09-7",
        mistake="the way through the spread has the wrong sign",
        body=(
            "stretch = (g * z).mean(axis=1, keepdims=True)\n"
            "return s * (g - g.mean(axis=1, keepdims=True) + z * stretch)"
        ),
    ),
    dict(
        task="09-7",
        mistake="the way through the spread is not multiplied by z",
        body=(
            "stretch = (g * z).mean(axis=1, keepdims=True)\nreturn s * (g - g.mean(axis=1, keepdims=True) - stretch)"
        ),
    ),
    dict(
        task="09-7",
        mistake="the mean square of z is taken, and not that of g * z",
        body=(
            "stretch = (z * z).mean(axis=1, keepdims=True)\n"
            "return s * (g - g.mean(axis=1, keepdims=True) - z * stretch)"
        ),
    ),
    dict(
        task="09-7",
        mistake="the means divide by M - 1",
        body=(
            "M = g.shape[1]\n"
            "stretch = (g * z).sum(axis=1, keepdims=True) / (M - 1)\n"
            "return s * (g - g.sum(axis=1, keepdims=True) / (M - 1) - z * stretch)"
        ),
    ),
    dict(
        task="09-7",
        mistake="the gradient that arrives is written into",
        body=(
            "stretch = (g * z).mean(axis=1, keepdims=True)\n"
            "g -= g.mean(axis=1, keepdims=True) + z * stretch\n"
            "return s * g"
        ),
    ),
    dict(
        task="09-7",
        mistake="the dimension of the means is not kept, so that they do not fit beside the rows",
        body=("stretch = (g * z).mean(axis=1)\nreturn s * (g - g.mean(axis=1) - z * stretch)"),
    ),
    dict(
        task="09-7",
        mistake="the mean of g * z * z is taken from each, and z is inside of the mean",
        body=("return s * (g - g.mean(axis=1, keepdims=True) - (g * z * z).mean(axis=1, keepdims=True))"),
    ),
    dict(
        task="09-8",
        mistake="the running values are updated in use too",
        body=(
            "y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "running_mean.data = accumulate(running_mean.data, momentum * mean, 1 - momentum)\n"
            "running_var.data = accumulate(running_var.data, momentum * n / (n - 1) * variance, 1 - momentum)\n"
            "if training:\n"
            "    return y\n"
            "s = 1 / np.sqrt(running_var.data + eps)\n"
            "y = (x - by_channel(running_mean.data, ndim)) * by_channel(s, ndim)\n"
            "if weight is not None:\n"
            "    y = y * by_channel(weight, ndim)\n"
            "if bias is not None:\n"
            "    y = y + by_channel(bias, ndim)\n"
            "return y"
        ),
    ),
    dict(
        task="09-8",
        mistake="the running variance is biased: it divides by n and not by n - 1",
        body=(
            "if training:\n"
            "    y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "    running_mean.data = accumulate(running_mean.data, momentum * mean, 1 - momentum)\n"
            "    running_var.data = accumulate(running_var.data, momentum * variance, 1 - momentum)\n"
            "    return y\n"
            "s = 1 / np.sqrt(running_var.data + eps)\n"
            "y = (x - by_channel(running_mean.data, ndim)) * by_channel(s, ndim)\n"
            "if weight is not None:\n"
            "    y = y * by_channel(weight, ndim)\n"
            "if bias is not None:\n"
            "    y = y + by_channel(bias, ndim)\n"
            "return y"
        ),
    ),
    dict(
        task="09-8",
        mistake="the factor of the running variance is upside down",
        body=(
            "if training:\n"
            "    y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "    running_mean.data = accumulate(running_mean.data, momentum * mean, 1 - momentum)\n"
            "    running_var.data = accumulate(running_var.data, momentum * (n - 1) / n * variance, 1 - momentum)\n"
            "    return y\n"
            "s = 1 / np.sqrt(running_var.data + eps)\n"
            "y = (x - by_channel(running_mean.data, ndim)) * by_channel(s, ndim)\n"
            "if weight is not None:\n"
            "    y = y * by_channel(weight, ndim)\n"
            "if bias is not None:\n"
            "    y = y + by_channel(bias, ndim)\n"
            "return y"
        ),
    ),
    dict(
        task="09-8",
        mistake="n is the number of images, and not of values for a channel",
        body=(
            "n = len(x)\n"
            "if training:\n"
            "    y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "    running_mean.data = accumulate(running_mean.data, momentum * mean, 1 - momentum)\n"
            "    running_var.data = accumulate(running_var.data, momentum * n / (n - 1) * variance, 1 - momentum)\n"
            "    return y\n"
            "s = 1 / np.sqrt(running_var.data + eps)\n"
            "y = (x - by_channel(running_mean.data, ndim)) * by_channel(s, ndim)\n"
            "if weight is not None:\n"
            "    y = y * by_channel(weight, ndim)\n"
            "if bias is not None:\n"
            "    y = y + by_channel(bias, ndim)\n"
            "return y"
        ),
    ),
    dict(
        task="09-8",
        mistake="momentum is the share of the old, and not of the new",
        body=(
            "if training:\n"
            "    y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "    running_mean.data = accumulate(running_mean.data, (1 - momentum) * mean, momentum)\n"
            "    running_var.data = accumulate(running_var.data, (1 - momentum) * n / (n - 1) * variance, momentum)\n"
            "    return y\n"
            "s = 1 / np.sqrt(running_var.data + eps)\n"
            "y = (x - by_channel(running_mean.data, ndim)) * by_channel(s, ndim)\n"
            "if weight is not None:\n"
            "    y = y * by_channel(weight, ndim)\n"
            "if bias is not None:\n"
            "    y = y + by_channel(bias, ndim)\n"
            "return y"
        ),
    ),
    dict(
        task="09-8",
        mistake="the new mean is added whole, and not only its share",
        body=(
            "if training:\n"
            "    y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "    running_mean.data = accumulate(running_mean.data, mean, 1 - momentum)\n"
            "    running_var.data = accumulate(running_var.data, momentum * n / (n - 1) * variance, 1 - momentum)\n"
            "    return y\n"
            "s = 1 / np.sqrt(running_var.data + eps)\n"
            "y = (x - by_channel(running_mean.data, ndim)) * by_channel(s, ndim)\n"
            "if weight is not None:\n"
            "    y = y * by_channel(weight, ndim)\n"
            "if bias is not None:\n"
            "    y = y + by_channel(bias, ndim)\n"
            "return y"
        ),
    ),
    dict(
        task="09-8",
        mistake="the running mean does not forget the old",
        body=(
            "if training:\n"
            "    y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "    running_mean.data = accumulate(running_mean.data, momentum * mean, 1)\n"
            "    running_var.data = accumulate(running_var.data, momentum * n / (n - 1) * variance, 1 - momentum)\n"
            "    return y\n"
            "s = 1 / np.sqrt(running_var.data + eps)\n"
            "y = (x - by_channel(running_mean.data, ndim)) * by_channel(s, ndim)\n"
            "if weight is not None:\n"
            "    y = y * by_channel(weight, ndim)\n"
            "if bias is not None:\n"
            "    y = y + by_channel(bias, ndim)\n"
            "return y"
        ),
    ),
    dict(
        task="09-8",
        mistake="the running mean is replaced by that of the last batch",
        body=(
            "if training:\n"
            "    y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "    running_mean.data = mean\n"
            "    running_var.data = accumulate(running_var.data, momentum * n / (n - 1) * variance, 1 - momentum)\n"
            "    return y\n"
            "s = 1 / np.sqrt(running_var.data + eps)\n"
            "y = (x - by_channel(running_mean.data, ndim)) * by_channel(s, ndim)\n"
            "if weight is not None:\n"
            "    y = y * by_channel(weight, ndim)\n"
            "if bias is not None:\n"
            "    y = y + by_channel(bias, ndim)\n"
            "return y"
        ),
    ),
    dict(
        task="09-8",
        mistake="the running values are not updated at all",
        body=(
            "if training:\n"
            "    y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "    return y\n"
            "s = 1 / np.sqrt(running_var.data + eps)\n"
            "y = (x - by_channel(running_mean.data, ndim)) * by_channel(s, ndim)\n"
            "if weight is not None:\n"
            "    y = y * by_channel(weight, ndim)\n"
            "if bias is not None:\n"
            "    y = y + by_channel(bias, ndim)\n"
            "return y"
        ),
    ),
    dict(
        task="09-8",
        mistake="the running variance holds the spread, the root of the variance",
        body=(
            "if training:\n"
            "    y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "    variance = np.sqrt(variance)\n"
            "    running_mean.data = accumulate(running_mean.data, momentum * mean, 1 - momentum)\n"
            "    running_var.data = accumulate(running_var.data, momentum * n / (n - 1) * variance, 1 - momentum)\n"
            "    return y\n"
            "s = 1 / np.sqrt(running_var.data + eps)\n"
            "y = (x - by_channel(running_mean.data, ndim)) * by_channel(s, ndim)\n"
            "if weight is not None:\n"
            "    y = y * by_channel(weight, ndim)\n"
            "if bias is not None:\n"
            "    y = y + by_channel(bias, ndim)\n"
            "return y"
        ),
    ),
    dict(
        task="09-8",
        mistake="the running variance is updated with the mean",
        body=(
            "if training:\n"
            "    y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "    running_mean.data = accumulate(running_mean.data, momentum * mean, 1 - momentum)\n"
            "    running_var.data = accumulate(running_var.data, momentum * n / (n - 1) * mean, 1 - momentum)\n"
            "    return y\n"
            "s = 1 / np.sqrt(running_var.data + eps)\n"
            "y = (x - by_channel(running_mean.data, ndim)) * by_channel(s, ndim)\n"
            "if weight is not None:\n"
            "    y = y * by_channel(weight, ndim)\n"
            "if bias is not None:\n"
            "    y = y + by_channel(bias, ndim)\n"
            "return y"
        ),
    ),
    dict(
        task="09-8",
        mistake="in training the running values normalise the batch",
        body=(
            "if training:\n"
            "    y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "    running_mean.data = accumulate(running_mean.data, momentum * mean, 1 - momentum)\n"
            "    running_var.data = accumulate(running_var.data, momentum * n / (n - 1) * variance, 1 - momentum)\n"
            "    y = None\n"
            "s = 1 / np.sqrt(running_var.data + eps)\n"
            "y = (x - by_channel(running_mean.data, ndim)) * by_channel(s, ndim)\n"
            "if weight is not None:\n"
            "    y = y * by_channel(weight, ndim)\n"
            "if bias is not None:\n"
            "    y = y + by_channel(bias, ndim)\n"
            "return y"
        ),
    ),
    dict(
        task="09-8",
        mistake="in use the batch is normalised by itself",
        body=(
            "if training:\n"
            "    y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "    running_mean.data = accumulate(running_mean.data, momentum * mean, 1 - momentum)\n"
            "    running_var.data = accumulate(running_var.data, momentum * n / (n - 1) * variance, 1 - momentum)\n"
            "    return y\n"
            "y, mean, variance = by_batch(x, None, None, eps)\n"
            "if weight is not None:\n"
            "    y = y * by_channel(weight, ndim)\n"
            "if bias is not None:\n"
            "    y = y + by_channel(bias, ndim)\n"
            "return y"
        ),
    ),
    dict(
        task="09-8",
        mistake="in use the root is not taken",
        body=(
            "if training:\n"
            "    y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "    running_mean.data = accumulate(running_mean.data, momentum * mean, 1 - momentum)\n"
            "    running_var.data = accumulate(running_var.data, momentum * n / (n - 1) * variance, 1 - momentum)\n"
            "    return y\n"
            "s = 1 / (running_var.data + eps)\n"
            "y = (x - by_channel(running_mean.data, ndim)) * by_channel(s, ndim)\n"
            "if weight is not None:\n"
            "    y = y * by_channel(weight, ndim)\n"
            "if bias is not None:\n"
            "    y = y + by_channel(bias, ndim)\n"
            "return y"
        ),
    ),
    dict(
        task="09-8",
        mistake="in use the values are multiplied by the spread, and not divided",
        body=(
            "if training:\n"
            "    y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "    running_mean.data = accumulate(running_mean.data, momentum * mean, 1 - momentum)\n"
            "    running_var.data = accumulate(running_var.data, momentum * n / (n - 1) * variance, 1 - momentum)\n"
            "    return y\n"
            "s = np.sqrt(running_var.data + eps)\n"
            "y = (x - by_channel(running_mean.data, ndim)) * by_channel(s, ndim)\n"
            "if weight is not None:\n"
            "    y = y * by_channel(weight, ndim)\n"
            "if bias is not None:\n"
            "    y = y + by_channel(bias, ndim)\n"
            "return y"
        ),
    ),
    dict(
        task="09-8",
        mistake="in use the channel is taken for the last axis of the image",
        body=(
            "if training:\n"
            "    y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "    running_mean.data = accumulate(running_mean.data, momentum * mean, 1 - momentum)\n"
            "    running_var.data = accumulate(running_var.data, momentum * n / (n - 1) * variance, 1 - momentum)\n"
            "    return y\n"
            "s = 1 / np.sqrt(running_var.data + eps)\n"
            "y = (x - running_mean.data) * s\n"
            "if weight is not None:\n"
            "    y = y * by_channel(weight, ndim)\n"
            "if bias is not None:\n"
            "    y = y + by_channel(bias, ndim)\n"
            "return y"
        ),
    ),
    dict(
        task="09-8",
        mistake="in use scale and shift run along the last axis of the image",
        body=(
            "if training:\n"
            "    y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "    running_mean.data = accumulate(running_mean.data, momentum * mean, 1 - momentum)\n"
            "    running_var.data = accumulate(running_var.data, momentum * n / (n - 1) * variance, 1 - momentum)\n"
            "    return y\n"
            "s = 1 / np.sqrt(running_var.data + eps)\n"
            "y = (x - by_channel(running_mean.data, ndim)) * by_channel(s, ndim)\n"
            "if weight is not None:\n"
            "    y = y * weight\n"
            "if bias is not None:\n"
            "    y = y + bias\n"
            "return y"
        ),
    ),
    dict(
        task="09-8",
        mistake="in use the scale is left out",
        body=(
            "if training:\n"
            "    y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "    running_mean.data = accumulate(running_mean.data, momentum * mean, 1 - momentum)\n"
            "    running_var.data = accumulate(running_var.data, momentum * n / (n - 1) * variance, 1 - momentum)\n"
            "    return y\n"
            "s = 1 / np.sqrt(running_var.data + eps)\n"
            "y = (x - by_channel(running_mean.data, ndim)) * by_channel(s, ndim)\n"
            "if bias is not None:\n"
            "    y = y + by_channel(bias, ndim)\n"
            "return y"
        ),
    ),
    dict(
        task="09-8",
        mistake="in use the shift is left out",
        body=(
            "if training:\n"
            "    y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "    running_mean.data = accumulate(running_mean.data, momentum * mean, 1 - momentum)\n"
            "    running_var.data = accumulate(running_var.data, momentum * n / (n - 1) * variance, 1 - momentum)\n"
            "    return y\n"
            "s = 1 / np.sqrt(running_var.data + eps)\n"
            "y = (x - by_channel(running_mean.data, ndim)) * by_channel(s, ndim)\n"
            "if weight is not None:\n"
            "    y = y * by_channel(weight, ndim)\n"
            "return y"
        ),
    ),
    dict(
        task="09-8",
        mistake="in use the shift is added before the scale",
        body=(
            "if training:\n"
            "    y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "    running_mean.data = accumulate(running_mean.data, momentum * mean, 1 - momentum)\n"
            "    running_var.data = accumulate(running_var.data, momentum * n / (n - 1) * variance, 1 - momentum)\n"
            "    return y\n"
            "s = 1 / np.sqrt(running_var.data + eps)\n"
            "y = (x - by_channel(running_mean.data, ndim)) * by_channel(s, ndim)\n"
            "if bias is not None:\n"
            "    y = y + by_channel(bias, ndim)\n"
            "if weight is not None:\n"
            "    y = y * by_channel(weight, ndim)\n"
            "return y"
        ),
    ),
    dict(
        task="09-8",
        mistake="in use the values leave the graph, so that no gradient comes back",
        body=(
            "if training:\n"
            "    y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "    running_mean.data = accumulate(running_mean.data, momentum * mean, 1 - momentum)\n"
            "    running_var.data = accumulate(running_var.data, momentum * n / (n - 1) * variance, 1 - momentum)\n"
            "    return y\n"
            "s = 1 / np.sqrt(running_var.data + eps)\n"
            "y = (Tensor(x.data, dtype=x.dtype) - by_channel(running_mean.data, ndim)) * by_channel(s, ndim)\n"
            "if weight is not None:\n"
            "    y = y * by_channel(weight, ndim)\n"
            "if bias is not None:\n"
            "    y = y + by_channel(bias, ndim)\n"
            "return y"
        ),
    ),
    dict(
        task="09-8",
        mistake="in use eps is added to the spread, and not to the variance",
        body=(
            "if training:\n"
            "    y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "    running_mean.data = accumulate(running_mean.data, momentum * mean, 1 - momentum)\n"
            "    running_var.data = accumulate(running_var.data, momentum * n / (n - 1) * variance, 1 - momentum)\n"
            "    return y\n"
            "s = 1 / (np.sqrt(running_var.data) + eps)\n"
            "y = (x - by_channel(running_mean.data, ndim)) * by_channel(s, ndim)\n"
            "if weight is not None:\n"
            "    y = y * by_channel(weight, ndim)\n"
            "if bias is not None:\n"
            "    y = y + by_channel(bias, ndim)\n"
            "return y"
        ),
    ),
    dict(
        task="09-8",
        mistake="in use eps is left out",
        body=(
            "if training:\n"
            "    y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "    running_mean.data = accumulate(running_mean.data, momentum * mean, 1 - momentum)\n"
            "    running_var.data = accumulate(running_var.data, momentum * n / (n - 1) * variance, 1 - momentum)\n"
            "    return y\n"
            "s = 1 / np.sqrt(running_var.data)\n"
            "y = (x - by_channel(running_mean.data, ndim)) * by_channel(s, ndim)\n"
            "if weight is not None:\n"
            "    y = y * by_channel(weight, ndim)\n"
            "if bias is not None:\n"
            "    y = y + by_channel(bias, ndim)\n"
            "return y"
        ),
    ),
]
