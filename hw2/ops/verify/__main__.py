"""Compares every op with its definition in float64, and with its counterpart in TensorFlow.

    python -m hw2.ops.verify
    python -m hw2.ops.verify --op conv2d fold --dtype float32 float64
    python -m hw2.ops.verify --shapes random --cases 500 --seed 1 --json

One line per case. Each error is max|a-b| over the largest value that the same sums reach when
all their terms are positive, so that terms which cancel do not inflate it: of the output y, and
of the gradients by the first and the second input. `ours` and `tf.nn` are distances from the
definition, `apart` is the distance between the two. `adjoint` is how far sum(y*dy) is from
sum(x*dx), in float64; `second`, of random shapes, how far gradients of the gradients are from
differences of the definition's. `time` is ours over TensorFlow's, output and gradients together,
and `patches` the size of the patch matrix. Exits with 1 if an error of ours is out of bounds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from hw2 import ops
from hw2.errors import UsageError, writing
from hw2.ops import conv, own, timing
from hw2.ops.verify import derivatives, page
from hw2.ops.verify.cases import OPS, Case, draw, grid
from hw2.ops.verify.errors import error

DTYPES = ("float16", "bfloat16", "float32", "float64")
# An output is rounded once, to its dtype: half a unit in the last place. The sums before it are
# taken in at least float32; their rounding errors are at most those of 16 terms, because they
# partly cancel and because long sums are taken in blocks (largest seen: 5 terms).
_ROUNDING = {"float16": 2**-11, "bfloat16": 2**-8, "float32": 2**-24, "float64": 2**-53}
BOUNDS = {
    dtype: rounding + 16 * min(rounding, _ROUNDING["float32"])
    for dtype, rounding in _ROUNDING.items()
}
# Winograd adds the errors of moving to another basis and back (largest seen: 20 terms).
WINOGRAD_BOUND = 65 * _ROUNDING["float32"]
# The identity holds to rounding errors in float64, about 1e-16 for each of the sums.
ADJOINT_BOUND = 1e-12
# Central differences of step 1e-4 in float64: truncation near step^2, rounding near 1e-16 / step.
SECOND_BOUND = 1e-6


def main(arguments: list[str] | None = None) -> int:
    """Prints the table, and returns the exit code."""
    options = _parser().parse_args(arguments)
    os.environ[timing.VARIABLE] = "rule"  # so that two runs have the same errors
    results = []
    if not options.json:
        print(_HEADER)
    with ops.algorithm(options.algorithm, product=options.product):
        for number, case in enumerate(_cases(options)):
            results.append(
                _measured(
                    case,
                    seed=options.seed + number,
                    graph=options.shapes == "grid",
                    second=options.shapes == "random" and not _yours(options),
                    bound=options.bound,
                )
            )
            if not options.json:
                print(_line(results[-1]), flush=True)
    bad = sum(not result["ok"] for result in results)
    if options.json:
        print(json.dumps({"cases": [_plain(r) for r in results], "out_of_bounds": bad}, indent=1))
    else:
        bounds = f"{options.bound:.1e}" if options.bound else _bounds()
        failed = sum("failed" in result for result in results)
        also = f", {failed} of them failed" if failed else ""
        print(f"{len(results)} cases, {bad} out of bounds{also}; bounds: {bounds}")
    if options.output:
        _write_page(options, results)
    return 1 if bad else 0


def measure(
    case: Case, *, seed: int = 0, graph: bool = False, second: bool = False, bound: float = 0
) -> dict:
    """Runs one case, and returns its errors and figures as a dict ready for JSON.

    Args:
      case: The case to run.
      seed: Seed of the random values.
      graph: Whether to run inside `tf.function`; else eagerly.
      second: Whether to compare second derivatives too.
      bound: The largest error that is accepted, for approximate functions; 0 for `BOUNDS`.
    """
    op = OPS[case.op]
    dtype = tf.as_dtype(case.dtype)
    rng = np.random.default_rng(seed)
    shapes = [*op.inputs(case), op.output(case)]
    values = [rng.uniform(-1, 1, shape) for shape in shapes]
    values = [v.astype(dtype.as_numpy_dtype) for v in op.draw(values)]
    *exact, exact_dy = (v.astype(np.float64) for v in values)
    truth = _flat(op.truth(*exact, window=case.window, dy=exact_dy))
    linear = set(itertools.chain(*op.linear))
    positive = [abs(v) if k in linear else v for k, v in enumerate(exact)]
    # What the sums reach without cancellation, or at least what they are.
    reached = _flat(op.truth(*positive, window=case.window, dy=abs(exact_dy)))
    sizes = [np.maximum(abs(a), abs(b)) for a, b in zip(reached, truth, strict=True)]

    ours, our_time = _run(op.ours, case, values, graph)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            twin, twin_time = _run(op.twin, case, values, graph)
    except (tf.errors.OpError, ValueError, TypeError):  # TensorFlow has no such op or option
        twin, twin_time = None, None
    found, _ = _run(op.ours, case, [*exact, exact_dy], graph=False)
    adjoint = derivatives.adjoint(op, found, exact, exact_dy, sizes)
    of_second = derivatives.second(op, case, exact, exact_dy, sizes, rng) if second else None
    errors = [error(*of_tensor) for of_tensor in zip(ours, truth, sizes, strict=True)]
    return {
        "op": case.op,
        "shape": str(case),
        "dtype": case.dtype,
        "ours": errors,
        "tf.nn": twin and [error(*of_tensor) for of_tensor in zip(twin, truth, sizes, strict=True)],
        "apart": twin and [error(*of_tensor) for of_tensor in zip(ours, twin, sizes, strict=True)],
        "adjoint": adjoint,
        "second": of_second,
        "time_ratio": twin and our_time / twin_time,
        "patch_bytes": int(np.prod(case.patches)) * dtype.size,
        "ok": max(errors) <= (bound or _bound(case))
        and adjoint <= max(bound, ADJOINT_BOUND)
        and (of_second or 0) <= max(bound, SECOND_BOUND),
    }


def _measured(case: Case, **options: Any) -> dict:
    """What `measure` returns; where a function of the user's fails, the line that says why."""
    try:
        return measure(case, **options)
    except UsageError as fault:
        about = {"op": case.op, "shape": str(case), "dtype": case.dtype}
        return about | {"failed": str(fault), "ok": False}


