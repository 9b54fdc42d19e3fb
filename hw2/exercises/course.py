"""The exercises: which functions each has, what they are called with, what may go wrong."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from hw2.exercises import wrong, wrong_others
from hw2.exercises.mistakes import FILTERS, IMAGES, PADS, POSITIONS, TAPS, WINDOW


class Case(NamedTuple):
    """One call of a student's function.

    Attributes:
      arguments: Of the call.
      words: The arguments in words.
      tags: What is special about it, to say which cases are wrong.
      edge: Whether it is at the edge of what is allowed.
    """

    arguments: tuple
    words: str
    tags: frozenset[str]
    edge: bool = False


class Function(NamedTuple):
    """A function that a student writes.

    Attributes:
      name: Of the function.
      truth: Its definition, which also makes mistakes by name.
      mistakes: Those that can be told, the most likely first.
      cases: Its calls.
      timed: The call that is timed.
    """

    name: str
    truth: Callable[..., Any]
    mistakes: tuple[str, ...]
    cases: tuple[Case, ...]
    timed: Case | None = None


class Exercise(NamedTuple):
    """A file of the course."""

    file: str
    about: str
    functions: Callable[[], list[Function]]

    @property
    def name(self) -> str:
        """Without number and ending."""
        return self.file.partition("_")[2].partition(".")[0]


def find(file_name: str) -> Exercise | None:
    """The exercise whose file has this name, with or without its number."""
    stem = file_name.partition(".")[0]
    for exercise in EXERCISES:
        if stem in (exercise.name, exercise.file.partition(".")[0]) or stem.endswith(
            f"_{exercise.name}"
        ):
            return exercise
    return None


def _unfold() -> list[Function]:
    mistakes = (*WINDOW, "kernel_swapped", *IMAGES, *POSITIONS, "last_row_zero", "last_column_zero")
    cases = [
        _case(_values(shape), kernel, names=("x", "kernel"), edge=edge)
        for shape, kernel, edge in _SHAPES
    ]
    timed = _case(_values((1, 32, 32, 16)), (3, 3), names=("x", "kernel"))
    return [Function("unfold", wrong.unfold, mistakes, tuple(cases), timed)]


def _fold() -> list[Function]:
    sums = ("assigned", "assigned_by_tap", "averaged")
    mistakes = (*sums, *WINDOW, "image_swapped", "later_images_zero", *POSITIONS)
    names = ("patches", "image_size", "kernel")

    def case(shape, kernel, edge=False):
        n, h, w, c = shape
        kh, kw = kernel
        patches = _values((n, h - kh + 1, w - kw + 1, kh * kw * c))
        return _case(patches, (h, w), kernel, names=names, edge=edge)

    cases = tuple(case(*shape) for shape in _SHAPES)
    timed = case((1, 32, 32, 16), (3, 3))
    return [Function("fold", wrong.fold, mistakes, cases, timed)]


def _conv2d() -> list[Function]:
    mistakes = (
        "bias_missing",
        *PADS,
        "padding_swapped",
        "kernel_swapped",
        "weights_by_column",
        *TAPS,
        *FILTERS,
        "bias_by_column",
        "bias_twice",
        "bias_before_sum",
        *IMAGES,
    )

    def case(shape, kernel, filters, padding, edge=False):
        arguments = (_values(shape), _values((*kernel, shape[3], filters)), _values((filters,)))
        return _case(*arguments, padding, names=("x", "w", "bias", "padding"), edge=edge)

    cases = [
        case(shape, kernel, 4, padding, edge)
        for (shape, kernel, edge), padding in itertools.product(_SHAPES, ("VALID", "SAME"))
    ]
    cases += [case((1, 4, 4, 2), (2, 2), 3, "SAME"), case((2, 2, 3, 2), (5, 4), 3, "SAME", True)]
    timed = case((1, 32, 32, 16), (3, 3), 16, "SAME")
    return [Function("conv2d", wrong.conv2d, mistakes, tuple(cases), timed)]


def _gradients() -> list[Function]:
    shapes = [(*shape, p) for shape, p in itertools.product(_SHAPES, ("VALID", "SAME"))]
    of_filters, of_images = [], []
    for shape, kernel, edge, padding in shapes:
        for filters in (shape[3], 4):  # equal numbers: what is exchanged has the same shape
            dw_case, dx_case = _problem(shape, kernel, filters, padding, edge)
            of_filters.append(dw_case)
            of_images.append(dx_case)
    timed = _problem((1, 32, 32, 16), (3, 3), 16, "SAME", False)
    dw = Function(
        "grad_filters",
        wrong.grad_filters,
        (
            "averaged_images",
            "averaged_positions",
            *PADS,
            *TAPS,
            "filters_transposed",
            "one_image",
        ),
        tuple(of_filters),
        timed[0],
    )
    dx = Function(
        "grad_images",
        wrong.grad_images,
        (
            "flipped",
            "assigned",
            "assigned_by_tap",
            "averaged",
            "filters_transposed",
            *(name for name in PADS if name.startswith(("odd_", "all_"))),
            *TAPS[1:],
        ),
        tuple(of_images),
        timed[1],
    )
    of_bias = tuple(
        _case(_values(shape), names=("dy",)) for shape in ((2, 5, 4, 3), (3, 3, 3, 3), (1, 1, 1, 2))
    )
    bias_mistakes = ("averaged_positions", "averaged_images", "images_only", "positions_only")
    return [Function("grad_bias", wrong.grad_bias, bias_mistakes, of_bias), dw, dx]


def _strided() -> list[Function]:
    mistakes = (
        "stride_dropped",
        "dilation_dropped",
        "padded_undilated",
        "padded_unstrided",
        "rounded_down",
        "strides_swapped",
        "dilations_swapped",
        *PADS,
        *TAPS,
        *FILTERS,
        "image_swapped",
        "first_image",
    )
    names = ("x", "w", "strides", "padding", "dilations")

    def case(shape, kernel, strides, dilations, padding, edge=False):
        arguments = (_values(shape), _values((*kernel, shape[3], 4)), strides, padding, dilations)
        return _case(*arguments, names=names, edge=edge)

    options = itertools.product(
        ((1, 1), (2, 3)), ((1, 1), (2, 1), (1, 2)), ("VALID", "SAME"), ((3, 2), (2, 3))
    )
    cases = [case((2, 9, 8, 3), k, s, d, p) for s, d, p, k in options]
    cases += [
        case((1, 9, 8, 2), (2, 2), (5, 3), (1, 1), "SAME", True),
        case((1, 2, 3, 2), (5, 4), (1, 2), (1, 1), "SAME", True),
        case((1, 1, 1, 1), (1, 1), (1, 1), (1, 1), "VALID", True),
        case((1, 4, 4, 1), (3, 3), (1, 1), (2, 3), "SAME", True),
    ]
    timed = case((1, 32, 32, 16), (3, 3), (2, 2), (1, 1), "SAME")
    return [Function("conv2d", wrong.strided, mistakes, tuple(cases), timed)]


def _winograd() -> list[Function]:
    both = ("one_side", "sides_swapped")

    def cases(*shapes, name):
        return tuple(_case(_values(shape), names=(name,)) for shape in shapes)

    def whole(shape, filters, edge=False):
        arguments = (_values(shape), _values((3, 3, shape[3], filters)))
        return _case(*arguments, names=("x", "w"), edge=edge)

    wholes = (
        whole((2, 6, 8, 3), 4),
        whole((1, 4, 6, 1), 1),
        whole((2, 7, 6, 2), 3, True),
        whole((1, 6, 9, 2), 3, True),
        whole((1, 3, 3, 2), 3, True),
    )
    mistakes: tuple[str, ...] = (
        "odd_rest_cut",
        "odd_rest",
        "flipped",
        "tile_transposed",
        "channels_reversed",
    )
    mistakes += ("first_channel", "image_swapped", "first_image")
    of_filters = cases((3, 3, 2, 4), (3, 3, 1, 1), name="w")
    of_tile, of_products = cases((4, 4, 3), name="tile"), cases((4, 4, 5), name="products")
    other = wrong_others
    timed = whole((1, 32, 32, 16), 16)
    return [
        Function("transform_filters", other.transform_filters, both, of_filters),
        Function("transform_tile", other.transform_tile, ("not_transposed", *both), of_tile),
        Function("transform_products", other.transform_products, both, of_products),
        Function("conv2d", other.winograd, mistakes, wholes, timed),
    ]


def _batch_norm() -> list[Function]:
    forward = (
        "epsilon_outside",
        "epsilon_missing",
        "unbiased",
        "images_only",
        "positions_only",
        "all_axes",
        "each_image",
        "root_missing",
        "mean_missing",
        "gamma_missing",
        "beta_missing",
        "gamma_beta_swapped",
    )
    backward = (
        "constant_statistics",
        "constant_mean",
        "constant_variance",
        "sums_for_means",
        "averaged_positions",
        "not_normalized",
        "gamma_missing",
        "epsilon_missing",
        "gamma_beta_swapped",
    )
    ys, grads = [], []
    for shape, edge in (((2, 4, 3, 3), False), ((3, 2, 5, 4), False), ((1, 1, 2, 2), True)):
        gamma, beta = _values(shape[3:]) + 1.5, _values(shape[3:]) + 0.25
        x, dy = 2 * _values(shape) + 0.5, _values(shape)[..., ::-1].copy()
        names = ("x", "gamma", "beta", "epsilon")
        ys.append(_case(x, gamma, beta, 0.3, names=names, edge=edge))
        grads.append(_case(dy, x, gamma, 0.3, names=("dy", "x", "gamma", "epsilon"), edge=edge))
    x, one = _values((8, 16, 16, 32)), np.ones(32)
    timed = _case(x, one, one, 1e-3, names=("x", "gamma", "beta", "epsilon"))
    other = wrong_others
    return [
        Function("batch_norm", other.batch_norm, forward, tuple(ys), timed),
        Function("batch_norm_gradients", other.batch_norm_gradients, backward, tuple(grads)),
    ]


def _inner_loop() -> list[Function]:
    mistakes = ("overwritten", "last_tap", "filters_reshaped", "last_row", "half_the_columns")
    rows, columns = wrong_others.ROWS, wrong_others.COLUMNS

    def case(taps, edge=False):
        arguments = (_values((rows, taps)), _values((taps, columns)), _values((rows, columns)))
        named = zip(("patches", "filters", "result"), arguments, strict=True)
        words = ", ".join(f"{name} {list(a.shape)}" for name, a in named)
        return Case(arguments, words, frozenset(), edge)

    cases = (case(9), case(27), case(64), case(1, True))
    loop = Function(
        "inner_loop", wrong_others.inner_loop, (*mistakes, "negated"), cases, case(4608)
    )
    return [loop]


EXERCISES = (
    Exercise("1_unfold.py", "the pixels under each window in a row", _unfold),
    Exercise("2_fold.py", "the way back: each pixel collects what its copies hold", _fold),
    Exercise("3_conv2d.py", "a convolution as one product of matrices", _conv2d),
    Exercise("4_gradients.py", "the gradients by bias, filters and images", _gradients),
    Exercise("5_strided.py", "strides, dilations, and their padding", _strided),
    Exercise("6_winograd.py", "four results for 16 products instead of 36", _winograd),
    Exercise("7_batch_norm.py", "batch normalization and its gradients", _batch_norm),
    Exercise("8_inner_loop.cc", "the innermost loop of a fast kernel, in C++", _inner_loop),
)
# Images, kernels, and whether they are at the edge of what fits.
_SHAPES: tuple[tuple[tuple[int, int, int, int], tuple[int, int], bool], ...] = (
    ((1, 4, 4, 1), (3, 3), False),
    ((1, 5, 6, 1), (2, 3), False),
    ((1, 6, 5, 2), (3, 2), False),
    ((2, 5, 7, 3), (2, 2), False),
    ((2, 7, 4, 4), (4, 3), False),
    ((1, 4, 5, 3), (1, 1), True),
    ((2, 3, 4, 2), (3, 4), True),
    ((1, 1, 1, 1), (1, 1), True),
)


def _problem(shape, kernel, filters, padding, edge):
    """The calls for the gradients by filters and by images."""
    h, w = shape[1:3]
    if padding == "VALID":
        h, w = h - kernel[0] + 1, w - kernel[1] + 1
    x, dy, f = (
        _values(s) for s in (shape, (shape[0], h, w, filters), (*kernel, shape[3], filters))
    )
    dw = _case(x, dy, kernel, padding, names=("x", "dy", "kernel", "padding"), edge=edge)
    names = ("dy", "w", "image_size", "padding")
    dx = _case(dy, f, shape[1:3], padding, names=names, edge=edge)
    return dw, dx


def _values(shape: Sequence[int]) -> np.ndarray:
    """Numbers in [-1, 1], the same ones for a shape."""
    return np.random.default_rng(sum(shape)).uniform(-1, 1, shape)


def _case(*arguments: Any, names: Sequence[str], edge: bool = False) -> Case:
    """A call with its words, and what is special about it."""
    words = ", ".join(
        f"{name} {list(a.shape)}" if isinstance(a, np.ndarray) else f"{name} {a}"
        for name, a in zip(names, arguments, strict=True)
    )
    given = dict(zip(names, arguments, strict=True))
    first = arguments[0]
    tags = {
        "several images": first.ndim == 4 and len(first) > 1,
        "several channels": first.ndim == 4 and first.shape[3] > 1,
        "images that are not square": first.ndim == 4 and first.shape[1] != first.shape[2],
        "padding SAME": given.get("padding") == "SAME",
        "padding VALID": given.get("padding") == "VALID",
        "a stride above 1": max(given.get("strides", (1,))) > 1,
        "a dilation above 1": max(given.get("dilations", (1,))) > 1,
    }
    kernel = given.get("kernel") or (given["w"].shape[:2] if "w" in given else None)
    if kernel:
        tags["kernels that are not square"] = kernel[0] != kernel[1]
        tags["kernels of an even size"] = any(k % 2 == 0 for k in kernel)
    return Case(arguments, words, frozenset(tag for tag, has in tags.items() if has), edge)
