"""What every command shares: its words and flags on the command line, and its `--help`."""

from __future__ import annotations

import dataclasses
import difflib
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NoReturn

from absl import flags

from hw2.commands import launch, recipes
from hw2.config import flagfile, paths, settings
from hw2.config.settings import Config
from hw2.errors import UsageError

DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"  # of editors and web pages
Own = SimpleNamespace  # the values of a command's own flags, and `rest`, its further words


@dataclasses.dataclass(frozen=True)
class Command:
    """A command of hw2: how its command line reads, and what it does.

    Every command takes every flag of `Config`, so that one flagfile serves them all, and reads
    those that concern it. Flags of its own stand on the command line only.

    Attributes:
      about: The docstring of its module, which `--help` prints.
      work: Does the work, given the settings and the command's own flags. It may return an exit
        code; none means 0.
      words: The flags that words without a flag stand for, in order: `hw2 train PATH`.
      many: Whether further words are taken too; `work` finds them in `own.rest`.
      flags: Its own flags, by name, each made by `fields.setting`.
      reads: The settings that `--help` lists after its own flags; none lists all.
      check: Refuses settings that lack what the command needs, before TensorFlow is imported.
      recipe: Whether it may take the recipe of a built-in data set.
      machines: Whether it may be one process of several.
      tensorflow: Whether TensorFlow is imported before the work.
      lasting: Whether the work goes on when nobody reads what it prints.
    """

    about: str
    work: Callable[[Config, Own], int | None]
    words: tuple[str, ...] = ()
    many: bool = False
    flags: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    reads: tuple[str, ...] = ()
    check: Callable[[Config], object] | None = None
    recipe: bool = False
    machines: bool = False
    tensorflow: bool = True
    lasting: bool = False

    def __call__(self, argv: Sequence[str], *, recipes: bool = False) -> NoReturn:
        """Runs the command and exits; never returns.

        Args:
          argv: The program's name, then its arguments.
          recipes: Whether a built-in data set, named without a flagfile, brings its recipe.
        """
        own = Own()

        def parse(argv: Sequence[str]) -> Config:
            config, found = self.parse(argv, take_recipe=recipes and self.recipe)
            if self.check:
                self.check(config)
            vars(own).update(vars(found))
            return config

        launch.run(
            lambda config: self.work(config, own),
            machines=self.machines,
            argv=argv,
            parse=parse,
            tensorflow=self.tensorflow,
            lasting=self.lasting,
        )

    def parse(self, argv: Sequence[str], *, take_recipe: bool = False) -> tuple[Config, Own]:
        """Reads the command line; `--help` prints and exits with 0.

        Raises:
          UsageError: A mistake, and the command line or the line of a flagfile where it stands.
        """
        program, *given = argv
        shared, own = [], _Values(self.flags)
        rest, places = [], iter(self.words)
        for word, name, value in _read(given, own.switches):
            if name is None:
                _check_dashes(word)
            if name in flagfile.HELP:
                self._help(program)
            if name is None:
                place = next(places, None)
                if place is None and self.many:
                    rest.append(paths.expanded(word))
                else:
                    shared.append(word if place is None else f"--{place}={word}")
            elif name in self.flags:
                own.parse(name, value)
            else:
                self._check_name(name)
                shared.append(word if value is None else f"--{name}={value}")
        if take_recipe:
            shared = recipes.added(shared)
        config = settings.parse([program, *shared])
        return config, Own(rest=rest, **own.checked())

    def _check_name(self, name: str) -> None:
        """Refuses a flag that there is not; the nearest one may be the command's own."""
        if name in settings.FIELDS or name.removeprefix("no") in settings.SWITCHES:
            return
        off = [f"no{switch}" for switch in settings.SWITCHES]
        choices = [*self.flags, *settings.FIELDS, *off, "flagfile"]
        if name != "flagfile":
            near = difflib.get_close_matches(name, choices, n=1)
            remedy = f"did you mean --{near[0]}?" if near else "see --help"
            why = f"there is no --{name}"
            flagfile.fail("unknown flag", flagfile.COMMAND_LINE, why, remedy)

    def _help(self, program: str) -> None:
        """Prints what the command is for, then its flags, and exits with 0."""
        print(self.about.rstrip())
        listed = dict(self.flags)
        if listed or self.reads:
            listed |= {name: settings.FIELDS[name] for name in self.reads if name not in listed}
            print("\nFlags:")
            for name, field in listed.items():
                flag = f"--{name}={_text(field.default)}"
                print(f"  {flag:<29} {field.metadata['text']}")
            if self.reads:
                last = "--flagfile and every flag of `hw2 train` are accepted too."
                print(f"\n{last}", flush=True)  # a closed pipe is felt here
                sys.exit(0)
        print()
        settings.parse([program, "--help"])


