"""The learner: a model, a copy with averaged weights, an optimizer, and one training step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from hw2.training import average, losses, metrics, numerics, optimizers
from hw2.training.losses import Loss
from hw2.training.optimizers import Adam, Optimizer
from hw2.training.variables import named_variables, trainable

Metrics = dict[str, tf.Tensor]
_DTYPES = {"float32": tf.float32, "mixed_bfloat16": tf.bfloat16}  # of images, by precision


class Learner:
    """All variables that training changes. Make it inside the scope of its strategy."""

    def __init__(
        self,
        build: Callable[[], tf.Module],
        *,
        penalty: Callable[[tf.Module], tf.Tensor],
        ema_decay: float,
        seed: int,
        optimizer: Callable[[dict[str, tf.Variable]], Optimizer] = Adam,
        loss: Loss = losses.cross_entropy,
        accuracy: Loss = metrics.top1,
        clip_norm: float = 0.0,
        accumulate: int = 1,
        precision: str = "float32",
        frozen: Collection[str] = (),
        thaw_step: int = 0,
        rate_factors: Callable[[tf.Module], Mapping[str, float]] = lambda model: {},
    ):
        """Builds the model twice, the second time to hold the averaged weights.

        Args:
          build: Makes the model, the same at every call.
          penalty: Function from the model to a scalar that is added to the loss.
          ema_decay: Decay of the averaged weights: the share that one step keeps.
          seed: Seed of dropout.
          optimizer: Makes the optimizer for the trainable variables by name.
          loss: Loss of each example.
          accuracy: Accuracy of each example, from labels and logits.
          clip_norm: Largest global norm of the gradients; 0 for no limit.
          accumulate: Into how many parts to cut a batch, to save memory; the gradients of the
            parts are summed, and batch norm and dropout see one part at a time.
          precision: Type of images and activations: "float32", or "mixed_bfloat16" for products
            in bfloat16. Weights, sums and the loss are float32 either way.
          frozen: Names of variables that training leaves as they are.
          thaw_step: Steps after which these are trained too; 0 for never.
          rate_factors: From the model to what multiplies the learning rate of each variable, by
            name; 1 for those that it does not name.

        Raises:
          ValueError: There is no such precision.
        """
        if precision not in _DTYPES:
            raise ValueError(f"precision must be {' or '.join(_DTYPES)}, got {precision!r}.")
        self._strategy = tf.distribute.get_strategy()
        self.model, self.averaged = build(), build()
        self._variables = named_variables(self.model)
        self._averages = named_variables(self.averaged)
        self._frozen, self._thaw_step = frozenset(frozen), thaw_step
        self._trainable = {
            name: variable
            for name, variable in trainable(self._variables).items()
            if thaw_step or name not in self._frozen
        }
        self._statistics = [  # written by layers in the forward pass, unlike frozen weights
            variable
            for variable in self._variables.values()
            if not variable.trainable and variable.aggregation == tf.VariableAggregation.MEAN
        ]
        self.optimizer = optimizer(self._trainable)
        by_name = rate_factors(self.model)
        self._rates: dict[float, set[str]] = {}  # the variables of each factor of the rate
        for name in self._trainable:
            self._rates.setdefault(by_name.get(name, 1.0), set()).add(name)
        self._penalty, self._ema_decay, self._seed = penalty, ema_decay, seed
        self._loss, self._clip_norm, self._accumulate = loss, clip_norm, accumulate
        self._accuracy = accuracy
        self._dtype = _DTYPES[precision]
        self._train = tf.function(self._train_step, autograph=False)

    @property
    def trainable(self) -> dict[str, tf.Variable]:
        """The variables that the optimizer changes, by name."""
        return self._trainable

    @property
    def tensors(self) -> dict[str, tf.Variable]:
        """Everything a checkpoint must hold, by name."""
        groups = {
            "model": self._variables,
            "ema": self._averages,
            "optimizer": named_variables(self.optimizer),
        }
        return {f"{group}/{name}": v for group, vs in groups.items() for name, v in vs.items()}

    def gradients(self, before: Mapping[str, np.ndarray], rate: float) -> dict[str, np.ndarray]:
        """Computes the gradients of the last step from what it changed; see `Optimizer`.

        Args:
          before: Values of the optimizer's `traces` before that step.
          rate: Learning rate of that step.
        """
        found: dict[str, np.ndarray] = {}
        for factor, names in self._rates.items():
            own = {name: value for name, value in before.items() if name in names}
            found |= self.optimizer.gradients(own, rate * factor)
        return found

    def train_step(self, batch: tuple, *, step: int, rate: float, leave: bool = False) -> Metrics:
        """Takes one step on one batch, unless its loss or gradient is not finite.

        Args:
          batch: Images `[N, H, W, C]` and labels `[N]` or `[N, classes]`, of all replicas.
          step: Steps done before this one.
          rate: Learning rate.
          leave: Whether this process wants to stop; the result tells every process.

        Returns:
          Scalars: "loss" (mean loss and penalty) and "accuracy", before the step; "finite", 1 if
          the step was taken, else 0 and nothing has changed; "leave", how many replicas want to.
        """
        return self._train(
            batch,
            tf.constant(step, tf.int64),
            tf.constant(rate, tf.float32),
            tf.constant(leave, tf.float32),
            self._thawed(step),
        )

    def _thawed(self, step: int) -> bool:
        """Whether a step trains everything that training ever will."""
        return step >= self._thaw_step

    def not_finite(self, batch: tuple, *, step: int) -> numerics.Finding:
        """Finds where a step that `train_step` refused became infinite or NaN.

        It runs the model twice again, the second time with every operation checked. Both times
        see the moving statistics as the step did, and no variable is changed in the end.
        """
        thawed = self._thawed(step)

        def rows(images: tf.Tensor, labels: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
            logits = self._logits(images, self._dropout_seed(step))
            sums = tf.reduce_sum(images, tf.range(1, tf.rank(images)))
            return tf.math.is_finite(self._loss(labels, logits)) & tf.math.is_finite(sums)

        def gradients(images: tf.Tensor, labels: tf.Tensor, step: tf.Tensor) -> list[tf.Tensor]:
            return self._gradients(images, labels, step, thawed)[0]

        def run(function: Callable) -> tf.Tensor | list[tf.Tensor]:
            inputs = (*batch, tf.constant(step, tf.int64))
            traced = tf.function(lambda *x: self._strategy.run(function, x), autograph=False)
            return self._strategy.experimental_local_results(traced(*inputs))

        with self._statistics_put_back():
            good = tf.concat(run(rows), 0).numpy()
        with self._statistics_put_back():
            operation = numerics.first_not_finite(lambda: run(gradients))
        return numerics.Finding(operation, tuple(int(row) for row in (~good).nonzero()[0]))

    @contextlib.contextmanager
    def _statistics_put_back(self) -> Iterator[None]:
        """Undoes what the block does to the moving statistics."""
        before = [variable.numpy() for variable in self._statistics]
        try:
            yield
        finally:
            for variable, value in zip(self._statistics, before, strict=True):
                variable.assign(value)

    def _train_step(
        self,
        batch: tuple,
        step: tf.Tensor,
        rate: tf.Tensor,
        leave: tf.Tensor,
        thawed: bool = True,
    ) -> Metrics:
        everywhere = self._strategy.run(self._replica_step, (*batch, step, rate, leave, thawed))
        return {
            name: self._strategy.experimental_local_results(value)[0]  # equal on all
            for name, value in everywhere.items()
        }

    def _replica_step(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        step: tf.Tensor,
        rate: tf.Tensor,
        leave: tf.Tensor,
        thawed: bool,
    ) -> Metrics:
        """One replica's step. Losses are shares of the mean of the batch, so gradients add up."""
        before = [variable.read_value() for variable in self._statistics]
        gradients, loss, accuracy = self._gradients(images, labels, step, thawed)
        sums = tf.stack([loss, accuracy, leave])
        replica = tf.distribute.get_replica_context()
        if replica.num_replicas_in_sync > 1:
            *gradients, sums = replica.all_reduce(tf.distribute.ReduceOp.SUM, [*gradients, sums])
        finite = tf.reduce_all(
            [tf.math.is_finite(sums[0])]
            + [tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients]
        )
        if self._clip_norm:  # squares may overflow although gradients do not
            finite &= tf.math.is_finite(tf.linalg.global_norm(gradients))

        def update() -> tf.Tensor:
            wanted = gradients
            if self._clip_norm:
                wanted = optimizers.clipped(gradients, self._clip_norm)
            found = dict(zip(self._active(thawed), wanted, strict=True))
            for factor, names in self._rates.items():
                own = [found.get(name) if name in names else None for name in self._trainable]
                self.optimizer.apply(own, rate=rate * factor, step=step)
            decay = average.warmed_up(self._ema_decay, step)
            average.update(self._averages.values(), self._variables.values(), decay)
            return tf.ones([])

        def undo() -> tf.Tensor:
            for variable, value in zip(self._statistics, before, strict=True):
                tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)
            return tf.zeros([])

        taken = tf.cond(finite, update, undo)
        return {"loss": sums[0], "accuracy": sums[1], "finite": taken, "leave": sums[2]}

    def _active(self, thawed: bool) -> dict[str, tf.Variable]:
        """The variables that a step trains, by name."""
        if thawed:
            return self._trainable
        return {n: v for n, v in self._trainable.items() if n not in self._frozen}

    def _gradients(
        self, images: tf.Tensor, labels: tf.Tensor, step: tf.Tensor, thawed: bool
    ) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
        """This replica's shares of the gradients, the loss and the accuracy."""
        parts, active = self._accumulate, list(self._active(thawed).values())
        if parts == 1:
            return self._part_gradients(images, labels, self._dropout_seed(step), active, 1)
        sums: Any = None
        rows = images.shape[0] // parts
        for part in range(parts):
            chosen = slice(part * rows, (part + 1) * rows)
            with tf.control_dependencies([] if sums is None else tf.nest.flatten(sums)):
                x, y = tf.identity(images[chosen]), tf.identity(labels[chosen])
            seed = tf.random.experimental.stateless_fold_in(self._dropout_seed(step), part)
            found = self._part_gradients(x, y, seed, active, parts)
            sums = found if sums is None else tf.nest.map_structure(tf.add, sums, found)
        return sums

    def _part_gradients(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        seed: tf.Tensor,
        active: Sequence[tf.Variable],
        parts: int,
    ) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
        """The shares of `_gradients` from one of `parts` parts of this replica's batch."""
        shares = parts * tf.distribute.get_replica_context().num_replicas_in_sync
        with tf.GradientTape() as tape:
            logits = self._logits(images, seed)
            mean = tf.reduce_mean(self._loss(labels, logits)) / shares
            loss = mean + self._penalty(self.model) / shares
        gradients = tape.gradient(loss, active)
        accuracy = tf.reduce_mean(self._accuracy(labels, logits)) / shares
        return gradients, loss, accuracy

    def _logits(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """The logits in training, `[N, classes]` float32."""
        images = tf.cast(images, self._dtype)
        return tf.cast(self.model(images, training=True, seed=seed), tf.float32)

    def _dropout_seed(self, step: tf.Tensor) -> tf.Tensor:
        seed = [self._seed, 1]  # augmentation has 0 in place of 1
        return tf.random.experimental.stateless_fold_in(seed, step)
