"""What the value of a setting must be, in words and as a test."""

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple


class Rule(NamedTuple):
    """A test of a value, and the words that follow "must be" in an error."""

    words: str
    holds: Callable[[Any], bool]


def at_least(low: int) -> Rule:
    return Rule(f"at least {low}", lambda value: value >= low)


def one_of(*choices: str) -> Rule:
    return Rule(" or ".join(choices), lambda value: value in choices)


def one_of_or_own(*choices: str) -> Rule:
    """One of the choices, or MODULE:FUNCTION, a function in a module of the user's."""
    words = f"{', '.join(choices)} or MODULE:FUNCTION"
    return Rule(words, lambda value: value in choices or _names_function(value))


ANYTHING = Rule("", lambda value: True)
NOT_EMPTY = Rule("a name", bool)
ABOVE_0 = Rule("above 0", lambda value: value > 0)
UP_TO_1 = Rule("in (0, 1]", lambda value: 0 < value <= 1)
BYTE = Rule("in [0, 255]", lambda value: 0 <= value <= 255)
DECAY = Rule("in [0, 1)", lambda value: 0 <= value < 1)
FRACTION = Rule("in (0, 1)", lambda value: 0 < value < 1)
EPOCHS = Rule("rising numbers as 60,110,150", lambda text: _rising(text))
NUMBERS = Rule("numbers as 0.5,0.4,0.4", lambda text: _finite(text) is not None)
DEVIATIONS = Rule("numbers above 0 as 0.2,0.2,0.2", lambda text: _positive(text))
REJECTION = Rule(
    "a probability, error:0.01 or coverage:0.9, numbers in [0, 1]", lambda text: _rejects(text)
)
GROUPS = Rule(
    "near_duplicates, column:NAME, or a regular expression with a group in ( )",
    lambda text: _groups(text),
)
PATTERN = Rule("true, false or a regular expression", lambda text: _compiles(str(text)))
HALF = Rule("in [0, 0.5]", lambda value: 0 <= value <= 0.5)
DEGREES = Rule("in [0, 180]", lambda value: 0 <= value <= 180)
PORT = Rule("in [0, 65535]", lambda value: 0 <= value <= 65535)
TEN = Rule("in [0, 10]", lambda value: 0 <= value <= 10)
FOURTEEN = Rule("in [0, 14]", lambda value: 0 <= value <= 14)
NEIGHBOURS = Rule("in [0, 24]", lambda value: 0 <= value <= 24)
DECAY_OR_NOT = Rule("in [0, 1), or -1", lambda value: 0 <= value < 1 or value == -1)
SHARE = Rule("in [0, 1]", lambda value: 0 <= value <= 1)
CHANNELS = Rule("0, 1 or 3", lambda value: value in (0, 1, 3))
OWN_PRODUCT = Rule("MODULE:FUNCTION", lambda value: not value or _names_function(value))
LEFT_OR_NOT = Rule("at least 0, or -1", lambda value: value >= 0 or value == -1)  # -1: left open
SEED = Rule("in [0, 2147483647]", lambda value: 0 <= value < 2**31)  # fits every seed argument

# Names of two settings, of which the first must be at most the second.
ORDERED = (
    ("crop_size", "short_side"),
    ("cutout", "image_size"),
    ("contrast_min", "contrast_max"),
    ("saturation_min", "saturation_max"),
)
SGD = ("sgd", "sgdw")
WITH_MOMENTUM = (*SGD, "rmsprop")
WITH_EPSILON = ("adagrad", "adam", "adamw", "rmsprop")
# Names of settings, a test of their values together, and the rule in words.
TOGETHER = (
    (
        ("reject_by", "reject_below"),
        lambda by, text: by == "probability" or not text or ":" in text,
        "--reject_below must be error:0.01 or coverage:0.9 with --reject_by=distance, which has no "
        "scale of its own",
    ),
    (
        ("optimizer", "weight_decay"),
        lambda optimizer, decay: optimizer != "adam" or decay <= 0,
        "--weight_decay must be 0 with adam; adamw is Adam with it",
    ),
    (
        ("optimizer", "momentum", "nesterov"),
        lambda optimizer, momentum, nesterov: not nesterov or (optimizer in SGD and momentum),
        "--nesterov must come with sgd or sgdw, and momentum",
    ),
    (
        ("freeze", "thaw_epoch"),
        lambda freeze, epoch: not epoch or switched(freeze) != "false",
        "--thaw_epoch must come with --freeze",
    ),
    (
        ("schedule", "rate_epochs"),
        lambda schedule, epochs: (schedule == "steps") == bool(epochs),
        "--rate_epochs must come with --schedule=steps, which needs them",
    ),
    (
        ("schedule", "decay"),
        lambda schedule, decay: (schedule == "inverse_time") == bool(decay),
        "--decay must come with --schedule=inverse_time, which needs it",
    ),
    (
        ("standardize", "mean", "deviation"),
        lambda how, mean, deviation: bool(mean) == bool(deviation) == (how == "given"),
        "--mean and --deviation must come with --standardize=given, which needs them",
    ),
    (
        ("conv_algorithm", "product"),
        lambda algorithm, product: not product or algorithm in ("auto", "im2col"),
        "--product must come with --conv_algorithm=im2col, or auto, which then is im2col",
    ),
    (
        ("init_from", "new_head"),
        lambda init_from, new_head: init_from or not new_head,
        "--new_head must come with --init_from",
    ),
)


def _names_function(text: str) -> bool:
    module, colon, function = text.partition(":")
    return bool(module and colon and function.isidentifier())


def rejection_of(text: str) -> tuple[str, float] | None:
    """Reads what `--reject_below` asks for: "below", "error" or "coverage", and its number.

    Returns:
      None for an empty text, by which nothing is rejected.

    Raises:
      ValueError: The text is something else.
    """
    if not text:
        return None
    by, colon, number = text.rpartition(":")
    if colon and by not in ("error", "coverage"):
        raise ValueError(f"a threshold is chosen by error or coverage, got {by!r}.")
    value = float(number)
    if not 0 <= value <= 1:
        raise ValueError(f"the number must be in [0, 1], got {value}.")
    return by or "below", value


def numbers_of(text: str) -> list[float]:
    """Reads numbers between commas."""
    return [float(part) for part in text.split(",") if text]


def switched(value: str | bool) -> str:
    """A text that may be given as a switch: "true", "false", or the text itself."""
    text = str(value)
    if text.lower() in ("true", "t", "1"):
        return "true"
    return "false" if text.lower() in ("", "false", "f", "0") else text


def _compiles(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def _rejects(text: str) -> bool:
    try:
        rejection_of(text)
    except ValueError:
        return False
    return True


def _rising(text: str) -> bool:
    return _positive(text) and numbers_of(text) == sorted(set(numbers_of(text)))


def _positive(text: str) -> bool:
    numbers = _finite(text)
    return numbers is not None and min(numbers, default=1) > 0


def _groups(text: str) -> bool:
    """Whether a text says how pictures are grouped, or is empty."""
    if text in ("", "near_duplicates"):
        return True
    if text.startswith("column:"):
        return bool(text.removeprefix("column:").strip())
    try:
        return re.compile(text).groups > 0
    except re.error:
        return False


def _finite(text: str) -> list[float] | None:
    """The numbers between commas, or None if one is no finite number."""
    try:
        numbers = numbers_of(text)
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None
