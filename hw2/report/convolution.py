"""The convolution itself: a picture, its patch matrix, the product, the map."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from matplotlib.patches import Rectangle

from hw2 import ops
from hw2.layers.conv import Conv
from hw2.ops import geometry
from hw2.report import patches
from hw2.report.figure import SERIES, Drawing, panels, svg

_ROWS = 40  # of the patch matrix that are shown
_EXAMPLE = 4  # side of the crop in numbers


def draw(name: str, layer: Conv, image: np.ndarray) -> Drawing:
    """A picture `[H, W, C]` as the model sees it, through one layer, step by step.

    The product is compared with `ops.conv2d`: its largest difference is in the caption.
    """
    kh, kw, channels, filters = layer.w.shape
    x = tf.constant(image[None])
    matrix = ops.unfold(x, (kh, kw), layer.strides, layer.padding)[0].numpy()
    height, width, taps = matrix.shape
    matrix = matrix.reshape(-1, taps)  # [H'*W', kH*kW*C]
    w = layer.w.numpy().reshape(taps, filters)
    product = matrix @ w  # [H'*W', filters]
    maps = product.reshape(height, width, filters)
    direct = ops.conv2d(x, layer.w, layer.strides, layer.padding)[0].numpy()
    difference = float(np.abs(maps - direct).max() / np.abs(direct).max())
    channel = int(np.argmax(maps.std((0, 1))))
    busiest = int(np.argmax(np.abs(maps[:, :, channel]).sum(1)))  # a row of the map
    first = min(busiest * width, max(len(matrix) - _ROWS, 0))
    part = slice(first, first + _ROWS)

    figure, axes = panels(2, 3, 4.2, 5.0, width_ratios=[1, 1, 1])
    picture, rows, column, result, product_rows, spare = axes
    spare.axis("off")
    words = f"2 x 3 = 4\n\n4, {width} to\na line,\nis 5"
    spare.text(0.5, 0.5, words, ha="center", va="center", transform=spare.transAxes)
    for axis in axes:
        axis.grid(False)
        axis.set_xticks([])
        axis.set_yticks([])
    grey = image.mean(2)
    picture.imshow(grey, cmap="gray")
    windows = geometry.window((kh, kw), layer.strides, layer.padding, 1).axes(*image.shape[:2])
    for number, colour in ((first, SERIES[1]), (min(first + _ROWS, len(matrix)) - 1, SERIES[2])):
        place = divmod(number, width)
        top, left = (
            n * axis.stride - axis.before - 0.5 for n, axis in zip(place, windows, strict=True)
        )
        picture.add_patch(Rectangle((left, top), kw, kh, fill=False, edgecolor=colour, lw=1.5))
        edge = 0 if number == first else part.stop - first - 1
        edge = min(edge, len(matrix[part]) - 1)
        rows.add_patch(Rectangle((-0.5, edge - 0.5), taps, 1, fill=False, edgecolor=colour, lw=1.5))
    picture.set_title("1 the picture", fontsize=9.5)
    rows.imshow(matrix[part], aspect="auto", cmap="gray")
    rows.set_title(
        f"2 its patch matrix\nrows {first + 1}-{first + len(matrix[part])}", fontsize=9.5
    )
    rows.set_xlabel(f"{taps} taps", fontsize=9)
    limit = float(np.abs(w[:, channel]).max())
    column.imshow(w[:, [channel]], aspect="auto", cmap="coolwarm", vmin=-limit, vmax=limit)
    column.set_title(f"3 times filter\n{channel + 1} of {filters}", fontsize=9.5)
    column.set_xlabel("one column", fontsize=9)
    limit = float(np.abs(product[:, channel]).max())
    colours = {"cmap": "coolwarm", "vmin": -limit, "vmax": limit}
    product_rows.imshow(product[part, [channel]][:, None], aspect="auto", **colours)
    product_rows.set_title("4 the product", fontsize=9.5)
    product_rows.set_xlabel("one value a row", fontsize=9)
    result.imshow(maps[:, :, channel], **colours)
    result.set_title("5 the same as a map", fontsize=9.5)
    alt = (
        f"The first convolution, {name}, on one picture: {len(matrix):,} windows of "
        f"{kh}x{kw}x{channels} are the rows of a matrix [{len(matrix):,}, {taps}]; times the "
        f"filters [{taps}, {filters}] it is [{len(matrix):,}, {filters}], in other words "
        f"{filters} maps of {height}x{width}."
    )
    caption = (
        f"{alt} The two coloured frames are the first and the last row that is shown. This "
        f"product and hw2.ops.conv2d differ by at most {difference:.1e} of the largest value."
    )
    return Drawing("From picture to map", svg(figure, alt), alt, caption)


def example(image: np.ndarray, kernel: int = 2) -> Drawing:
    """The same in numbers, for a corner of 4x4 pixels where the picture is busiest.

    Args:
      image: uint8 `[H, W, C]`.
      kernel: Side of the windows.
    """
    grey = image.mean(2)
    best = max(
        (
            (float(grey[i : i + _EXAMPLE, j : j + _EXAMPLE].std()), i, j)
            for i in range(0, max(grey.shape[0] - _EXAMPLE, 0) + 1, 2)
            for j in range(0, max(grey.shape[1] - _EXAMPLE, 0) + 1, 2)
        ),
        key=lambda found: found[0],
    )
    _, i, j = best
    crop = np.round(grey[i : i + _EXAMPLE, j : j + _EXAMPLE] / 255 * 9).astype(np.float32)
    figure = patches.draw(crop, kernel, padding="VALID")
    alt = (
        f"{crop.shape[0]}x{crop.shape[1]} pixels of the picture, 0 black and 9 white, with the "
        f"windows of {kernel}x{kernel} over them, and the patch matrix that has one row for each "
        "window, in the window's colour."
    )
    return Drawing("In numbers", svg(figure, alt), alt, alt)
