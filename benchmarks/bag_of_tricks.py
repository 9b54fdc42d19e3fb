"""The tricks that the fourth report names, one by one and together, as a table.

`python benchmarks/bag_of_tricks.py data/fifteen_thousand runs/bag` trains `se_resnet18` for 4
epochs on 10,000 images of Fashion-MNIST with none of the tricks, with each alone, and with all, by
`--seeds` seeds. `python benchmarks/swapped_labels.py make data/fifteen_thousand --count=15000
--fraction=0` writes the images. The table has mean and standard deviation over the seeds, on the
5,000 images held out at the last step and on the 10,000 test images. Run folders are kept, and what
is done is not trained again.

Source: He et al., "Bag of Tricks for Image Classification with Convolutional Neural Networks",
2018, arxiv.org/abs/1812.01187.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import warnings
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import tensorflow as tf
from trainings import last, spread, trained

from hw2.training import optimizers, slots

NO_DECAY = "no decay on bias and norm"
# What the table calls it, and the flags that make it. Decay is as hw2 does it, or of everything.
TRICKS: dict[str, tuple[str, ...]] = {
    "warm-up": ("--warmup_epochs=0.5",),
    "cosine": ("--schedule=cosine",),
    "label smoothing": ("--label_smoothing=0.1",),
    "mixup": ("--mixup=0.2",),
    NO_DECAY: (),
    "zero last gamma": ("--zero_gamma",),
    "ResNet-D": ("--resnet_d",),
}
ROWS: dict[str, tuple[str, ...]] = {
    "none of them": (),
    **{name: (name,) for name in TRICKS},
    "all": tuple(TRICKS),
}
FLAGS = (
    *("--model=se_resnet18", "--image_size=28", "--short_side=28", "--crop_size=28"),
    *("--augmentation=none", "--flip", "--shift=0.08", "--validation_fraction=0.33333333"),
    *("--optimizer=sgdw", "--momentum=0.9", "--learning_rate=0.05", "--weight_decay=0.005"),
    *("--l2=0", "--ema_decay=0", "--batch_size=128", "--epochs=4", "--halve_after=0"),
    *("--stop_after=0", "--save_checkpoint_steps=400", "--keep_checkpoints=1"),
    *("--log_frequency=50", "--notensorboard", "--precision=mixed_bfloat16"),
)


def decay_everything(variable: tf.Variable, share: float, rate: tf.Tensor) -> None:
    """Shrinks a variable by `rate * share`, also a bias or a scale, as hw2 itself never does."""
    if share:
        slots.subtract(variable, tf.cast(rate * share, variable.dtype) * variable.read_value())


@contextlib.contextmanager
def decayed(tricks: tuple[str, ...]) -> Iterator[None]:
    """Within it, optimizers decay bias and norm as well, unless the trick forbids it."""
    if NO_DECAY in tricks:
        yield
        return
    with mock.patch.object(optimizers, "decay", decay_everything):
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder of images and labels")
    parser.add_argument("runs", type=Path, help="folder for the run folders")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    source = [f"--train_data_path={given.data}", "--test_data_path=fashion_mnist"]
    print("| tricks | validation top-1 | gain | test top-1 | gain |\n|---|---|---|---|---|")
    without: tuple[float, float] | None = None
    for name, tricks in ROWS.items():
        flags = [flag for trick in tricks for flag in TRICKS[trick]]
        stem = name.replace(" ", "_")
        with decayed(tricks):
            results = [
                trained(given.runs / f"{stem}-{seed}", [*source, *FLAGS, *flags, f"--seed={seed}"])
                for seed in range(given.seeds)
            ]
        validation, test = [*map(last, results)], [one["test_top1"] for one in results]
        means = statistics.mean(validation), statistics.mean(test)
        without = without or means
        gains = [f"{mean - first:+.4f}" for mean, first in zip(means, without, strict=True)]
        print(
            f"| {name} | {spread(validation)} | {gains[0]} | {spread(test)} | {gains[1]} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
