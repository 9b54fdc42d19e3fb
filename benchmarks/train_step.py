"""A whole training step by each convolution, beside Keras and PyTorch, in one run.

    python benchmarks/train_step.py --model=inception10 --batch=32 --image_size=100

Every peer trains the same network on the same resident batch with Adam; ratios are to TensorFlow's
own convolution in the same loop, and above 1 is faster.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from collections.abc import Callable

import interleaved
import numpy as np

from hw2 import command

OURS = ("native", "im2col", "auto")
NUM_CLASSES = 65


def main() -> None:
    options = _options()
    if options.memory_of:
        peer = _peers(options, [options.memory_of])[options.memory_of]
        for _ in range(3):
            peer()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
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
            "ratio": round(middle["native"] / middle[name], 3) if "native" in middle else "",
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
    parser.add_argument("--peers", default="native,im2col,auto,keras,torch")
    parser.add_argument("--memory", action="store_true", help="peak memory, each in its process")
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
        command.quiet_tensorflow()
    for name in names:
        if name == "keras":
            peers[name] = _keras(images, labels)
        elif name == "torch":
            try:
                peers[name] = _torch(images, labels)
            except ImportError:
                print("torch is not installed: pip install -e '.[peers]'", file=sys.stderr)
        else:
            peers[name] = _ours(options.model, name, images, labels)
    return peers


def _ours(model: str, algorithm: str, images: np.ndarray, labels: np.ndarray) -> Callable:
    import tensorflow as tf

    from hw2 import ops
    from hw2.layers.penalty import l2_penalty
    from hw2.models import MODELS
    from hw2.training.learner import Learner

    learner = Learner(
        lambda: MODELS[model](images.shape[1:], NUM_CLASSES, seed=0),
        penalty=l2_penalty,
        ema_decay=0.9999,
        seed=0,
    )
    batch = tf.constant(images), tf.constant(labels)

    def step() -> None:
        with ops.algorithm(algorithm):  # counts when the first call traces
            float(learner.train_step(batch, step=0, rate=1e-3)["loss"])

    return step


def _keras(images: np.ndarray, labels: np.ndarray) -> Callable:
    """The network of `inception10` in Keras's layers, stepped as `keras.Model.fit` steps."""
    import keras
    import tensorflow as tf
    from keras import layers

    def conv(x, filters, kernel, strides=1):
        return layers.Conv2D(filters, kernel, strides, "same")(x)

    def block(x, filters, strides):
        x = layers.Conv2D(filters, 3, strides, "same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    def inception(x, towers, bottleneck):
        one, three, five, pool = towers
        a = conv(x, one, 1)
        b = conv(layers.ReLU()(conv(x, bottleneck, 1)), three, 3)
        c = conv(layers.ReLU()(conv(x, bottleneck, 1)), five, 3)
        c = conv(layers.ReLU()(c), five, 3)
        d = conv(layers.MaxPooling2D(3, 1, "same")(x), pool, 1)
        return layers.ReLU()(layers.BatchNormalization()(layers.Concatenate()([a, b, c, d])))

    inputs = keras.Input(images.shape[1:])
    x = block(block(inputs, 64, 1), 128, 2)
    x = layers.MaxPooling2D(3, 2, "same")(x)
    x = layers.MaxPooling2D(3, 2, "same")(inception(x, (64, 96, 96, 64), 64))
    x = layers.SpatialDropout2D(0.25)(x)
    x = layers.MaxPooling2D(3, 2, "same")(inception(x, (32, 64, 64, 32), 96))
    x = layers.Flatten()(layers.SpatialDropout2D(0.25)(x))
    l2 = keras.regularizers.L2(5e-4)
    x = layers.Dense(256, use_bias=False, kernel_regularizer=l2)(x)
    x = layers.Dropout(0.5)(layers.ReLU()(layers.BatchNormalization()(x)))
    model = keras.Model(inputs, layers.Dense(NUM_CLASSES)(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    adam = keras.optimizers.Adam(1e-3, use_ema=True, ema_momentum=0.9999)
    model.compile(adam, loss, metrics=["accuracy"], jit_compile=False)
    batch = tf.constant(images), tf.constant(labels)
    data = tf.data.Dataset.from_tensors(batch).repeat(4)
    model.fit(data, verbose=0)
    step = model.make_train_function()
    iterator = iter(tf.data.Dataset.from_tensors(batch).repeat())
    return lambda: {name: float(value) for name, value in step(iterator).items()}


def _torch(images: np.ndarray, labels: np.ndarray) -> Callable:
    """The same network in PyTorch, channels last."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Inception(nn.Module):
        def __init__(self, inputs, towers, bottleneck):
            super().__init__()
            one, three, five, pool = towers
            self.one = nn.Conv2d(inputs, one, 1)
            self.three = nn.Sequential(
                nn.Conv2d(inputs, bottleneck, 1),
                nn.ReLU(True),
                nn.Conv2d(bottleneck, three, 3, padding=1),
            )
            self.five = nn.Sequential(
                nn.Conv2d(inputs, bottleneck, 1),
                nn.ReLU(True),
                nn.Conv2d(bottleneck, five, 3, padding=1),
                nn.ReLU(True),
                nn.Conv2d(five, five, 3, padding=1),
            )
            self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(inputs, pool, 1))
            self.norm = nn.BatchNorm2d(sum(towers))

        def forward(self, x):
            towers = [tower(x) for tower in (self.one, self.three, self.five, self.pool)]
            return functional.relu(self.norm(torch.cat(towers, 1)))

    def block(inputs, outputs, stride):
        conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(True))

    def pool():
        return nn.MaxPool2d(3, 2, 1)

    side = -(-images.shape[1] // 16)
    net = nn.Sequential(
        block(3, 64, 1),
        block(64, 128, 2),
        pool(),
        Inception(128, (64, 96, 96, 64), 64),
        pool(),
        nn.Dropout2d(0.25),
        Inception(320, (32, 64, 64, 32), 96),
        pool(),
        nn.Dropout2d(0.25),
        nn.Flatten(),
        nn.Linear(side * side * 192, 256, bias=False),
        nn.BatchNorm1d(256),
        nn.ReLU(True),
        nn.Dropout(0.5),
        nn.Linear(256, NUM_CLASSES),
    ).to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(net.parameters())
    x = torch.from_numpy(images).permute(0, 3, 1, 2)
    x = x.contiguous(memory_format=torch.channels_last)
    y = torch.from_numpy(labels).long()

    def step() -> None:
        adam.zero_grad()
        loss = functional.cross_entropy(net(x), y)
        loss.backward()
        adam.step()
        loss.item()

    return step


def _peak(name: str) -> int:
    """Peak resident memory of three steps in a process of their own, in MB."""
    words = [sys.executable, *sys.argv, f"--memory_of={name}"]
    return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
