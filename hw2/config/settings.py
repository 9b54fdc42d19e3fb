"""The settings: each field of `Config` is a flag, a key of the flagfile, and its check.

TensorFlow is not imported here, so that `--help` and a mistyped flag answer at once.
"""

import dataclasses
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import flags

from hw2.config import flagfile, paths, presets
from hw2.config.choices import (
    ALGORITHMS,
    CLASS_WEIGHTS,
    DATA_SETS,
    EXPORTS,
    FITS,
    FORMS,
    LOSSES,
    OPTIMIZERS,
    PARTS,
    PRECISIONS,
    PRESETS,
    SAMPLINGS,
    SCHEDULES,
    SCORES,
    STANDARDS,
    STEMS,
    WEIGHTS,
)
from hw2.config.fields import model_option, one_command, recorded, setting
from hw2.config.rules import (
    ABOVE_0,
    BYTE,
    CHANNELS,
    DECAY,
    DECAY_OR_NOT,
    DEGREES,
    DEVIATIONS,
    EPOCHS,
    FOURTEEN,
    FRACTION,
    GROUPS,
    HALF,
    LEFT_OR_NOT,
    NOT_EMPTY,
    NUMBERS,
    ORDERED,
    OWN_PRODUCT,
    PATTERN,
    SEED,
    SHARE,
    TEN,
    TOGETHER,
    at_least,
    one_of,
    one_of_or_own,
    switched,
)


