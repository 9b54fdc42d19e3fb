"""One pool or depthwise convolution at a time, forward and gradients: tf.nn beside ours.

    python benchmarks/pool_ops.py
    python benchmarks/pool_ops.py --dtype=bfloat16 --only=depthwise

Ratios are TensorFlow's median time over ours, so above 1 is faster; the gradients of max_pool2d are
timed with the forward pass that finds the largest values. The last lines sum up.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import interleaved
import machine
import numpy as np

from hw2.terminal import noise

# (op, images, kernel, stride)
SHAPES = [
    ("max_pool2d", (32, 100, 100, 64), 3, 2),  # ResNet's stem
    ("max_pool2d", (32, 50, 50, 128), 3, 2),  # inception10
    ("max_pool2d", (32, 25, 25, 320), 3, 1),
    ("max_pool2d", (32, 25, 25, 320), 3, 2),
    ("max_pool2d", (32, 13, 13, 320), 3, 1),
    ("max_pool2d", (32, 56, 56, 64), 2, 2),  # VGG
    ("max_pool2d", (64, 28, 28, 3), 2, 2),
    ("max_pool2d", (64, 28, 28, 1), 3, 1),
    ("avg_pool2d", (32, 56, 56, 128), 2, 2),  # DenseNet
    ("avg_pool2d", (32, 14, 14, 512), 2, 2),
    ("avg_pool2d", (32, 25, 25, 320), 3, 1),
    ("avg_pool2d", (32, 50, 50, 128), 3, 2),
    ("avg_pool2d", (64, 28, 28, 3), 2, 2),
    ("depthwise_conv2d", (32, 112, 112, 32), 3, 1),  # MobileNet
    ("depthwise_conv2d", (32, 112, 112, 64), 3, 2),
    ("depthwise_conv2d", (32, 14, 14, 512), 3, 1),
    ("depthwise_conv2d", (32, 14, 14, 512), 3, 2),
    ("depthwise_conv2d", (32, 28, 28, 240), 5, 1),  # MobileNetV3
    ("depthwise_conv2d", (32, 14, 14, 672), 5, 2),
    ("depthwise_conv2d", (32, 28, 28, 192), 7, 1),  # ConvNeXt
    ("depthwise_conv2d", (32, 100, 100, 3), 5, 1),
    ("depthwise_conv2d", (64, 28, 28, 1), 3, 1),
]
PARTS = ("forward", "gradients")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--only", default="", help="ops whose name holds this")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    noise.quiet_tensorflow()
    facts = machine.cpu() | machine.libraries("tensorflow") | machine.kernel()
    interleaved.head(facts, as_json=options.json)
    shapes = [shape for shape in SHAPES if options.only in shape[0]]
    rows = [_row(shape, options.dtype, options.rounds) for shape in shapes]
    interleaved.show(f"pool_ops, {options.dtype}", rows, as_json=options.json)
    summary = [{"part": part} | _summary([row[part] for row in rows]) for part in PARTS]
    interleaved.show("all shapes", summary, as_json=options.json)


def _summary(ratios: list[float]) -> dict[str, object]:
    mean = float(np.exp(np.mean(np.log(ratios))))
    return {"geometric mean": round(mean, 3), "worst": min(ratios)}


def _row(shape: tuple, dtype: str, rounds: int) -> dict[str, object]:
    import tensorflow as tf

    from hw2 import ops

    name, image, kernel, stride = shape
    rng = np.random.default_rng(0)
    sources = [tf.cast(rng.standard_normal(image), dtype)]
    if name == "depthwise_conv2d":
        sources.append(tf.cast(rng.standard_normal((kernel, kernel, image[3], 1)), dtype))
        window = (stride, "SAME")
        theirs = ([1, stride, stride, 1], "SAME")
    else:
        window = theirs = (kernel, stride, "SAME")
    out = (image[0], -(-image[1] // stride), -(-image[2] // stride), image[3])
    dy = tf.cast(rng.standard_normal(out), dtype)

    def peers(mark: str, op: Callable, options: tuple) -> dict[str, Callable[[], object]]:
        @tf.function(autograph=False)
        def forward(*sources):
            return op(*sources, *options)

        @tf.function(autograph=False)
        def gradients(dy, *sources):
            with tf.GradientTape() as tape:
                tape.watch(sources)
                y = op(*sources, *options)
            return tape.gradient(y, sources, dy)

        return {
            f"{mark} forward": lambda: forward(*sources),
            f"{mark} gradients": lambda: gradients(dy, *sources),
        }

    calls = peers("tf.nn", getattr(tf.nn, name), theirs) | peers("ours", getattr(ops, name), window)
    middle = interleaved.medians(interleaved.seconds(calls, rounds=rounds))
    return {
        "op": name,
        "shape": f"{'x'.join(map(str, image))}, {kernel}x{kernel}/{stride}",
        **{f"tf.nn {part} ms": round(1e3 * middle[f"tf.nn {part}"], 2) for part in PARTS},
        **{part: round(middle[f"tf.nn {part}"] / middle[f"ours {part}"], 2) for part in PARTS},
    }


if __name__ == "__main__":
    main()
