"""Every op by its definition: float64, NumPy, pixel by pixel index.

`verify` holds the library against these. They share nothing with it but `Window`: where a tap
reads is written once more below, as an index for every position and tap. Positions and taps are
numbered in row order, p and k, so that one definition serves signals, images and volumes.

Each function returns the output and its gradients: (y, [dx, dw, ...]) for a given dy.
"""

from __future__ import annotations

import math

import numpy as np

from hw2.ops.geometry import Window


def unfold(x: np.ndarray, *, window: Window, dy: np.ndarray):
    """y[n, p, k, c] = x[n, pixel(p, k), c], zero outside the image."""
    patches = _read(x, window)
    return patches.reshape(dy.shape), [_add(dy.reshape(patches.shape), x.shape, window)]


def fold(patches: np.ndarray, *, window: Window, dy: np.ndarray):
    """y[n, pixel(p, k), c] += patches[n, p, k, c], over all p, k."""
    taps = math.prod(window.kernel)
    places = math.prod(patches.shape[1:-1])
    y = _add(patches.reshape(len(patches), places, taps, dy.shape[-1]), dy.shape, window)
    return y, [_read(dy, window).reshape(patches.shape)]


def conv(x: np.ndarray, w: np.ndarray, *, window: Window, dy: np.ndarray):
    """y[n, p, o] = sum of x[n, pixel(p, k), c] w[k, c, o] over k, c; of each group by itself."""
    c, o = w.shape[-2:]
    groups = x.shape[-1] // c if c else 1
    y, dx, dw = _contract(
        "npkgc,kcgo->npgo",
        x.reshape(*x.shape[:-1], groups, c),
        w.reshape(_taps_of(w), c, groups, o // groups),
        dy.reshape(len(dy), math.prod(dy.shape[1:-1]), groups, o // groups),
        window,
    )
    return y.reshape(dy.shape), [dx.reshape(x.shape), dw.reshape(w.shape)]


def conv_transpose(x: np.ndarray, w: np.ndarray, *, window: Window, dy: np.ndarray):
    """The gradient of `conv` by its images; so its own gradient by x is `conv` of dy."""
    dx, (y, dw) = conv(dy, w, window=window, dy=x)
    return y, [dx, dw]


def depthwise_conv2d(x: np.ndarray, w: np.ndarray, *, window: Window, dy: np.ndarray):
    """y[n, p, c, m] = sum of x[n, pixel(p, k), c] w[k, c, m] over k."""
    taps = w.reshape(_taps_of(w), *w.shape[2:])
    of_y = dy.reshape(len(dy), math.prod(dy.shape[1:3]), *w.shape[2:])
    y, dx, dw = _contract("npkc,kcm->npcm", x, taps, of_y, window)
    return y.reshape(dy.shape), [dx, dw.reshape(w.shape)]


def separable_conv2d(x: np.ndarray, depthwise: np.ndarray, pointwise: np.ndarray, *, window, dy):
    """y = depthwise_conv2d(x, depthwise), then at each pixel its product with pointwise."""
    of_middle = np.einsum("nijo,abko->nijk", dy, pointwise)
    middle, (dx, d_depthwise) = depthwise_conv2d(x, depthwise, window=window, dy=of_middle)
    y = np.einsum("nijk,abko->nijo", middle, pointwise)
    return y, [dx, d_depthwise, np.einsum("nijk,nijo->ko", middle, dy)[None, None]]


def locally_connected2d(x: np.ndarray, w: np.ndarray, *, window: Window, dy: np.ndarray):
    """y[n, p, o] = sum of x[n, pixel(p, k), c] w[p, k, c, o] over k, c."""
    places, taps = math.prod(w.shape[:2]), math.prod(w.shape[2:4])
    of_y = dy.reshape(len(dy), places, dy.shape[3])
    y, dx, dw = _contract("npkc,pkco->npo", x, w.reshape(places, taps, *w.shape[4:]), of_y, window)
    return y.reshape(dy.shape), [dx, dw.reshape(w.shape)]


def deform_conv2d(x, w, offsets, mask, *, window: Window, dy: np.ndarray):
    """y[n, p, o] = sum of x(n, pixel(p, k) + offsets[n, p, g, k], c) mask[n, p, g, k] w[k, c, o].

    Between pixels x(n, row, column, c) is the sum of x[n, i, j, c] near(row - i) near(column - j)
    over all i, j, with near(t) = max(0, 1 - |t|), which is bilinear interpolation.
    """
    n, height, width, channels = x.shape
    taps = math.prod(window.kernel)
    g = offsets.shape[3] // (2 * taps)
    places = math.prod(dy.shape[1:3])
    moved = offsets.reshape(n, places, g, taps, 2)
    rows, columns = _places(x.shape[1:3], window)  # each [P, K]
    down = rows[:, None] + moved[..., 0]  # [N, P, G, K]
    right = columns[:, None] + moved[..., 1]
    (near, slope), (beside, across) = _near(down, height), _near(right, width)
    images = x.reshape(n, height, width, g, channels // g)

    def read(of_rows, of_columns):
        spec = "npgki,npgkj,nijgd->npkgd"
        return np.einsum(spec, of_rows, of_columns, images, optimize=True)

    factors = mask.reshape(n, places, g, taps).swapaxes(2, 3)[..., None]  # [N, P, K, G, 1]
    values = read(near, beside)  # [N, P, K, G, C/G]
    c, o = w.shape[2:]
    groups = channels // c
    y, d_patches, dw = _products(
        "npkhc,kcho->npho",
        (values * factors).reshape(*values.shape[:3], groups, c),
        w.reshape(taps, c, groups, o // groups),
        dy.reshape(n, places, groups, o // groups),
    )
    d_read = d_patches.reshape(values.shape)
    d_values = d_read * factors
    spec = "npgki,npgkj,npkgd->nijgd"
    dx = np.einsum(spec, near, beside, d_values, optimize=True)
    d_moved = [(d_values * read(*of)).sum(4) for of in ((slope, beside), (near, across))]
    d_offsets = np.stack(d_moved, 4).swapaxes(2, 3)  # [N, P, G, K, 2]
    d_mask = (d_read * values).sum(4).swapaxes(2, 3)
    gradients = [dx, dw, d_offsets, d_mask]
    shapes = [x.shape, w.shape, offsets.shape, mask.shape]
    return y.reshape(dy.shape), [d.reshape(s) for d, s in zip(gradients, shapes, strict=True)]


def octave_conv2d(high, low, w, *, window: Window, dy: np.ndarray):
    """High: conv of high, and conv of low with pixels repeated. Low: conv of means, and of low.

    Half of the filters, rounded down, give low; dy and y are those of high and of low, side by
    side in a row for each image.
    """
    c, of_low = high.shape[3], w.shape[3] // 2
    kept = w.shape[3] - of_low
    of_high_size, of_low_size = (
        positions(high.shape[1:3], window),
        positions(low.shape[1:3], window),
    )
    split = math.prod(of_high_size) * kept
    dy_high = dy[:, :split].reshape(len(dy), *of_high_size, kept)
    dy_low = dy[:, split:].reshape(len(dy), *of_low_size, of_low)

    y, (d_high, dw_high) = conv(high, w[:, :, :c, :kept], window=window, dy=dy_high)
    odd = [(0, 2 * small - size) for small, size in zip(of_low_size, of_high_size, strict=True)]
    squares = np.pad(dy_high, [(0, 0), *odd, (0, 0)])
    squares = squares.reshape(len(dy), of_low_size[0], 2, of_low_size[1], 2, kept).sum((2, 4))
    coarse, (d_low, dw_low) = conv(low, w[:, :, c:, :kept], window=window, dy=squares)
    y = y + coarse.repeat(2, 1).repeat(2, 2)[:, : of_high_size[0], : of_high_size[1]]

    halves = Window((2, 2), (2, 2), "SAME")
    means, _ = avg_pool2d(high, window=halves, dy=np.zeros((*low.shape[:3], c)))
    both = np.concatenate([means, low], 3)
    y_low, (d_both, dw_both) = conv(both, w[..., kept:], window=window, dy=dy_low)
    _, (d_means,) = avg_pool2d(high, window=halves, dy=d_both[..., :c])
    dw = np.concatenate([np.concatenate([dw_high, dw_low], 2), dw_both], 3)
    y = np.concatenate([part.reshape(len(dy), math.prod(part.shape[1:])) for part in (y, y_low)], 1)
    return y, [d_high + d_means, d_low + d_both[..., c:], dw]


def max_pool2d(x: np.ndarray, *, window: Window, dy: np.ndarray):
    """y[n, p, c] = the largest x[n, pixel(p, k), c]; dy goes to the first such k."""
    patches = _read(x, window, outside=-np.inf)  # [N, P, K, C]
    first = np.argmax(patches, 2)[:, :, None]  # NumPy promises the first of equals
    of_taps = np.arange(patches.shape[2])[:, None] == first
    d_patches = np.where(of_taps, dy.reshape(patches.max(2).shape)[:, :, None], 0.0)
    return patches.max(2).reshape(dy.shape), [_add(d_patches, x.shape, window)]


def avg_pool2d(x: np.ndarray, *, window: Window, dy: np.ndarray):
    """y[n, p, c] = the mean of those x[n, pixel(p, k), c] that exist, else 0."""
    exists = _read(np.ones(x.shape), window)
    counts = np.maximum(exists.sum(2, keepdims=True), 1)
    y = (_read(x, window) / counts).sum(2)
    d_patches = exists * dy.reshape(y.shape)[:, :, None] / counts
    return y.reshape(dy.shape), [_add(d_patches, x.shape, window)]


def positions(sizes: tuple[int, ...], window: Window) -> tuple[int, ...]:
    """Positions of a window along each axis of an image: rows and columns of (H, W)."""
    return tuple(len(taps) for taps in _along_axes(sizes, window))


def _contract(spec: str, x: np.ndarray, w: np.ndarray, dy: np.ndarray, window: Window):
    """A sum of products of what the window reads and weights."""
    y, d_patches, dw = _products(spec, _read(x, window), w, dy)
    return y, _add(d_patches, x.shape, window), dw


def _products(spec: str, patches: np.ndarray, w: np.ndarray, dy: np.ndarray):
    """A sum of products; each gradient is the same sum, turned round."""
    of_patches, of_w, of_y = spec.replace("->", ",").split(",")
    y = np.einsum(f"{of_patches},{of_w}->{of_y}", patches, w, optimize=True)
    d_patches = np.einsum(f"{of_y},{of_w}->{of_patches}", dy, w, optimize=True)
    dw = np.einsum(f"{of_patches},{of_y}->{of_w}", patches, dy, optimize=True)
    return y, d_patches, dw


def _taps_of(w: np.ndarray) -> int:
    """Taps of filters `[..., C, O]`."""
    return math.prod(w.shape[:-2])


def _near(places: np.ndarray, size: int):
    """The share of every pixel of an axis in what is read at a place, and its derivative."""
    distance = places[..., None] - np.arange(size)
    share = np.maximum(0, 1 - np.abs(distance))
    return share, -np.sign(distance) * (share > 0)


def _read(x: np.ndarray, window: Window, outside: float = 0.0) -> np.ndarray:
    """`[N, P, K, ...]` from `[N, ..., ...]`, with as many axes between as the window has."""
    index, inside = _pixels(x.shape, window)
    axes = len(window.kernel)
    flat = x.reshape(len(x), math.prod(x.shape[1 : 1 + axes]), *x.shape[1 + axes :])
    if inside.size == 0 or x.size == 0:
        return np.full((len(x), *inside.shape, *flat.shape[2:]), outside)
    inside = inside.reshape(*inside.shape, *[1] * (flat.ndim - 2))
    return np.where(inside, flat[:, index], outside)


def _add(patches: np.ndarray, shape: tuple[int, ...], window: Window) -> np.ndarray:
    """`[N, ..., ...]` from `[N, P, K, ...]`."""
    index, inside = _pixels(shape, window)
    axes = len(window.kernel)
    flat = np.zeros((shape[0], math.prod(shape[1 : 1 + axes]), *shape[1 + axes :]))
    if flat.size:
        inside = inside.reshape(*inside.shape, *[1] * (flat.ndim - 2))
        np.add.at(flat, (slice(None), index), np.where(inside, patches, 0.0))  # type: ignore[arg-type]
    return flat.reshape(shape)


def _pixels(shape: tuple[int, ...], window: Window):
    """The number of the pixel (clipped to the image) and whether it is inside, each `[P, K]`."""
    sizes = shape[1 : 1 + len(window.kernel)]
    index, inside = np.zeros((1, 1), int), np.ones((1, 1), bool)
    for size, place in zip(sizes, _places(sizes, window), strict=True):
        index = index * size + np.clip(place, 0, max(size - 1, 0))
        inside = inside & (place >= 0) & (place < size)
    return index, inside


def _places(sizes: tuple[int, ...], window: Window) -> list[np.ndarray]:
    """Along each axis, the pixel under each tap of each position, `[P, K]`, also outside."""
    along = _along_axes(sizes, window)
    shapes = [len(taps) for taps in along], window.kernel
    places = []
    for axis, taps in enumerate(along):
        p, k = (np.indices(shape)[axis].reshape(-1) for shape in shapes)
        places.append(taps[p[:, None], k])
    return places


def _along_axes(sizes: tuple[int, ...], window: Window) -> list[np.ndarray]:
    kernel, strides, pads, dilations = window
    each = [pads] * len(sizes) if isinstance(pads, str) else pads
    return [
        _taps(*of_axis) for of_axis in zip(sizes, kernel, strides, dilations, each, strict=True)
    ]


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
