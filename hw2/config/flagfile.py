"""Reads the command line, and the flagfiles that it names, into a list of options.

A flagfile holds one `--name=value` a line, as absl knows it, and `[section]` headers; lines
above the first header always apply.
"""

import difflib
import json
import os
import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple, NoReturn

from hw2.config import paths
from hw2.errors import UsageError

COMMAND_LINE = "the command line"
HELP = {"help", "helpshort", "helpfull", "h", "?"}
HEADER = re.compile(r"\[\s*([^][,#]*[^][,#\s])\s*\](?:\s*#.*)?")
JSON_STRING = r'"(?:[^"\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"'
FLAG = re.compile(rf'--([\w-]+)(?:=({JSON_STRING}|(?!").*?))?(?:\s+#.*)?')
ALMOST_FLAG = re.compile(r"-*(\w+)(?:\s*[=:\s]\s*([^\"]*?))?(?:\s+#.*)?")


class Option(NamedTuple):
    """A flag as given, on the command line or in `path:line`."""

    name: str
    value: str
    place: str


class Known(NamedTuple):
    """The flags that exist."""

    names: Collection[str]
    switches: Collection[str]  # those that are true or false

    def switch(self, name: str) -> str | None:
        """Returns the switch that `noNAME` turns off."""
        return name[2:] if name.startswith("no") and name[2:] in self.switches else None


def read_options(
    argv: Sequence[str],
    names: Collection[str],
    switches: Collection[str],
    usage: Callable[[str], str],
) -> list[Option]:
    """Lists the options of the flagfiles, in order, then those of the command line.

    Args:
      argv: The program's name, then its arguments.
      names: The names of all flags.
      switches: The names of those that are true or false.
      usage: Maps the program's name to the text of `--help`, which is printed before exit 0.

    Raises:
      UsageError: There is a mistake; the message names its place, the command line or the line
        of a flagfile.
    """
    known = Known(names, switches)
    line = []
    words = iter(argv[1:])
    for word in words:
        name, equals, value = word.lstrip("-").partition("=")  # -name is --name, as in absl
        if not word.startswith("-") or not name:
            remedy = "write --name=value, and --flip=false for a switch"
            fail("leftover word", COMMAND_LINE, f"{word[:60]!r} belongs to no flag", remedy)
        if name in HELP:
            print(usage(os.path.basename(argv[0])), flush=True)  # a closed pipe is felt here
            sys.exit(0)
        line.append(_option(name, value if equals else None, COMMAND_LINE, words, known))

    picks = [_split(option.value) for option in line if option.name == "section"]
    picked = picks[-1] if picks else None
    options: list[Option] = []
    sections: list[str] = []
    for option in line:
        if option.name == "flagfile":
            options += _read_flagfile(option, picked, sections, [], known)
    _check_sections(picked or [], sections, COMMAND_LINE)
    return options + [option for option in line if option.name != "flagfile"]


def values(path: str | os.PathLike[str]) -> dict[str, str]:
    """Reads the names and values of a flagfile without sections, such as a run folder's.

    The file may come from another version of this program, so unknown flags are accepted, and lines
    that are not flags are skipped.

    Raises:
      OSError: The file cannot be read.
    """
    found = {}
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
        for line in file:
            if flag := FLAG.fullmatch(line.strip()):
                found[flag[1]] = _unquoted(flag[2]) or ""
    return found


def _option(name: str, value: str | None, place: str, words: Iterator[str], known: Known) -> Option:
    """Checks the name, reads `noflip` as `flip=false`, and finds a value in the next word."""
    if name not in known.names and (switch := known.switch(name)):
        if value is not None:
            why = f"--{name} takes no value, got {value[:60]!r}"
            fail("bad value", place, why, f"write --{switch}=...")
        return Option(switch, "false", place)
    if name not in known.names and name != "flagfile":
        choices = [*known.names, *(f"no{switch}" for switch in known.switches), "flagfile"]
        near = difflib.get_close_matches(name, choices, n=1)
        remedy = f"did you mean --{near[0]}?" if near else "see --help"
        fail("unknown flag", place, f"there is no --{name}", remedy)
    if value is None:
        value = "true" if name in known.switches else next(words, None)
    if value is None:
        fail("bad value", place, f"--{name} needs a value", f"write --{name}=...")
    return Option(name, value, place)


def _read_flagfile(
    source: Option,
    picked: list[str] | None,
    sections: list[str],
    parents: list[str],
    known: Known,
) -> list[Option]:
    """Lists a flagfile's common part, then the picked sections.

    Args:
      source: The `--flagfile` option.
      picked: Sections named on the command line; None takes the file's own default.
      sections: Collects the names of all sections.
      parents: The files that led to this one.
      known: The flags there are.
    """
    path = paths.expanded(source.value)
    try:
        parts = _parts(path, known)
        path = os.path.realpath(path)
    except OSError as error:
        why = f"{path}: {error.strerror}"
        fail("unreadable flagfile", source.place, why, "paths start at the working folder")
    if path in parents:
        fail("flagfile cycle", source.place, f"{path} is being read already", "remove this line")

    names = [name for name in parts if name]
    sections += names
    chosen = picked or []
    for option in parts[""]:
        if option.name == "section" and picked is None:
            chosen = _split(option.value)
            _check_sections(chosen, names, option.place)
    options = []
    for option in [option for name in ["", *chosen] for option in parts.get(name, [])]:
        if option.name == "flagfile":
            options += _read_flagfile(option, picked, sections, [*parents, path], known)
        else:
            options.append(option)
    return options


def _parts(path: str, known: Known) -> dict[str, list[Option]]:
    """Reads a file into its sections; the lines above the first header are section ""."""
    section = ""
    parts: dict[str, list[Option]] = {section: []}
    with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:  # paths are bytes
        for number, line in enumerate(file, start=1):
            text, place = line.strip(), f"{path}:{number}"
            if not text or text.startswith(("#", "//")):
                continue
            if header := HEADER.fullmatch(text):
                section = header[1]
                if section in parts:
                    fail("bad line", place, f"[{section}] came before", "join the two")
                parts[section] = []
            elif flag := FLAG.fullmatch(text):
                name, value = flag.groups()
                option = _option(name, _unquoted(value), place, iter(()), known)
                if option.name == "section" and section:
                    why = "--section must stand above the first header"
                    fail("bad line", place, why, "move it there")
                parts[section].append(option)
            else:
                almost = ALMOST_FLAG.fullmatch(text)
                remedy = "=".join(filter(None, almost.groups())) if almost else "name=value"
                why = f"a line must be --name=value, got {text[:60]!r}"
                fail("bad line", place, why, f"write --{remedy}")
    return parts


def _unquoted(value: str | None) -> str | None:
    """Returns the value of a flag, decoded as a JSON string if it begins with a quote."""
    return json.loads(value, strict=False) if value and value.startswith('"') else value


def _split(value: str) -> list[str]:
    return [name for name in map(str.strip, value.split(",")) if name]


def _check_sections(chosen: list[str], sections: list[str], place: str) -> None:
    """Refuses a section that no flagfile has."""
    known = ", ".join(f"[{name}]" for name in sections)
    remedy = f"choose from {known}" if known else "give a --flagfile that has it"
    for name in chosen:
        if name not in sections:
            fail("unknown section", place, f"there is no [{name}]", remedy)


def fail(what: str, place: str, why: str, remedy: str = "see --help") -> NoReturn:
    """Raises the `UsageError` of a mistake at a place."""
    raise UsageError(f"{what} in {place} - {why}; {remedy}")