def _run(op: Callable[..., tf.Tensor], case: Case, values: list[np.ndarray], graph: bool):
    """Output and gradients, and the seconds they take (the least of three)."""

    def run(*tensors: tf.Tensor) -> list[tf.Tensor]:
        *inputs, dy = tensors
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = op(case, *inputs)
        if y.shape != dy.shape:
            raise ValueError(f"the output must have shape {dy.shape}, got {y.shape}.")
        gradients = tape.gradient(y, inputs, dy)
        if own.is_own(conv.default()):
            own.check_gradients(conv.default(), gradients)
        return [y, *gradients]

    run = tf.function(run, autograph=False) if graph else run
    tensors = [tf.constant(v) for v in values]
    result = [t.numpy().astype(np.float64) for t in run(*tensors)]
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        run(*tensors)[-1].numpy()
        seconds.append(time.perf_counter() - start)
    return result, min(seconds)


def _flat(result: tuple[np.ndarray, list[np.ndarray]]) -> list[np.ndarray]:
    y, gradients = result
    return [y, *gradients]


def _bound(case: Case) -> float:
    """The bound of the algorithm that the case takes."""
    if case.op == "conv2d":
        x, w = (tf.TensorSpec(shape, case.dtype) for shape in OPS[case.op].inputs(case))
        if "winograd" in conv.chosen(x, w, case.window):
            return WINOGRAD_BOUND
    if case.dtype == "bfloat16" and case.op in ("conv1d", "conv2d"):
        return 2 * BOUNDS[case.dtype]  # the gradient by images is rounded as patches too
    if case.dtype == "bfloat16" and case.op == "conv3d":
        return 3 * BOUNDS[case.dtype]  # and here as the slices of a volume
    return BOUNDS[case.dtype]


def _yours(options: argparse.Namespace) -> bool:
    """Whether a function of the user's is verified, which may have no second derivatives."""
    return bool(options.product) or own.is_own(options.algorithm)


def _plain(result: dict) -> dict:
    """Errors that are infinite have no number in JSON: null."""
    return {
        key: [e if np.isfinite(e) else None for e in value] if isinstance(value, list) else value
        for key, value in result.items()
    }


