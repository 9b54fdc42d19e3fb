"""Sizes and padding of sliding windows, in plain integer arithmetic.

Every function uses operators only (`+ - * //` and `abs`), so the same line serves a static
size, a Python int, and a size known only at run time, an integer scalar tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

Size = Any  # an int, or a scalar integer tensor when the size is known only at run time
Pair = int | Sequence[int]  # an int, a pair (height, width) or a list [1, height, width, 1]
Padding = str | Sequence[Sequence[int]]  # "SAME", "VALID" or ((top, bottom), (left, right))


class Window(NamedTuple):
    """The checked options of a window that slides over an image, in the order of `unfold`."""

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: str | tuple[tuple[int, int], tuple[int, int]] = "SAME"
    dilations: tuple[int, int] = (1, 1)

    def axes(self, height: Size, width: Size) -> tuple[Axis, Axis]:
        """Lays the window along the rows and the columns of an image."""
        pads: Sequence[str | tuple[int, int]] = (
            (self.padding,) * 2 if isinstance(self.padding, str) else self.padding
        )
        rows, columns = (
            axis(*of_axis)
            for of_axis in zip(
                (height, width), self.kernel, self.strides, self.dilations, pads, strict=True
            )
        )
        return rows, columns


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
    padding: Padding = "SAME",
    dilations: Pair = 1,
    *,
    data_format: str = "NHWC",
) -> Window:
    """Checks the options of an op, in any of TensorFlow's forms.

    Args:
      kernel: Pixels in the window: an int, a pair, or a list of four in the order of the format.
      strides: Steps of the window, in the same forms.
      padding: "SAME", "VALID", or zeros ((top, bottom), (left, right)); four pairs are read in
        the order of the format.
      dilations: Distances of neighbouring taps, in the forms of `kernel`.
      data_format: "NHWC" or "NCHW".

    Raises:
      ValueError: An option has another form, or would step over batch or channels.
    """
    return Window(
        _pair(kernel, "kernel", data_format),
        _pair(strides, "strides", data_format),
        _padding(padding, data_format),
        _pair(dilations, "dilations", data_format),
    )


def _pair(value: Pair, name: str, data_format: str) -> tuple[int, int]:
    values = [value] if isinstance(value, int | Integral) else list(value)
    if len(values) == 4:
        values = _spatial(values, data_format, 1)
    if len(values) == 1:
        values = values * 2
    if len(values) != 2 or not all(isinstance(v, Integral) and int(v) >= 1 for v in values):
        raise ValueError(
            f"{name} must be an int, a pair or a list of four with 1 for batch and channels, "
            f"all at least 1, got {value!r}."
        )
    return int(values[0]), int(values[1])


def _padding(value: Padding, data_format: str) -> str | tuple[tuple[int, int], tuple[int, int]]:
    if isinstance(value, str):
        if value.upper() in ("SAME", "VALID"):
            return value.upper()
    else:
        pairs = [tuple(p) for p in value]
        if len(pairs) == 4:
            pairs = _spatial(pairs, data_format, (0, 0))
        if len(pairs) == 2 and all(
            len(p) == 2 and all(isinstance(v, Integral) and v >= 0 for v in p) for p in pairs
        ):
            (top, bottom), (left, right) = pairs
            return (int(top), int(bottom)), (int(left), int(right))
    raise ValueError(
        'padding must be "SAME", "VALID" or pairs of zeros ((top, bottom), (left, right)), '
        f"got {value!r}."
    )


def _spatial(values: list, data_format: str, neutral: Any) -> list:
    """Picks height and width out of four values; an empty list unless the others are neutral."""
    first = 2 if data_format == "NCHW" else 1
    others = values[:first] + values[first + 2 :]
    return values[first : first + 2] if others == [neutral] * 2 else []
