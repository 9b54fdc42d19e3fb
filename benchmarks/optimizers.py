"""The optimizers of hw2 beside one another, each at its own learning rate, as a table and a figure.

`python benchmarks/optimizers.py data/ten_thousand runs/optimizers docs/optimizers.svg` trains
`lenet5` for 3 epochs on 10,000 images of Fashion-MNIST with each optimizer at each of three rates.
`python benchmarks/swapped_labels.py make data/ten_thousand --fraction=0` writes the images. The
rate with the highest validation accuracy is taken, and with it two more seeds are trained, or as
many as `--seeds` says. The table has mean and standard deviation over the seeds, on validation and
on the 10,000 test images. Run folders are kept, and what is done is not trained again.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import trainings

PLAIN = (0.1, 0.3, 1.0)
ADAPTIVE = (3e-3, 1e-2, 3e-2)
# What the table calls it, the flags that make it, and the rates that are tried.
OPTIMIZERS = (
    ("sgd", ["--optimizer=sgd", "--momentum=0"], PLAIN),
    ("sgd, momentum 0.9", ["--optimizer=sgd", "--momentum=0.9"], (0.03, 0.1, 0.3)),
    ("adagrad", ["--optimizer=adagrad"], (0.03, 0.1, 0.3)),
    ("rmsprop", ["--optimizer=rmsprop"], ADAPTIVE),
    ("adam", ["--optimizer=adam"], ADAPTIVE),
    ("adamw", ["--optimizer=adamw", "--weight_decay=0.01"], ADAPTIVE),
    ("lion", ["--optimizer=lion"], (3e-4, 1e-3, 3e-3)),
)
FLAGS = (
    *("--model=lenet5", "--image_size=28", "--short_side=28", "--crop_size=28"),
    *("--brightness=0", "--contrast_min=1", "--contrast_max=1", "--batch_size=64", "--epochs=3"),
    *("--schedule=cosine", "--warmup_epochs=0.3", "--ema_decay=0.98", "--log_frequency=75"),
    *("--save_checkpoint_steps=75", "--keep_checkpoints=1", "--notensorboard", "--l2=0"),
)


def trained(data: Path, folder: Path, flags: list[str], rate: float, seed: int) -> dict:
    """Trains once, or finds that it is done; returns what the training says at its end."""
    name = f"{flags[0].partition('=')[2]}-{'-'.join(flags[1:]).strip('-')}-{rate:g}-{seed}"
    words = [f"--train_data_path={data}", "--test_data_path=fashion_mnist", *FLAGS, *flags]
    words += [f"--learning_rate={rate}", f"--seed={seed}"]
    return trainings.trained(folder / name, words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder of images and labels")
    parser.add_argument("runs", type=Path, help="folder for the run folders")
    parser.add_argument("output", type=Path, help="the file to draw, .svg or .png")
    parser.add_argument("--seeds", type=int, default=3, help="trainings at the best rate")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    mpl.rcParams |= {"svg.hashsalt": "hw2", "font.size": 9}
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    print(
        "| optimizer | rates tried | best | validation top-1 | test top-1 |\n|---|---|---|---|---|"
    )
    for (name, flags, rates), mark in zip(OPTIMIZERS, "osv^D*x", strict=True):
        tried = {rate: trained(given.data, given.runs, flags, rate, 0) for rate in rates}
        rate = max(rates, key=lambda rate: trainings.last(tried[rate]))
        more = range(1, given.seeds)
        found = [tried[rate], *(trained(given.data, given.runs, flags, rate, s) for s in more)]
        values = ([*map(trainings.last, found)], [one["test_top1"] for one in found])
        cells = map(trainings.spread, values)
        row = [name, ", ".join(f"{one:g}" for one in rates), f"{rate:g}", *cells]
        print(f"| {' | '.join(row)} |", flush=True)
        steps, values = zip(*trainings.curve(Path(found[0]["log_path"])), strict=True)
        axes.plot(steps, values, marker=mark, markersize=4, label=f"{name}, {rate:g}")
    axes.set_xlabel("step")
    axes.set_ylabel("validation top-1, averaged weights")
    axes.set_ylim(0.7, 0.86)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(given.output, metadata={"Date": None})


if __name__ == "__main__":
    main()
