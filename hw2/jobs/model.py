"""The model of a run, with the weights of one of its checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from hw2.errors import RunError
from hw2.jobs import multilabel, spec
from hw2.jobs.spec import Spec
from hw2.runs import best, checkpoints
from hw2.runs.checkpoints import Checkpoint
from hw2.runs.folder import RunFolder
from hw2.training import progress
from hw2.training.saving import restore
from hw2.training.variables import named_variables


def choose(folder: RunFolder, which: str) -> tuple[Checkpoint, dict[str, np.ndarray]]:
    """Reads the "last" checkpoint of a run, or else the best, with its tensors.

    A training that is running may remove a checkpoint while it is read; then a newer one is read.

    Raises:
      RunError: There is no checkpoint, or it is damaged.
    """
    while True:
        before = checkpoints.listing(folder.checkpoints)
        try:
            return _choose(folder, which)
        except RunError:
            if checkpoints.listing(folder.checkpoints) == before:
                raise


def load(
    checkpoint: Checkpoint, tensors: Mapping[str, np.ndarray], weights: str = "ema"
) -> tf.Module:
    """Builds the model of a checkpoint and gives it the "ema" or the "raw" weights.

    Raises:
      RunError: The checkpoint has none of these, or they are of another model or not finite.
    """
    model = build(checkpoint.state["identity"])
    restore_weights(model, checkpoint, tensors, weights)
    return model


def build(identity: Spec) -> tf.Module:
    """Builds the model of a run whose weights a checkpoint will set: `restore_weights` does.

    To be called by itself where one model takes the weights of several checkpoints in turn, and is
    traced only once; else `load` does both.

    Raises:
      RunError: Pretrained weights that are frozen, and so in no checkpoint, are missing.
    """
    return spec.build_model(identity, load_pretrained=False)


def restore_weights(
    model: tf.Module, checkpoint: Checkpoint, tensors: Mapping[str, np.ndarray], weights: str
) -> None:
    """Sets the weights of a model to those of a checkpoint.

    Args:
      model: The model.
      checkpoint: The checkpoint, for messages.
      tensors: Its tensors by name.
      weights: "ema" for the averaged weights, "raw" for those of the last step.

    Raises:
      RunError: The checkpoint has no such weights, or they are of another model.
    """
    group = {"ema": "ema/", "raw": "model/"}[weights]
    values = {n.removeprefix(group): v for n, v in tensors.items() if n.startswith(group)}
    if not values:
        raise RunError(
            f"no {weights} weights in {checkpoint.path} - it was written without them; "
            f"give --weights={'raw' if weights == 'ema' else 'ema'}"
        )
    restore(named_variables(model), values, checkpoint)


def probabilities(
    checkpoint: Checkpoint, temperature: float = 1.0
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the function from logits to probabilities, `[N, classes]`, that fits the loss.

    It is a sigmoid after training with the binary loss, which asks for each class by itself, or
    with several labels a picture, and else the softmax.

    Args:
      checkpoint: The checkpoint.
      temperature: By which the logits are divided, see `hw2.jobs.calibration.temperature`.
    """
    function = tf.sigmoid if is_binary(checkpoint) else tf.nn.softmax
    if temperature == 1:
        return function
    return lambda logits: function(logits / temperature)


def is_binary(checkpoint: Checkpoint) -> bool:
    """Whether each class has a sigmoid: with the binary loss, or several labels a picture."""
    several = multilabel.is_of(checkpoint.state["identity"])
    return several or checkpoint.state["settings"].get("loss") == "binary"


def _choose(folder: RunFolder, which: str) -> tuple[Checkpoint, dict[str, np.ndarray]]:
    last = checkpoints.newest(folder.checkpoints, check=progress.check)
    if last is None:
        raise RunError(
            f"no checkpoint in {folder.checkpoints} - training has not saved one yet; "
            "wait for it, or lower --save_checkpoint_steps"
        )
    found = last
    if which != "last":
        found = best.find(folder.checkpoints, last, check=progress.check) or last
    return found, found.tensors()
