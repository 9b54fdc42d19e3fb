"""One machine is a cluster of one worker, which waits for nobody."""

import numpy as np
import tensorflow as tf

from hw2.machines.cluster import Cluster
from hw2.machines.workers import Workers


def test_one_worker_is_the_first_and_waits_for_nobody(monkeypatch):
    alone = Workers(Cluster(), tf.distribute.get_strategy())
    monkeypatch.setattr(alone, "_gather", None)  # nothing is exchanged
    assert alone.barrier() == (0, 0)
    assert alone.barrier(7) == (7, 7)
    assert alone.on_first(lambda: "written") == "written"


def test_only_the_first_of_several_acts_and_all_wait(monkeypatch):
    waited = []
    for index, expected in [(0, "written"), (1, None)]:
        one = Workers(Cluster(("a:1", "b:2"), index), tf.distribute.get_strategy())
        monkeypatch.setattr(one, "_gather", lambda value: (waited.append(1), value)[1])
        assert one.on_first(lambda: "written") == expected
    assert waited == [1, 1]


def test_numbers_of_all_replicas_are_gathered(two_devices):
    several = Workers(Cluster(("a:1", "b:2"), 0), two_devices)
    assert several.barrier(5) == (5, 5)
    assert several._gather(tf.constant(3.0)).numpy().tolist() == [3, 3]


def test_the_part_of_one_worker_is_the_whole_batch(two_devices):
    parts = []

    def batches(*part):
        parts.append(part)
        return tf.data.Dataset.from_tensors(tf.range(4))

    alone = Workers(Cluster(), two_devices)
    [batch] = alone.distribute(batches)
    assert parts == [(0, 1, 1)]
    rows = two_devices.experimental_local_results(batch)
    np.testing.assert_array_equal(np.concatenate(rows), range(4))
    assert [len(row) for row in rows] == [2, 2]
