"""One convolution at a time, forward and with both gradients: TensorFlow's own beside ours.

    python benchmarks/conv_ops.py --batch=32

Ratios are TensorFlow's median time over ours, so above 1 is faster; a dash is an algorithm that
cannot do the shape. The last two lines sum up.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import interleaved
import numpy as np

from hw2.terminal import noise

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
    ("resnet18 3x3/2", 56, 3, 2, 64, 128),
    ("resnet18 1x1/2", 56, 1, 2, 64, 128),
    ("resnet18 3x3", 28, 3, 1, 128, 128),
    ("resnet18 3x3/2", 28, 3, 2, 128, 256),
    ("resnet18 3x3", 14, 3, 1, 256, 256),
    ("resnet18 3x3/2", 14, 3, 2, 256, 512),
    ("resnet18 3x3", 7, 3, 1, 512, 512),
    ("resnet50 1x1", 56, 1, 1, 64, 256),
    ("resnet50 1x1", 56, 1, 1, 256, 64),
    ("resnet50 1x1/2", 56, 1, 2, 256, 512),
    ("resnet50 1x1", 14, 1, 1, 1024, 256),
    ("resnet50 1x1", 7, 1, 1, 512, 2048),
    ("densenet 1x1", 56, 1, 1, 128, 128),
    ("densenet 3x3", 56, 3, 1, 128, 32),
    ("densenet 1x1", 28, 1, 1, 256, 128),
    ("densenet 3x3", 28, 3, 1, 128, 32),
    ("densenet 3x3", 14, 3, 1, 128, 32),
    ("densenet 3x3", 7, 3, 1, 128, 32),
]
OURS = ("im2col", "pointwise", "winograd", "auto")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--only", default="", help="layers whose name holds this")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    noise.quiet_tensorflow()
    shapes = [shape for shape in SHAPES if options.only in shape[0]]
    rows = [_row(shape, options.batch, options.rounds) for shape in shapes]
    interleaved.show(f"conv_ops, batch {options.batch}", rows, as_json=options.json)
    summary = [
        {"algorithm": name, "part": part} | _summary([row[f"{name}{mark}"] for row in rows])
        for name in ("im2col", "auto")
        for part, mark in (("forward", " fwd"), ("forward and gradients", ""))
    ]
    interleaved.show("all shapes", summary, as_json=options.json)
    slower = [row["layer"] for row in rows if row["auto"] < 0.97 * row["im2col"]]  # 3 %: noise
    print("auto slower than im2col:", ", ".join(slower) or "nowhere")


def _summary(ratios: list[float]) -> dict[str, object]:
    mean = float(np.exp(np.mean(np.log(ratios))))
    return {"geometric mean": round(mean, 3), "worst": min(ratios)}


def _row(shape: tuple, batch: int, rounds: int) -> dict[str, object]:
    import tensorflow as tf

    from hw2 import ops
    from hw2.ops import conv, geometry, pointwise, winograd

    name, side, kernel, stride, c, o = shape
    rng = np.random.default_rng(0)
    x = tf.constant(rng.standard_normal((batch, side, side, c)), tf.float32)
    w = tf.constant(rng.standard_normal((kernel, kernel, c, o)) / kernel, tf.float32)
    out = -(-side // stride)
    dy = tf.constant(rng.standard_normal((batch, out, out, o)), tf.float32)
    window = geometry.window(kernel, stride)

    def peers(algorithm: str) -> dict[str, Callable[[], object]]:
        @tf.function(autograph=False)
        def forward(x, w):
            return ops.conv2d(x, w, stride, algorithm=algorithm)

        @tf.function(autograph=False)
        def step(x, w, dy):
            sources = [w] if c <= 3 else [x, w]  # pictures have no gradient
            with tf.GradientTape() as tape:
                tape.watch(sources)
                y = ops.conv2d(x, w, stride, algorithm=algorithm)
            return y, tape.gradient(y, sources, dy)

        return {
            f"{algorithm} fwd": lambda: forward(x, w),
            algorithm: lambda: step(x, w, dy),
        }

    refused = {
        "pointwise": pointwise.refusal(x, w, window),
        "winograd": winograd.refusal(x, w, window),
    }
    able = [algorithm for algorithm in OURS if not refused.get(algorithm)]
    calls = {k: v for algorithm in ("native", *able) for k, v in peers(algorithm).items()}
    middle = interleaved.medians(interleaved.seconds(calls, rounds=rounds))

    def ratio(algorithm: str, mark: str) -> object:
        if algorithm not in able:
            return "-"
        return round(middle[f"native{mark}"] / middle[f"{algorithm}{mark}"], 2)

    return {
        "layer": name,
        "shape": f"{side}x{side}, {kernel}x{kernel}/{stride}, {c}->{o}",
        "chosen": conv.chosen(x, w, window),
        "native ms": round(1e3 * middle["native"], 2),
        **{algorithm: ratio(algorithm, "") for algorithm in OURS},
        "native fwd ms": round(1e3 * middle["native fwd"], 2),
        **{f"{algorithm} fwd": ratio(algorithm, " fwd") for algorithm in OURS},
    }


if __name__ == "__main__":
    main()
