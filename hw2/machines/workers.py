"""The workers of one training: the processes that take every step of it together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import tensorflow as tf

from hw2.machines.cluster import Cluster

T = TypeVar("T")


class Workers:
    """A cluster and the strategy that trains on it.

    A process by itself is a cluster of one worker: it is the first, it waits for nobody, and its
    part of a batch is the whole batch. Callers need not ask whether there are others.
    """

    def __init__(self, cluster: Cluster, strategy: tf.distribute.Strategy):
        self.cluster, self.strategy = cluster, strategy
        self._gather = tf.function(self._gather_numbers, autograph=False)  # traced once

    def barrier(self, value: int = 0) -> tuple[int, int]:
        """Waits until every worker is here.

        Args:
          value: A number to exchange, exact below 2^24.

        Returns:
          The smallest and the largest number that a worker brought.
        """
        if not self.cluster.several:
            return value, value
        values = self._gather(tf.constant(value, tf.float32)).numpy()
        return int(values.min()), int(values.max())

    def on_first(self, action: Callable[[], T]) -> T | None:
        """Calls `action` on the first worker alone, the only one that writes files.

        The others wait, so the action must not do what all of them have to do at once: it makes
        no variable in the scope of the strategy, and runs nothing on its devices.

        Returns:
          What `action` returns, or None on the other workers, which wait for it.
        """
        result = action() if self.cluster.is_first else None
        self.barrier()
        return result

    def distribute(
        self, batches: Callable[[int, int, int], tf.data.Dataset]
    ) -> Iterable[tuple[tf.Tensor, ...]]:
        """Shares the batches of a dataset out to all devices.

        Args:
          batches: Makes the dataset of one worker. It is called with the worker's index, the
            number of workers, and the number of devices for each of which a batch has an element
            of its own; one worker gets whole batches, which the strategy cuts itself.
        """
        if not self.cluster.several:
            return self.strategy.experimental_distribute_dataset(batches(0, 1, 1))
        count = len(self.cluster.workers)
        devices = self.strategy.num_replicas_in_sync // count
        return self.strategy.distribute_datasets_from_function(
            lambda _: batches(self.cluster.index, count, devices)
        )

    def _gather_numbers(self, value: tf.Tensor) -> tf.Tensor:
        """Collects a number from every replica of every worker, `[replicas]`."""

        def gather(value: tf.Tensor) -> tf.Tensor:
            replica = tf.distribute.get_replica_context()
            slot = tf.one_hot(replica.replica_id_in_sync_group, replica.num_replicas_in_sync)
            return replica.all_reduce(tf.distribute.ReduceOp.SUM, slot * value)  # [replicas]

        gathered = self.strategy.run(gather, (value,))
        return self.strategy.experimental_local_results(gathered)[0]  # equal on all
