"""What one training is made of, from the settings and from the checkpoint it goes on from."""

from __future__ import annotations

import math

import tensorflow as tf
from rich.table import Table

from hw2.config.rules import numbers_of
from hw2.config.settings import Config
from hw2.errors import DataError
from hw2.jobs import spec
from hw2.jobs.spec import Identity
from hw2.layers import norm
from hw2.layers.penalty import l2_penalty
from hw2.models import summary
from hw2.training import losses, optimizers
from hw2.training.learner import Learner
from hw2.training.schedules import Schedule


def last_step(config: Config, count: int) -> int:
    """Where training ends.

    Args:
      config: The settings.
      count: Pictures of an epoch.

    Raises:
      DataError: There are fewer than fill a batch.
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
    """Steps from a checkpoint to the next; of `count` pictures, where it is to be an epoch."""
    return config.save_checkpoint_steps or math.ceil(count / config.batch_size)


def learner(config: Config, same: Identity, *, begins: bool = True) -> Learner:
    """Makes the learner; to be called inside the scope of the strategy.

    Args:
      config: The settings.
      same: Of the training.
      begins: Whether it begins, rather than goes on from a checkpoint with all that trains.
    """

    def build() -> tf.Module:
        model = spec.model(same, load_pretrained=begins)
        if config.sync_batch_norm:
            norm.synchronize(model)
        return model

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
            weight_decay=config.weight_decay,
        ),
        loss=losses.smoothed(losses.LOSSES[config.loss], config.label_smoothing),
        clip_norm=config.clip_norm,
        accumulate=config.accumulate,
        precision=config.precision,
    )


def layers(config: Config, made: Learner, same: Identity) -> Table:
    """The layers of the model and what they cost, with the patches of a step that is by im2col."""
    return summary.table(
        made.model,
        summary.summarize(made.model, spec.image_shape(same)),
        batch_size=config.batch_size // config.accumulate,
        value_bytes=4 if config.precision == "float32" else 2,
        whole=False,
    )


def schedule(config: Config, count: int, last: int) -> Schedule:
    """The learning rate by steps.

    Args:
      config: The settings.
      count: Pictures of an epoch.
      last: Step where training ends.
    """
    epoch = count / config.batch_size  # steps, rarely whole
    return Schedule(
        config.learning_rate,
        last,
        config.schedule,
        warmup=round(config.warmup_epochs * epoch),
        milestones=tuple(round(n * epoch) for n in numbers_of(config.rate_epochs)),
        factor=config.rate_factor,
    )
