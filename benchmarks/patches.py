"""Patches, pools and depthwise convolution beside their twins, in one run.

    python benchmarks/patches.py

One image batch, by default [16, 50, 50, 64], and a 3x3 window with SAME padding. Calls are
interleaved, inside tf.function; `ratio` is the twin's median over ours, so above 1 we are faster.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import interleaved
import keras
import machine
import tensorflow as tf

from hw2 import ops


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs=4, default=[16, 50, 50, 64], metavar="N")
    parser.add_argument("--kernel", type=int, default=3)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    facts = machine.cpu() | machine.libraries("tensorflow", "keras") | machine.kernel()
    interleaved.head(facts, as_json=options.json)
    rows = []
    for name, peers in _peers(options.shape, options.kernel, options.stride).items():
        middle = interleaved.medians(interleaved.seconds(peers, rounds=options.rounds))
        ours = middle.pop("hw2")
        rows += [
            {
                "op": name,
                "twin": twin,
                "ours ms": round(1e3 * ours, 2),
                "twin ms": round(1e3 * theirs, 2),
                "ratio": round(theirs / ours, 2),
            }
            for twin, theirs in middle.items()
        ]
    shape = "x".join(str(size) for size in options.shape)
    title = f"patches {shape} {options.kernel}x{options.kernel} stride {options.stride} SAME"
    interleaved.show(title, rows, as_json=options.json)


def _peers(shape: list[int], k: int, s: int) -> dict[str, dict[str, Callable[[], object]]]:
    n, height, width, c = shape
    x = tf.random.stateless_normal(shape, [1, 2])
    w = tf.random.stateless_normal([k, k, c, 1], [3, 4])
    patches = ops.unfold(x, k, s)

    # Keras lays patches out as [N, C*kH*kW, positions], and pads alike on both sides.
    positions = patches.shape[1] * patches.shape[2]
    of_keras = tf.reshape(patches, [n, positions, k * k, c])
    of_keras = tf.reshape(tf.transpose(of_keras, [0, 3, 2, 1]), [n, c * k * k, positions])
    padding = (k - 1) // 2

    def extract_patches(x):
        return tf.image.extract_patches(x, [1, k, k, 1], [1, s, s, 1], [1, 1, 1, 1], "SAME")

    of_fold: dict[str, Callable[[], object]] = {
        "hw2": _timed(lambda p: ops.fold(p, (height, width), k, s), patches),
        "gradient of tf.image.extract_patches": _timed(
            lambda p: tf.gradients(extract_patches(x), x, p)[0], patches
        ),
    }
    if s == 1 and k % 2:  # else Keras pads otherwise
        of_fold["keras.ops.fold"] = _timed(
            lambda p: keras.ops.fold(p, (height, width), k, padding=padding), of_keras
        )
    return {
        "unfold": {
            "hw2": _timed(lambda x: ops.unfold(x, k, s), x),
            "tf.image.extract_patches": _timed(extract_patches, x),
        },
        "fold": of_fold,
        "unfold + gradient": {
            "hw2": _timed(_with_gradient(lambda x: ops.unfold(x, k, s)), x),
            "tf.image.extract_patches": _timed(_with_gradient(extract_patches), x),
        },
        **_pair("max_pool2d", x, lambda v: ops.max_pool2d(v, k, s), _nn("max_pool2d", k, s)),
        **_pair("avg_pool2d", x, lambda v: ops.avg_pool2d(v, k, s), _nn("avg_pool2d", k, s)),
        **_pair(
            "depthwise_conv2d",
            x,
            lambda v: ops.depthwise_conv2d(v, w, s),
            lambda v: tf.nn.depthwise_conv2d(v, w, [1, s, s, 1], "SAME"),
        ),
    }


def _pair(name: str, x: tf.Tensor, ours: Callable, theirs: Callable) -> dict[str, dict]:
    return {
        name: {"hw2": _timed(ours, x), f"tf.nn.{name}": _timed(theirs, x)},
        f"{name} + gradient": {
            "hw2": _timed(_with_gradient(ours), x),
            f"tf.nn.{name}": _timed(_with_gradient(theirs), x),
        },
    }


def _nn(name: str, k: int, s: int) -> Callable[[tf.Tensor], tf.Tensor]:
    return lambda x: getattr(tf.nn, name)(x, k, s, "SAME")


def _with_gradient(op: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
    def run(x):
        y = op(x)
        return tf.gradients(y, x, y)[0]

    return run


def _timed(op: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor) -> Callable[[], object]:
    """A call of a graph; on a CPU it returns when its result is there."""
    graph = tf.function(op)
    return lambda: graph(x)


if __name__ == "__main__":
    main()
