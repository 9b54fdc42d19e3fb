"""The frames: what a convolution, its transpose and its gradients do at each position."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hw2.drawing.marks import CELL, Film, Mark
from hw2.errors import UsageError
from hw2.ops.geometry import Axis, Window

MOST = 64  # positions; more take too long to watch
LARGEST = 64  # rows and columns of a table, but for the patch matrix; more cannot be seen
_GAP, _TOP = 40, 64  # pixels between tables, and above them


class _Table(NamedTuple):
    """A table of numbers at its place; `left` and `top` are those of the number in row 0."""

    name: str
    left: float
    top: float
    rows: int
    columns: int

    def cell(self, i: int, j: int, text: str, fill: str, **options) -> Mark:
        """The box of a number."""
        return Mark(self.left + j * CELL, self.top + i * CELL, text, fill, "line", **options)

    def frame(self, i: int, j: int) -> Mark:
        """An outline over the box of a number."""
        return Mark(self.left + j * CELL, self.top + i * CELL, edge="now")

    def title(self) -> Mark:
        return Mark(self.left, self.top - 24, self.name, width=0, height=0, ink="quiet")


def draw(image: np.ndarray, w: np.ndarray, window: Window, *, way: str = "forward") -> Film:
    """Makes the frames.

    Args:
      image: `[H, W]` numbers. For "transposed" they are those that are spread.
      w: `[kH, kW]` weights.
      window: Its kernel is (kH, kW).
      way: "forward" is the convolution by its patch matrix; "images" and "filters" are its
        gradients, where 1, 2, 3, 1, 2, 3 and so on arrives; "transposed" is the transposed
        convolution.

    Raises:
      UsageError: There are no positions, or more than can be watched; or a table is too large.
    """
    if way == "transposed":
        size = [_image_size(n, k, window) for k, n in enumerate(image.shape)]
        rows, columns = window.axes(*size)
    else:
        rows, columns = window.axes(*image.shape)
    positions = list(itertools.product(range(rows.out), range(columns.out)))
    if not 1 <= len(positions) <= MOST:
        raise UsageError(
            f"a film must have 1 to {MOST} positions of the window, got {len(positions)}; give "
            "another --size, --kernel or --stride"
        )
    reach = [_reach(axis) for axis in (rows, columns)]
    if max(reach) > LARGEST:
        raise UsageError(
            f"an image with the zeros around it must have at most {LARGEST} rows and columns, got "
            f"{reach[0]} and {reach[1]}; give another --size, --kernel, --stride, --dilation or "
            "--padding"
        )
    if way == "forward" and len(positions) * w.size > LARGEST**2:
        raise UsageError(
            f"a patch matrix must have at most {LARGEST**2} numbers, got {len(positions)} rows of "
            f"{w.size}; give another --size, --kernel or --stride"
        )
    if way == "forward":
        return _forward(image, w, rows, columns, positions)
    if way == "filters":
        return _filters(image, rows, columns, positions)
    values = image if way == "transposed" else _arriving(rows, columns)
    return _spread(values, w, rows, columns, positions, way)


def _forward(image, w, rows: Axis, columns: Axis, positions) -> Film:
    """The image, the patch matrix, the filter as a column, and the result."""
    padded = _padded(image, rows, columns)
    picture = _Table("image", 16, _TOP, *padded.shape)
    taps = w.size
    matrix = _Table(
        "patch matrix", picture.left + padded.shape[1] * CELL + _GAP, _TOP, len(positions), taps
    )
    column = _Table("filter", matrix.left + taps * CELL + _GAP, _TOP, taps, 1)
    result = _Table("result", column.left + CELL + _GAP, _TOP, rows.out, columns.out)
    tables = (picture, matrix, column, result)
    still = [table.title() for table in tables] + _image(picture, padded, rows, columns)
    still += [column.cell(k, 0, _text(value), "filter") for k, value in enumerate(w.ravel())]
    frames: list[list[Mark]] = []
    grown: list[Mark] = []
    for number, (i, j) in enumerate(positions):
        places = _places(i, j, rows, columns)
        values = [padded[place] for place in places]
        total = float(np.dot(values, w.ravel()))
        row = [matrix.cell(number, k, _text(v), "image") for k, v in enumerate(values)]
        now = [matrix.cell(number, k, _text(v), "row") for k, v in enumerate(values)]
        seen = [_tap(picture, place, padded) for place in places]
        sum_ = _sum(values, w.ravel(), total, _bottom(tables))
        shown = result.cell(i, j, _text(total), "result")
        frames.append([*still, *grown, *seen, *now, shown, result.frame(i, j), sum_])
        grown += [*row, shown]
    frames.append([*still, *grown])
    return _film("A convolution: each window is a row of the patch matrix", tables, frames)


def _filters(image, rows: Axis, columns: Axis, positions) -> Film:
    """The gradient by the filters: each window, times what arrived at its position, added up."""
    padded = _padded(image, rows, columns)
    picture = _Table("image", 16, _TOP, *padded.shape)
    left = picture.left + padded.shape[1] * CELL + _GAP
    arrived = _Table("dy", left, _TOP, rows.out, columns.out)
    result = _Table("dw", left + columns.out * CELL + _GAP, _TOP, rows.taps, columns.taps)
    tables = (picture, arrived, result)
    dy = _arriving(rows, columns)
    still = [table.title() for table in tables] + _image(picture, padded, rows, columns)
    still += [arrived.cell(i, j, _text(dy[i, j]), "filter") for i, j in positions]
    dw = np.zeros((rows.taps, columns.taps))
    frames = []
    for i, j in positions:
        places = _places(i, j, rows, columns)
        dw = dw + dy[i, j] * np.array([padded[p] for p in places]).reshape(dw.shape)
        seen = [_tap(picture, place, padded) for place in places]
        now = [result.cell(a, b, _text(dw[a, b]), "result") for a, b in np.ndindex(dw.shape)]
        words = f"dw += {_text(dy[i, j])} times the window"
        frames.append([*still, *seen, *now, arrived.frame(i, j), _words(words, _bottom(tables))])
    frames.append([*still, *now])
    return _film("The gradient by the filters: windows times dy, added up", tables, frames)


def _spread(values, w, rows: Axis, columns: Axis, positions, way: str) -> Film:
    """Each number times the filter, added to the window that it belongs to."""
    before, after = ("x", "y") if way == "transposed" else ("dy", "dx")
    arrived = _Table(before, 16, _TOP, rows.out, columns.out)
    weights = _Table("filter", arrived.left + columns.out * CELL + _GAP, _TOP, *w.shape)
    shape = _reach(rows), _reach(columns)
    left = weights.left + w.shape[1] * CELL + _GAP
    result = _Table(
        f"{after} (grey: cut off)" if _cut(rows, columns) else after, left, _TOP, *shape
    )
    tables = (arrived, weights, result)
    still = [table.title() for table in tables]
    still += [arrived.cell(i, j, _text(values[i, j]), "filter") for i, j in positions]
    still += [weights.cell(a, b, _text(w[a, b]), "filter") for a, b in np.ndindex(w.shape)]
    sums = np.zeros(shape)
    frames = []
    for i, j in positions:
        places = _places(i, j, rows, columns)
        for place, weight in zip(places, w.ravel(), strict=True):
            sums[place] += values[i, j] * weight
        picture = _image(result, sums, rows, columns)
        seen = [_tap(result, place, sums) for place in places]
        words = f"window of {after} += {_text(values[i, j])} times the filter"
        now = [arrived.frame(i, j), _words(words, _bottom(tables))]
        frames.append([*still, *picture, *seen, *now])
    frames.append([*still, *_image(result, sums, rows, columns)])
    titles = {
        "transposed": "A transposed convolution: each number spreads over a window",
        "images": "The gradient by the image: each dy spreads over its window",
    }
    return _film(titles[way], tables, frames)


def _image_size(positions: int, k: int, window: Window) -> int:
    """The smallest image that gives the window so many positions, along axis k."""
    stride, span = window.strides[k], (window.kernel[k] - 1) * window.dilations[k] + 1
    if window.padding == "SAME":
        return positions * stride
    pads = (0, 0) if isinstance(window.padding, str) else window.padding[k]
    return max((positions - 1) * stride + span - sum(pads), 1)


def _reach(axis: Axis) -> int:
    """Pixels of the image with the zeros around it that windows read."""
    read = (axis.out - 1) * axis.stride + (axis.taps - 1) * axis.dilation + 1
    return max(read, axis.before + axis.size)


def _cut(rows: Axis, columns: Axis) -> bool:
    return any(_reach(axis) > axis.size for axis in (rows, columns))


def _padded(image: np.ndarray, rows: Axis, columns: Axis) -> np.ndarray:
    pads = [(axis.before, _reach(axis) - axis.before - axis.size) for axis in (rows, columns)]
    return np.pad(image, pads)


def _places(i: int, j: int, rows: Axis, columns: Axis) -> list[tuple[int, int]]:
    """The pixels under each tap, in the padded image."""
    return [
        (i * rows.stride + a * rows.dilation, j * columns.stride + b * columns.dilation)
        for a, b in itertools.product(range(rows.taps), range(columns.taps))
    ]


def _image(table: _Table, values: np.ndarray, rows: Axis, columns: Axis) -> list[Mark]:
    """An image with the zeros around it."""
    marks = []
    for (i, j), value in np.ndenumerate(values):
        inside = 0 <= i - rows.before < rows.size and 0 <= j - columns.before < columns.size
        fill, ink = ("image", "ink") if inside else ("zero", "quiet")
        marks.append(table.cell(i, j, _text(value), fill, ink=ink))
    return marks


def _tap(table: _Table, place: tuple[int, int], values: np.ndarray) -> Mark:
    """A pixel under the window."""
    mark = table.cell(*place, _text(values[place]), "window")
    return mark._replace(edge="now")


def _arriving(rows: Axis, columns: Axis) -> np.ndarray:
    """The gradient that arrives in a film: 1, 2, 3, 1, 2, 3 and so on."""
    count = rows.out * columns.out
    return (np.arange(count) % 3 + 1.0).reshape(rows.out, columns.out)


def _bottom(tables: Sequence[_Table]) -> float:
    return max(table.top + table.rows * CELL for table in tables) + 26


def _sum(values: Sequence[float], w: np.ndarray, total: float, y: float) -> Mark:
    """The sum of products of a position; the middle of a long one is left out."""
    terms = [f"{_text(a)}·{_bracketed(b)}" for a, b in zip(values, w, strict=True)]
    if len(terms) > 6:
        terms = [*terms[:4], "…", terms[-1]]
    return _words(f"{' + '.join(terms)} = {_text(total)}", y)


def _bracketed(value: float) -> str:
    return f"({_text(value)})" if value < 0 else _text(value)


def _words(text: str, y: float) -> Mark:
    return Mark(16, y, text, width=0, height=0, size=15)


def _film(title: str, tables: Sequence[_Table], frames: Sequence[Sequence[Mark]]) -> Film:
    heading = Mark(16, 20, title, width=0, height=0, size=15)
    width = max(max(t.left + t.columns * CELL for t in tables) + 16, 32 + 9.1 * len(title))
    height = _bottom(tables) + 24
    return Film(title, int(width), int(height), [[heading, *frame] for frame in frames])


def _text(value: float) -> str:
    """A number in at most five characters."""
    for form in (".4g", ".3g", ".2g"):
        text = format(float(value), form)
        if len(text) <= 5:
            return "0" if text == "-0" else text
    return text
