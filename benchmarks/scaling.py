"""What several machines cost: measured here on the loopback interface, worked out for more.

    python benchmarks/scaling.py

Measures a training step of inception10 (32 pictures of 100x100x3, 65 classes) in one process, and
sums over two processes of one number and of as many as the network has weights. Then it works out
the time of a step for up to 1,024 machines in a ring: each sends 2 (n - 1) / n times the gradient
and waits 2 (n - 1) times for its neighbour.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import time

import interleaved
import machine

ROUNDS = 15
MACHINES = (2, 4, 8, 16, 64, 256, 1024)
LINKS = {"1 Gb/s": 1e9, "10 Gb/s": 1e10, "100 Gb/s": 1e11}  # bits a second
WAIT = 25e-6  # seconds from one machine to the next, common inside a data centre
NAME = "HW2_SCALING_NUMBERS"


def step_seconds() -> tuple[float, int, int]:
    """Median of a step, weights that get gradients, and batch norms."""
    import numpy as np
    import tensorflow as tf

    from hw2.layers.norm import BatchNorm
    from hw2.layers.penalty import l2_penalty
    from hw2.models import MODELS
    from hw2.training.learner import Learner

    learner = Learner(
        lambda: MODELS["inception10"]((100, 100, 3), 65, seed=0),
        penalty=l2_penalty,
        ema_decay=0.9999,
        seed=0,
    )
    rng = np.random.default_rng(0)
    images = tf.constant(rng.standard_normal((32, 100, 100, 3)), tf.float32)
    batch = images, tf.constant(rng.integers(0, 65, 32), tf.int32)
    seconds = []
    for step in range(ROUNDS):
        start = time.perf_counter()
        float(learner.train_step(batch, step=step, rate=1e-3)["loss"])
        seconds.append(time.perf_counter() - start)
    weights = sum(variable.shape.num_elements() for variable in learner.model.trainable_variables)
    norms = sum(isinstance(module, BatchNorm) for module in learner.model.submodules)
    return statistics.median(seconds[2:]), weights, norms


def sum_seconds(numbers: int) -> float:
    """Median of a sum of so many float32 over the workers of `TF_CONFIG`."""
    import tensorflow as tf

    from hw2.training import devices

    strategy = devices.several_machines(0, 1)
    with strategy.scope():
        vector = tf.Variable(tf.ones([numbers]))

    def everyone() -> tf.Tensor:
        replica = tf.distribute.get_replica_context()
        return replica.all_reduce(tf.distribute.ReduceOp.SUM, vector.read_value())[0]

    total = tf.function(lambda: strategy.run(everyone), autograph=False)
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        float(strategy.experimental_local_results(total())[0])
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[2:])


def on_two_workers(numbers: int) -> float:
    """`sum_seconds` of two processes of this script."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        workers = [f"127.0.0.1:{s.getsockname()[1]}" for s in (one, two)]
    processes = [
        subprocess.Popen(
            [sys.executable, __file__],
            env={
                **os.environ,
                NAME: str(numbers),
                "TF_CONFIG": json.dumps(
                    {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
                ),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for index in range(2)
    ]
    return max(float(process.communicate()[0]) for process in processes)


def worked_out(step: float, weights: int, bits: float, machines: int) -> float:
    """Seconds of a step on so many machines, nothing hidden behind anything."""
    share = (machines - 1) / machines
    return step + 2 * share * 32 * weights / bits + 2 * (machines - 1) * WAIT


def main() -> None:
    step, weights, norms = step_seconds()
    facts = machine.cpu() | machine.libraries("tensorflow") | machine.kernel()
    interleaved.head(facts, as_json=False)
    print(f"step of one machine: {1e3 * step:.0f} ms, 32 pictures, {32 / step:.0f} images/s")
    print(f"gradient: {weights:,} float32, {4 * weights / 1e6:.1f} MB; {norms} batch norms")
    for numbers in (1, weights):
        seconds = on_two_workers(numbers)
        print(f"sum of {numbers:,} float32 over two workers here: {1e3 * seconds:.2f} ms")
    print("images/s of all machines, and share of n times one, by the speed of the link:")
    print(f"{'machines':>8}  " + "  ".join(f"{link:>16}" for link in LINKS))
    for machines in MACHINES:
        cells = []
        for bits in LINKS.values():
            seconds = worked_out(step, weights, bits, machines)
            cells.append(f"{32 * machines / seconds:>9,.0f}  {step / seconds:>4.0%}")
        print(f"{machines:>8}  " + "  ".join(f"{cell:>16}" for cell in cells))


if __name__ == "__main__":
    if NAME in os.environ:
        print(sum_seconds(int(os.environ[NAME])))
    else:
        main()
