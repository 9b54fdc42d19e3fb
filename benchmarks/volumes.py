"""Convolutions of volumes, deformable and octave ones beside their counterparts, in one run.

    python benchmarks/volumes.py

One line for each: milliseconds forward and with both gradients, and their ratio to the first of
the group, medians of interleaved calls in graphs. TensorFlow has no deformable convolution, so
ours is compared with `conv2d` of the same filters.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable

import interleaved
import machine
import tensorflow as tf

from hw2 import ops

ROUNDS = 7


def main() -> None:
    """Prints the machine and the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="calls of each")
    rounds = parser.parse_args().rounds
    facts = machine.cpu() | machine.libraries("tensorflow") | machine.kernel()
    interleaved.head(facts, as_json=False)
    print(f"{'':44}{'forward, ms':>13}{'ratio':>7}{'and gradients':>15}{'ratio':>7}")
    for name, peers, inputs in _groups():
        calls = {
            (peer, part): functools.partial(
                _run, _graph(op if part == 0 else _gradients(op)), inputs
            )
            for peer, op in peers.items()
            for part in (0, 1)
        }
        found = interleaved.medians(interleaved.seconds(calls, rounds=rounds))
        first = [found[next(iter(peers)), part] for part in (0, 1)]
        for peer in peers:
            times = [found[peer, part] for part in (0, 1)]
            forward, both = (f"{1000 * t:.1f}" for t in times)
            ratios = [f"{t / base:.2f}" for t, base in zip(times, first, strict=True)]
            print(
                f"{name:28}{peer:16}{forward:>13}{ratios[0]:>7}{both:>15}{ratios[1]:>7}", flush=True
            )


def _groups():
    """Name, peers and inputs of each comparison."""
    for shape, filters, stride in (
        ((4, 16, 56, 56, 3), 32, 1),
        ((4, 8, 28, 28, 32), 64, 1),
        ((4, 8, 28, 28, 32), 64, 2),
    ):
        x, w = _random(*shape), _random(3, 3, 3, shape[4], filters)
        peers = {
            "tf.nn.conv3d": lambda x, w, s=stride: tf.nn.conv3d(x, w, [1, s, s, s, 1], "SAME"),
            "im2col": _ours(stride, "im2col"),
            "auto": _ours(stride, "auto"),
        }
        yield f"conv3d {'x'.join(map(str, shape))}->{filters} /{stride}", peers, [x, w]
    x, w = _random(16, 28, 28, 64), _random(3, 3, 64, 64)
    offsets, mask = _random(16, 28, 28, 18), _random(16, 28, 28, 9)
    peers = {
        "conv2d": lambda x, w, offsets, mask: ops.conv2d(x, w),
        "deform_conv2d": ops.deform_conv2d,
    }
    yield "16x28x28x64->64", peers, [x, w, offsets, mask]
    high, low = _random(16, 28, 28, 32), _random(16, 14, 14, 32)
    peers = {
        "conv2d": lambda high, low, w: ops.conv2d(tf.concat([high, high], 3), w),
        "octave_conv2d": lambda high, low, w: ops.octave_conv2d(high, low, w, 32),
    }
    yield "16x28x28x64->64, half low", peers, [high, low, w]


def _ours(stride: int, algorithm: str) -> Callable:
    return lambda x, w: ops.conv3d(x, w, stride, algorithm=algorithm)


def _random(*shape: int) -> tf.Tensor:
    return tf.random.stateless_normal(shape, [1, 2])


def _gradients(op: Callable) -> Callable:
    def run(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = tf.nest.flatten(op(*inputs))
        return tape.gradient(y, inputs)

    return run


def _graph(op: Callable) -> Callable:
    return tf.function(op, autograph=False)


def _run(call: Callable, inputs: list[tf.Tensor]) -> None:
    """Returns when all results are there; an input that a peer does not read has no gradient."""
    for result in tf.nest.flatten(call(*inputs)):
        if result is not None:
            result.numpy()


if __name__ == "__main__":
    main()
