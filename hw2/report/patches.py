"""A drawing of an image, the windows over it, and the patch matrix they make."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hw2 import ops
from hw2.ops import geometry
from hw2.ops.geometry import Padding, Pair

_COLOURS = (
    "#1f77b4",
    "#d62728",
    "#2ca02c",
    "#9467bd",
    "#ff7f0e",
    "#8c564b",
    "#e377c2",
    "#17becf",
    "#bcbd22",
)
_MOST_ROWS = 36  # more cannot be read


def draw(
    image: np.ndarray,
    kernel: Pair,
    strides: Pair = 1,
    padding: Padding = "SAME",
    dilations: Pair = 1,
) -> Figure:
    """Draws an image with its padding and windows, and beside it the matrix of `unfold`.

    Each window and its row in the matrix are framed in one colour; the image's pixels are bold,
    and the zeros around it grey.

    Args:
      image: `[H, W]` numbers of few digits.
      kernel: As for `hw2.ops.unfold`, and so are `strides`, `padding` and `dilations`.

    Returns:
      A figure, to be saved with `figure.savefig(path)`.

    Raises:
      ValueError: There are more than 36 windows, or `unfold` refuses the options.
    """
    window = geometry.window(kernel, strides, padding, dilations)
    rows, columns = window.axes(*image.shape)
    matrix = ops.unfold(np.asarray(image)[None, :, :, None], *window)[0].numpy()
    matrix = matrix.reshape(-1, matrix.shape[2])  # [H'*W', kH*kW]
    if len(matrix) > _MOST_ROWS:
        raise ValueError(f"a drawing has room for {_MOST_ROWS} windows, got {len(matrix)}.")
    padded = np.pad(image, [_zeros(rows), _zeros(columns)])
    wide, high = padded.shape[1] + matrix.shape[1] + 2, max(len(padded), len(matrix))
    figure = Figure(figsize=(0.42 * wide, 0.42 * high + 1), layout="constrained")
    of_image, of_matrix = figure.subplots(1, 2, width_ratios=[padded.shape[1], matrix.shape[1]])
    _draw_image(of_image, padded, rows, columns)
    _draw_matrix(of_matrix, matrix)
    return figure


def _zeros(axis: geometry.Axis) -> tuple[int, int]:
    """Returns how many zeros before and after the image the windows reach."""
    reach = (axis.out - 1) * axis.stride + (axis.taps - 1) * axis.dilation + 1
    return axis.before, max(reach - axis.before - axis.size, 0)


def _draw_image(axes: Axes, padded: np.ndarray, rows: geometry.Axis, columns: geometry.Axis):
    for (i, j), value in np.ndenumerate(padded):
        inside = 0 <= i - rows.before < rows.size and 0 <= j - columns.before < columns.size
        _write(axes, i, j, value, weight="bold" if inside else "normal", color=_ink(inside))
    height, width = ((a.taps - 1) * a.dilation + 1 for a in (rows, columns))
    positions = [(i, j) for i in range(rows.out) for j in range(columns.out)]
    for number, (i, j) in enumerate(positions):
        inset = 0.06 + 0.3 * number / len(positions)  # so that edges which coincide are all seen
        corner = (j * columns.stride - 0.5 + inset, i * rows.stride - 0.5 + inset)
        axes.add_patch(
            Rectangle(
                corner,
                width - 2 * inset,
                height - 2 * inset,
                fill=False,
                edgecolor=_colour(number),
                linewidth=1.8,
            )
        )
    _finish(axes, padded.shape, "image and windows")


def _draw_matrix(axes: Axes, matrix: np.ndarray):
    for (i, j), value in np.ndenumerate(matrix):
        _write(axes, i, j, value, color=_ink(True))
    for i in range(len(matrix)):
        corner, width = (-0.5, i - 0.42), matrix.shape[1]
        axes.add_patch(
            Rectangle(corner, width, 0.84, fill=False, edgecolor=_colour(i), linewidth=1.8)
        )
    _finish(axes, matrix.shape, "patch matrix")


def _write(axes: Axes, i: int, j: int, value: float, **font):
    axes.text(j, i, f"{value:g}", ha="center", va="center", family="monospace", **font)


def _finish(axes: Axes, shape: tuple[int, int], title: str):
    axes.set_title(title, fontsize=10)
    axes.set_xlim(-0.7, shape[1] - 0.3)
    axes.set_ylim(shape[0] - 0.3, -0.7)
    axes.set_aspect("equal")
    axes.axis("off")


def _ink(inside: bool) -> str:
    return "black" if inside else "#999999"


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]
