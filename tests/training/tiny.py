"""Trainings that take seconds: the scripts, with a network of two layers.

    python tests/training/tiny.py [--several] --log_path=FOLDER

`--several` stands for multi_gpu_train.py, else it is train.py.
"""

import sys

from hw2.commands import launch

FLAGS = [
    "--train_data_path=digits",
    "--model=tiny",
    "--image_size=8",
    "--crop_size=8",
    "--short_side=8",
    "--batch_size=16",
    "--max_steps=24",
    "--save_checkpoint_steps=8",
    "--log_frequency=5",
    "--learning_rate=0.01",
    "--notensorboard",
]
SHORT = [*FLAGS, "--max_steps=8", "--save_checkpoint_steps=4"]


def tiny(image_shape, num_classes, *, seed, l2=1e-3):
    """A convolution with batch norm, dropout, a dense layer."""
    import numpy as np

    from hw2.layers.conv import conv_stack
    from hw2.layers.dense import Dense
    from hw2.layers.dropout import Dropout
    from hw2.layers.sequential import Sequential, flatten

    rng = np.random.default_rng(seed)
    height, width, channels = image_shape
    return Sequential(
        {
            "conv": conv_stack(channels, [4], [3], strides=[2], rng=rng),
            "dropout": Dropout(0.2),
            "flatten": flatten,
            "head": Dense(-(-height // 2) * -(-width // 2) * 4, num_classes, rng=rng),
        }
    )


def main(config, *, hooks=()):
    from hw2 import models
    from hw2.jobs import train

    models.MODELS["tiny"] = tiny
    train.train(config, mirrored=several, hooks=hooks)


if __name__ == "__main__":
    several = "--several" in sys.argv
    sys.argv = [sys.argv[0], *FLAGS, *(word for word in sys.argv[1:] if word != "--several")]
    launch.run(main, machines=several)
