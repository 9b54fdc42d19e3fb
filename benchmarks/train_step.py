"""A whole training step by each convolution, beside Keras and PyTorch, in one run.

    python benchmarks/train_step.py --model=inception10 --batch=32 --image_size=100

Every peer trains the same network on the same resident batch with Adam; ratios are to TensorFlow's
own convolution in the same loop, and above 1 is faster.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import interleaved
import numpy as np

from hw2.terminal import noise

# Of ours: convolution, precision, and whether patches are computed again for the gradient.
OURS = {
    "native": ("native", "float32", False),
    "native_bfloat16": ("native", "mixed_bfloat16", False),
    "im2col": ("im2col", "float32", False),
    "auto": ("auto", "float32", False),
    "auto_recompute": ("auto", "float32", True),
    "auto_bfloat16": ("auto", "mixed_bfloat16", False),
}
PEERS = "native,im2col,auto,auto_bfloat16,keras,torch"
NUM_CLASSES = 65
BATCHES, SIDES = (8, 16, 32, 64, 128), (32, 64, 100, 160, 224)  # of --growth


def main() -> None:
    options = _options()
    if options.memory_of:
        peer = _peers(options, [options.memory_of])[options.memory_of]
        for _ in range(3):
            peer()
        # Not getrusage's, which begins at the size of the process that started this one.
        status = Path("/proc/self/status").read_text()
        print(int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024)
        return
    if options.growth:
        _growth(options)
        return
    peers = _peers(options, options.peers.split(","))
    times = interleaved.seconds(peers, rounds=options.rounds)
    middle = interleaved.medians(times)
    rows = []
    for name in peers:
        row = {
            "peer": name,
            "ms": round(1e3 * middle[name], 1),
            "spread": f"{interleaved.spread(times[name]):.0%}",
            "images/s": round(options.batch / middle[name], 1),
            "ratio": round(middle["native"] / middle[name], 3) if "native" in middle else "-",
        }
        if options.memory:
            row["peak MB"] = _peak(name)
        rows.append(row)
    title = f"train_step {options.model} {options.batch}x{options.image_size}x{options.image_size}"
    interleaved.show(title, rows, as_json=options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="inception10")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--image_size", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--peers", default=PEERS, help=f"of {', '.join(OURS)}, keras, torch")
    parser.add_argument("--memory", action="store_true", help="peak memory, each in its process")
    parser.add_argument("--growth", metavar="PNG", help="step time by batch and by image, drawn")
    parser.add_argument("--memory_of", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _peers(options: argparse.Namespace, names: list[str]) -> dict[str, Callable[[], object]]:
    rng = np.random.default_rng(0)
    shape = (options.image_size, options.image_size, 3)
    images = rng.standard_normal((options.batch, *shape)).astype(np.float32)
    labels = rng.integers(0, NUM_CLASSES, options.batch).astype(np.int32)
    peers = {}
    if set(names) - {"torch"}:
        noise.quiet_tensorflow()
    for name in names:
        if name == "keras":
            import keras_peers

            peers[name] = keras_peers.step(options.model, images, labels, NUM_CLASSES)
        elif name == "torch":
            try:
                import torch_peers
            except ImportError:
                print("torch is not installed: pip install -e '.[peers]'", file=sys.stderr)
                continue
            peers[name] = torch_peers.step(options.model, images, labels, NUM_CLASSES)
        else:
            peers[name] = _ours(options.model, name, images, labels)
    return peers


def _ours(model: str, name: str, images: np.ndarray, labels: np.ndarray) -> Callable:
    import tensorflow as tf

    from hw2 import ops
    from hw2.layers.penalty import l2_penalty
    from hw2.models import MODELS
    from hw2.training.learner import Learner

    algorithm, precision, recompute = OURS[name]
    learner = Learner(
        lambda: MODELS[model](images.shape[1:], NUM_CLASSES, seed=0),
        penalty=l2_penalty,
        ema_decay=0.9999,
        seed=0,
        precision=precision,
    )
    batch = tf.constant(images), tf.constant(labels)

    def step() -> None:
        with ops.algorithm(algorithm, recompute=recompute):  # counts when the first call traces
            float(learner.train_step(batch, step=0, rate=1e-3)["loss"])

    return step


def _peak(name: str) -> int:
    """Peak resident memory of three steps in a process of their own, in MB."""
    words = [sys.executable, *sys.argv, f"--memory_of={name}"]
    return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def _growth(options: argparse.Namespace) -> None:
    """Prints and draws step times over batch and over image side, with fitted exponents."""
    from matplotlib.figure import Figure

    names = [name for name in options.peers.split(",") if name in OURS]
    figure = Figure(figsize=(9, 4), layout="constrained")
    rows = []
    for axes, key, sizes in zip(
        figure.subplots(1, 2), ("batch", "image_size"), (BATCHES, SIDES), strict=True
    ):
        times: dict[str, list[float]] = {name: [] for name in names}
        for size in sizes:
            there = argparse.Namespace(**vars(options) | {key: size})
            measured = interleaved.seconds(_peers(there, names), rounds=options.rounds)
            for name, value in interleaved.medians(measured).items():
                times[name].append(value)
        for name in names:
            exponent, _ = np.polyfit(np.log(sizes), np.log(times[name]), 1)
            axes.loglog(sizes, times[name], "o-", label=f"{name}, exponent {exponent:.2f}")
            seconds = {str(s): round(t, 3) for s, t in zip(sizes, times[name], strict=True)}
            rows.append({"over": key, "peer": name, "exponent": round(exponent, 2)} | seconds)
        axes.set(xlabel=key.replace("_", " "), ylabel="seconds a step")
        axes.set_xticks(sizes, map(str, sizes))
        axes.minorticks_off()
        axes.legend()
    for key in ("batch", "image_size"):
        title = f"growth of {options.model} with {key}"
        interleaved.show(title, [r for r in rows if r["over"] == key], as_json=options.json)
    Path(options.growth).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.growth, dpi=110)


if __name__ == "__main__":
    main()
