"""conv2d: checks, chooses an algorithm by the shapes, and calls it."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import math
from collections.abc import Callable, Iterator

import tensorflow as tf
from tensorflow.python.saved_model.save_context import in_save_context  # has no public name

from hw2.ops import (
    extract_patches,
    fusion,
    geometry,
    im2col,
    native,
    own,
    pointwise,
    tensors,
    timing,
    winograd,
)
from hw2.ops.direct import conv as direct
from hw2.ops.direct import library, options
from hw2.ops.geometry import Padding, Pair, Window
from hw2.ops.recompute import recomputed
from hw2.ops.tensors import Finish

# Of the compiled kernel: 0, or results along each axis of a tile of Winograd inside it.
_TILES = {"direct": 0} | {f"direct_winograd{tile}": tile for tile in direct.TILES}
# Each maps (x [N, H, W, groups*C], w [kH, kW, C, O], window, finish) to y [N, H', W', O].
ALGORITHMS: dict[str, Callable[[tf.Tensor, tf.Tensor, Window, Finish], tf.Tensor]] = {
    "im2col": im2col.conv2d,
    "extract_patches": extract_patches.conv2d,
    "pointwise": pointwise.conv2d,
    "winograd": winograd.conv2d,
    **{name: functools.partial(direct.conv2d, tile=tile) for name, tile in _TILES.items()},
    "native": native.conv2d,
}
CHOOSING = ("auto", "fastest", "tensorflow_ops")
_MOST_PATCHES = 1 << 30  # bytes that im2col may lay out to be timed beside the kernel


class _Block:
    """A `with algorithm(...)` that is open: its algorithm, whether patches are recomputed, and the
    name of the user's product.
    """

    def __init__(self, name: str, recompute: bool, product: str):
        self.name, self.recompute, self.product = name, recompute, product


_OUTSIDE = _Block("auto", False, "")
# Those that are open in this thread, and in all: a replica's thread has none of its own.
_mine: contextvars.ContextVar[tuple[_Block, ...]] = contextvars.ContextVar("blocks", default=())
_all: list[_Block] = []


def conv2d(
    x: tf.Tensor,
    w: tf.Tensor,
    strides: Pair = 1,
    padding: Padding = "SAME",
    dilations: Pair = 1,
    *,
    data_format: str = "NHWC",
    bias: tf.Tensor | None = None,
    relu: bool = False,
    algorithm: str | None = None,
) -> tf.Tensor:
    """Convolves images with filters; callable in place of `tf.nn.conv2d`.

    Args:
      x: `[N, H, W, groups*C]` images; any of N, H, W may be unknown.
      w: `[kH, kW, C, O]` filters. Where `x` has a multiple of C channels, that many groups of
        channels are convolved apart, each with its share of the O filters.
      strides: An int, a pair or `[1, sH, sW, 1]`.
      padding: "SAME", "VALID", or zeros ((top, bottom), (left, right)), also in TensorFlow's
        form of four pairs.
      dilations: Distances of neighbouring taps, in the forms of `strides`.
      data_format: "NHWC", or "NCHW" for `[N, C, H, W]` in and out (transposed here and back).
      bias: `[O]`, added to every position; in one pass with the product where there is one.
      relu: Whether negative results become 0, in the same pass.
      algorithm: "direct", a kernel in C++ that is compiled at its first use; "im2col";
        "extract_patches", the same in TensorFlow's words; "pointwise", "winograd" and
        "direct_winograd2" to 5, which refuse what they cannot do; "native", `tf.nn.conv2d` itself;
        "auto", the fastest of ours for the shapes; "fastest", which may be TensorFlow's too;
        "tensorflow_ops", the best by rule of those written in TensorFlow operations, as if there
        were no kernel; "MODULE:FUNCTION", a function of yours, see hw2/ops/own.py; or None for the
        default, which is "auto" unless a `with algorithm(...)` says otherwise.

    Returns:
      `[N, H', W', O]`. float16 and bfloat16 are summed in float32 and rounded once; the gradient
      by bfloat16 images twice, since its products keep to bfloat16.

    Raises:
      ValueError: Ranks, channels, dtypes or options do not fit together.

    Cost: N*H'*W'*kH*kW*C*O multiply-adds; for memory see the algorithm, hw2/ops/im2col.py.
    """
    x = tensors.images(x, data_format)
    w = tensors.weights(w, "kH, kW, C, O", x)
    check_channels(x, w)
    window = geometry.window(w.shape[:2], strides, padding, dilations, data_format=data_format)
    if bias is not None and bias.shape != w.shape[3:]:
        raise ValueError(f"bias must be [{w.shape[3]}], one for each filter, got {bias.shape}.")
    name = chosen(x, w, window, algorithm)
    compute = _computation(name)

    def apply(x, w, bias=None):
        return compute(x, w, window, Finish(bias, relu))

    if _innermost().recompute and name not in _TILES:  # which keeps nothing that it computes
        apply = recomputed(apply)
    y = apply(x, w) if bias is None else apply(x, w, tf.convert_to_tensor(bias))
    return tensors.restore(y, data_format)


def chosen(x: tf.Tensor, w: tf.Tensor, window: Window, algorithm: str | None = None) -> str:
    """Names the algorithm that `conv2d` takes, by what is known before running.

    Args:
      x: Of `conv2d`, with channels last; a `tf.TensorSpec` is enough, and so for `w`.
      w: Of `conv2d`.
      window: The options of `conv2d`.
      algorithm: Of `conv2d`.

    What "auto" and "fastest" stand for is measured, see hw2/ops/timing.py, or decided by rule.
    The compiled kernel is not among it where there is none, where a GPU does the work, in graphs
    that XLA compiles, and in a SavedModel, which is read where there is no hw2.
    """
    name = _check_name(default() if algorithm is None else algorithm)
    if name == "auto" and _innermost().product:
        return "im2col"
    if name not in CHOOSING:
        return name
    if name == "tensorflow_ops":
        return _by_rule(x, w, window, with_kernel=False)
    with_kernel = _direct_pays(x, w, window)
    by_rule = _by_rule(x, w, window, with_kernel)
    if fusion.gpus() or in_save_context() or tensors.in_xla():
        return by_rule
    able = [k for k in ALGORITHMS if _able(k, x, w, window, with_kernel, name == "fastest")]
    return timing.choose(name, x, w, window, {k: ALGORITHMS[k] for k in able}, by_rule)


@contextlib.contextmanager
def algorithm(name: str, *, recompute: bool = False, product: str = "") -> Iterator[None]:
    """Makes an algorithm the default of every `conv2d` called, or traced, inside the block.

    Where several threads are in blocks, each has the default of its own innermost one. A thread
    that is in none, as the replica threads of `tf.distribute`, has that of the last block that
    another one has entered and not left.

    Args:
      name: As for `conv2d`.
      recompute: Whether patches, and images in another basis, are computed again for the
        gradient rather than kept for it: less memory for more time.
      product: "MODULE:FUNCTION", a product of yours that im2col takes; "auto" is im2col with one.

    Raises:
      ValueError: There is no such algorithm.
      UsageError: There is no such function of yours.
    """
    if product:
        own.product(product)
    block = _Block(_check_name(name), recompute, product)
    _all.append(block)
    _mine.set((*_mine.get(), block))
    try:
        yield
    finally:
        _all.remove(block)
        _mine.set(tuple(other for other in _mine.get() if other is not block))


def portable() -> contextlib.AbstractContextManager[None]:
    """Makes every `conv2d` in the block one that a model file can have: a function of yours where
    it is the default, else `tf.nn.conv2d`.
    """
    block = _innermost()
    if own.is_own(block.name) or block.product:
        return algorithm(block.name, product=block.product)
    return algorithm("native")


def prepare(name: str, product: str = "") -> None:
    """Builds the kernel if an algorithm may take it, before a progress bar is on the terminal.

    A function of the user's is called once, so that a mistake in it is told before a run begins.

    Args:
      name: As for `algorithm`, and so is `product`.

    Raises:
      UsageError: A function of the user's cannot be had, or has a mistake.
    """
    own.try_out(name, product)
    if _takes_kernel(name, product) and not fusion.gpus():
        library.available()


def default() -> str:
    """Names the algorithm that `with algorithm(...)` has chosen; "auto" without."""
    return _innermost().name


@tf.autograph.experimental.do_not_convert
def _innermost() -> _Block:
    """The block that is in force in this thread."""
    blocks = _mine.get() or tuple(_all)  # a copy, since other threads enter and leave
    return blocks[-1] if blocks else _OUTSIDE


def kernel_pays(x: tf.Tensor) -> bool:
    """Whether ops with a kernel but other algorithms than `conv2d` take it for these images."""
    block = _innermost()
    return _takes_kernel(block.name, block.product) and options.usable(x)


def keeps_images(x: tf.Tensor) -> bool:
    """Whether convolutions by default keep these images for their gradient, and not patches."""
    return _innermost().recompute or default() == "native" or kernel_pays(x)


def _takes_kernel(name: str, product: str) -> bool:
    """Whether an algorithm may take the compiled kernel."""
    return name.startswith(("auto", "fastest", "direct")) and not own.is_own(name) and not product


def _computation(name: str) -> Callable[[tf.Tensor, tf.Tensor, Window, Finish], tf.Tensor]:
    """What computes a convolution by the algorithm of this name."""
    if own.is_own(name):
        return own.convolution(name)
    product = _innermost().product
    if name == "im2col" and product:
        return functools.partial(im2col.conv2d, product=own.product(product))
    return ALGORITHMS[name]


def _by_rule(x: tf.Tensor, w: tf.Tensor, window: Window, with_kernel: bool) -> str:
    """What "auto" takes without a clock."""
    if with_kernel:
        tile = 0
        if None not in x.shape[1:3] and not direct.refusal(x, w, window, tile=direct.TILES[0]):
            rows, columns = window.axes(x.shape[1], x.shape[2])
            tile = direct.tile_for(rows, columns, *w.shape[2:])
        return f"direct_winograd{tile}" if tile else "direct"
    if pointwise.refusal(x, w, window) is None:
        return "pointwise"  # no patches to lay out
    if winograd.refusal(x, w, window) is None:
        rows, columns = window.axes(x.shape[1], x.shape[2])
        products = math.prod(w.shape) * rows.out * columns.out
        # Patches cost passes over memory, so Winograd wins with more arithmetic too, up to here;
        # few channels, and moves along many pixels, cost more.
        if winograd.least_multiply_adds(rows, columns, *w.shape[2:]) < 1.7 * products:
            return "winograd"
    return "im2col"


def _direct_pays(x: tf.Tensor, w: tf.Tensor, window: Window) -> bool:
    """Whether "auto" may take the compiled kernel; builds it where it is not built yet."""
    return direct.refusal(x, w, window) is None and options.usable(x)


def _able(
    name: str, x: tf.Tensor, w: tf.Tensor, window: Window, with_kernel: bool, with_native: bool
) -> bool:
    """Whether a clock may decide for an algorithm."""
    if name == "native":  # which has no gradients of groups
        return with_native and x.shape[3] == w.shape[2]
    if name in _TILES:
        return with_kernel and direct.refusal(x, w, window, tile=_TILES[name]) is None
    refusal = {"pointwise": pointwise.refusal, "winograd": winograd.refusal}.get(name)
    if refusal:
        return refusal(x, w, window) is None
    if name != "im2col" or window.kernel == (1, 1):  # extract_patches is the same, slower
        return False
    # A training by the kernel may have no room for patches.
    return not (with_kernel and x.shape.is_fully_defined() and _patches(x, window) > _MOST_PATCHES)


def _patches(x: tf.Tensor, window: Window) -> int:
    """Bytes of the patches of images of a known shape."""
    rows, columns = window.axes(x.shape[1], x.shape[2])
    positions = x.shape[0] * rows.out * columns.out
    return positions * math.prod(window.kernel) * x.shape[3] * x.dtype.size


def _check_name(name: str) -> str:
    if own.is_own(name):
        own.convolution(name)  # which refuses what it cannot find
        return name
    names = (*CHOOSING, *ALGORITHMS)
    if name not in names:
        raise ValueError(f"algorithm must be one of {', '.join(names)}, got {name!r}.")
    return name


def check_channels(x: tf.Tensor, w: tf.Tensor) -> int:
    """Returns the number of groups of channels; raises a `ValueError` where they do not fit."""
    c, filter_c, o = x.shape[-1], w.shape[-2], w.shape[-1]
    if c is None:
        raise ValueError(f"x must have a known number of channels, got shape {x.shape}.")
    groups = c // filter_c if filter_c else int(c == 0)
    if groups < 1 or c != groups * filter_c:
        raise ValueError(
            f"the channels of x must be those of w, or a multiple of them, got {c} and {filter_c}."
        )
    if o % groups:
        raise ValueError(f"{groups} groups of channels must share the filters evenly, got {o}.")
    return groups