def run_folder(config: Config) -> str:
    """The run folder that a command is about.

    Raises:
      UsageError: None is given.
    """
    folder = config.checkpoint_dir or config.log_path
    if not folder:
        raise UsageError("no run folder given - give one, such as runs/digits")
    return folder


def check_data(config: Config) -> None:
    """Refuses a command line without data.

    Raises:
      UsageError: There is no path and no name of a data set.
    """
    if not config.train_data_path:
        raise UsageError("no data in the command line - name it first; a folder, or digits")


class _Values:
    """The values of a command's own flags, converted and checked as those of `Config` are."""

    def __init__(self, fields: Mapping[str, Any]):
        self._fields = fields
        self._values = flags.FlagValues()
        self.switches = {name for name in fields if isinstance(fields[name].default, bool)}
        for name, field in fields.items():
            define: Any = settings.TYPES[type(field.default)][0]
            text = field.metadata["text"]
            define(name, field.default, text, flag_values=self._values)
        self._values.mark_as_parsed()

    def parse(self, name: str, value: str | None) -> None:
        if value is None:
            why = f"--{name} needs a value"
            flagfile.fail("bad value", flagfile.COMMAND_LINE, why, f"write --{name}=...")
        try:
            self._values[name].parse(value)
        except flags.IllegalFlagValueError:
            _, words = settings.TYPES[type(self._fields[name].default)]
            why = f"--{name} must be {words}, got {value[:60]!r}"
            flagfile.fail("bad value", flagfile.COMMAND_LINE, why)

    def checked(self) -> dict[str, Any]:
        """The values by name, once each keeps its rule."""
        found = {name: self._values[name].value for name in self._fields}
        for name, value in found.items():
            rule = self._fields[name].metadata["rule"]
            if isinstance(value, float) and not math.isfinite(value):
                why = f"--{name} must be finite, got {value}"
                flagfile.fail("bad value", flagfile.COMMAND_LINE, why)
            if not rule.holds(value):
                why = f"--{name} must be {rule.words}, got {value!r}"
                flagfile.fail("bad value", flagfile.COMMAND_LINE, why)
            if self._fields[name].metadata["path"] is not None:
                found[name] = paths.expanded(str(value))
        return found


def split(text: str) -> list[str]:
    """The names between commas."""
    return [name for name in map(str.strip, text.split(",")) if name]


def _read(
    given: Sequence[str], own_switches: set[str]
) -> Iterator[tuple[str, str | None, str | None]]:
    """The words of a command line, each with the flag that it is and its value.

    A word that belongs to no flag, as every one after `--`, has no name. A switch of the
    command's own has the value "true" or "false"; one of `Config` has none where none is given.
    """
    switches = settings.SWITCHES | own_switches
    words = iter(given)
    for word in words:
        if word == "--":
            yield from ((word, None, None) for word in words)
            return
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("-") or not name:
            yield word, None, None
        elif name in flagfile.HELP:
            yield word, name, None
        elif equals:
            yield word, name, value
        elif name in own_switches:
            yield word, name, "true"
        elif name.startswith("no") and name[2:] in own_switches:
            yield word, name[2:], "false"
        elif name in switches or (name.startswith("no") and name[2:] in switches):
            yield word, name, None
        else:
            yield word, name, next(words, None)


def _check_dashes(word: str) -> None:
    """Refuses a flag whose hyphens a text editor has made a dash of."""
    bare = word.lstrip(DASHES + "-")
    name = bare.partition("=")[0].removeprefix("no")
    if word[:1] in DASHES and (name in settings.FIELDS or "=" in bare):
        why = f"{word[:60]} begins with a dash, and not with two hyphens"
        flagfile.fail("unknown flag", flagfile.COMMAND_LINE, why, f"type --{bare[:60]}")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
