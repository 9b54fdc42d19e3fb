"""The settings of the optimization: batches, loss, optimizer, schedule and stopping."""

import dataclasses

from hw2.config.choices import CLASS_WEIGHTS, LOSSES, OPTIMIZERS, SAMPLINGS, SCHEDULES, SCORES
from hw2.config.fields import recorded, setting
from hw2.config.rules import (
    ABOVE_0,
    DECAY,
    DECAY_OR_NOT,
    EPOCHS,
    LEFT_OR_NOT,
    NOT_EMPTY,
    SEED,
    UP_TO_1,
    at_least,
    one_of,
)


@dataclasses.dataclass(frozen=True)
class Training:
    """The settings of the optimization: batches, loss, optimizer, schedule and stopping."""

    batch_size: int = setting(
        128, "images per step, on all devices together", at_least(1), "Training"
    )
    max_steps: int = setting(10000, "step at which training stops", at_least(1))
    epochs: int = setting(0, "the same in epochs; 0: by max_steps", at_least(0))
    accumulate: int = recorded(1, "split each batch in parts, to save memory", at_least(1))
    loss: str = recorded("auto", f"{', '.join(LOSSES)}", one_of(*LOSSES))
    focal_gamma: float = recorded(2.0, "for loss=focal: 0 is cross entropy", at_least(0))
    class_weights: str = recorded(
        "none", "none, balanced, or a CSV file of class,weight", NOT_EMPTY, path=CLASS_WEIGHTS
    )
    sampling: str = recorded("uniform", " or ".join(SAMPLINGS), one_of(*SAMPLINGS))
    label_smoothing: float = recorded(0.0, "probability spread over all classes", DECAY)
    optimizer: str = setting("adam", f"{', '.join(OPTIMIZERS)}", one_of(*OPTIMIZERS))
    momentum: float = recorded(-1.0, "-1: 0.9 for sgd, sgdw; 0 for rmsprop", DECAY_OR_NOT)
    nesterov: bool = recorded(False, "Nesterov momentum, for sgd and sgdw")
    epsilon: float = recorded(-1.0, "-1: 1e-8 for adam, adamw, else 1e-7", LEFT_OR_NOT)
    weight_decay: float = recorded(-1.0, "-1: 0.01 for adamw, else 0", LEFT_OR_NOT)
    clip_norm: float = recorded(0.0, "largest gradient norm; 0 for no limit", at_least(0))
    learning_rate: float = recorded(1e-3, "learning rate after warm-up", ABOVE_0)
    layer_decay: float = recorded(1.0, "factor of the rate per layer before the head", UP_TO_1)
    schedule: str = recorded("constant", f"{', '.join(SCHEDULES)}", one_of(*SCHEDULES))
    warmup_epochs: float = recorded(0.0, "epochs in which the rate rises", at_least(0))
    rate_epochs: str = recorded("", "for schedule=steps, as 60,110,150", EPOCHS)
    rate_factor: float = recorded(0.1, "factor at each of rate_epochs", ABOVE_0)
    decay: float = recorded(0.0, "for schedule=inverse_time, such as 1e-4", at_least(0))
    ema_decay: float = setting(0.9999, "decay of the averaged weights", DECAY)
    halve_after: int = recorded(-1, "to halve the rate; -1: 7, or 0 with a schedule", LEFT_OR_NOT)
    stop_after: int = recorded(-1, "to stop; -1: 15, or 0 with a schedule", LEFT_OR_NOT)
    best_by: str = recorded(
        "auto", "auto: top1 or mean_average_precision; loss, ...", one_of(*SCORES)
    )
    seed: int = setting(0, "seed of the split, the order and all else", SEED)
    init_from: str = setting("", "run folder with the weights to start from", path=())
    new_head: bool = setting(False, "allow other classes than init_from has")
    deterministic: bool = setting(False, "use deterministic kernels only")
    check_numerics: bool = setting(False, "find the op that is not finite; slow")
