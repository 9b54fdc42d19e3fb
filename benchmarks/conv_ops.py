"""One convolution at a time, forward and with both gradients: TensorFlow's own beside ours.

    python benchmarks/conv_ops.py --batch=32
    python benchmarks/conv_ops.py --dtype=bfloat16 --algorithms=direct,auto
    python benchmarks/conv_ops.py --shapes=drawn --seed=1 --count=60 --algorithms=auto

Each runs in a `tf.function`, as it would in training. Ratios are TensorFlow's median time over
ours, so above 1 is faster; a dash is an algorithm that cannot do the shape. GFLOP/s are those of
TensorFlow's, two for a multiply-add; peaks.py tells how many there could be. What begins with 3
channels is a picture, which has no gradient. The last tables sum up.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import convolutions
import interleaved
import machine
import numpy as np

from hw2.errors import UsageError
from hw2.terminal import noise

PARTS = {"": "forward and gradients", " fwd": "forward"}  # by the mark behind an algorithm's name
NOISE = 0.03  # of a ratio


def main() -> None:
    options = _options()
    noise.quiet_tensorflow()
    algorithms = _algorithms(options)
    facts = machine.cpu() | machine.libraries("tensorflow") | machine.kernel()
    interleaved.head(facts, as_json=options.json)
    chosen = convolutions.layers(options.batch)
    if options.shapes == "drawn":
        chosen = convolutions.drawn(options.count, seed=options.seed)
    rows = [_row(shape, algorithms, options) for shape in chosen if options.only in shape.name]
    interleaved.show(f"conv_ops, {options.dtype}", rows, as_json=options.json)
    summary = [_summary(rows, name, mark) for mark in PARTS for name in algorithms]
    interleaved.show("all shapes", [row for row in summary if row], as_json=options.json)
    if behind := [row for mark in PARTS for row in _behind(rows, algorithms, mark)]:
        interleaved.show("auto behind another", behind, as_json=options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", choices=("layers", "drawn"), default="layers")
    parser.add_argument("--batch", type=int, default=32, help="of the layers")
    parser.add_argument("--seed", type=int, default=1, help="of the drawn shapes")
    parser.add_argument("--count", type=int, default=60, help="of the drawn shapes")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument(
        "--algorithms",
        default="",
        help="of ops.conv2d, or MODULE:FUNCTION, by commas; all of ops.conv2d by default",
    )
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="of a shape at least, by more rounds"
    )
    parser.add_argument("--only", default="", help="layers whose name holds this")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _algorithms(options: argparse.Namespace) -> list[str]:
    """Those to time beside "native"; ends the program where one is not there."""
    from hw2 import ops
    from hw2.ops import own

    there = ["auto", *(name for name in ops.ALGORITHMS if name != "native")]
    wanted = [name for name in options.algorithms.split(",") if name]
    for name in wanted:
        if own.is_own(name):
            try:
                own.convolution(name)
            except UsageError as fault:
                raise SystemExit(str(fault)) from None
        elif name not in there:
            raise SystemExit(f"--algorithms must be of {','.join(there)}, got {name!r}")
    return wanted or there


def _row(
    shape: convolutions.Shape, algorithms: list[str], options: argparse.Namespace
) -> dict[str, object]:
    """Times one shape by every algorithm that can do it."""
    import tensorflow as tf

    from hw2.ops import conv, geometry

    rng = np.random.default_rng(0)
    n, c, o = shape.batch, shape.c, shape.o

    def tensor(*size: int, scale: float = 1.0) -> tf.Tensor:
        values = scale * rng.standard_normal(size, np.float32)
        return tf.cast(tf.constant(values), options.dtype)

    x = tensor(n, shape.side, shape.side, c)
    w = tensor(*shape.kernel, c, o, scale=(shape.kernel[0] * shape.kernel[1] * c) ** -0.5)
    dy = tensor(n, *shape.out, o)
    calls: dict[str, Callable[[], object]] = {}
    for name in ("native", *algorithms):
        try:
            calls |= _calls(name, shape, x, w, dy)
        except (UsageError, ValueError) as error:  # it refuses the shape, or is not there
            if name == "native":
                raise SystemExit(f"tf.nn.conv2d has no {shape}: {error}") from None
    times = interleaved.seconds(calls, rounds=options.rounds, least=options.seconds)
    middle = interleaved.medians(times)
    window = geometry.window(shape.kernel, shape.stride, shape.padding, shape.dilation)
    row: dict[str, object] = {"layer": shape.name, "shape": str(shape)}
    if "auto" in algorithms:
        row["chosen"] = conv.chosen(x, w, window)
    for mark in PARTS:
        passes = 1 if mark else 2 if c == 3 else 3
        native = middle[f"native{mark}"]
        row[f"native{mark} ms"] = round(1e3 * native, 2)
        row[f"GFLOP/s{mark}"] = round(2e-9 * passes * shape.multiply_adds / native)
        for name in algorithms:
            there = f"{name}{mark}" in middle
            row[f"{name}{mark}"] = round(native / middle[f"{name}{mark}"], 3) if there else "-"
    return row


def _calls(name: str, shape: convolutions.Shape, x, w, dy) -> dict[str, Callable[[], object]]:
    """The forward pass, and the forward pass with gradients, of one algorithm.

    Raises:
      ValueError: It cannot do the shape.
    """
    import tensorflow as tf

    from hw2 import ops

    def conv2d(x, w):
        window = (shape.stride, shape.padding, shape.dilation)
        return ops.conv2d(x, w, *window, algorithm=name)

    @tf.function(autograph=False)
    def forward(x, w):
        return conv2d(x, w)

    @tf.function(autograph=False)
    def step(x, w, dy):
        sources = [w] if shape.c == 3 else [x, w]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            y = conv2d(x, w)
        return y, tape.gradient(y, sources, dy)

    forward, step = forward.get_concrete_function(x, w), step.get_concrete_function(x, w, dy)
    return {f"{name} fwd": lambda: forward(x, w), name: lambda: step(x, w, dy)}


def _summary(rows: list[dict], name: str, mark: str) -> dict[str, object]:
    """An algorithm over all the shapes that it can do; empty where there are none."""
    ratios = {row["shape"]: row[f"{name}{mark}"] for row in rows if row[f"{name}{mark}"] != "-"}
    if not ratios:
        return {}
    values = np.array(list(ratios.values()))
    worst = min(ratios, key=ratios.get)
    return {
        "part": PARTS[mark],
        "algorithm": name,
        "shapes": len(values),
        "geometric mean": round(float(np.exp(np.log(values).mean())), 3),
        "below 1.0": int((values < 1.0).sum()),
        "below 0.9": int((values < 0.9).sum()),
        "worst": float(values.min()),
        "of shape": worst,
    }


def _behind(rows: list[dict], algorithms: list[str], mark: str) -> list[dict[str, object]]:
    """Where "auto" is slower than another one of ours by more than noise."""
    found = []
    for row in rows:
        ratios = {name: row[f"{name}{mark}"] for name in algorithms}
        ratios = {name: ratio for name, ratio in ratios.items() if ratio != "-"}
        best = max(ratios, key=ratios.get, default="")
        if "auto" in ratios and ratios["auto"] < (1 - NOISE) * ratios[best]:
            words = {"part": PARTS[mark], "shape": row["shape"]}
            found.append(words | {"auto": ratios["auto"], "faster": best, "its": ratios[best]})
    return found


if __name__ == "__main__":
    main()