@dataclasses.dataclass(frozen=True)
class Config:
    """Every setting of a run.

    Raises:
      ValueError: A setting breaks its rule.
    """

    train_data_path: str = setting(
        "", "class folders, or the name of a data set", group="Data", path=DATA_SETS
    )
    test_data_path: str = setting("", "scored by eval.py, and after training", path=DATA_SETS)
    validation_fraction: float = setting(0.2, "fraction of the training data to hold out", FRACTION)
    group_by: str = setting("", "keep together: regular expression, column:NAME", GROUPS)
    split_file: str = setting("", "file of name,part instead of drawing", path=())
    image_size: int = setting(100, "side of the model's input, in pixels", at_least(1))
    short_side: int = setting(260, "images are first resized to this shorter side", at_least(1))
    fit: str = setting("crop", "crop, pad or stretch to a square", one_of(*FITS))
    crop_size: int = setting(200, "smallest random crop; short_side: central crop", at_least(1))
    flip: bool = setting(True, "random left-right flips; --noflip for none")
    brightness: float = setting(63.0, "largest random change, of 255 levels", BYTE)
    contrast_min: float = setting(0.2, "lowest random contrast", at_least(0))
    contrast_max: float = setting(1.8, "highest random contrast", at_least(0))
    saturation_min: float = setting(1.0, "lowest random saturation", at_least(0))
    saturation_max: float = setting(1.0, "highest random saturation", at_least(0))
    hue: float = setting(0.0, "largest random change, in turns of the circle", HALF)
    flip_up_down: bool = setting(False, "random up-down flips")
    shift: float = setting(0.0, "largest random shift, as fraction of the side", SHARE)
    rotation: float = setting(0.0, "largest random rotation, in degrees", DEGREES)
    scale: float = setting(0.0, "largest random change of the size", DECAY)
    fill: float = setting(0.0, "grey level of what is beyond the image", BYTE)
    salt_and_pepper: float = setting(0.0, "fraction of pixels set to white or black", SHARE)
    rand_augment: int = setting(0, "RandAugment operations on each image", FOURTEEN)
    rand_augment_magnitude: float = setting(9.0, "their magnitude, up to 10", TEN)
    erasing: float = setting(0.0, "probability that a rectangle is erased", SHARE)
    standardize: str = setting("image", ", ".join(STANDARDS), one_of(*STANDARDS))
    cache_mb: int = setting(1024, "memory for decoded images, in MB", at_least(0))
    on_bad_file: str = setting("error", "error or skip", one_of("error", "skip"))
    max_bad_fraction: float = setting(0.01, "largest fraction of images to skip", SHARE)
    max_pixels: int = setting(100_000_000, "images with more pixels are bad", at_least(1))
    min_size: int = setting(1, "images with a shorter side are bad", at_least(1))
    allow_empty_class: bool = setting(False, "a class without images keeps its number")
    skip_conflicts: bool = setting(False, "leave out images that are in several classes")
    skip_empty_class: bool = setting(False, "leave out classes without images")
    allow_same_folders: bool = setting(False, "all classes may hold folders of the same names")
    levels: float = setting(0.0, "white in arrays, such as 1023; 0: found", at_least(0))
    allow_outside_links: bool = setting(False, "follow links that leave the data's folder")
    allow_leak: bool = setting(False, "allow test images that were trained on")
    augmentation: str = setting("s1", f"preset: {', '.join(PRESETS)}", one_of(*PRESETS))
    channels: int = setting(0, "of the model's input, 1 or 3; 0: as the data", CHANNELS)
    mean: str = setting("", "for standardize=given, as 0.5,0.4,0.4", NUMBERS)
    deviation: str = setting("", "standard deviation, likewise", DEVIATIONS)
    mixup: float = recorded(0.0, "alpha of mixup, such as 0.2; 0 for none", at_least(0))
    cutmix: float = recorded(0.0, "alpha of CutMix, such as 1; 0 for none", at_least(0))
    disk_cache: str = setting("", "folder for decoded images; empty for none", path=())
    accept_new_data: bool = one_command(False, "resume although the images have changed")

    model: str = setting("inception10", "name of the model", NOT_EMPTY, "Model")
    l2: float = setting(-1.0, "weight of the L2 penalty; -1: the model's own", LEFT_OR_NOT)
    stem: str = model_option("imagenet", "imagenet, or small for small images", one_of(*STEMS))
    resnet_d: bool = model_option(False, "ResNet-D: 3x3 stem, mean pooling in shortcuts")
    zero_gamma: bool = model_option(False, "residual blocks start as the identity")
    bottlenecks: int = model_option(8, "layers in each block of densenet_fine", at_least(1))
    kernel_size: int = model_option(5, "side of the kernels of simple_cnn", at_least(1))
    pretrained: str = model_option(
        "none", "trained weights: a name, or a file", NOT_EMPTY, path=WEIGHTS
    )
    freeze: str = model_option(
        "false", "pattern of names to freeze; true: not the head", PATTERN, switch=True
    )
    thaw_epoch: int = setting(0, "epochs until --freeze ends; 0: never", at_least(0))
    stochastic_depth: float = setting(0.0, "rate of the last residual block", DECAY)
    width: int = model_option(64, "channels of the first layer of resnet9", at_least(1))

    conv_algorithm: str = recorded(
        "auto", "auto, im2col, native or MODULE:FUNCTION", one_of_or_own(*ALGORITHMS)
    )
    product: str = recorded("", "MODULE:FUNCTION, your product in im2col", OWN_PRODUCT)
    recompute_patches: bool = recorded(False, "less memory in training, but more time")
    precision: str = recorded("float32", " or ".join(PRECISIONS), one_of(*PRECISIONS))

    batch_size: int = setting(
        128, "images per step, on all devices together", at_least(1), "Training"
    )
    max_steps: int = setting(10000, "step at which training stops", at_least(1))
    epochs: int = setting(0, "the same in epochs; 0: by max_steps", at_least(0))
    accumulate: int = recorded(1, "split each batch in parts, to save memory", at_least(1))
    loss: str = recorded("cross_entropy", f"{', '.join(LOSSES)}", one_of(*LOSSES))
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
    schedule: str = recorded("constant", f"{', '.join(SCHEDULES)}", one_of(*SCHEDULES))
    warmup_epochs: float = recorded(0.0, "epochs in which the rate rises", at_least(0))
    rate_epochs: str = recorded("", "for schedule=steps, as 60,110,150", EPOCHS)
    rate_factor: float = recorded(0.1, "factor at each of rate_epochs", ABOVE_0)
    decay: float = recorded(0.0, "for schedule=inverse_time, such as 1e-4", at_least(0))
    ema_decay: float = setting(0.9999, "decay of the averaged weights", DECAY)
    halve_after: int = recorded(-1, "to halve the rate; -1: 7, or 0 with a schedule", LEFT_OR_NOT)
    stop_after: int = recorded(-1, "to stop; -1: 15, or 0 with a schedule", LEFT_OR_NOT)
    best_by: str = recorded("top1", f"best by {', '.join(SCORES)}", one_of(*SCORES))
    seed: int = setting(0, "seed of the split, the order and all else", SEED)
    init_from: str = setting("", "run folder with the weights to start from", path=())
    new_head: bool = setting(False, "allow other classes than init_from has")
    deterministic: bool = setting(False, "use deterministic kernels only")
    check_numerics: bool = setting(False, "find the op that is not finite; slow")

    log_path: str = one_command(
        "", "run folder; empty for runs/<data>-<model>", group="Run", path=()
    )
    log_frequency: int = recorded(10, "steps between log lines", at_least(1))
    save_checkpoint_steps: int = recorded(300, "between checkpoints; 0: an epoch", at_least(0))
    keep_checkpoints: int = setting(10, "checkpoints to keep, with best and last", at_least(1))
    keep_every: int = setting(0, "also keep multiples of it; 0 for none", at_least(0))
    on_save_error: str = setting("stop", "stop or continue", one_of("stop", "continue"))
    tensorboard: bool = setting(True, "write TensorBoard events")
    fresh: bool = one_command(False, "start again; old checkpoints are set aside")
    dry_run: bool = one_command(False, "try everything once, and keep nothing")
    overfit_batches: int = setting(0, "train on so many batches only; 0 for all", at_least(0))
    find_rate: bool = one_command(False, "try rising learning rates, and plot the loss")
    histogram_steps: int = setting(0, "for TensorBoard; 0: at checkpoints", at_least(0))

    num_gpus: int = setting(0, "GPUs to use; 0 for all", at_least(0), "Devices")
    logical_devices: int = setting(1, "parts of a split CPU, for multi_gpu_train.py", at_least(1))
    threads: int = setting(0, "threads that share an op; 0: one per core", at_least(0))
    sync_batch_norm: bool = setting(True, "batch statistics over all devices")

    checkpoint_dir: str = one_command(
        "", "run folder to evaluate; empty for log_path", group="Evaluation", path=()
    )
    eval_dir: str = one_command("", "folder of results; empty for eval/ in the run", path=())
    num_examples: int = setting(0, "images to evaluate; 0 for all", at_least(0))
    top_k: int = setting(5, "k of the top-k accuracy", at_least(1))
    run_once: bool = setting(True, "--norun_once evaluates each new checkpoint")
    eval_interval_secs: int = setting(60, "seconds between checks for a new one", at_least(1))
    weights: str = setting("ema", "ema (averaged) or raw", one_of("ema", "raw"))
    # "auto" is the best, or each new one with --norun_once.
    checkpoint: str = setting("auto", "best, last or auto", one_of("auto", "best", "last"))

    data: str = one_command(
        "", "images to classify, labelled or not", group="Prediction", path=DATA_SETS
    )
    output: str = one_command("", "file of answers, .csv or .jsonl; - for stdout", path=("-",))
    form: str = one_command("auto", "csv or jsonl; auto: by the ending", one_of(*FORMS))
    header: str = one_command("", "columns of a competition, as id,class")
    ids: str = one_command(
        "name", "image ids: name, stem or number", one_of("name", "stem", "number")
    )
    answer: str = one_command("name", "classes by name or number", one_of("name", "number"))
    raw: bool = one_command(False, "CSV cells as they are, even =1+1")
    part: str = one_command("test", "which part, if the data has several", one_of(*PARTS))
    overwrite: bool = one_command(False, "replace an existing output")

    format: str = one_command("saved_model", ", ".join(EXPORTS), one_of(*EXPORTS), "Export")
    int8: bool = one_command(False, "8-bit integers, for litert")

    section: str = one_command("", "sections of the flagfile; the last one wins", group="Other")
    debug: bool = one_command(False, "show the traceback of an error")

    def __post_init__(self):
        object.__setattr__(self, "freeze", switched(self.freeze))
        if broken := _broken_rule(vars(self)):
            raise ValueError(f"{broken[1]}.")
        for name in PATHS:  # in flags, in files and in Python alike
            object.__setattr__(self, name, paths.expanded(getattr(self, name)))


