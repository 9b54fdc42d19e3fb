"""Sizes and padding of sliding windows, in plain integer arithmetic.

Every function uses operators only (`+ - * //` and `abs`), so the same line serves a static
size, a Python int, and a size known only at run time, an integer scalar tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

Size = Any  # an int, or a scalar integer tensor when the size is known only at run time
Pair = int | Sequence[int]  # an int, one for each axis, or a list as [1, height, width, 1]
Padding = str | Sequence[Sequence[int]]  # "SAME", "VALID" or ((top, bottom), (left, right))


class Window(NamedTuple):
    """The checked options of a window that slides over an image, in the order of `unfold`.

    Each has a value for every axis: two for images, one for signals, three for volumes.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...] = (1, 1)
    padding: str | tuple[tuple[int, int], ...] = "SAME"
    dilations: tuple[int, ...] = (1, 1)

    def axes(self, *sizes: Size) -> tuple[Axis, ...]:
        """Lays the window along each axis of an image: along its rows and its columns."""
        pads: Sequence[str | tuple[int, int]] = (
            (self.padding,) * len(sizes) if isinstance(self.padding, str) else self.padding
        )
        return tuple(
            axis(*of_axis)
            for of_axis in zip(sizes, self.kernel, self.strides, self.dilations, pads, strict=True)
        )

    def along(self, first: int, last: int) -> Window:
        """The window along the axes from `first` to before `last`, alone."""
        kernel, strides, pads, dilations = self
        pads = pads if isinstance(pads, str) else pads[first:last]
        return Window(kernel[first:last], strides[first:last], pads, dilations[first:last])

    def over_row(self) -> Window:
        """A window of one axis over images of one row."""
        kernel, strides, pads, dilations = self
        pads = pads if isinstance(pads, str) else ((0, 0), *pads)
        return Window((1, *kernel), (1, *strides), pads, (1, *dilations))

    def over_columns(self) -> Window:
        """A window of one axis down each column of an image, which does not mix them."""
        kernel, strides, pads, dilations = self
        pads = pads if isinstance(pads, str) else (*pads, (0, 0))
        return Window((*kernel, 1), (*strides, 1), pads, (*dilations, 1))


class Axis(NamedTuple):
    """A window sliding along one axis of an image, the axis cut into blocks of one stride.

    Tap `t` of the window reads pixel `stride * i + t * dilation - before` for output `i`: in
    the padded axis that is block `i + t * dilation // stride`, phase `t * dilation % stride`.
    """

    size: Size  # pixels in the image
    taps: int  # pixels in the window
    stride: int
    dilation: int
    out: Size  # positions of the window
    blocks: Size  # strides that cover every pixel the window reads
    before: Size  # zeros in front; fewer than asked for when the window never reads them all
    used: Size  # image pixels that a block covers
    after: Size  # zeros behind

    def place(self, tap: int) -> tuple[int, int]:
        """Returns block offset and phase of a tap."""
        return divmod(tap * self.dilation, self.stride)


