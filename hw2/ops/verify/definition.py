"""Every op by its definition: float64, NumPy, pixel by pixel index.

`verify` holds the library against these. They share nothing with it but `Window`: where a tap
reads is written once more below, as an index for every position and tap.

Each function returns the output and its gradients: (y, [dx, dw, ...]) for a given dy.
"""

from __future__ import annotations

import numpy as np

from hw2.ops.geometry import Window


def unfold(x: np.ndarray, *, window: Window, dy: np.ndarray):
    """y[n, i, j, a, b, c] = x[n, pixel(i, a), pixel(j, b), c], zero outside the image."""
    patches = _read(x, window)
    return patches.reshape(dy.shape), [_add(dy.reshape(patches.shape), x.shape, window)]


def fold(patches: np.ndarray, *, window: Window, dy: np.ndarray):
    """y[n, pixel(i, a), pixel(j, b), c] += patches[n, i, j, a, b, c], over all i, j, a, b."""
    shape = (*patches.shape[:3], *window.kernel, dy.shape[3])
    y = _add(patches.reshape(shape), dy.shape, window)
    return y, [_read(dy, window).reshape(patches.shape)]


def conv2d(x: np.ndarray, w: np.ndarray, *, window: Window, dy: np.ndarray):
    """y[n, i, j, o] = sum of x[n, pixel(i, a), pixel(j, b), c] w[a, b, c, o] over a, b, c."""
    kh, kw, c, o = w.shape
    groups = x.shape[3] // c if c else 1
    y, dx, dw = _contract(
        "nijabgc,abcgo->nijgo",
        x.reshape(*x.shape[:3], groups, c),
        w.reshape(kh, kw, c, groups, o // groups),
        dy.reshape(*dy.shape[:3], groups, o // groups),
        window,
    )
    return y.reshape(dy.shape), [dx.reshape(x.shape), dw.reshape(w.shape)]


def conv1d(x: np.ndarray, w: np.ndarray, *, window: Window, dy: np.ndarray):
    """`conv2d` of images of one row."""
    y, (dx, dw) = conv2d(x[:, None], w[None], window=window, dy=dy[:, None])
    return y[:, 0], [dx[:, 0], dw[0]]


def conv2d_transpose(x: np.ndarray, w: np.ndarray, *, window: Window, dy: np.ndarray):
    """The gradient of `conv2d` by its images; so its own gradient by x is `conv2d` of dy."""
    dx, (y, dw) = conv2d(dy, w, window=window, dy=x)
    return y, [dx, dw]


def depthwise_conv2d(x: np.ndarray, w: np.ndarray, *, window: Window, dy: np.ndarray):
    """y[n, i, j, c, m] = sum of x[n, pixel(i, a), pixel(j, b), c] w[a, b, c, m] over a, b."""
    y, dx, dw = _contract(
        "nijabc,abcm->nijcm", x, w, dy.reshape(*dy.shape[:3], *w.shape[2:]), window
    )
    return y.reshape(dy.shape), [dx, dw]


def separable_conv2d(x: np.ndarray, depthwise: np.ndarray, pointwise: np.ndarray, *, window, dy):
    """y = depthwise_conv2d(x, depthwise), then at each pixel its product with pointwise."""
    of_middle = np.einsum("nijo,abko->nijk", dy, pointwise)
    middle, (dx, d_depthwise) = depthwise_conv2d(x, depthwise, window=window, dy=of_middle)
    y = np.einsum("nijk,abko->nijo", middle, pointwise)
    return y, [dx, d_depthwise, np.einsum("nijk,nijo->ko", middle, dy)[None, None]]


def locally_connected2d(x: np.ndarray, w: np.ndarray, *, window: Window, dy: np.ndarray):
    """y[n, i, j, o] = sum of x[n, pixel(i, a), pixel(j, b), c] w[i, j, a, b, c, o] over a, b, c."""
    y, dx, dw = _contract("nijabc,ijabco->nijo", x, w, dy, window)
    return y, [dx, dw]


def max_pool2d(x: np.ndarray, *, window: Window, dy: np.ndarray):
    """y[n, i, j, c] = the largest x[n, pixel(i, a), pixel(j, b), c]; dy goes to the first a, b."""
    patches = _read(x, window, outside=-np.inf)
    n, high, wide, kh, kw, c = patches.shape
    flat = patches.reshape(n, high, wide, kh * kw, c)
    first = np.argmax(flat, 3)[:, :, :, None]  # NumPy promises the first of equals
    d_flat = np.where(np.arange(kh * kw)[:, None] == first, dy[:, :, :, None], 0.0)
    return flat.max(3), [_add(d_flat.reshape(patches.shape), x.shape, window)]


def avg_pool2d(x: np.ndarray, *, window: Window, dy: np.ndarray):
    """y[n, i, j, c] = the mean of those x[n, pixel(i, a), pixel(j, b), c] that exist, else 0."""
    exists = _read(np.ones(x.shape), window)
    counts = np.maximum(exists.sum((3, 4), keepdims=True), 1)
    y = (_read(x, window) / counts).sum((3, 4))
    return y, [_add(exists * dy[:, :, :, None, None] / counts, x.shape, window)]


def positions(size: tuple[int, int], window: Window) -> tuple[int, int]:
    """Rows and columns of positions of a window over an image of (H, W)."""
    return _pixels((0, *size), window)[2].shape[:2]


def _contract(spec: str, x: np.ndarray, w: np.ndarray, dy: np.ndarray, window: Window):
    """A sum of products of patches and weights; each gradient is the same sum, turned round."""
    of_patches, of_w, of_y = spec.replace("->", ",").split(",")
    patches = _read(x, window)
    y = np.einsum(f"{of_patches},{of_w}->{of_y}", patches, w, optimize=True)
    d_patches = np.einsum(f"{of_y},{of_w}->{of_patches}", dy, w, optimize=True)
    dw = np.einsum(f"{of_patches},{of_y}->{of_w}", patches, dy, optimize=True)
    return y, _add(d_patches, x.shape, window), dw


def _read(x: np.ndarray, window: Window, outside: float = 0.0) -> np.ndarray:
    """`[N, H', W', kH, kW, ...]` from `[N, H, W, ...]`."""
    rows, columns, inside = _pixels(x.shape, window)
    if inside.size == 0 or x.size == 0:
        return np.full((x.shape[0], *inside.shape, *x.shape[3:]), outside)
    inside = inside.reshape(*inside.shape, *[1] * (x.ndim - 3))
    return np.where(inside, x[:, rows, columns], outside)


def _add(patches: np.ndarray, shape: tuple[int, ...], window: Window) -> np.ndarray:
    """`[N, H, W, ...]` from `[N, H', W', kH, kW, ...]`."""
    rows, columns, inside = _pixels(shape, window)
    x = np.zeros(shape)
    if x.size:
        inside = inside.reshape(*inside.shape, *[1] * (x.ndim - 3))
        places = (slice(None), rows, columns)
        np.add.at(x, places, np.where(inside, patches, 0.0))  # type: ignore[arg-type]  # slices too
    return x


def _pixels(shape: tuple[int, ...], window: Window):
    """Row, column (clipped to the image) and whether inside, each `[H', W', kH, kW]`."""
    rows, columns = (
        _taps(shape[1 + k], window.kernel[k], window.strides[k], window.dilations[k], pad)
        for k, pad in enumerate(
            [window.padding] * 2 if isinstance(window.padding, str) else window.padding
        )
    )
    rows, columns = rows[:, None, :, None], columns[None, :, None, :]
    inside = (rows >= 0) & (rows < shape[1]) & (columns >= 0) & (columns < shape[2])
    clip = (np.clip(rows, 0, max(shape[1] - 1, 0)), np.clip(columns, 0, max(shape[2] - 1, 0)))
    return *np.broadcast_arrays(*clip), inside


def _taps(size: int, kernel: int, stride: int, dilation: int, padding) -> np.ndarray:
    """The pixel under each tap of each position, `[positions, taps]`."""
    span = dilation * (kernel - 1) + 1
    if padding == "SAME":
        positions = int(np.ceil(size / stride))
        before = max(stride * (positions - 1) + span - size, 0) // 2
    else:
        before, after = (0, 0) if padding == "VALID" else padding
        starts = range(-before, size + after - span + 1, stride)
        positions = len(starts)
    return stride * np.arange(positions)[:, None] + dilation * np.arange(kernel) - before
