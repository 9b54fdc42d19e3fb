"""A convolution, or a product within im2col, that a user has written in a module of their own."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from hw2.errors import Fault, UsageError
from hw2.ops.geometry import Size, Window
from hw2.ops.tensors import UNFINISHED, Finish, length, with_shape

CONVOLUTION = ("x", "w", "strides", "padding", "dilations")  # what a convolution is called with
PRODUCT = ("a", "b")  # what a product is called with
_TRIAL = ([1, 5, 6, 2], [3, 3, 2, 4])  # images and filters of the call before a training


def is_own(name: str) -> bool:
    """Whether a name is MODULE:FUNCTION, and so none of the algorithms of hw2."""
    return ":" in name


def convolution(name: str) -> Callable[[tf.Tensor, tf.Tensor, Window, Finish], tf.Tensor]:
    """Finds a user's convolution, and makes it one of the algorithms of `conv2d`.

    It is called as `function(x, w, strides, padding, dilations)`, with images `[N, H, W, C]`,
    filters `[kH, kW, C, O]`, two pairs of ints, and a padding of "SAME", "VALID" or ((top, bottom),
    (left, right)). It returns `[N, H', W', O]` in the dtype of `x`. Groups of channels come in a
    call each.

    Args:
      name: MODULE:FUNCTION; the module is in the working folder or installed.

    Raises:
      UsageError: There is no such function, or its arguments are others.
    """
    function = load(name, "convolution", CONVOLUTION)

    def conv2d(x: tf.Tensor, w: tf.Tensor, window: Window, finish: Finish = UNFINISHED):
        _, strides, padding, dilations = window
        rows, columns = window.axes(length(x, 1), length(x, 2))
        groups = x.shape[3] // w.shape[2] if w.shape[2] else 1
        shape = [x.shape[0], rows.out, columns.out, w.shape[3] // groups]
        parts = [
            _called(name, function, CONVOLUTION, (*of_group, strides, padding, dilations), shape)
            for of_group in zip(tf.split(x, groups, 3), tf.split(w, groups, 3), strict=True)
        ]
        return finish(tf.concat(parts, 3) if groups > 1 else parts[0])

    return conv2d


def product(name: str) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Finds a user's product of matrices, with gradients that are the same product.

    It is called as `function(a, b)` with `[M, K]` and `[K, N]`, and returns `[M, N]`. TensorFlow
    does not differentiate it, so it may round: the gradients of `a @ b` are `dy @ b'` and
    `a' @ dy`, which are two more calls of it.

    Args:
      name: MODULE:FUNCTION; the module is in the working folder or installed.

    Returns:
      A function of two matrices, or of two stacks of as many matrices.

    Raises:
      UsageError: There is no such function, or its arguments are others.
    """
    function = load(name, "product", PRODUCT)

    def multiply(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        if a.shape.rank == 3:
            pairs = zip(tf.unstack(a), tf.unstack(b), strict=True)
            return tf.stack([multiply(*pair) for pair in pairs])
        return _called(name, function, PRODUCT, (a, b), [a.shape[0], b.shape[1]])

    @tf.custom_gradient
    def matmul(a: tf.Tensor, b: tf.Tensor):
        def grad(dy: tf.Tensor):
            return (
                multiply(dy, tf.linalg.matrix_transpose(b)),
                multiply(tf.linalg.matrix_transpose(a), dy),
            )

        return multiply(a, b), grad

    return matmul


def load(name: str, what: str, arguments: Sequence[str]) -> Callable[..., Any]:
    """Imports a function, with the working folder first on the path.

    Args:
      name: MODULE:FUNCTION.
      what: What it is for, in messages.
      arguments: Names of what it will be called with.

    Raises:
      UsageError: There is no such module or function, or it cannot take these arguments.
    """
    module_name, _, function_name = name.partition(":")
    if module_name.endswith(".py") or "/" in module_name:
        raise UsageError(
            f"the {what} {name} must be MODULE:FUNCTION, got the path of a file; change to its "
            f"folder and write {os.path.basename(module_name).removesuffix('.py')}:{function_name}"
        )
    try:
        with _working_folder_first():
            module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if module_name != error.name and not module_name.startswith(f"{error.name}."):
            raise _not_importable(name, what, error) from error
        raise UsageError(
            f"no module {module_name} for the {what} {name} - it is neither in {os.getcwd()} nor "
            f"installed; run the command in the folder of {module_name}.py, or choose another "
            f"{what}"
        ) from error
    except Exception as error:
        raise _not_importable(name, what, error) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        there = [n for n, f in vars(module).items() if inspect.isfunction(f) and n[0] != "_"]
        raise UsageError(
            f"no function {function_name or 'named'} in {_file(module)} for the {what} {name} - it "
            f"has {', '.join(there) or 'no functions'}; write {module_name}:FUNCTION"
        )
    _check_arguments(name, what, function, arguments)
    return function


def source(name: str) -> str | None:
    """Path of the file that a user's function is in; None where it has none."""
    module = importlib.import_module(name.partition(":")[0])
    return getattr(module, "__file__", None)


def try_out(convolution_name: str, product_name: str) -> None:
    """Calls a user's functions once on a small image, before a training begins with them.

    Raises:
      UsageError: One fails, returns something else, or has no gradient.
    """
    if product_name:
        a, b = tf.ones([4, 3]), tf.ones([3, 2])
        tf.function(product(product_name), autograph=False).get_concrete_function(a, b)
    if not is_own(convolution_name):
        return
    compute = convolution(convolution_name)

    @tf.function(autograph=False)
    def step(x, w):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = compute(x, w, Window((3, 3)), UNFINISHED)
        check_gradients(convolution_name, tape.gradient(y, [x, w]))
        return y

    step.get_concrete_function(*(tf.TensorSpec(shape, tf.float32) for shape in _TRIAL))


def check_gradients(name: str, gradients: Sequence[tf.Tensor | None]) -> None:
    """Refuses a convolution that TensorFlow cannot differentiate.

    Raises:
      UsageError: A gradient is None.
    """
    for what, gradient in zip(("images x", "filters w"), gradients, strict=True):
        if gradient is None:
            raise UsageError(
                f"{name} has no gradient by the {what} - something in it is not differentiable; "
                "compose it of TensorFlow operations, or give it a gradient by tf.custom_gradient"
            )


def _called(
    name: str,
    function: Callable[..., Any],
    names: Sequence[str],
    arguments: Sequence[Any],
    shape: Sequence[Size],
) -> tf.Tensor:
    """Calls a user's function, and checks what it returns.

    Raises:
      UsageError: It raises an exception, or returns another shape or dtype.
    """
    called = ", ".join(f"{n} {_words(a)}" for n, a in zip(names, arguments, strict=True))
    try:
        y = function(*arguments)
    except Fault:
        raise
    except Exception as error:
        raise UsageError(
            f"{name} failed{_place(function, error)} - {_reason(error)}; it was called with "
            f"{called}"
        ) from error
    try:
        y = tf.convert_to_tensor(y)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name} must return a tensor, got {type(y).__name__}") from error
    expected = [size if isinstance(size, int) else None for size in shape]
    if not y.shape.is_compatible_with(expected):
        raise UsageError(
            f"{name} must return the shape {_shape(expected)}, got {_shape(y.shape)}; it was "
            f"called with {called}"
        )
    if y.dtype != arguments[0].dtype:
        raise UsageError(
            f"{name} must return {arguments[0].dtype.name}, the dtype of {names[0]}, got "
            f"{y.dtype.name}; cast it"
        )
    return with_shape(y, shape)


