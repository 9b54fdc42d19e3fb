"""One convolution at a time, output and both gradients: TensorFlow's own beside ours.

    python benchmarks/conv_ops.py --batch=32

Ratios are TensorFlow's median time over ours, so above 1 is faster.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import interleaved
import numpy as np

from hw2 import command

# (network, side, kernel, stride, channels in, channels out)
SHAPES = [
    ("inception10 conv1", 100, 3, 1, 3, 64),
    ("inception10 conv2", 100, 3, 2, 64, 128),
    ("inception10 1x1", 25, 1, 1, 128, 64),
    ("inception10 3x3", 25, 3, 1, 64, 96),
    ("inception10 3x3", 25, 3, 1, 96, 96),
    ("inception10 1x1", 13, 1, 1, 320, 96),
    ("inception10 3x3", 13, 3, 1, 96, 64),
    ("inception10 3x3", 13, 3, 1, 64, 64),
    ("resnet conv1", 224, 7, 2, 3, 64),
    ("resnet18 3x3", 56, 3, 1, 64, 64),
    ("resnet18 3x3", 28, 3, 1, 128, 128),
    ("resnet18 3x3", 14, 3, 1, 256, 256),
    ("resnet18 3x3", 7, 3, 1, 512, 512),
    ("resnet18 3x3/2", 56, 3, 2, 64, 128),
    ("resnet50 1x1", 56, 1, 1, 64, 256),
    ("resnet50 1x1/2", 28, 1, 2, 512, 1024),
    ("densenet 1x1", 28, 1, 1, 256, 128),
    ("densenet 3x3", 28, 3, 1, 128, 32),
    ("densenet 3x3", 14, 3, 1, 128, 32),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    command.quiet_tensorflow()
    rows = [_row(shape, options.batch, options.rounds) for shape in SHAPES]
    interleaved.show(f"conv_ops, batch {options.batch}", rows, as_json=options.json)
    for name in ("im2col", "auto"):
        ratios = [row[name] for row in rows]
        mean = float(np.exp(np.mean(np.log(ratios))))
        interleaved.show(
            "all shapes",
            [{"algorithm": name, "geometric mean": mean, "worst": min(ratios)}],
            as_json=options.json,
        )


def _row(shape: tuple, batch: int, rounds: int) -> dict[str, object]:
    import tensorflow as tf

    from hw2 import ops
    from hw2.ops import conv, geometry

    name, side, kernel, stride, c, o = shape
    rng = np.random.default_rng(0)
    x = tf.constant(rng.standard_normal((batch, side, side, c)), tf.float32)
    w = tf.constant(rng.standard_normal((kernel, kernel, c, o)) / kernel, tf.float32)
    out = -(-side // stride)
    dy = tf.constant(rng.standard_normal((batch, out, out, o)), tf.float32)

    def peer(algorithm: str) -> Callable[[], object]:
        @tf.function(autograph=False)
        def step(x, w, dy):
            sources = [w] if c <= 3 else [x, w]  # pictures have no gradient
            with tf.GradientTape() as tape:
                tape.watch(sources)
                y = ops.conv2d(x, w, stride, algorithm=algorithm)
            return y, tape.gradient(y, sources, dy)

        return lambda: step(x, w, dy)

    peers = {algorithm: peer(algorithm) for algorithm in ("native", "im2col", "auto")}
    middle = interleaved.medians(interleaved.seconds(peers, rounds=rounds))
    chosen = conv.chosen(x, w, geometry.window(kernel, stride))
    return {
        "layer": name,
        "shape": f"{side}x{side}, {kernel}x{kernel}/{stride}, {c}->{o}",
        "native ms": round(1e3 * middle["native"], 2),
        "im2col": round(middle["native"] / middle["im2col"], 3),
        "auto": round(middle["native"] / middle["auto"], 3),
        "chosen": chosen,
    }


if __name__ == "__main__":
    main()
