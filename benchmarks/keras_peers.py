"""Our networks in Keras's layers, stepped as `keras.Model.fit` steps."""

from __future__ import annotations

import os
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import machine
import problem
import tensorflow as tf
import turns
from keras import layers


def step(given: problem.Problem) -> Callable[[], dict[str, float]]:
    """A call that trains one step on one batch, with Adam and averaged weights."""
    if given.peer == "keras_bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    model = given.of(MODELS, "Keras")
    images, labels = given.data()
    inputs = keras.Input(images.shape[1:])
    net = keras.Model(inputs, model(inputs, problem.NUM_CLASSES))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    adam = keras.optimizers.Adam(1e-3, use_ema=True, ema_momentum=0.9999)
    net.compile(adam, loss, metrics=["accuracy"], jit_compile=False)
    batch = tf.constant(images), tf.constant(labels)
    net.fit(tf.data.Dataset.from_tensors(batch).repeat(4), verbose=0)
    train = net.make_train_function()
    iterator = iter(tf.data.Dataset.from_tensors(batch).repeat())
    return lambda: {name: float(value) for name, value in train(iterator).items()}


def inception10(inputs, classes: int):
    """The network of ten layers."""
    x = _block(_block(inputs, 64), 128, strides=2)
    x = layers.MaxPooling2D(3, 2, "same")(x)
    x = layers.MaxPooling2D(3, 2, "same")(_inception(x, (64, 96, 96, 64), 64))
    x = layers.SpatialDropout2D(0.25)(x)
    x = layers.MaxPooling2D(3, 2, "same")(_inception(x, (32, 64, 64, 32), 96))
    x = layers.Flatten()(layers.SpatialDropout2D(0.25)(x))
    l2 = keras.regularizers.L2(5e-4)
    x = layers.Dense(256, use_bias=False, kernel_regularizer=l2)(x)
    x = layers.Dropout(0.5)(layers.ReLU()(layers.BatchNormalization()(x)))
    return layers.Dense(classes)(x)


def se_resnet34(inputs, classes: int):
    """ResNet-34 with squeeze and excitation, its stem for large pictures."""
    x = _block(layers.ZeroPadding2D(3)(inputs), 64, 7, 2, "valid")
    x = layers.MaxPooling2D(3, 2, "valid")(layers.ZeroPadding2D(1)(x))
    for width, depth in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for index in range(depth):
            strides = 2 if width > 64 and index == 0 else 1
            shortcut = x
            if strides == 2:
                shortcut = layers.Conv2D(width, 1, 2, use_bias=False)(x)
                shortcut = layers.BatchNormalization()(shortcut)
            y = _block(layers.ZeroPadding2D(1)(x), width, 3, strides, "valid")
            y = layers.Conv2D(width, 3, padding="same", use_bias=False)(y)
            y = layers.BatchNormalization()(y)
            squeezed = layers.Dense(width // 16, "relu")(layers.GlobalAveragePooling2D()(y))
            excited = layers.Dense(width, "sigmoid")(squeezed)
            y = layers.Multiply()([y, layers.Reshape((1, 1, width))(excited)])
            x = layers.ReLU()(layers.Add()([y, shortcut]))
    return layers.Dense(classes)(layers.GlobalAveragePooling2D()(x))


MODELS = {"inception10": inception10, "se_resnet34": se_resnet34}


def _block(x, filters: int, kernel: int = 3, strides: int = 1, padding: str = "same"):
    x = layers.Conv2D(filters, kernel, strides, padding, use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization()(x))


def _inception(x, towers: tuple[int, int, int, int], bottleneck: int):
    def conv(x, filters, kernel, bias=False):
        return layers.Conv2D(filters, kernel, padding="same", use_bias=bias)(x)

    one, three, five, pool = towers
    a = conv(x, one, 1)
    b = conv(layers.ReLU()(conv(x, bottleneck, 1, True)), three, 3)
    c = layers.ReLU()(conv(layers.ReLU()(conv(x, bottleneck, 1, True)), five, 3, True))
    d = conv(layers.MaxPooling2D(3, 1, "same")(x), pool, 1)
    x = layers.Concatenate()([a, b, conv(c, five, 3), d])
    return layers.ReLU()(layers.BatchNormalization()(x))


if __name__ == "__main__":
    turns.serve(lambda: (step(problem.parsed()), machine.libraries("tensorflow", "keras")))
