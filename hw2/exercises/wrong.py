"""The definitions with mistakes in them: what a function computes that has the mistake of a name.

A result of a student's that is wrong is compared with these. Each function takes the arguments of
the exercise, and the names of the mistakes to make; without any, it is the definition.
"""

from __future__ import annotations

import numpy as np

Names = frozenset[str]

# Mistakes of the padding that are made along one axis of the image: the axis, and what it is.
ONE_AXIS = {
    "odd_above": (0, "odd_in_front"),
    "odd_left": (1, "odd_in_front"),
    "all_below": (0, "all_behind"),
    "all_right": (1, "all_behind"),
    "all_above": (0, "all_in_front"),
    "all_left": (1, "all_in_front"),
    "last_row_of_positions": (0, "last_position"),
    "last_column_of_positions": (1, "last_position"),
}


def unfold(x: np.ndarray, kernel: tuple[int, int], *, mistakes: Names = frozenset()):
    """Exercise 1."""
    matrix = _matrix(_patches(x, kernel, (1, 1), "VALID", (1, 1), mistakes), mistakes)
    if "last_row_zero" in mistakes:
        matrix[:, -1:] = 0
    if "last_column_zero" in mistakes:
        matrix[:, :, -1:] = 0
    return matrix.swapaxes(1, 2) if "positions_swapped" in mistakes else matrix


def fold(
    patches: np.ndarray,
    image_size: tuple[int, int],
    kernel: tuple[int, int],
    *,
    mistakes: Names = frozenset(),
):
    """Exercise 2."""
    return _fold(patches, image_size, kernel, "VALID", mistakes)


def conv2d(x, w, bias, padding, *, mistakes: Names = frozenset()):
    """Exercise 3."""
    y = strided(x, w, (1, 1), padding, (1, 1), mistakes=mistakes)
    if "bias_by_column" in mistakes and y.shape[2] == len(bias):
        return y + bias[:, None]
    if "bias_before_sum" in mistakes:  # once for each tap and channel
        return y + bias * np.prod(w.shape[:3])
    return y + bias * (0 if "bias_missing" in mistakes else 1 + ("bias_twice" in mistakes))


def strided(x, w, strides, padding, dilations, *, mistakes: Names = frozenset()):
    """Exercise 5."""
    patches = _patches(x, w.shape[:2], strides, padding, dilations, mistakes)
    if "last_tap" in mistakes:
        patches, w = patches[:, :, :, :-1, :-1], w[:-1, :-1]
    if "first_channel" in mistakes:
        patches, w = patches[..., :1], w[:, :, :1]
    if "channels_reversed" in mistakes:
        patches = patches[..., ::-1]
    matrix = _matrix(patches, mistakes)
    filters = w.reshape(-1, w.shape[3])
    if "filters_reshaped" in mistakes:
        filters = w.reshape(w.shape[3], -1).T
    if "weights_by_column" in mistakes:
        filters = w.swapaxes(0, 1).reshape(-1, w.shape[3])
    y = matrix @ filters
    return y / max(matrix.shape[3], 1) if "averaged" in mistakes else y


def grad_filters(x, dy, kernel, padding, *, mistakes: Names = frozenset()):
    """Exercise 4, the gradient by the filters."""
    patches = _patches(x, kernel, (1, 1), padding, (1, 1), mistakes)
    matrix = _matrix(patches, mistakes)
    if "one_image" in mistakes:
        matrix, dy = matrix[:1], dy[:1]
    dw = np.einsum("nijk,nijo->ko", matrix, dy)
    if "averaged_images" in mistakes:
        dw = dw / len(x)
    if "averaged_positions" in mistakes:
        dw = dw / np.prod(dy.shape[:3])
    dw = dw.reshape(*kernel, x.shape[3], dy.shape[3])
    return dw.transpose(0, 1, 3, 2) if "filters_transposed" in mistakes else dw


def grad_images(dy, w, image_size, padding, *, mistakes: Names = frozenset()):
    """Exercise 4, the gradient by the images."""
    if "filters_transposed" in mistakes and w.shape[2] == w.shape[3]:
        w = w.transpose(0, 1, 3, 2)
    patches = np.einsum("nijo,abco->nijabc", dy, w)
    patches = patches.reshape(*patches.shape[:3], -1)
    return _fold(patches, image_size, w.shape[:2], padding, mistakes)


def grad_bias(dy, *, mistakes: Names = frozenset()):
    """Exercise 4, the gradient by the bias."""
    if "averaged_positions" in mistakes:
        return dy.mean((0, 1, 2))
    if "images_only" in mistakes:
        return dy.sum(0)
    if "positions_only" in mistakes:
        return dy.sum((1, 2))
    if "averaged_images" in mistakes:
        return dy.sum((1, 2)).mean(0)
    return dy.sum((0, 1, 2))


def _along(axis: int, mistakes: Names) -> Names:
    """The mistakes, with those of this axis alone under the names that `_axis` knows."""
    return mistakes | {ONE_AXIS[m][1] for m in mistakes & ONE_AXIS.keys() if ONE_AXIS[m][0] == axis}