def _write_page(options: argparse.Namespace, results: list[dict]) -> None:
    """Writes the table as a page."""
    what = options.product or options.algorithm
    heads = ["op", "case", "dtype", "y, gradients", "tf.nn", "adjoint", "time / tf.nn"]
    bad = sum(not result["ok"] for result in results)
    text = page.table(
        f"{what} beside tf.nn",
        f"{len(results)} cases, {bad} out of bounds. Each error is the largest difference from the "
        "definition in float64, over the largest value that the sums reach without cancelling: of "
        "the result y, and of its gradients. A case is the shape of the input, the kernel with the "
        "number of filters, the strides s, the dilations d, the padding, and the groups g if there "
        "are several. The adjoint is how far sum(y*dy) is from sum(x*dx), over their size. The "
        "last column is our time over TensorFlow's.",
        heads,
        [(_cells(result), result["ok"]) for result in results],
    )
    with writing(options.output, "give another --output"):
        Path(options.output).write_text(text, "utf-8")


def _cells(result: dict) -> list[str]:
    """A row of the page."""
    start = [result["op"], result["shape"], result["dtype"]]
    if "failed" in result:
        return [*start, result["failed"], "", "", ""]
    errors = [" ".join(f"{e:.1e}" for e in result[key] or []) or "-" for key in ("ours", "tf.nn")]
    ratio = f"{result['time_ratio']:.2f}" if result["time_ratio"] else "-"
    return [*start, *errors, f"{result['adjoint']:.0e}", ratio]


def _cases(options: argparse.Namespace) -> Iterator[Case]:
    names = options.op or list(OPS)
    if options.shapes == "grid":
        for name, dtype in itertools.product(names, options.dtype or ["float32"]):
            yield from grid(name, dtype)
        return
    rng = np.random.default_rng(options.seed)
    turns = itertools.cycle(itertools.product(options.dtype or DTYPES, names))
    for dtype, name in itertools.islice(turns, options.cases):
        yield draw(name, dtype, rng)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m hw2.ops.verify",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--op", nargs="+", choices=list(OPS), metavar="NAME", help="default: all")
    parser.add_argument(
        "--dtype", nargs="+", choices=DTYPES, help="default: float32 in the grid, all at random"
    )
    parser.add_argument(
        "--shapes",
        choices=["grid", "random"],
        default="grid",
        help="grid: real layers, options and edges, in graphs; random: small shapes, eagerly",
    )
    parser.add_argument("--cases", type=int, default=100, help="number of random cases")
    parser.add_argument("--seed", type=int, default=0, help="of shapes and values")
    parser.add_argument(
        "--algorithm",
        default="auto",
        help=f"of conv2d: auto, {', '.join(ops.ALGORITHMS)}, or MODULE:FUNCTION; pools and "
        "depthwise_conv2d take the kernel for auto and direct alone",
    )
    parser.add_argument("--product", default="", help="MODULE:FUNCTION, your product in im2col")
    parser.add_argument(
        "--bound", type=float, default=0, help="largest error to accept; 0 for that of rounding"
    )
    parser.add_argument("--output", default="", metavar="PAGE", help="also an HTML page")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return parser


_HEADER = (
    f"{'':79}{'ours: y, gradients':24}{'tf.nn: y, gradients':24}{'apart':24}\n"
    f"{'op':20}{'shape':49}{'dtype':10}{'':72}{'adjoint':>8}{'second':>8}{'time':>6}{'patches':>10}"
)


def _line(result: dict) -> str:
    if "failed" in result:
        return f"{result['op']:20}{result['shape']:49}{result['dtype']:10}{result['failed']}"
    errors = "".join(
        f"{' '.join(f'{e:.1e}' for e in result[key] or []) or '-':24}"
        for key in ("ours", "tf.nn", "apart")
    )
    ratio = f"{result['time_ratio']:.2f}" if result["time_ratio"] else "-"
    second = "-" if result["second"] is None else f"{result['second']:.0e}"
    return (
        f"{result['op']:20}{result['shape']:49}{result['dtype']:10}{errors}"
        f"{result['adjoint']:8.0e}{second:>8}{ratio:>6}{result['patch_bytes'] / 2**20:7.2f} MB"
        f"{'' if result['ok'] else '  OUT OF BOUNDS'}"
    )


def _bounds() -> str:
    bounds = BOUNDS | {"float32 by Winograd": WINOGRAD_BOUND}
    return ", ".join(f"{name} {bound:.1e}" for name, bound in bounds.items())


if __name__ == "__main__":
    sys.exit(main())
