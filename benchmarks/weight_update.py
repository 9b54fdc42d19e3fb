"""What the update of the weights and of their averages costs in a training step.

    python benchmarks/weight_update.py --model=resnet18 --optimizer=sgd

Takes whole steps, and updates alone with fixed gradients, in turn. Prints the medians of the time
on the clock and of the time of the processor, which other programs disturb less, and what share of
the step the update is.
"""

import argparse
import json
import statistics
import time

import machine
import problem

ROUNDS, WARM, UPDATES = 9, 2, 5  # updates are short: several between two looks at the clock


def main() -> None:
    from hw2.terminal import noise

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="inception10")
    parser.add_argument("--optimizer", default="adam")
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--image_size", type=int, default=100)
    parser.add_argument("--algorithm", default="auto", help="of the convolution")
    given = parser.parse_args()
    noise.quiet_tensorflow()
    import numpy as np
    import tensorflow as tf

    from hw2 import ops
    from hw2.layers.penalty import l2_penalty
    from hw2.models import MODELS
    from hw2.training import average, optimizers
    from hw2.training.learner import Learner
    from hw2.training.variables import named_variables

    side = given.image_size
    learner = Learner(
        lambda: MODELS[given.model]((side, side, 3), problem.NUM_CLASSES, seed=0),
        penalty=l2_penalty,
        ema_decay=0.9999,
        seed=0,
        optimizer=lambda variables: optimizers.make(given.optimizer, variables),
    )
    rng = np.random.default_rng(0)
    images = tf.constant(rng.standard_normal((given.batch_size, side, side, 3)), tf.float32)
    batch = images, tf.constant(rng.integers(0, problem.NUM_CLASSES, given.batch_size), tf.int32)
    gradients = [tf.fill(v.shape, 1e-3) for v in learner.trainable.values()]
    averages, variables = map(named_variables, (learner.averaged, learner.model))

    @tf.function(autograph=False)
    def updated(rate: tf.Tensor, step: tf.Tensor) -> None:
        learner.optimizer.apply(gradients, rate=rate, step=step)
        average.update(averages.values(), variables.values(), average.warmed_up(0.9999, step))

    def step() -> None:
        float(learner.train_step(batch, step=0, rate=1e-3)["loss"])

    def update() -> None:
        for _ in range(UPDATES):
            updated(tf.constant(1e-3), tf.constant(0, tf.int64))

    seconds: dict[str, list[tuple[float, float]]] = {"step": [], "update": []}
    with ops.algorithm(given.algorithm):
        for _ in range(ROUNDS + WARM):
            for name, call, count in (("step", step, 1), ("update", update, UPDATES)):
                clock, processor = time.perf_counter(), time.process_time()
                call()
                spent = time.perf_counter() - clock, time.process_time() - processor
                seconds[name].append((spent[0] / count, spent[1] / count))
    result: dict[str, object] = {**vars(given), **machine.cpu(), **machine.libraries("tensorflow")}
    for place, kind in enumerate(("clock", "processor")):
        medians = {n: statistics.median(s[place] for s in v[WARM:]) for n, v in seconds.items()}
        result |= {f"{n}_{kind}_ms": round(1e3 * value, 2) for n, value in medians.items()}
        result[f"share_of_{kind}"] = round(medians["update"] / medians["step"], 4)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
