"""Builds the convolution kernel, holds it against the definition, and tells how fast it is.

    python -m hw2.ops.direct
    python -m hw2.ops.direct --isa=avx2
    python -m hw2.ops.direct --all
    python -m hw2.ops.direct --sanitize

`errors` are the largest over random shapes, as `python -m hw2.ops.verify` takes them: of the
output, and of the gradients by images and by filters. Exits with 1 if one is out of bounds or the
kernel cannot be built. With `--all` every instruction set is built, and those of this CPU are run.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import time
from unittest import mock

import numpy as np
import tensorflow as tf

from hw2 import ops
from hw2.ops import timing
from hw2.ops.direct import build, cpu, library
from hw2.ops.direct import conv as direct
from hw2.ops.direct.unavailable import Unavailable
from hw2.ops.geometry import Window
from hw2.ops.verify import __main__ as verify
from hw2.ops.verify import cases

CASES = 20  # random shapes of each dtype
# Layers of inception10 and of a ResNet: image, window, stride, filters.
LAYERS = [
    ((8, 100, 100, 3), 7, 2, 64),
    ((8, 25, 25, 64), 3, 1, 96),
    ((8, 28, 28, 192), 1, 1, 64),
    ((8, 14, 14, 128), 5, 1, 32),
    ((8, 56, 56, 64), 3, 2, 128),
]


def main(arguments: list[str] | None = None) -> int:
    """Prints what was found, and returns the exit code."""
    options = _parser().parse_args(arguments)
    if options.all:
        codes = [_apart(isa) for isa in cpu.SETS]
        return int(any(codes))  # the code of a process that crashed is negative
    if options.isa and options.isa not in cpu.available():
        return _only_built(options.isa)
    if options.isa:
        os.environ[cpu.VARIABLE] = options.isa
    try:
        isa = os.environ[cpu.VARIABLE] = cpu.chosen()
        os.environ[timing.VARIABLE] = "rule"
        if options.sanitize:
            return _sanitized(isa)
        start = time.perf_counter()
        path = build.library(isa)
        found, seconds = build.compiler(), time.perf_counter() - start
        library.load()
    except Unavailable as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"compiler         {' '.join(found.command)}: {found.version}")
    print(f"CPU              {cpu.name()}, {os.cpu_count()} threads")
    print(f"instruction set  {isa}, of {', '.join(cpu.available())}")
    print(f"cache            {path}")
    print(f"seconds          {seconds:.1f} to build or to find")
    good = [_errors("direct", 0, dtype) for dtype in verify.DTYPES]
    good += [_errors(f"direct_winograd{tile}", tile, "float32") for tile in direct.TILES]
    _speeds()
    return 0 if all(good) else 1


def _errors(name: str, tile: int, dtype: str) -> bool:
    """Prints the errors of random shapes; returns whether all are in bounds."""
    rng = np.random.default_rng(0)
    drawn = [cases.draw("conv2d", dtype, rng) for _ in range(CASES)]
    if tile:
        drawn = [case._replace(window=Window((3, 3)), groups=1) for case in drawn]
    # "auto", because what is held in float64 has no Winograd
    with mock.patch.object(direct, "tile_for", return_value=tile), ops.algorithm("auto"):
        results = [verify.measure(case, seed=seed) for seed, case in enumerate(drawn)]
    worst = [max(errors) for errors in zip(*(r["ours"] for r in results), strict=True)]
    good = all(result["ok"] for result in results)
    figures = "  ".join(f"{error:.1e}" for error in worst)
    print(f"errors           {name:17} {dtype:9} {figures}{'' if good else '  OUT OF BOUNDS'}")
    return good


def _speeds() -> None:
    """Prints the products and sums in a second, by layers."""
    print(f"\n{'GFLOP/s, float32':40}{'output':>12}{'by images':>12}{'by filters':>12}")
    for image, kernel, stride, filters in LAYERS:
        x = tf.random.stateless_normal(image, [1, 2])
        w = tf.random.stateless_normal([kernel, kernel, image[3], filters], [3, 4])
        y = ops.conv2d(x, w, stride, algorithm="direct")
        work = 2 * math.prod(y.shape) * math.prod(w.shape[:3]) / 1e9
        of_parts = [work / _seconds(x, w, y, stride, part) for part in ("y", "x", "w")]
        name = f"{'x'.join(map(str, image))}, {kernel}x{kernel} -> {filters}, stride {stride}"
        print(f"{name:40}{''.join(f'{figure:12.1f}' for figure in of_parts)}", flush=True)


def _seconds(x: tf.Tensor, w: tf.Tensor, dy: tf.Tensor, stride: int, part: str) -> float:
    """The median of the output, or of the gradient by x or w alone."""

    @tf.function(autograph=False)
    def run(x, w, dy):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = ops.conv2d(x, w, stride, algorithm="direct")
        return y if part == "y" else tape.gradient(y, {"x": x, "w": w}[part], dy)

    run(x, w, dy)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        run(x, w, dy).numpy()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _apart(isa: str) -> int:
    """Runs this command for one instruction set, in a process that loads no other."""
    print(f"\n== {isa}", flush=True)
    return subprocess.run([sys.executable, "-m", "hw2.ops.direct", f"--isa={isa}"]).returncode


def _only_built(isa: str) -> int:
    try:
        path = build.library(isa)
    except Unavailable as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{path} is built; {cpu.name()} cannot run it")
    return 0


def sanitizing(isa: str) -> dict[str, str]:
    """Builds the kernel with sanitizers; returns the environment of a process that loads it.

    Raises:
      Unavailable: It cannot be built.
    """
    build.library(isa, sanitize=True)
    command = build.compiler().command
    files = ("libasan.so", "libubsan.so", "libstdc++.so")
    found = [
        subprocess.check_output([*command, f"-print-file-name={name}"], text=True).strip()
        for name in files
    ]
    return {
        **os.environ,
        cpu.VARIABLE: isa,
        build.SANITIZE: "1",
        "LD_PRELOAD": " ".join(path for path in found if os.path.isabs(path)),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python and TensorFlow leave much behind at exit
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }


def _sanitized(isa: str) -> int:
    """Runs random cases in a process that loads the kernel with sanitizers."""
    environment = sanitizing(isa)
    names = ("conv2d", "depthwise_conv2d", "max_pool2d", "avg_pool2d")
    flags = ["--op", *names, "--algorithm", "direct", "--shapes", "random", "--cases", "400"]
    return subprocess.run(
        [sys.executable, "-m", "hw2.ops.verify", *flags], env=environment
    ).returncode


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m hw2.ops.direct",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--isa", choices=list(cpu.SETS), help="instruction set; default: the best of this CPU"
    )
    parser.add_argument("--all", action="store_true", help="every instruction set in turn")
    parser.add_argument(
        "--sanitize",
        action="store_true",
        help="run random cases of hw2.ops.verify with the address and undefined-behaviour "
        "sanitizers of the compiler",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
