"""The parts of a training as the settings describe them: learner, schedule, last step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import tensorflow as tf
from rich.table import Table

from hw2.config.rules import numbers_of
from hw2.config.settings import Config
from hw2.errors import DataError
from hw2.jobs import layer_decay, multilabel
from hw2.jobs.spec import Spec, build_model, frozen_variables, image_shape
from hw2.layers import norm
from hw2.layers.penalty import l2_penalty
from hw2.models import summary
from hw2.training import losses, metrics, optimizers
from hw2.training import multilabel as scores
from hw2.training.learner import Learner
from hw2.training.plateau import Plateau
from hw2.training.schedules import Schedule


def last_step(config: Config, count: int) -> int:
    """Computes the step at which training ends.

    Args:
      config: The settings.
      count: Pictures in an epoch.

    Raises:
      DataError: There are too few pictures to fill a batch.
    """
    if count < config.batch_size:
        raise DataError(
            f"too few pictures in {config.train_data_path} - {count} to train, fewer than "
            f"--batch_size={config.batch_size}; lower it, or add pictures"
        )
    if config.epochs:
        return math.ceil(config.epochs * count / config.batch_size)
    return config.max_steps


def steps_between(config: Config, count: int) -> int:
    """Steps from one checkpoint to the next; by default an epoch of `count` pictures."""
    return config.save_checkpoint_steps or math.ceil(count / config.batch_size)


def learner(
    config: Config,
    spec: Spec,
    count: int,
    *,
    load_pretrained: bool = True,
    class_weights: Sequence[float] | None = None,
) -> Learner:
    """Makes the learner; to be called inside the scope of the strategy.

    Args:
      config: The settings.
      spec: The spec of the training.
      count: Pictures in an epoch.
      load_pretrained: False where a checkpoint will set all weights that train.
      class_weights: Weights of the classes in the loss; None where all count alike.
    """
    frozen = frozen_variables(spec)
    thaw_step = round(config.thaw_epoch * count / config.batch_size)

    def build() -> tf.Module:
        model = build_model(spec, load_pretrained=load_pretrained)
        if config.sync_batch_norm:
            norm.synchronize(model)
        return model

    if multilabel.is_of(spec):
        accuracy = scores.accuracy
        loss = losses.multilabel(
            config.loss,
            focal_gamma=config.focal_gamma,
            smoothing=config.label_smoothing,
            weights=class_weights,
        )
    else:
        accuracy = metrics.top1
        loss = losses.named(config.loss, focal_gamma=config.focal_gamma)
        loss = losses.weighted(losses.smoothed(loss, config.label_smoothing), class_weights)
    return Learner(
        build,
        penalty=l2_penalty,
        ema_decay=config.ema_decay,
        seed=config.seed,
        optimizer=lambda variables: optimizers.make(
            config.optimizer,
            variables,
            momentum=config.momentum,
            nesterov=config.nesterov,
            epsilon=config.epsilon,
            weight_decay=config.weight_decay,
            starts=dict.fromkeys(frozen, thaw_step),
        ),
        loss=loss,
        accuracy=accuracy,
        clip_norm=config.clip_norm,
        accumulate=config.accumulate,
        precision=config.precision,
        frozen=frozen,
        thaw_step=thaw_step,
        rate_factors=lambda model: layer_decay.factors(model, config.layer_decay),
    )


def layers(config: Config, learner: Learner, spec: Spec) -> Table:
    """Tabulates the layers of the model and their cost, with the memory that im2col would take."""
    return summary.table(
        learner.model,
        summary.summarize(learner.model, image_shape(spec)),
        batch_size=config.batch_size // config.accumulate,
        value_bytes=4 if config.precision == "float32" else 2,
        whole=False,
    )


def schedule(config: Config, count: int, last: int) -> Schedule:
    """Makes the learning rate as a function of the step.

    Args:
      config: The settings.
      count: Pictures in an epoch.
      last: The step at which training ends.
    """
    epoch = count / config.batch_size  # steps, rarely a whole number
    return Schedule(
        config.learning_rate,
        last,
        config.schedule,
        warmup=round(config.warmup_epochs * epoch),
        milestones=tuple(round(n * epoch) for n in numbers_of(config.rate_epochs)),
        factor=config.rate_factor,
        decay=config.decay,
    )


def notes(config: Config, count: int, last: int) -> list[str]:
    """Says what of the schedule comes after the end of the training.

    Args:
      config: The settings.
      count: Pictures in an epoch.
      last: The step at which training ends.
    """
    by_step, found = schedule(config, count, last), []
    if by_step.warmup > last:
        found.append(
            f"--warmup_epochs={config.warmup_epochs:g} are {by_step.warmup} steps, and training "
            f"ends at step {last}: the rate rises to {by_step(last - 1):.2g} only"
        )
    if late := [step for step in by_step.milestones if step >= last]:
        found.append(
            f"--rate_epochs={config.rate_epochs}: training ends at step {last}, before the last "
            f"{len(late)} of them"
        )
    return found


def rate(config: Config, count: int, last: int, plateau: Plateau) -> Callable[[int], float]:
    """Makes the learning rate by steps: the schedule times the scale that the plateau rule sets."""
    by_step = schedule(config, count, last)
    return lambda step: by_step(step) * plateau.scale
