"""The convolution itself: an image, its patch matrix, the product, the map."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from hw2 import ops
from hw2.layers.conv import Conv
from hw2.ops import geometry
from hw2.report import patches
from hw2.report.figure import SERIES, Drawing, panels, svg

_ROWS = 40  # rows of the patch matrix that are shown
_EXAMPLE = 4  # side of the crop in numbers


@dataclasses.dataclass(frozen=True, eq=False)
class Product:
    """A convolution of one image as the product of its patch matrix and its filters.

    Attributes:
      matrix: `[H'*W', kH*kW*C]`, a row for each window.
      w: `[kH*kW*C, filters]`.
      product: `[H'*W', filters]`.
      maps: `[H', W', filters]`, the product again.
      difference: The largest from `ops.conv2d`, relative to its largest value.
    """

    matrix: np.ndarray
    w: np.ndarray
    product: np.ndarray
    maps: np.ndarray
    difference: float

    @property
    def channel(self) -> int:
        """The filter whose map varies most."""
        return int(np.argmax(self.maps.std((0, 1))))

    @property
    def shown(self) -> slice:
        """The rows of the matrix to show: those of the line of that map with the most in it."""
        busiest = int(np.argmax(np.abs(self.maps[:, :, self.channel]).sum(1)))
        count = len(self.matrix)
        first = min(busiest * self.maps.shape[1], max(count - _ROWS, 0))
        return slice(first, min(first + _ROWS, count))


def draw(name: str, layer: Conv, image: np.ndarray) -> Drawing:
    """Draws how one layer convolves an image `[H, W, C]` as the model sees it, step by step.

    The product is compared with `ops.conv2d`: its largest difference is in the caption.
    """
    found = _multiply(layer, image)
    figure, axes = panels(2, 3, 4.2, 5.0, width_ratios=[1, 1, 1])
    for axis in axes:
        axis.grid(False)
        axis.set_xticks([])
        axis.set_yticks([])
    *steps, spare = axes
    _draw_image(steps[0], image)
    _draw_matrices(steps[1:], found)
    _draw_frames(steps[0], steps[1], layer, image, found)
    spare.axis("off")
    words = f"2 times 3 is 4.\n\nIn lines of\n{found.maps.shape[1]} values,\n4 is 5."
    spare.text(0.5, 0.5, words, ha="center", va="center", transform=spare.transAxes)

    kh, kw, channels, filters = layer.w.shape
    count, taps = found.matrix.shape
    height, width, _ = found.maps.shape
    alt = (
        f"The first convolution, {name}, on one picture: {count:,} windows of "
        f"{kh}x{kw}x{channels} are the rows of a matrix [{count:,}, {taps}]. Its product with the "
        f"filters [{taps}, {filters}] is [{count:,}, {filters}]: {filters} maps of "
        f"{height}x{width}."
    )
    caption = (
        f"{alt} The two coloured frames are the first and the last row that is shown, and their "
        "windows in the picture. This product differs from hw2.ops.conv2d by at most "
        f"{found.difference:.1e} of the largest value."
    )
    return Drawing("From picture to map", svg(figure, alt), alt, caption)


def example(image: np.ndarray, kernel: int = 2) -> Drawing:
    """Draws windows and patch matrix in numbers, for the 4x4 pixels of highest contrast.

    Args:
      image: uint8 `[H, W, C]`.
      kernel: The side of the windows.
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


def _multiply(layer: Conv, image: np.ndarray) -> Product:
    kh, kw, _, filters = layer.w.shape
    x = tf.constant(image[None])
    matrix = ops.unfold(x, (kh, kw), layer.strides, layer.padding)[0].numpy()
    height, width, taps = matrix.shape
    matrix = matrix.reshape(-1, taps)  # [H'*W', kH*kW*C]
    w = layer.w.numpy().reshape(taps, filters)
    product = matrix @ w  # [H'*W', filters]
    maps = product.reshape(height, width, filters)
    direct = ops.conv2d(x, layer.w, layer.strides, layer.padding)[0].numpy()
    difference = float(np.abs(maps - direct).max() / np.abs(direct).max())
    return Product(matrix, w, product, maps, difference)


def _draw_image(axes: Axes, image: np.ndarray) -> None:
    axes.imshow(image.mean(2), cmap="gray")
    axes.set_title("1 the picture", fontsize=9.5)


def _draw_matrices(axes: Sequence[Axes], found: Product) -> None:
    """The shown rows of the patch matrix, one filter, their product, and its map."""
    rows, column, result, product_rows = axes
    part, channel = found.shown, found.channel
    taps, filters = found.w.shape
    rows.imshow(found.matrix[part], aspect="auto", cmap="gray")
    rows.set_title(f"2 its patch matrix\nrows {part.start + 1}-{part.stop}", fontsize=9.5)
    rows.set_xlabel(f"{taps} taps", fontsize=9)
    limit = float(np.abs(found.w[:, channel]).max())
    column.imshow(found.w[:, [channel]], aspect="auto", cmap="coolwarm", vmin=-limit, vmax=limit)
    column.set_title(f"3 times filter\n{channel + 1} of {filters}", fontsize=9.5)
    column.set_xlabel("one column", fontsize=9)
    limit = float(np.abs(found.product[:, channel]).max())
    product_rows.imshow(
        found.product[part, [channel]][:, None],
        aspect="auto",
        cmap="coolwarm",
        vmin=-limit,
        vmax=limit,
    )
    product_rows.set_title("4 the product", fontsize=9.5)
    product_rows.set_xlabel("one value a row", fontsize=9)
    result.imshow(found.maps[:, :, channel], cmap="coolwarm", vmin=-limit, vmax=limit)
    result.set_title("5 the same as a map", fontsize=9.5)


def _draw_frames(picture: Axes, rows: Axes, layer: Conv, image: np.ndarray, found: Product) -> None:
    """Frames the first and the last shown row, and their windows in the image, in one colour."""
    kh, kw = layer.w.shape[:2]
    part, taps = found.shown, found.matrix.shape[1]
    windows = geometry.window((kh, kw), layer.strides, layer.padding, 1).axes(*image.shape[:2])
    for number, colour in ((part.start, SERIES[1]), (part.stop - 1, SERIES[2])):
        place = divmod(number, found.maps.shape[1])
        top, left = (
            n * axis.stride - axis.before - 0.5 for n, axis in zip(place, windows, strict=True)
        )
        picture.add_patch(Rectangle((left, top), kw, kh, fill=False, edgecolor=colour, lw=1.5))
        corner = (-0.5, number - part.start - 0.5)
        rows.add_patch(Rectangle(corner, taps, 1, fill=False, edgecolor=colour, lw=1.5))
