"""Which devices train."""

from __future__ import annotations

import tensorflow as tf

from hw2.errors import UsageError


def mirrored(num_gpus: int, logical_devices: int) -> tf.distribute.Strategy:
    """Makes the strategy for one machine's devices: its GPUs, or parts of its CPU.

    Args:
      num_gpus: How many GPUs; 0 for all there are.
      logical_devices: How many parts to split the CPU into, used where there is no GPU.

    Raises:
      UsageError: There are fewer devices than asked for.
    """
    gpus = check_gpus(num_gpus)
    if num_gpus and logical_devices > 1:
        raise UsageError(
            f"--num_gpus and --logical_devices must not both be given, got {num_gpus} and "
            f"{logical_devices}; the first trains on GPUs, the second on the CPU"
        )
    if gpus and logical_devices == 1:
        chosen = [f"GPU:{i}" for i in range(num_gpus or gpus)]
    else:
        cpu = tf.config.list_physical_devices("CPU")[0]
        parts = [tf.config.LogicalDeviceConfiguration()] * logical_devices
        if len(tf.config.get_logical_device_configuration(cpu) or []) != logical_devices:
            tf.config.set_logical_device_configuration(cpu, parts)
        chosen = [f"CPU:{i}" for i in range(logical_devices)]
    return tf.distribute.MirroredStrategy(chosen)


def check_gpus(wanted: int) -> int:
    """Counts this machine's GPUs.

    Raises:
      UsageError: There are fewer than wanted.
    """
    count = len(tf.config.list_physical_devices("GPU"))
    if wanted > count:
        raise UsageError(
            f"--num_gpus={wanted} - this machine has {count}; "
            "give fewer, or --logical_devices=2 with multi_gpu_train.py to split the CPU"
        )
    return count
