"""An independent truth for the ops: float64 NumPy loops over positions and taps.

Imports nothing of hw2. Forward, every loop reads `x` where the definition says; the gradients
come from walking the same loops with the roles exchanged, so they are adjoint by construction.
"""

import itertools
from collections.abc import Iterator

import numpy as np

ALL = slice(None)


def taps(size, kernel, strides=None, padding="SAME", dilations=None) -> Iterator:
    """Yields ((i, j), (a, b), (row, column)) for each tap that lies inside the image.

    The taps of one position come in row order. Signals and volumes have one and three of each.
    """
    axes = _axes(size, kernel, strides, padding, dilations)
    for along in itertools.product(*(list(_axis_taps(*axis)) for axis in axes)):
        yield tuple(zip(*along, strict=True))


def positions(size, kernel, strides=None, padding="SAME", dilations=None) -> tuple[int, ...]:
    """Rows and columns of the output."""
    return tuple(
        len(_starts(size, taps, *options))
        for size, taps, *options in _axes(size, kernel, strides, padding, dilations)
    )


def unfold(x, kernel, **window):
    """Patches `[N, H', W', kH, kW, C]`, zero where a tap is outside."""
    n, *size, c = x.shape
    patches = np.zeros((n, *positions(size, kernel, **window), *kernel, c))
    for at, tap, pixel in taps(size, kernel, **window):
        patches[(ALL, *at, *tap)] = x[(ALL, *pixel)]
    return patches


def fold(patches, size, kernel, **window):
    """The image `[N, H, W, C]` that patches `[N, H', W', kH, kW, C]` add up to."""
    x = np.zeros((patches.shape[0], *size, patches.shape[-1]))
    for at, tap, pixel in taps(size, kernel, **window):
        x[(ALL, *pixel)] += patches[(ALL, *at, *tap)]
    return x


def conv(x, w, **window):
    """`[N, H', W', O]`; groups where `x` has a multiple of the channels of `w`."""
    size, kernel = x.shape[1:-1], w.shape[:-2]
    y = np.zeros((len(x), *positions(size, kernel, **window), w.shape[-1]))
    for at, tap, pixel in taps(size, kernel, **window):
        for of_x, of_y in _groups(x, w):
            y[(ALL, *at, of_y)] += x[(ALL, *pixel, of_x)] @ w[(*tap, ALL, of_y)]
    return y


def conv_gradients(x, w, dy, **window):
    """dx and dw of sum(conv(x, w) * dy)."""
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for at, tap, pixel in taps(x.shape[1:-1], w.shape[:-2], **window):
        for of_x, of_y in _groups(x, w):
            dx[(ALL, *pixel, of_x)] += dy[(ALL, *at, of_y)] @ w[(*tap, ALL, of_y)].T
            dw[(*tap, ALL, of_y)] += x[(ALL, *pixel, of_x)].T @ dy[(ALL, *at, of_y)]
    return dx, dw


def conv_transpose(x, w, size, **window):
    """`[N, *size]`, size (H, W, groups*O): the gradient of the `conv` that x is a gradient of."""
    return conv_gradients(np.zeros((len(x), *size)), w, x, **window)[0]


# Of images, as the ops are named.
conv2d, conv2d_gradients, conv2d_transpose = conv, conv_gradients, conv_transpose


def depthwise_conv2d(x, w, **window):
    """`[N, H', W', C*M]`."""
    n, (c, m) = len(x), w.shape[2:]
    y = np.zeros((n, *positions(x.shape[1:3], w.shape[:2], **window), c, m))
    for (i, j), (a, b), (row, column) in taps(x.shape[1:3], w.shape[:2], **window):
        y[:, i, j] += x[:, row, column, :, None] * w[a, b]
    return y.reshape(*y.shape[:3], c * m)


def depthwise_conv2d_gradients(x, w, dy, **window):
    """dx and dw of sum(depthwise_conv2d(x, w) * dy)."""
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    dy = dy.reshape(*dy.shape[:3], *w.shape[2:])
    for (i, j), (a, b), (row, column) in taps(x.shape[1:3], w.shape[:2], **window):
        dx[:, row, column] += np.sum(dy[:, i, j] * w[a, b], -1)
        dw[a, b] += np.sum(dy[:, i, j] * x[:, row, column, :, None], 0)
    return dx, dw


