"""Two CPU devices for every test, set before anything runs on the first."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture(scope="session")
def two_devices() -> tf.distribute.Strategy:
    """The one strategy over both devices: collectives of a second one would take the same keys."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
