"""The settings: each field of `Config` is a flag, a key of the flagfile, and its check.

The fields are in `data.py`, `model.py`, `training.py`, `run.py` and `commands.py`; what is here
reads, checks and writes them.

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
from hw2.config.choices import PRESETS
from hw2.config.commands import Commands
from hw2.config.data import Data
from hw2.config.model import Model
from hw2.config.rules import ORDERED, TOGETHER, switched
from hw2.config.run import Run
from hw2.config.training import Training


@dataclasses.dataclass(frozen=True)
class Config(Commands, Run, Training, Model, Data):  # in the reverse order of `--help`
    """Every setting of a run.

    Raises:
      ValueError: A setting breaks its rule.
    """

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
