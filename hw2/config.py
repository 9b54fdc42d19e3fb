"""Settings: one field of `Config` is a flag, a key of the flagfile, and its check.

TensorFlow is not imported here, so that `--help` and a mistyped flag answer at once.
"""

import dataclasses
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from absl import flags

from hw2 import flagfile, presets


class Rule(NamedTuple):
    """What a value must be, in words and as a test."""

    words: str
    holds: Callable[[Any], bool]


def at_least(low: int) -> Rule:
    return Rule(f"at least {low}", lambda value: value >= low)


def one_of(*choices: str) -> Rule:
    return Rule(" or ".join(choices), lambda value: value in choices)


ANYTHING = Rule("", lambda value: True)
NOT_EMPTY = Rule("a name", bool)
ABOVE_0 = Rule("above 0", lambda value: value > 0)
BYTE = Rule("in [0, 255]", lambda value: 0 <= value <= 255)
DECAY = Rule("in [0, 1)", lambda value: 0 <= value < 1)
FRACTION = Rule("in (0, 1)", lambda value: 0 < value < 1)
EPOCHS = Rule("rising numbers as 60,110,150", lambda text: _rising(text))
NUMBERS = Rule("numbers as 0.5,0.4,0.4", lambda text: _finite(text) is not None)
DEVIATIONS = Rule("numbers above 0 as 0.2,0.2,0.2", lambda text: _positive(text))
HALF = Rule("in [0, 0.5]", lambda value: 0 <= value <= 0.5)
DEGREES = Rule("in [0, 180]", lambda value: 0 <= value <= 180)
TEN = Rule("in [0, 10]", lambda value: 0 <= value <= 10)
FOURTEEN = Rule("in [0, 14]", lambda value: 0 <= value <= 14)
SHARE = Rule("in [0, 1]", lambda value: 0 <= value <= 1)
CHANNELS = Rule("0, 1 or 3", lambda value: value in (0, 1, 3))
SEED = Rule("in [0, 2147483647]", lambda value: 0 <= value < 2**31)  # fits every seed argument


def setting(default: Any, text: str, rule: Rule = ANYTHING, group: str = "") -> Any:
    """A field of `Config`; `group` is the heading that it opens in `--help`."""
    return dataclasses.field(default=default, metadata=dict(text=text, rule=rule, group=group))


# Of hw2.training, which imports TensorFlow; a test compares them.
LOSSES = ("cross_entropy", "kl", "binary")
OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "steps", "cosine")

STANDARDS = ("image", "channel", "given", "imagenet", "none")  # what gets mean 0, deviation 1
PRESETS = tuple(presets.PRESETS)
PRECISIONS = ("float32", "mixed_bfloat16")  # of images and products; weights are float32
# Of hw2.ops.conv2d, those that do every shape.
ALGORITHMS = ("auto", "direct", "im2col", "extract_patches", "native")

STEMS = ("imagenet", "small")
EXPORTS = ("saved_model", "litert", "onnx")