def _axis(size: int, taps: int, stride: int, dilation: int, padding: str, mistakes: Names):
    """The pixel under each tap of each position, `[positions, taps]`."""
    stride = 1 if "stride_dropped" in mistakes else stride
    dilation = 1 if "dilation_dropped" in mistakes else dilation
    span = dilation * (taps - 1) + 1
    before, count = 0, (size - span) // stride + 1
    if padding == "SAME" and "unpadded" not in mistakes:
        count = size // stride if "rounded_down" in mistakes else -(-size // stride)
        reach = taps if "padded_undilated" in mistakes else span
        last = size - 1 if "padded_unstrided" in mistakes else (count - 1) * stride
        zeros = max(last + reach - size, 0)
        before = zeros - zeros // 2 if "odd_in_front" in mistakes else zeros // 2
        if "all_behind" in mistakes:
            before = 0
        if "all_in_front" in mistakes:
            before = zeros
        if "half_on_both" in mistakes:
            before = taps // 2
            count = (size + 2 * before - span) // stride + 1
    if "last_position" in mistakes:
        count -= 1
    return stride * np.arange(max(count, 0))[:, None] + dilation * np.arange(taps) - before


def _patches(x, kernel, strides, padding, dilations, mistakes: Names) -> np.ndarray:
    """`[N, H', W', kH, kW, C]`."""
    if "image_swapped" in mistakes:
        x = x.transpose(0, 2, 1, 3)
    if "first_image" in mistakes:
        x = np.broadcast_to(x[:1], x.shape)
    if "kernel_swapped" in mistakes:
        kernel = kernel[::-1]
    if "strides_swapped" in mistakes:
        strides = strides[::-1]
    if "dilations_swapped" in mistakes:
        dilations = dilations[::-1]
    if "padding_swapped" in mistakes and padding == "SAME":  # with a stride of 1
        above, left = ((taps - 1) // 2 for taps in kernel)
        below, right = kernel[0] - 1 - above, kernel[1] - 1 - left
        x, padding = np.pad(x, [[0, 0], [left, right], [above, below], [0, 0]]), "VALID"
    rows, columns = (
        _axis(x.shape[1 + k], kernel[k], strides[k], dilations[k], padding, _along(k, mistakes))
        for k in range(2)
    )
    rows, columns = rows[:, None, :, None], columns[None, :, None, :]
    height, width = x.shape[1:3]
    if "wrapped" in mistakes:
        patches = x[:, rows % height, columns % width]
    else:
        patches = x[:, np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
        if "edges_repeated" not in mistakes:
            inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
            patches = np.where(inside[..., None], patches, 0.0)
    if "later_images_zero" in mistakes:
        patches[1:] = 0
    return _flipped(patches, mistakes)


def _flipped(patches: np.ndarray, mistakes: Names) -> np.ndarray:
    """Turns the taps of `[N, H', W', kH, kW, C]` round."""
    if {"flipped", "flipped_rows", "window_flipped", "window_flipped_rows"} & mistakes:
        patches = patches[:, :, :, ::-1]
    if {"flipped", "flipped_columns", "window_flipped", "window_flipped_columns"} & mistakes:
        patches = patches[:, :, :, :, ::-1]
    return patches


def _matrix(patches: np.ndarray, mistakes: Names) -> np.ndarray:
    """`[N, H', W', kH*kW*C]`, in the right order or in another."""
    if "column_taps" in mistakes:
        patches = patches.swapaxes(3, 4)
    if "channels_outermost" in mistakes:
        patches = np.moveaxis(patches, 5, 3)
    return patches.reshape(*patches.shape[:3], int(np.prod(patches.shape[3:])))


def _fold(patches, image_size, kernel, padding, mistakes: Names) -> np.ndarray:
    """`[N, H, W, C]`, the sum of what every tap of every position holds."""
    if "positions_swapped" in mistakes:
        patches = patches.swapaxes(1, 2)
    n, high, wide, values = patches.shape
    (kh, kw), c = kernel, values // (kernel[0] * kernel[1])
    if "image_swapped" in mistakes:
        image_size = image_size[::-1]
    if "column_taps" in mistakes:
        patches = patches.reshape(n, high, wide, kw, kh, c).swapaxes(3, 4)
    elif "channels_outermost" in mistakes:
        patches = np.moveaxis(patches.reshape(n, high, wide, c, kh, kw), 3, 5)
    patches = _flipped(patches.reshape(n, high, wide, kh, kw, c), mistakes)
    rows, columns = (
        _axis(image_size[k], kernel[k], 1, 1, padding, _along(k, mistakes) - {"unpadded"})
        for k in range(2)
    )
    x, counts = np.zeros((n, *image_size, c)), np.zeros((*image_size, 1))
    places = list(np.ndindex(high, wide, kh, kw))
    if "assigned_by_tap" in mistakes:
        places.sort(key=lambda place: place[2:])
    for i, j, a, b in places:
        if i >= len(rows) or j >= len(columns):
            continue
        row, column = rows[i, a], columns[j, b]
        if 0 <= row < image_size[0] and 0 <= column < image_size[1]:
            kept = 0 if {"assigned", "assigned_by_tap"} & mistakes else x[:, row, column]
            x[:, row, column] = kept + patches[:, i, j, a, b]
            counts[row, column] += 1
    if "later_images_zero" in mistakes:
        x[1:] = 0
    return x / np.maximum(counts, 1) if "averaged" in mistakes else x
