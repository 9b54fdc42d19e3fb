"""Our networks and our training loop, by one convolution and one precision."""

from __future__ import annotations

from collections.abc import Callable

import machine
import problem
import turns

BFLOAT16, RECOMPUTE = "_bfloat16", "_recompute"


def named(peer: str) -> tuple[str, str, bool]:
    """Reads a peer's name, `ALGORITHM[_recompute][_bfloat16]`.

    Returns:
      The algorithm of `hw2.ops.conv2d`, the precision of the training, and whether patches are
      computed again for the gradient.
    """
    algorithm = peer.removesuffix(BFLOAT16)
    precision = "float32" if algorithm == peer else "mixed_bfloat16"
    return algorithm.removesuffix(RECOMPUTE), precision, algorithm.endswith(RECOMPUTE)


def step(given: problem.Problem) -> Callable[[], None]:
    """A call that trains one step on one batch, with Adam and averaged weights."""
    import tensorflow as tf

    from hw2 import ops
    from hw2.layers.penalty import l2_penalty
    from hw2.models import MODELS
    from hw2.training.learner import Learner

    algorithm, precision, recompute = named(given.peer)
    images, labels = given.data()
    model = given.of(MODELS, "hw2")
    learner = Learner(
        lambda: model(images.shape[1:], problem.NUM_CLASSES, seed=0),
        penalty=l2_penalty,
        ema_decay=0.9999,
        seed=0,
        precision=precision,
    )
    batch = tf.constant(images), tf.constant(labels)

    def train() -> None:
        with ops.algorithm(algorithm, recompute=recompute):  # counts when the first call traces
            float(learner.train_step(batch, step=0, rate=1e-3)["loss"])

    return train


def main() -> None:
    from hw2 import command

    given = problem.parsed()
    command.quiet_tensorflow()
    facts = machine.libraries("tensorflow") | machine.kernel()
    turns.serve(lambda: (step(given), facts))


if __name__ == "__main__":
    main()