def locally_connected2d(x, w, **window):
    """`[N, H', W', O]` with filters `[H', W', kH, kW, C, O]`."""
    y = np.zeros((len(x), *w.shape[:2], w.shape[5]))
    for (i, j), (a, b), (row, column) in taps(x.shape[1:3], w.shape[2:4], **window):
        y[:, i, j] += x[:, row, column] @ w[i, j, a, b]
    return y


def locally_connected2d_gradients(x, w, dy, **window):
    """dx and dw of sum(locally_connected2d(x, w) * dy)."""
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for (i, j), (a, b), (row, column) in taps(x.shape[1:3], w.shape[2:4], **window):
        dx[:, row, column] += dy[:, i, j] @ w[i, j, a, b].T
        dw[i, j, a, b] += x[:, row, column].T @ dy[:, i, j]
    return dx, dw


def max_pool2d(x, dy, kernel, **window):
    """The largest values, minus infinity under no pixel, and dx: dy at the first of them."""
    n, height, width, c = x.shape
    y = np.full((n, *positions((height, width), kernel, **window), c), -np.inf)
    where = {}
    for (i, j), _, (row, column) in taps((height, width), kernel, **window):
        for k in np.ndindex(n, c):
            if x[k[0], row, column, k[1]] > y[k[0], i, j, k[1]]:
                y[k[0], i, j, k[1]] = x[k[0], row, column, k[1]]
                where[k, i, j] = row, column
    dx = np.zeros(x.shape)
    for (k, i, j), (row, column) in where.items():
        dx[k[0], row, column, k[1]] += dy[k[0], i, j, k[1]]
    return y, dx


def avg_pool2d(x, dy, kernel, **window):
    """The means, 0 under no pixel, and dx."""
    n, height, width, c = x.shape
    y = np.zeros((n, *positions((height, width), kernel, **window), c))
    counts = np.zeros((*y.shape[1:3], 1))
    for (i, j), _, (row, column) in taps((height, width), kernel, **window):
        y[:, i, j] += x[:, row, column]
        counts[i, j] += 1
    counts = np.maximum(counts, 1)
    dx = np.zeros(x.shape)
    for (i, j), _, (row, column) in taps((height, width), kernel, **window):
        dx[:, row, column] += dy[:, i, j] / counts[i, j]
    return y / counts, dx


def error(a, b) -> float:
    """max|a-b| / max|b|; infinite where the shapes differ.

    The tests draw values near 1, so where all of b is smaller than that, terms have cancelled,
    and their rounding errors have not: then the error is max|a-b|.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        return float("inf")
    return float(np.max(np.abs(a - b), initial=0.0) / np.max(np.abs(b), initial=1.0))


def _groups(x, w) -> Iterator[tuple[slice, slice]]:
    c, o = w.shape[-2:]
    groups = x.shape[-1] // c
    for g in range(groups):
        yield slice(g * c, (g + 1) * c), slice(g * o // groups, (g + 1) * o // groups)


def _axis_taps(size, kernel, stride, dilation, padding):
    for i, start in enumerate(_starts(size, kernel, stride, dilation, padding)):
        for a in range(kernel):
            if 0 <= start + a * dilation < size:
                yield i, a, start + a * dilation


def _starts(size, kernel, stride, dilation, padding) -> list[int]:
    """The pixel under the first tap, for each position of the window."""
    span = (kernel - 1) * dilation + 1
    if padding == "VALID":
        padding = (0, 0)
    if padding == "SAME":  # as many positions as strides begin in the image, centred
        count = -(-size // stride)
        missing = max((count - 1) * stride + span - size, 0)
        padding = (missing // 2, missing - missing // 2)
    before, after = padding
    return list(range(-before, size + after - span + 1, stride))


def _axes(size, kernel, strides, padding, dilations) -> list:
    ones = (1,) * len(size)
    pads = [padding] * len(size) if isinstance(padding, str) else padding
    return list(zip(size, kernel, strides or ones, dilations or ones, pads, strict=True))
