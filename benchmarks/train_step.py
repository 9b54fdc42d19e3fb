"""A whole training step by each convolution, beside Keras and PyTorch, in one run.

    python benchmarks/train_step.py --model=inception10 --batch=32 --image_size=100

Every peer trains the same network on the same resident batch with Adam, in a process of its own;
they take turns. In each step hw2 and Keras also update averages of the weights, and for inception10
they add an L2 penalty on its dense layer; PyTorch does neither, and so has less to do. A peer's
throughput is given over that of TensorFlow's own convolution in our loop ("over native"), and that
of our "auto" over the peer's, so above 1 is faster. PyTorch may have an interpreter of its own,
`--torch_python=PATH`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import interleaved
import machine
import turns
from problem import Problem

HERE = Path(__file__).parent
PEERS = (
    "native,native_bfloat16,im2col,extract_patches,auto,auto_bfloat16,keras,torch,torch_bfloat16"
)
OURS = ("auto", "auto_bfloat16")  # whose ratio to every peer is given
BATCHES, SIDES = (8, 16, 32, 64, 128), (32, 64, 100, 160, 224)  # of --growth


def main() -> None:
    options = _options()
    if options.growth:
        _growth(options)
        return
    times, facts, memory = _measured(options)
    if not times:
        sys.exit("no peer has made its steps")
    interleaved.head(facts, as_json=options.json)
    middle = interleaved.medians(times)
    rows = []
    for name, median in middle.items():
        row = {
            "peer": name,
            "ms": round(1e3 * median, 1),
            "spread": f"{interleaved.spread(times[name]):.0%}",
            "images/s": round(options.batch / median, 1),
            "over native": round(middle["native"] / median, 3) if "native" in middle else "-",
        }
        for ours in OURS:
            row[f"{ours} over it"] = round(median / middle[ours], 3) if ours in middle else "-"
        if options.memory:
            row["peak MB"] = memory[name]
        rows.append(row)
    title = f"train_step {options.model} {options.batch}x{options.image_size}x{options.image_size}"
    interleaved.show(title, rows, as_json=options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="inception10")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--image_size", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument(
        "--peers",
        default=PEERS,
        help="keras, torch, MODULE:FUNCTION, or any algorithm of ops.conv2d, which _recompute "
        "computes patches again for; _bfloat16 behind the name is mixed precision. "
        "Default: %(default)s",
    )
    parser.add_argument(
        "--torch_python",
        default=sys.executable,
        metavar="PATH",
        help="interpreter that has torch and NumPy; this one by default",
    )
    parser.add_argument("--memory", action="store_true", help="peak memory of each process")
    parser.add_argument("--growth", metavar="PNG", help="step time by batch and by image, drawn")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.peers = options.peers.split(",")
    if options.rounds < 2:
        parser.error(f"--rounds must be 2 or more, for a spread, got {options.rounds}.")
    return options


def _measured(
    options: argparse.Namespace,
) -> tuple[dict[str, list[float]], dict[str, object], dict[str, int]]:
    """Times of each peer's steps, what they depend on, and each process's peak memory in MB."""
    commands = {name: _command(name, options) for name in options.peers}
    with turns.peers(commands) as running:
        times = turns.seconds(running, rounds=options.rounds)
        facts = machine.cpu()
        for peer in running:
            facts |= peer.facts
        return times, facts, {peer.name: peer.peak_mb for peer in running}


def _command(name: str, options: argparse.Namespace) -> list[str]:
    """Starts a peer's process."""
    python, library = sys.executable, "hw2"
    if name.startswith("keras"):
        library = "keras"
    elif name.startswith("torch"):
        python, library = options.torch_python, "torch"
    given = Problem(name, options.model, options.batch, options.image_size)
    return [python, str(HERE / f"{library}_peers.py"), *given.flags()]


def _growth(options: argparse.Namespace) -> None:
    """Prints and draws step times over batch and over image side, with fitted exponents."""
    import numpy as np
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    rows = []
    facts: dict[str, object] = {}
    for axes, key, sizes in zip(
        figure.subplots(1, 2), ("batch", "image_size"), (BATCHES, SIDES), strict=True
    ):
        times: dict[str, dict[int, float]] = {name: {} for name in options.peers}
        for size in sizes:
            there = argparse.Namespace(**vars(options) | {key: size})
            measured, facts, _ = _measured(there)
            for name, value in interleaved.medians(measured).items():
                times[name][size] = value
        for name, values in times.items():
            if len(values) < len(sizes):  # it ended somewhere, which was told
                continue
            exponent, _ = np.polyfit(np.log(sizes), np.log(list(values.values())), 1)
            axes.loglog(sizes, values.values(), "o-", label=f"{name}, exponent {exponent:.2f}")
            seconds = {str(size): round(value, 3) for size, value in values.items()}
            rows.append({"over": key, "peer": name, "exponent": round(exponent, 2)} | seconds)
        axes.set(xlabel=key.replace("_", " "), ylabel="seconds a step")
        axes.set_xticks(sizes, map(str, sizes))
        axes.minorticks_off()
        axes.legend()
    interleaved.head(facts, as_json=options.json)
    for key in ("batch", "image_size"):
        title = f"growth of {options.model} with {key}"
        interleaved.show(title, [r for r in rows if r["over"] == key], as_json=options.json)
    Path(options.growth).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.growth, dpi=110)


if __name__ == "__main__":
    main()
