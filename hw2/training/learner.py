"""The learner: a model, its averaged twin and the optimizer, and one step of training."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from hw2.training import average, losses, metrics
from hw2.training.metrics import summed
from hw2.training.optimizers import Adam
from hw2.training.variables import named_variables, trainable

Metrics = dict[str, tf.Tensor]


class Learner:
    """All that training changes. Make it inside the scope of its strategy."""

    def __init__(
        self,
        build: Callable[[], tf.Module],
        *,
        penalty: Callable[[tf.Module], tf.Tensor],
        ema_decay: float,
        seed: int,
    ):
        """Builds the model twice, the second time to hold the averaged weights.

        Args:
          build: Makes the model, the same at every call.
          penalty: From the model to a scalar that is added to the loss.
          ema_decay: Share of the averaged weights that one step leaves as it was.
          seed: Of dropout.
        """
        self._strategy = tf.distribute.get_strategy()
        self.model, self.averaged = build(), build()
        self._variables = named_variables(self.model)
        self._averages = named_variables(self.averaged)
        self._trainable = trainable(self._variables)
        self.optimizer = Adam(self._trainable)
        self._penalty, self._ema_decay, self._seed = penalty, ema_decay, seed
        self._train = tf.function(self._train_step, autograph=False)

    @property
    def tensors(self) -> dict[str, tf.Variable]:
        """Everything a checkpoint must hold, by name."""
        groups = {
            "model": self._variables,
            "ema": self._averages,
            "optimizer": named_variables(self.optimizer),
        }
        return {f"{group}/{name}": v for group, vs in groups.items() for name, v in vs.items()}

    def train_step(self, batch: tuple, *, step: int, rate: float) -> Metrics:
        """Takes one step on one batch.

        Args:
          batch: Images `[N, H, W, C]` and labels `[N]`, of all replicas.
          step: Steps done before this one.
          rate: Learning rate.

        Returns:
          Scalars: "loss" (cross entropy and penalty) and "accuracy", before the step.
        """
        return self._train(batch, tf.constant(step, tf.int64), tf.constant(rate, tf.float32))

    def _train_step(self, batch: tuple, step: tf.Tensor, rate: tf.Tensor) -> Metrics:
        return summed(self._strategy.run(self._replica_step, (*batch, step, rate)))

    def _replica_step(
        self, images: tf.Tensor, labels: tf.Tensor, step: tf.Tensor, rate: tf.Tensor
    ) -> Metrics:
        """One replica's part. The loss is a mean over the whole batch, so gradients add up."""
        replica = tf.distribute.get_replica_context()
        replicas = replica.num_replicas_in_sync
        seed = tf.random.experimental.stateless_fold_in([self._seed, 1], step)  # 0 augments
        with tf.GradientTape() as tape:
            logits = self.model(images, training=True, seed=seed)
            entropy = losses.cross_entropy(labels, logits)
            mean = tf.reduce_sum(entropy) / (entropy.shape[0] * replicas)
            loss = mean + self._penalty(self.model) / replicas
        variables = list(self._trainable.values())
        gradients = tape.gradient(loss, variables)
        if replicas > 1:
            gradients = replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        self.optimizer.apply(gradients, rate=rate, step=step)
        decay = average.warmed_up(self._ema_decay, step)
        average.update(self._averages.values(), self._variables.values(), decay)
        right = metrics.in_top_k(labels, logits, 1)
        accuracy = tf.reduce_mean(tf.cast(right, tf.float32)) / replicas
        return {"loss": loss, "accuracy": accuracy}