@dataclasses.dataclass(frozen=True)
class Config:
    """Every setting of a run.

    Raises:
      ValueError: A setting breaks its rule.
    """

    train_data_path: str = setting("", "class folders, or data by name", group="Data")
    test_data_path: str = setting("", "scored by eval.py, and after training")
    validation_fraction: float = setting(0.2, "part of the training data to hold out", FRACTION)
    image_size: int = setting(100, "side that the model sees, in pixels", at_least(1))
    short_side: int = setting(260, "pictures are first resized to this shorter side", at_least(1))
    crop_size: int = setting(200, "smallest random crop; as short_side, the middle", at_least(1))
    flip: bool = setting(True, "left-right flips at random; --noflip for none")
    brightness: float = setting(63.0, "largest random change, of 255", BYTE)
    contrast_min: float = setting(0.2, "lowest random contrast", at_least(0))
    contrast_max: float = setting(1.8, "highest random contrast", at_least(0))
    saturation_min: float = setting(1.0, "lowest random saturation", at_least(0))
    saturation_max: float = setting(1.0, "highest random saturation", at_least(0))
    hue: float = setting(0.0, "largest random turn of the hue, of the circle", HALF)
    flip_up_down: bool = setting(False, "up-down flips at random")
    shift: float = setting(0.0, "largest random shift, of the sides", SHARE)
    rotation: float = setting(0.0, "largest random rotation, in degrees", DEGREES)
    scale: float = setting(0.0, "largest random change of the size", DECAY)
    fill: float = setting(0.0, "level of what comes in from outside", BYTE)
    salt_and_pepper: float = setting(0.0, "part of the pixels made white or black", SHARE)
    rand_augment: int = setting(0, "operations of RandAugment on each picture", FOURTEEN)
    rand_augment_magnitude: float = setting(9.0, "of them, up to 10", TEN)
    erasing: float = setting(0.0, "probability that a rectangle is erased", SHARE)
    standardize: str = setting("image", ", ".join(STANDARDS), one_of(*STANDARDS))
    cache_mb: int = setting(1024, "memory for decoded pictures, in MB", at_least(0))
    on_bad_file: str = setting("error", "error or skip", one_of("error", "skip"))
    max_bad_fraction: float = setting(0.01, "largest part of the pictures to skip", SHARE)
    max_pixels: int = setting(100_000_000, "larger pictures are bad", at_least(1))
    min_size: int = setting(1, "pictures with a shorter side are bad", at_least(1))
    allow_empty_class: bool = setting(False, "a class without pictures keeps its number")
    allow_outside_links: bool = setting(False, "follow links that leave the data's folder")
    allow_leak: bool = setting(False, "test on pictures that were trained on")
    augmentation: str = setting("s1", f"preset: {', '.join(PRESETS)}", one_of(*PRESETS))
    channels: int = setting(0, "that the model sees, 1 or 3; 0: the data's own", CHANNELS)
    mean: str = setting("", "of standardize=given, of 1, as 0.5,0.4,0.4", NUMBERS)
    deviation: str = setting("", "the same of the deviation", DEVIATIONS)
    mixup: float = setting(0.0, "alpha of mixup, as 0.2; 0 for none", at_least(0))
    cutmix: float = setting(0.0, "alpha of cutmix, as 1; 0 for none", at_least(0))
    disk_cache: str = setting("", "folder of decoded pictures; empty for none")
    accept_new_data: bool = setting(False, "go on though pictures came, went or changed")

    model: str = setting("inception10", "name of the model", NOT_EMPTY, "Model")
    l2: float = setting(1e-3, "weight of the L2 penalty", at_least(0))
    stem: str = setting("imagenet", "imagenet, or small for small pictures", one_of(*STEMS))
    resnet_d: bool = setting(False, "ResNet-D: three 3x3 as stem, mean in shortcuts")
    zero_gamma: bool = setting(False, "residual blocks begin as their shortcuts")
    bottlenecks: int = setting(8, "layers in each block of densenet_fine", at_least(1))
    kernel_size: int = setting(5, "side of the windows of simple_cnn", at_least(1))
    pretrained: str = setting("none", "Keras's weights: imagenet, or a file", NOT_EMPTY)
    freeze: bool = setting(False, "inception_resnet_v2: train the head alone")
    width: int = setting(64, "channels of the first layer of resnet9", at_least(1))

    conv_algorithm: str = setting("auto", "how to convolve", one_of(*ALGORITHMS))
    recompute_patches: bool = setting(False, "less memory in training, for more time")
    precision: str = setting("float32", " or ".join(PRECISIONS), one_of(*PRECISIONS))

    batch_size: int = setting(128, "pictures a step, all devices together", at_least(1), "Training")
    max_steps: int = setting(10000, "steps after which training stops", at_least(1))
    epochs: int = setting(0, "the same in epochs; 0 for max_steps", at_least(0))
    accumulate: int = setting(1, "parts to take a batch in, for less memory", at_least(1))
    loss: str = setting("cross_entropy", f"{', '.join(LOSSES)}", one_of(*LOSSES))
    label_smoothing: float = setting(0.0, "share of a label spread over all", DECAY)
    optimizer: str = setting("adam", f"{', '.join(OPTIMIZERS)}", one_of(*OPTIMIZERS))
    momentum: float = setting(0.9, "of sgd", DECAY)
    nesterov: bool = setting(False, "look ahead with sgd's momentum")
    weight_decay: float = setting(0.0, "decoupled, of adamw and sgd", at_least(0))
    clip_norm: float = setting(0.0, "largest norm of the gradients; 0 for any", at_least(0))
    learning_rate: float = setting(1e-3, "the rate after warm-up", ABOVE_0)
    schedule: str = setting("constant", f"{', '.join(SCHEDULES)}", one_of(*SCHEDULES))
    warmup_epochs: float = setting(0.0, "epochs in which the rate rises", at_least(0))
    rate_epochs: str = setting("", "of schedule steps, as 60,110,150", EPOCHS)
    rate_factor: float = setting(0.1, "at each of rate_epochs", ABOVE_0)
    ema_decay: float = setting(0.9999, "decay of the averaged weights", DECAY)
    halve_after: int = setting(7, "evaluations without gain to halve the rate", at_least(1))
    stop_after: int = setting(15, "evaluations without gain to stop", at_least(1))
    seed: int = setting(0, "fixes the split, the order and all randomness", SEED)
    init_from: str = setting("", "run folder whose weights to begin with")
    new_head: bool = setting(False, "other classes than init_from has")
    deterministic: bool = setting(False, "only kernels that round alike every time")
    check_numerics: bool = setting(False, "find the op that is not finite; slow")

    log_path: str = setting("", "run folder; empty for runs/<data>-<model>", group="Run")
    log_frequency: int = setting(10, "steps between log lines", at_least(1))
    save_checkpoint_steps: int = setting(300, "between checkpoints; 0: an epoch", at_least(0))
    keep_checkpoints: int = setting(10, "checkpoints to keep, best and last too", at_least(1))
    keep_every: int = setting(0, "keep those of its multiples too; 0 for none", at_least(0))
    on_save_error: str = setting("stop", "stop or continue", one_of("stop", "continue"))
    tensorboard: bool = setting(True, "write TensorBoard events")
    fresh: bool = setting(False, "begin again; old checkpoints are put aside")
    dry_run: bool = setting(False, "try everything once, and keep nothing")
    overfit_batches: int = setting(0, "learn so many batches by heart; 0: off", at_least(0))
    find_rate: bool = setting(False, "try rising rates, and plot the loss")
    histogram_steps: int = setting(0, "in TensorBoard; 0: at checkpoints", at_least(0))

    num_gpus: int = setting(0, "GPUs to use; 0 for all there are", at_least(0), "Devices")
    logical_devices: int = setting(1, "parts of a split CPU, for multi_gpu_train.py", at_least(1))
    threads: int = setting(0, "that share an op's work; 0: one a core", at_least(0))
    sync_batch_norm: bool = setting(True, "batch statistics over all devices, not each")

    checkpoint_dir: str = setting("", "run to evaluate; empty for log_path", group="Evaluation")
    eval_dir: str = setting("", "where results go; empty for eval/ in the run")
    num_examples: int = setting(0, "pictures to evaluate; 0 for all", at_least(0))
    top_k: int = setting(5, "guesses among which the label counts as found", at_least(1))
    run_once: bool = setting(True, "--norun_once evaluates each new checkpoint")
    eval_interval_secs: int = setting(60, "seconds between looks for a new one", at_least(1))
    weights: str = setting("ema", "ema (averaged) or raw", one_of("ema", "raw"))
    checkpoint: str = setting("best", "best or last", one_of("best", "last"))

    data: str = setting("", "pictures to classify, labelled or not", group="Prediction")
    output: str = setting("", "file of answers, .csv or .jsonl; - for stdout")
    form: str = setting("auto", "csv or jsonl; auto by the ending", one_of("auto", "csv", "jsonl"))
    header: str = setting("", "columns of a competition, as id,class")
    ids: str = setting("name", "name, stem or number", one_of("name", "stem", "number"))
    answer: str = setting("name", "classes by name or number", one_of("name", "number"))
    part: str = setting("test", "of data that has several", one_of("train", "validation", "test"))
    overwrite: bool = setting(False, "replace an output that is there")

    format: str = setting("saved_model", ", ".join(EXPORTS), one_of(*EXPORTS), "Export")
    int8: bool = setting(False, "whole numbers of 8 bits, of litert")

    section: str = setting("", "sections of the flagfile; the last one wins", group="Other")
    debug: bool = setting(False, "show the traceback of an error")

    def __post_init__(self):
        if broken := _broken_rule(vars(self)):
            raise ValueError(f"{broken[1]}.")