def axis(size: Size, taps: int, stride: int, dilation: int, padding: str | tuple[int, int]) -> Axis:
    """Lays a window along an axis of `size` pixels.

    Args:
      size: Pixels along the axis.
      taps: Pixels in the window.
      stride: Step of the window, in pixels.
      dilation: Distance of neighbouring taps, in pixels.
      padding: "SAME", "VALID", or zeros (before, after).

    Raises:
      ValueError: The window does not fit, by more than one stride (a size of zero is allowed,
        as in TensorFlow).
    """
    span = (taps - 1) * dilation + 1
    if padding == "SAME":
        out = -(-size // stride)
        total = positive((out - 1) * stride + span - size)
        before, after = total // 2, total - total // 2  # the odd zero goes behind, as in TensorFlow
    else:
        before, after = (0, 0) if isinstance(padding, str) else padding
        out = (size + before + after - span) // stride + 1
        if isinstance(out, int) and out < 0:
            raise ValueError(
                f"the window must fit into the padded image, got a window of {span} pixels over "
                f"{size} + {before} + {after}."
            )
        out = positive(out)
    blocks = out + (span - 1) // stride
    before = minimum(before, blocks * stride)
    used = minimum(blocks * stride - before, size)
    after = blocks * stride - before - used
    return Axis(size, taps, stride, dilation, out, blocks, before, used, after)


def positive(value: Size) -> Size:
    """Returns max(value, 0), for ints and tensors alike."""
    return (value + abs(value)) // 2


def minimum(a: Size, b: Size) -> Size:
    """Returns min(a, b), for ints and tensors alike."""
    return a - positive(a - b)


def window(
    kernel: Pair,
    strides: Pair = 1,
    padding: Padding | Sequence[int] = "SAME",
    dilations: Pair = 1,
    *,
    data_format: str = "NHWC",
) -> Window:
    """Checks the options of an op, in any of TensorFlow's forms.

    Args:
      kernel: Pixels in the window: an int, one for each axis, or a list with batch and channels
        in the order of the format.
      strides: Steps of the window, in the same forms.
      padding: "SAME", "VALID", or zeros ((top, bottom), (left, right)), a pair for each axis; four
        pairs are read in the order of the format. For signals also (left, right).
      dilations: Distances of neighbouring taps, in the forms of `kernel`.
      data_format: "NHWC" or "NCHW"; "NWC" or "NCW" for one axis, "NDHWC" or "NCDHW" for three.

    Raises:
      ValueError: An option has another form, or would step over batch or channels.
    """
    return Window(
        _numbers(kernel, "kernel", data_format),
        _numbers(strides, "strides", data_format),
        _padding(padding, data_format),
        _numbers(dilations, "dilations", data_format),
    )


_FORMS = {
    1: ("an int or a list of three", "a pair of zeros (left, right)"),
    2: ("an int, a pair or a list of four", "pairs of zeros ((top, bottom), (left, right))"),
    3: ("an int, three ints or a list of five", "three pairs of zeros, one for each axis"),
}


def _numbers(value: Pair, name: str, data_format: str) -> tuple[int, ...]:
    axes = len(data_format) - 2
    values = [value] if isinstance(value, int | Integral) else list(value)
    if len(values) == axes + 2:
        values = _spatial(values, data_format, 1)
    if len(values) == 1:
        values = values * axes
    if len(values) != axes or not all(isinstance(v, Integral) and int(v) >= 1 for v in values):
        raise ValueError(
            f"{name} must be {_FORMS[axes][0]} with 1 for batch and channels, all at least 1, "
            f"got {value!r}."
        )
    return tuple(map(int, values))


def _padding(value: Padding | Sequence[int], data_format: str) -> str | tuple[tuple[int, int], ...]:
    axes = len(data_format) - 2
    if isinstance(value, str):
        if value.upper() in ("SAME", "VALID"):
            return value.upper()
    else:
        flat = axes == 1 and all(isinstance(v, Integral) for v in value)
        pairs: list[Any] = [tuple(pair) for pair in ([value] if flat else value)]  # type: ignore
        if len(pairs) == axes + 2:
            pairs = _spatial(pairs, data_format, (0, 0))
        if len(pairs) == axes and all(
            len(p) == 2 and all(isinstance(v, Integral) and int(v) >= 0 for v in p) for p in pairs
        ):
            return tuple((int(before), int(after)) for before, after in pairs)
    raise ValueError(f'padding must be "SAME", "VALID" or {_FORMS[axes][1]}, got {value!r}.')


def _spatial(values: list, data_format: str, neutral: Any) -> list:
    """Picks those of the axes out of all values; an empty list unless the others are neutral."""
    first = 2 if data_format[1] == "C" else 1
    last = first + len(data_format) - 2
    others = values[:first] + values[last:]
    return values[first:last] if others == [neutral] * 2 else []
