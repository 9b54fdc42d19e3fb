"""What this machine can do at most: the bounds that a convolution can be held against.

    python benchmarks/peaks.py

A large square matrix product of TensorFlow's in float32 and in bfloat16, in GFLOP/s with two for
a multiply-add, and a large copy in memory by as many threads as there are cores, in GB/s of 10^9
bytes, those read and those written.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import interleaved
import machine
import numpy as np

from hw2 import command


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=2048, help="of the matrices")
    parser.add_argument("--megabytes", type=int, default=512, help="to copy, beyond any cache")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    command.quiet_tensorflow()
    interleaved.head(machine.cpu() | machine.libraries("tensorflow"), as_json=options.json)
    flop, size = 2e-9 * options.side**3, options.megabytes / 1e3
    square = f"{options.side}x{options.side}"
    with ThreadPoolExecutor(machine.cores()) as pool:
        bounds = {
            f"float32 product, {square}": (_product("float32", options.side), flop, "GFLOP/s"),
            f"bfloat16 product, {square}": (_product("bfloat16", options.side), flop, "GFLOP/s"),
            f"copy of {options.megabytes} MB": (_copy(options.megabytes, pool), 2 * size, "GB/s"),
        }
        calls = {name: call for name, (call, _, _) in bounds.items()}
        times = interleaved.seconds(calls, rounds=options.rounds)
    middle = interleaved.medians(times)
    rows = [
        {
            "bound": name,
            "median": round(work / middle[name], 1),
            "best": round(work / min(times[name]), 1),
            "unit": unit,
            "ms": round(1e3 * middle[name], 1),
            "spread": f"{interleaved.spread(times[name]):.0%}",
        }
        for name, (_, work, unit) in bounds.items()
    ]
    interleaved.show("peaks", rows, as_json=options.json)


def _product(dtype: str, side: int) -> Callable[[], object]:
    import tensorflow as tf

    a, b = (tf.cast(tf.random.stateless_normal([side, side], [seed, 0]), dtype) for seed in (1, 2))
    product = tf.function(tf.matmul, autograph=False)
    return lambda: product(a, b)


def _copy(megabytes: int, pool: ThreadPoolExecutor) -> Callable[[], object]:
    """Each thread copies a share of its own; NumPy lets others run meanwhile."""
    share = megabytes * 10**6 // machine.cores()
    pairs = [(np.zeros(share, np.uint8), np.ones(share, np.uint8)) for _ in range(machine.cores())]
    return lambda: list(pool.map(lambda pair: np.copyto(*pair), pairs))


if __name__ == "__main__":
    main()