FIELDS = {field.name: field for field in dataclasses.fields(Config)}
SWITCHES = frozenset(name for name in FIELDS if isinstance(FIELDS[name].default, bool))
ORDERED = (
    ("crop_size", "short_side"),
    ("contrast_min", "contrast_max"),
    ("saturation_min", "saturation_max"),
)
ONE_RUN_ONLY = {"section", "log_path", "checkpoint_dir", "eval_dir", "debug"}
ONE_RUN_ONLY |= {"fresh", "dry_run", "find_rate", "accept_new_data"}
ONE_RUN_ONLY |= {"data", "output", "form", "header", "ids", "answer", "part", "overwrite"}
ONE_RUN_ONLY |= {"format", "int8"}
TOGETHER = (  # names, what must hold of them, and in words
    (
        ("optimizer", "weight_decay"),
        lambda optimizer, decay: optimizer != "adam" or not decay,
        "--weight_decay must be 0 with adam; adamw is Adam with it",
    ),
    (
        ("optimizer", "momentum", "nesterov"),
        lambda optimizer, momentum, nesterov: not nesterov or (optimizer == "sgd" and momentum),
        "--nesterov must come with sgd and momentum",
    ),
    (
        ("schedule", "rate_epochs"),
        lambda schedule, epochs: (schedule == "steps") == bool(epochs),
        "--rate_epochs must come with --schedule=steps, which needs them",
    ),
    (
        ("standardize", "mean", "deviation"),
        lambda how, mean, deviation: bool(mean) == bool(deviation) == (how == "given"),
        "--mean and --deviation must come with --standardize=given, which needs them",
    ),
    (
        ("init_from", "new_head"),
        lambda init_from, new_head: init_from or not new_head,
        "--new_head must come with --init_from",
    ),
)
TYPES = {  # type of the default -> how absl defines the flag, what its text must be
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
      UsageError: A mistake, and the command line or the line of a flagfile where it stands.
    """
    values = flags.FlagValues()  # private, so that a process can parse many times
    for name, field in FIELDS.items():
        define, _ = TYPES[type(field.default)]
        define(name, field.default, field.metadata["text"], flag_values=values)
    places = {}
    given = flagfile.read(argv, FIELDS.keys(), SWITCHES, _help)
    for name, value, place in _with_presets(given):
        try:
            values[name].parse(value)
        except flags.IllegalFlagValueError:
            _, words = TYPES[type(FIELDS[name].default)]
            flagfile.fail("bad value", place, f"--{name} must be {words}, got {value[:60]!r}")
        places[name] = place
    settings = {name: values[name].value for name in FIELDS}
    if broken := _broken_rule(settings):
        names, why = broken
        where = dict.fromkeys(places[name] for name in names if name in places)
        flagfile.fail("bad value", " and ".join(where), why)
    flags.FLAGS.mark_as_parsed()  # app.run insists on it
    return Config(**settings)


def to_flagfile(config: Config, script: str = "train.py") -> str:
    """Writes the flagfile that runs `config` again, without the folders that this run wrote to."""
    lines = [f"# Runs it again: python {script} --flagfile=THIS_FILE --log_path=FOLDER"]
    for name, value in vars(config).items():
        text = _text(value)
        if not text.isprintable() or text != text.strip() or text.startswith('"') or " #" in text:
            text = json.dumps(text)
        if name not in ONE_RUN_ONLY:
            lines.append(f"--{name}={text}")
    return "\n".join(lines) + "\n"


def run_folder(config: Config) -> str:
    """Returns `log_path`, or `runs/<data name>-<model>` when that is empty."""
    if config.log_path:
        return config.log_path
    data = os.path.basename(os.path.abspath(config.train_data_path))
    return os.path.join("runs", f"{data}-{config.model}")


def numbers_of(text: str) -> list[float]:
    """Reads numbers between commas."""
    return [float(part) for part in text.split(",") if text]


def _with_presets(given: Sequence[flagfile.Option]) -> list[flagfile.Option]:
    """Puts what a preset stands for before the flags that stand beside it.

    A flag beats the preset wherever both stand in files, or both on the command line. One on the
    command line beats all that files say, as every flag there does.
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


def _rising(text: str) -> bool:
    return _positive(text) and numbers_of(text) == sorted(set(numbers_of(text)))


def _positive(text: str) -> bool:
    numbers = _finite(text)
    return numbers is not None and min(numbers, default=1) > 0


def _finite(text: str) -> list[float] | None:
    """The numbers between commas, or None if one is no finite number."""
    try:
        numbers = numbers_of(text)
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _broken_rule(settings: Mapping[str, Any]) -> tuple[tuple[str, ...], str] | None:
    """Returns the names in the first rule that does not hold, and what to say."""
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