@contextlib.contextmanager
def _working_folder_first() -> Iterator[None]:
    """Puts the working folder on the path of modules, as `python -m` does."""
    folder = os.getcwd()
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)


def _check_arguments(
    name: str, what: str, function: Callable[..., Any], arguments: Sequence[str]
) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a builtin, which has none
        return
    try:
        signature.bind(*arguments)
    except TypeError:
        raise UsageError(
            f"the {what} {name} must take {len(arguments)} arguments ({', '.join(arguments)}), got "
            f"{function.__name__ if hasattr(function, '__name__') else name}{signature}"
        ) from None


def _not_importable(name: str, what: str, error: BaseException) -> UsageError:
    where = f" in line {error.lineno}" if isinstance(error, SyntaxError) else ""
    return UsageError(
        f"cannot import {name.partition(':')[0]} for the {what} {name} - {_reason(error)}{where}; "
        "correct the module"
    )


def _reason(error: BaseException) -> str:
    """An exception in one line."""
    lines = str(getattr(error, "message", None) or error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _place(function: Callable[..., Any], error: BaseException) -> str:
    """The last line of the user's own file that an exception went through."""
    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    return f" in {os.path.basename(str(file))}:{lines[-1]}" if lines else ""


def _file(module: Any) -> str:
    return os.path.basename(getattr(module, "__file__", None) or module.__name__)


def _words(value: Any) -> str:
    return _shape(value.shape) if tf.is_tensor(value) else str(value)


def _shape(shape: Sequence[int | None] | tf.TensorShape) -> str:
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"
