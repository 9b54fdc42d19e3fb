"""Optimizers on TensorFlow's fused kernels.

Each `apply` runs in every replica, on gradients that are already summed over replicas. It writes
the replica's own copy of each variable; the copies stay equal without further communication.

Weight decay comes in two kinds. That of "sgd" is added to the gradient, decay * weight, and goes
through the momentum, as in PyTorch and timm: it is L2 regularization, and with a momentum of 0.9
shrinks a weight ten times as much. That of all others is decoupled: it shrinks a weight by
rate * decay before the step, and never enters the gradient or its running means, as in Keras. Both
leave out variables of one axis, which are biases and the scales and offsets of normalization.
Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2017,
arxiv.org/abs/1711.05101; which to leave out: He et al., "Bag of Tricks for Image Classification
with Convolutional Neural Networks", 2018, arxiv.org/abs/1812.01187.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf

from hw2.training.adagrad import Adagrad
from hw2.training.lion import Lion
from hw2.training.rmsprop import Rmsprop
from hw2.training.slots import LEAST_RATE, decay, slot

NAMES = ("adagrad", "adam", "adamw", "lion", "rmsprop", "sgd", "sgdw")

EVERY_STEP: Mapping[str, int] = {}


class Optimizer(Protocol):
    """Updates variables by gradients; a `tf.Module`, so that its slots are found by name.

    `traces` holds, for the name of each variable that it updates, a variable from whose change in
    a step the gradient of that step can be computed.
    """

    traces: dict[str, tf.Variable]

    def apply(
        self, gradients: Sequence[tf.Tensor | None], *, rate: tf.Tensor, step: tf.Tensor
    ) -> None:
        """Updates the variables by one step.

        Args:
          gradients: One for each variable, in their order; None leaves it and its slots alone.
          rate: Learning rate, a scalar.
          step: Steps done before this one, an integer scalar.
        """
        ...

    def gradients(self, before: Mapping[str, np.ndarray], rate: float) -> dict[str, np.ndarray]:
        """Computes the gradients of the last step from `traces`, to a few digits.

        Args:
          before: Values of `traces` before that step.
          rate: Learning rate of that step.

        Returns:
          Gradients by name; empty if the rate was too small for a change to be seen.
        """
        ...


class Adam(tf.Module):
    """Adam: divides a running mean of gradients by the root of a running mean of their squares.

    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2014,
    arxiv.org/abs/1412.6980.
    """

    def __init__(
        self,
        variables: dict[str, tf.Variable],
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        starts: Mapping[str, int] = EVERY_STEP,
    ):
        """Makes two slots, initially zero, for each variable.

        Args:
          variables: By name.
          beta1: Share of the running mean that one step keeps.
          beta2: The same for the squares.
          epsilon: Added to the root of the mean of squares.
          weight_decay: This times the rate shrinks each weight before the step.
          starts: The steps before the first gradient of a variable, where there are some. The
            running means of young variables are divided by the shares that they hold.
        """
        super().__init__()
        self.mean = {name: slot(v) for name, v in variables.items()}
        self.square = {name: slot(v) for name, v in variables.items()}
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.weight_decay = weight_decay
        self._variables = list(variables.values())
        self._starts = [starts.get(name, 0) for name in variables]

    @property
    def traces(self) -> dict[str, tf.Variable]:
        """The running means; see `Optimizer`."""
        return self.mean

    def gradients(self, before: Mapping[str, np.ndarray], rate: float) -> dict[str, np.ndarray]:
        """Computes the gradients of the last step from the running means; see `Optimizer`."""
        share = 1 - self.beta1
        return {n: old + (self.mean[n].numpy() - old) / share for n, old in before.items()}

    def apply(
        self, gradients: Sequence[tf.Tensor | None], *, rate: tf.Tensor, step: tf.Tensor
    ) -> None:
        """Changes the variables by one step; see `Optimizer`."""
        slots = zip(
            self._variables,
            self.mean.values(),
            self.square.values(),
            self._starts,
            gradients,
            strict=True,
        )
        for variable, mean, square, start, gradient in slots:
            if gradient is None:
                continue
            decay(variable, self.weight_decay, rate)
            count = tf.cast(step + 1 - start, variable.dtype)
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=mean.handle,
                v=square.handle,
                beta1_power=tf.pow(tf.constant(self.beta1, count.dtype), count),
                beta2_power=tf.pow(tf.constant(self.beta2, count.dtype), count),
                lr=tf.cast(rate, variable.dtype),
                beta1=self.beta1,
                beta2=self.beta2,
                epsilon=self.epsilon,
                grad=gradient,
            )


class Sgd(tf.Module):
    """Stochastic gradient descent, with or without momentum.

    Source: Sutskever et al., "On the importance of initialization and momentum in deep learning",
    2013, proceedings.mlr.press/v28/sutskever13.html.
    """

    def __init__(
        self,
        variables: dict[str, tf.Variable],
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ):
        """Makes a slot, initially zero, for each variable if there is momentum.

        Args:
          variables: By name.
          momentum: Share of the velocity that one step keeps, in [0, 1).
          nesterov: Whether to look ahead along the velocity before taking the gradient.
          weight_decay: This times the weight is added to its gradient.
          decoupled: Whether it shrinks the weight itself by this times the rate instead.

        Raises:
          ValueError: Nesterov without momentum.
        """
        super().__init__()
        if nesterov and not momentum:
            raise ValueError("nesterov must come with momentum above 0, got 0.")
        self.momentum, self.nesterov = momentum, nesterov
        self.weight_decay, self.decoupled = weight_decay, decoupled
        self.velocity = {name: slot(v) for name, v in variables.items()} if momentum else {}
        self._named, self._variables = dict(variables), list(variables.values())

    @property
    def traces(self) -> dict[str, tf.Variable]:
        """The velocities, or the variables if there is no momentum; see `Optimizer`."""
        return self.velocity or self._named

    def gradients(self, before: Mapping[str, np.ndarray], rate: float) -> dict[str, np.ndarray]:
        """Computes the gradients of the last step from what it changed; see `Optimizer`."""
        if not rate or (not self.velocity and rate < LEAST_RATE):
            return {}
        result = {}
        for name, old in before.items():
            share = self.weight_decay if old.ndim > 1 else 0.0
            if not self.velocity:
                result[name] = ((1 - rate * share) * old - self._named[name].numpy()) / rate
                continue
            velocity = self.velocity[name].numpy()
            result[name] = (self.momentum * old - velocity) / rate
            if share and not self.decoupled:
                change = velocity
                if self.nesterov:
                    change = self.momentum * velocity - rate * result[name]
                result[name] -= share * (self._named[name].numpy() - change)
        return result

    def apply(
        self, gradients: Sequence[tf.Tensor | None], *, rate: tf.Tensor, step: tf.Tensor
    ) -> None:
        """Changes the variables by one step; see `Optimizer`."""
        velocities = list(self.velocity.values()) or [None] * len(self._variables)
        for variable, velocity, gradient in zip(
            self._variables, velocities, gradients, strict=True
        ):
            if gradient is None:
                continue
            if self.decoupled:
                decay(variable, self.weight_decay, rate)
            elif self.weight_decay and len(variable.shape) > 1:
                gradient += self.weight_decay * variable.read_value()
            lr = tf.cast(rate, variable.dtype)
            if velocity is None:
                tf.raw_ops.ResourceApplyGradientDescent(
                    var=variable.handle, alpha=lr, delta=gradient
                )
                continue
            tf.raw_ops.ResourceApplyKerasMomentum(
                var=variable.handle,
                accum=velocity.handle,
                lr=lr,
                grad=gradient,
                momentum=self.momentum,
                use_nesterov=self.nesterov,
            )


def make(
    name: str,
    variables: dict[str, tf.Variable],
    *,
    momentum: float = 0.9,
    nesterov: bool = False,
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
    starts: Mapping[str, int] = EVERY_STEP,
) -> Optimizer:
    """Makes an optimizer by name.

    Args:
      name: One of `NAMES`; "adam" has no weight decay, and the head of this file tells the kinds
        of the others.
      variables: By name.
      momentum: For "sgd", "sgdw" and "rmsprop".
      nesterov: For "sgd" and "sgdw".
      epsilon: For "adagrad", "adam", "adamw" and "rmsprop".
      weight_decay: For all but "adam".
      starts: For "adam" and "adamw": the steps before the first gradient of some variables.

    Raises:
      ValueError: There is no such optimizer, or it does not take an argument.
    """
    if name not in NAMES:
        raise ValueError(f"optimizer must be one of {', '.join(NAMES)}, got {name!r}.")
    if name == "adam" and weight_decay:
        raise ValueError(
            f"adam must have weight_decay 0, got {weight_decay}; adamw is Adam with weight decay."
        )
    if nesterov and name not in ("sgd", "sgdw"):
        raise ValueError(f"nesterov must come with sgd or sgdw, got {name}.")
    if name in ("adam", "adamw"):
        return Adam(variables, epsilon=epsilon, weight_decay=weight_decay, starts=starts)
    if name == "adagrad":
        return Adagrad(variables, epsilon=epsilon, weight_decay=weight_decay)
    if name == "rmsprop":
        return Rmsprop(variables, momentum=momentum, epsilon=epsilon, weight_decay=weight_decay)
    if name == "lion":
        return Lion(variables, weight_decay=weight_decay)
    return Sgd(
        variables,
        momentum=momentum,
        nesterov=nesterov,
        weight_decay=weight_decay,
        decoupled=name == "sgdw",
    )


def clipped(gradients: Sequence[tf.Tensor], largest: float) -> list[tf.Tensor]:
    """Scales all gradients by one factor so that their global norm is at most `largest`.

    Source: Pascanu et al., "On the difficulty of training recurrent neural networks", 2012,
    arxiv.org/abs/1211.5063.
    """
    return tf.clip_by_global_norm(gradients, largest)[0]