FIELDS = {field.name: field for field in dataclasses.fields(Config)}
SWITCHES = frozenset(
    name
    for name, field in FIELDS.items()
    if isinstance(field.default, bool) or field.metadata["switch"]
)
KINDS = {name: field.metadata["kind"] for name, field in FIELDS.items()}
RECORDED = tuple(sorted(name for name in KINDS if KINDS[name] == "recorded"))
MODEL_OPTIONS = tuple(name for name in KINDS if KINDS[name] == "model option")
PATHS = tuple(name for name in FIELDS if FIELDS[name].metadata["path"] is not None)
# Type of the default -> how absl defines the flag, what its text must be.
TYPES: dict[type, tuple[Callable[..., Any], str]] = {
    bool: (flags.DEFINE_boolean, "true or false"),
    int: (flags.DEFINE_integer, "a whole number"),
    float: (flags.DEFINE_float, "a number"),
    str: (flags.DEFINE_string, "text"),
}


def parse(argv: Sequence[str]) -> Config:
    """Reads the command line and the flagfiles it names; the command line always wins.

    Also serves as `absl.app.run(main, flags_parser=parse)`. `--help` prints and exits with 0.

    Args:
      argv: The program's name, then its arguments.

    Raises:
      UsageError: There is a mistake; the message names its place, the command line or the line
        of a flagfile.
    """
    values = flags.FlagValues()  # private, so that a process can parse many times
    for name, field in FIELDS.items():
        define, _ = TYPES[type(field.default)]
        define(name, field.default, field.metadata["text"], flag_values=values)
    places = {}
    given = flagfile.read_options(argv, FIELDS.keys(), SWITCHES, _help)
    for name, value, place in _with_presets(given):
        try:
            values[name].parse(value)
        except flags.IllegalFlagValueError:
            _, words = TYPES[type(FIELDS[name].default)]
            flagfile.fail("bad value", place, f"--{name} must be {words}, got {value[:60]!r}")
        places[name] = place
    settings: dict[str, Any] = {name: values[name].value for name in FIELDS}
    if broken := _broken_rule(settings):
        names, why = broken
        where = dict.fromkeys(places[name] for name in names if name in places)
        flagfile.fail("bad value", " and ".join(where), why)
    flags.FLAGS.mark_as_parsed()  # app.run insists on it
    return Config(**settings)


