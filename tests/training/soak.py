"""Kills one training over and over, half of the times within a save; it must not matter.

    python -m tests.training.soak [KILLS]

Each turn is a process of its own, forked from this one, which has imported TensorFlow but never
used it. At the end the run must be bit-equal to one that nobody disturbed.
"""

import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from hw2.commands import launch
from hw2.config import settings as config
from hw2.runs import checkpoints
from hw2.terminal import noise
from tests.training.compare import assert_same_run
from tests.training.tiny import FLAGS, tiny

EVERY = 20  # steps between saves
SAVE = 0.001  # seconds in which a kill is still within a save
LONGEST = 2.5  # seconds of a turn that is killed outside a save


def start(folder: Path, last_step: int) -> int:
    """Forks a training; returns its process id."""
    process = os.fork()
    if process:
        return process
    log = os.open(f"{folder}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    flags = [f"--log_path={folder}", f"--max_steps={last_step}", f"--log_frequency={EVERY}"]
    flags += [f"--save_checkpoint_steps={EVERY}", "--stop_after=1000000", "--halve_after=300"]
    sys.argv = ["train.py", *FLAGS, *flags]

    def main(settings: config.Config) -> None:
        from hw2 import models
        from hw2.jobs import train

        models.MODELS["tiny"] = tiny
        train.train(settings)

    code = 1
    try:
        launch.run(main)
    except SystemExit as leaving:
        code = leaving.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # what the parent would do at its exit is not the child's to do


def saving(folder: Path) -> bool:
    """Whether a checkpoint is half written, or half removed."""
    try:
        return any(name.endswith(".partial") for name in os.listdir(folder / "checkpoints"))
    except FileNotFoundError:
        return False


def newest(folder: Path) -> int:
    """Step of the newest checkpoint; 0 for none."""
    paths = checkpoints.listing(folder / "checkpoints")
    return int(paths[-1].name[5:]) if paths else 0


def disturb(folder: Path, kills: int, rng: random.Random) -> dict[str, int]:
    """Kills a training so many times; returns how many of them were where."""
    counts = {"in a save": 0, "before its first save": 0, "elsewhere": 0}
    while sum(counts.values()) < kills or counts["in a save"] < kills // 2:
        process, before = start(folder, 10**6), newest(folder)
        inside = counts["in a save"] < kills // 2 and sum(counts.values()) % 2
        if inside:
            while newest(folder) == before:  # let it come further than the one before
                time.sleep(0.001)
            while not saving(folder):
                pass
            time.sleep(rng.uniform(0, SAVE))
        else:
            time.sleep(rng.uniform(0, LONGEST))
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            raise SystemExit(f"error: the training ended by itself; see {folder}.log")
        if saving(folder):
            counts["in a save"] += 1
        elif newest(folder) == before:
            counts["before its first save"] += 1
        else:
            counts["elsewhere"] += 1
    return counts


def main() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    begun = time.monotonic()
    noise.quiet_tensorflow = lambda: None  # a device once looked for would not survive a fork
    with noise.without_noise():
        import sklearn.datasets
        import sklearn.model_selection  # noqa: F401
        import tensorflow  # noqa: F401

    with tempfile.TemporaryDirectory() as folder:
        cut, whole = Path(folder, "cut"), Path(folder, "whole")
        counts = disturb(cut, kills, random.Random(0))
        last_step = newest(cut) + EVERY
        for run in (cut, whole):
            _, status = os.waitpid(start(run, last_step), 0)
            if status:
                raise SystemExit(Path(f"{run}.log").read_text()[-2000:])
        assert_same_run(cut, whole)
        if left := list((cut / "checkpoints").glob(".*")):
            raise SystemExit(f"error: left behind: {left}")
        bad = list((cut / "checkpoints").glob("*.corrupt*"))
    where = ", ".join(f"{count} {name}" for name, count in counts.items())
    print(
        f"{sum(counts.values())} kills ({where}); {len(bad)} checkpoints set aside; at step "
        f"{last_step} weights, averages, optimizer, state and metrics.csv are bit-equal to the "
        "undisturbed run's; "
        f"{time.monotonic() - begun:.0f} s"
    )


if __name__ == "__main__":
    main()
