"""What a second training of a process can have, and what needs another process."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from hw2.errors import UsageError
from hw2.machines import devices

ROOT = Path(__file__).parents[2]

REMEDY = (
    " must be set before TensorFlow computes anything, and it has in this process; restart Python "
    "(in a notebook: restart the kernel), and give it to the first training"
)


@pytest.fixture(autouse=True)
def computed():
    """TensorFlow has computed something, so that its devices are fixed: two, see conftest.py."""
    tf.ones([1]).numpy()


@pytest.mark.fault(96)
def test_threads_are_set_before_anything_is_computed():
    threads = tf.config.threading.get_intra_op_parallelism_threads()
    devices.configure(threads=threads, deterministic=False)
    with pytest.raises(UsageError, match=f"^{re.escape(f'--threads={threads + 1}' + REMEDY)}$"):
        devices.configure(threads=threads + 1, deterministic=False)


@pytest.mark.fault(96)
def test_more_parts_of_the_cpu_need_another_process_and_fewer_do_not():
    with pytest.raises(UsageError, match=f"^{re.escape('--logical_devices=3' + REMEDY)}$"):
        devices.mirrored(0, 3)
    assert devices.mirrored(0, 2).num_replicas_in_sync == 2
    assert devices.mirrored(0, 1).num_replicas_in_sync == 1


@pytest.mark.fault(96)
def test_one_device_is_what_an_undivided_cpu_is(monkeypatch):
    monkeypatch.setattr(tf.config, "get_logical_device_configuration", lambda cpu: None)
    assert devices.mirrored(0, 1).num_replicas_in_sync == 1


@pytest.mark.fault(96)
def test_a_cluster_has_to_be_joined_before_anything_is_computed(monkeypatch):
    def late(**options):
        raise RuntimeError("Collective ops must be configured at program startup")

    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", late)
    with pytest.raises(UsageError, match=f"^{re.escape('several machines' + REMEDY)}$"):
        devices.several_machines(0, 1)


def total(strategy, size):
    """The sum over the devices of `[size]` ones, in a function traced anew."""

    def replica():
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.ones([size]))

    found = tf.function(lambda: strategy.run(replica), autograph=False)()
    return strategy.experimental_local_results(found)[0].numpy().tolist()


@pytest.mark.fault(126)
def test_strategies_of_one_process_do_not_take_each_others_sums():
    for size in (2, 3, 2):
        assert total(devices.mirrored(0, 2), size) == [2] * size
    assert devices.mirrored(0, 2) is devices.mirrored(0, 2)
    for _ in range(3):  # as if each were of other devices
        devices._mirrored.cache_clear()
        for size in (5, 4):
            assert total(devices.mirrored(0, 2), size) == [2] * size


@pytest.mark.slow
@pytest.mark.fault(126)
def test_trainings_of_one_process_on_two_four_three_and_two_devices(tmp_path):
    code = f"""
import sys
from hw2.config import settings
from hw2.jobs import train
from hw2.models import MODELS
from tests.training.tiny import FLAGS, tiny
MODELS["tiny"] = tiny
sys.argv = ["multi_gpu_train.py"]
for number, flags in enumerate([
    ["--logical_devices=4"],
    ["--logical_devices=2"],
    ["--logical_devices=2", "--nosync_batch_norm", "--accumulate=2"],
    ["--logical_devices=3", "--batch_size=15"],
    ["--logical_devices=4", "--nosync_batch_norm"],
]):
    folder = f"--log_path={tmp_path}/" + str(number)
    words = ["multi_gpu_train.py", *FLAGS, folder, "--max_steps=2", *flags]
    train.train(settings.parse(words), mirrored=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 5
