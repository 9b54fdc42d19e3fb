"""The devices that train: how they are chosen and set up, and what their errors mean."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator

import tensorflow as tf

from hw2.errors import UsageError
from hw2.machines import failures

GROUPS = 1000  # numbers for the groups of devices of one strategy, which has one or two


def configure(*, threads: int, deterministic: bool) -> None:
    """Configures TensorFlow; to be called before it runs anything.

    Args:
      threads: How many threads share the work of one operation; 0 for one per core.
      deterministic: Whether to run only kernels that round the same way every time.

    Raises:
      UsageError: TensorFlow already runs in this process with another number of threads.
    """
    if threads:
        with _at_start(f"--threads={threads}"):
            tf.config.threading.set_intra_op_parallelism_threads(threads)
    if deterministic:
        tf.config.experimental.enable_op_determinism()


def mirrored(num_gpus: int, logical_devices: int) -> tf.distribute.Strategy:
    """Makes the strategy for one machine's devices: its GPUs, or logical devices of its CPU.

    Args:
      num_gpus: How many GPUs; 0 for all there are.
      logical_devices: How many devices to split the CPU into, if there is no GPU.

    Raises:
      UsageError: There are fewer devices than asked for.
    """
    return _mirrored(tuple(_chosen(num_gpus, logical_devices)))


@functools.cache
def _mirrored(names: tuple[str, ...]) -> tf.distribute.Strategy:
    """Makes the strategy of some devices, once for a process.

    TensorFlow numbers the groups of devices of each strategy from the same start, and would take
    the collective operations of a second one for those of the first. Its own tests move the start,
    for which there is no public function.
    """
    kind = tf.distribute.MirroredStrategy
    kind._collective_key_base = getattr(kind, "_collective_key_base", 0) + GROUPS
    return kind(names)


def several_machines(num_gpus: int, logical_devices: int) -> tf.distribute.Strategy:
    """Makes the strategy for the cluster in `TF_CONFIG`, and waits for its other workers.

    Args:
      num_gpus: How many GPUs on each machine; 0 for all there are.
      logical_devices: Must be 1.

    Raises:
      UsageError: There are fewer devices than asked for.
      MachineError: A worker did not connect.
    """
    if logical_devices > 1:
        raise UsageError(
            f"--logical_devices must be 1 on several machines, got {logical_devices}; "
            "each CPU is one device there, start more workers"
        )
    chosen = _chosen(num_gpus, logical_devices)
    gpus = [name for name in chosen if name.startswith("GPU")]
    if gpus and len(gpus) < check_gpus(0):  # the strategy takes all GPUs that it sees
        physical = tf.config.list_physical_devices("GPU")
        with _at_start(f"--num_gpus={num_gpus}"):
            tf.config.set_visible_devices(physical[: len(gpus)], "GPU")
    kind = tf.distribute.experimental.CommunicationImplementation
    options = tf.distribute.experimental.CommunicationOptions(
        implementation=kind.NCCL if gpus else kind.RING
    )
    with _at_start("several machines"), failures.check_device_errors(several=True):
        return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)


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


def _chosen(num_gpus: int, logical_devices: int) -> list[str]:
    gpus = check_gpus(num_gpus)
    if num_gpus and logical_devices > 1:
        raise UsageError(
            f"--num_gpus and --logical_devices must not both be given, got {num_gpus} and "
            f"{logical_devices}; the first trains on GPUs, the second on the CPU"
        )
    if gpus and logical_devices == 1:
        return [f"GPU:{i}" for i in range(num_gpus or gpus)]
    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration()] * logical_devices
    if len(tf.config.get_logical_device_configuration(cpu) or [cpu]) < logical_devices:
        with _at_start(f"--logical_devices={logical_devices}"):
            tf.config.set_logical_device_configuration(cpu, parts)
    return [f"CPU:{i}" for i in range(logical_devices)]


@contextlib.contextmanager
def _at_start(what: str) -> Iterator[None]:
    """Refuses in words what TensorFlow takes only before it has computed anything."""
    try:
        yield
    except RuntimeError as error:
        raise UsageError(
            f"{what} must be set before TensorFlow computes anything, and it has in this process; "
            "restart Python (in a notebook: restart the kernel), and give it to the first training"
        ) from error
