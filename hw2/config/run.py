"""The settings of the run folder and of the devices."""

import dataclasses

from hw2.config.choices import TRACKERS
from hw2.config.fields import one_command, recorded, setting
from hw2.config.rules import at_least, one_of


@dataclasses.dataclass(frozen=True)
class Run:
    """The settings of the run folder and of the devices."""

    log_path: str = one_command(
        "", "run folder; empty for runs/<data>-<model>", group="Run", path=()
    )
    log_frequency: int = recorded(10, "steps between log lines", at_least(1))
    save_checkpoint_steps: int = recorded(300, "between checkpoints; 0: an epoch", at_least(0))
    keep_checkpoints: int = setting(10, "checkpoints to keep, with best and last", at_least(1))
    keep_every: int = setting(0, "also keep multiples of it; 0 for none", at_least(0))
    on_save_error: str = setting("stop", "stop or continue", one_of("stop", "continue"))
    tensorboard: bool = setting(True, "write TensorBoard events")
    tracker: str = setting("none", f"{', '.join(TRACKERS)}: also logs there", one_of(*TRACKERS))
    fresh: bool = one_command(False, "start again; old checkpoints are set aside")
    dry_run: bool = one_command(False, "try everything once, and keep nothing")
    overfit_batches: int = setting(0, "train on so many batches only; 0 for all", at_least(0))
    find_rate: bool = one_command(False, "try rising learning rates, and plot the loss")
    histogram_steps: int = setting(0, "for TensorBoard; 0: at checkpoints", at_least(0))

    num_gpus: int = setting(0, "GPUs to use; 0 for all", at_least(0), "Devices")
    logical_devices: int = setting(1, "parts of a split CPU, for multi_gpu_train.py", at_least(1))
    threads: int = setting(0, "threads that share an op; 0: one per core", at_least(0))
    sync_batch_norm: bool = setting(True, "batch statistics over all devices")
