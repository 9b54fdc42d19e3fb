"""Training, as a story: from settings to a trained model."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence

from hw2.config.settings import Config
from hw2.errors import Interrupted
from hw2.jobs import build, outcome, prepare, resume
from hw2.jobs.batches import make_batches
from hw2.jobs.hooks import make_hooks
from hw2.jobs.start import describe_run, open_run
from hw2.machines import failures, signals
from hw2.machines.cluster import Cluster, from_environment
from hw2.machines.signals import Signals
from hw2.terminal import console
from hw2.training.loop import Hook, fit
from hw2.training.step import Steps


def train(
    config: Config, *, mirrored: bool = False, hooks: Sequence[Hook] = (), alone: bool = True
) -> None:
    """Trains the run in the run folder, or resumes it; prints one JSON line at the end.

    Args:
      config: The settings.
      mirrored: Whether to train on several devices, or machines.
      hooks: Called after every step, before a checkpoint of it is written; by every worker.
      alone: Whether to print the results at the end; not where it is one of several trainings.

    Raises:
      Fault: Something outside the program is wrong; the message has a remedy.
      Interrupted: A signal has stopped the training, after a checkpoint was written.
    """
    # On one device, the tasks of a Slurm job are separate trainings, and not a cluster.
    environ = os.environ if mirrored else {"TF_CONFIG": os.environ.get("TF_CONFIG", "")}
    cluster = from_environment(environ)
    with contextlib.ExitStack() as stack:
        stack.enter_context(failures.check_device_errors(several=cluster.several))
        caught = stack.enter_context(signals.caught())
        config = stack.enter_context(prepare.resolved(config))
        _train(config, cluster, mirrored, hooks, alone, caught, stack)


def _train(
    config: Config,
    cluster: Cluster,
    mirrored: bool,
    hooks: Sequence[Hook],
    alone: bool,
    caught: Signals,
    stack: contextlib.ExitStack,
) -> None:
    """Trains in five stages, each of which needs what those before it have found."""
    started, out = time.perf_counter(), console.stderr(quiet=not cluster.is_first)

    # 1. Where it trains. First, because TensorFlow must be set up before it computes anything.
    workers = prepare.workers(config, cluster, mirrored=mirrored, out=out)

    # 2. On what data. All data is read and checked before the run folder is touched.
    examples, test = prepare.read_data(config, out)

    # 3. From what state. What is on disk decides, and the first worker alone writes there.
    start = open_run(config, workers, examples, stack, out)
    config = start.config
    caught.defer()  # from here on there is something to save
    stack.enter_context(prepare.computing(config, workers.strategy, start.checkpoint))
    state = resume.restore_state(config, start, out)
    run = state.run
    workers.on_first(lambda: describe_run(config, start, run))

    # 4. The loop. Every worker takes the same steps and hooks; the first one also writes.
    batches = make_batches(config, workers, start, run.step)
    steps = Steps(state.learner, caught, names=batches.names, alone=not cluster.several)
    if config.find_rate:
        caught.raise_at_once()  # there is nothing to save
        return outcome.find_rate(workers, start, state.learner, batches.training, out)
    made = make_hooks(config, workers, start, state, batches, steps, hooks, out)
    rate = build.rate(config, len(start.training), start.last_step, state.progress.plateau)
    try:
        with made.writers.log:
            fit(run, steps, iter(batches.training), rate=rate, hooks=made.hooks, check=steps.check)
    except Interrupted as stop:
        workers.on_first(lambda: made.writers.save(run))
        raise outcome.interrupted(stop, run.step) from None
    workers.on_first(lambda: made.writers.save(run))  # if a hook stopped it between two saves
    steps.release_signals()

    # 5. What came of it, by the best checkpoint. All score the held-out data, to calibrate, and
    # the test data together; then the others wait for the first worker, without which a cluster
    # ends.
    best = made.evaluation.best
    checkpoint = outcome.restore_best(workers, start, state.learner)
    calibrated = outcome.calibrate(config, workers, checkpoint, made.score, batches.validation, out)
    tested = outcome.score_test(config, workers, start, made.score, test)
    if alone:
        workers.on_first(
            lambda: outcome.conclude(config, start, state, best, tested, calibrated, started, out)
        )