def to_flagfile(config: Config, script: str = "train.py") -> str:
    """Writes the flagfile that repeats a training, without the folders that it wrote to."""
    head = f"# Runs it again: python {script} --flagfile=THIS_FILE --log_path=FOLDER"
    lines = [line(name, getattr(config, name)) for name in KINDS if KINDS[name] != "one command"]
    return "\n".join([head, *lines]) + "\n"


def line(name: str, value: Any) -> str:
    """Writes the line of a flagfile that gives a flag a value."""
    text = _text(value)
    if not text.isprintable() or text != text.strip() or text.startswith('"') or " #" in text:
        text = json.dumps(text)
    return f"--{name}={text}"


def absolute(config: Config) -> Config:
    """The settings with every path absolute that `flags.cfg` will hold.

    Raises:
      UsageError: The working folder is gone.
    """
    kept = [name for name in PATHS if KINDS[name] != "one command"]
    values: dict[str, Any] = {
        name: paths.absolute(getattr(config, name), FIELDS[name].metadata["path"]) for name in kept
    }
    return dataclasses.replace(config, **values)


def run_folder(config: Config) -> str:
    """Returns `log_path`, or `runs/<data name>-<model>` when that is empty."""
    if config.log_path:
        return config.log_path
    data = os.path.basename(os.path.abspath(config.train_data_path))
    return os.path.join("runs", f"{data}-{config.model}")


def _with_presets(given: Sequence[flagfile.Option]) -> list[flagfile.Option]:
    """Inserts the flags of the preset that `--augmentation` names.

    A flag overrides the preset if both are in files, or both on the command line. A preset on the
    command line overrides all that files say, as every flag there does.
    """
    sides = [option.value for option in given if option.name == "short_side"]
    side = sides[-1] if sides else str(FIELDS["short_side"].default)
    options = []
    for on_line in (False, True):
        part = [option for option in given if (option.place == flagfile.COMMAND_LINE) == on_line]
        chosen = [option for option in part if option.name == "augmentation"]
        if chosen and chosen[-1].value in PRESETS and side.isdecimal():  # else it is refused below
            _, name, place = chosen[-1]
            for flag, value in presets.values(name, int(side)).items():
                options.append(flagfile.Option(flag, _text(value), place))
        options += part
    return options


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _broken_rule(settings: Mapping[str, Any]) -> tuple[tuple[str, ...], str] | None:
    """Finds the first rule that is broken; returns the names in it, and the message."""
    for name, field in FIELDS.items():
        value, rule = settings[name], field.metadata["rule"]
        if isinstance(value, float) and not math.isfinite(value):
            return (name,), f"--{name} must be finite, got {value}"
        if not rule.holds(value):
            return (name,), f"--{name} must be {rule.words}, got {value!r}"
    for names, holds, words in TOGETHER:
        if not holds(*(settings[name] for name in names)):
            got = ", ".join(f"--{name}={_text(settings[name])}" for name in names)
            return names, f"{words}, got {got}"
    for small, large in ORDERED:
        if settings[small] > settings[large]:
            got = f"{settings[small]} and {settings[large]}"
            return (small, large), f"--{small} must be at most --{large}, got {got}"
    return None


def _help(program: str) -> str:
    """Lists every flag under its heading, with its default, within 80 columns."""
    lines = [f"usage: {program} [--flagfile=config.cfg] [--section=a,b] [--name=value ...]"]
    for name, field in FIELDS.items():
        if field.metadata["group"]:
            lines += ["", f"{field.metadata['group']}:"]
        lines.append(f"  {f'--{name}={_text(field.default)}':<29} {field.metadata['text']}")
    return "\n".join(lines)
