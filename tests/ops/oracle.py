"""An independent truth for the ops: float64 NumPy loops over positions and taps.

Imports nothing of hw2. Forward, every loop reads `x` where the definition says; the gradients
come from walking the same loops with the roles exchanged, so they are adjoint by construction.
"""

from collections.abc import Iterator

import numpy as np


def taps(size, kernel, strides=(1, 1), padding="SAME", dilations=(1, 1)) -> Iterator:
    """Yields ((i, j), (a, b), (row, column)) for each tap that lies inside the image.

    The taps of one position come in row order.
    """
    rows = list(_axis_taps(size[0], kernel[0], strides[0], dilations[0], _side(padding, 0)))
    columns = list(_axis_taps(size[1], kernel[1], strides[1], dilations[1], _side(padding, 1)))
    for i, a, row in rows:
        for j, b, column in columns:
            yield (i, j), (a, b), (row, column)


def positions(size, kernel, strides=(1, 1), padding="SAME", dilations=(1, 1)) -> tuple[int, int]:
    """Rows and columns of the output."""
    high, wide = (
        len(_starts(size[k], kernel[k], strides[k], dilations[k], _side(padding, k)))
        for k in range(2)
    )
    return high, wide


def unfold(x, kernel, **window):
    """Patches `[N, H', W', kH, kW, C]`, zero where a tap is outside."""
    n, height, width, c = x.shape
    patches = np.zeros((n, *positions((height, width), kernel, **window), *kernel, c))
    for (i, j), (a, b), (row, column) in taps((height, width), kernel, **window):
        patches[:, i, j, a, b] = x[:, row, column]
    return patches


def fold(patches, size, kernel, **window):
    """The image `[N, H, W, C]` that patches `[N, H', W', kH, kW, C]` add up to."""
    x = np.zeros((patches.shape[0], *size, patches.shape[-1]))
    for (i, j), (a, b), (row, column) in taps(size, kernel, **window):
        x[:, row, column] += patches[:, i, j, a, b]
    return x


def conv2d(x, w, **window):
    """`[N, H', W', O]`; groups where `x` has a multiple of the channels of `w`."""
    y = np.zeros((len(x), *positions(x.shape[1:3], w.shape[:2], **window), w.shape[3]))
    for (i, j), (a, b), (row, column) in taps(x.shape[1:3], w.shape[:2], **window):
        for of_x, of_y in _groups(x, w):
            y[:, i, j, of_y] += x[:, row, column, of_x] @ w[a, b, :, of_y]
    return y


def conv2d_gradients(x, w, dy, **window):
    """dx and dw of sum(conv2d(x, w) * dy)."""
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for (i, j), (a, b), (row, column) in taps(x.shape[1:3], w.shape[:2], **window):
        for of_x, of_y in _groups(x, w):
            dx[:, row, column, of_x] += dy[:, i, j, of_y] @ w[a, b, :, of_y].T
            dw[a, b, :, of_y] += x[:, row, column, of_x].T @ dy[:, i, j, of_y]
    return dx, dw


def conv2d_transpose(x, w, size, **window):
    """`[N, *size]`, size (H, W, groups*O): the gradient of the `conv2d` that x is a gradient of."""
    return conv2d_gradients(np.zeros((len(x), *size)), w, x, **window)[0]


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
    c, o = w.shape[2:]
    groups = x.shape[3] // c
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


def _side(padding, axis):
    return padding if isinstance(padding, str) else padding[axis]
