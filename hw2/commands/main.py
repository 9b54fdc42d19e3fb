"""The `hw2` command: it finds the command that its first word names, and runs it."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

import hw2
from hw2.commands import launch
from hw2.commands.command import Command
from hw2.config import flagfile

HEAD = """Image classification on hand-written convolution.

usage: hw2 COMMAND [PATH or RUN ...] [--name=value ...]
"""
COMMANDS = {  # module of hw2.commands, and the first line of its docstring
    "train": "Trains a model on one device.",
    "multi_gpu_train": "Trains a model on several devices or machines at once.",
    "eval": "Evaluates a trained model: loss, top-1 and top-k accuracy.",
    "calibrate": "Fits the probabilities of a run to its held-out pictures.",
    "predict": "Classifies pictures with a trained model.",
    "embed": "Writes the features of pictures, as an array and a list.",
    "serve": "Opens a page to try a trained model on pictures.",
    "folds": "Trains once for each fold or seed, and finds suspect labels.",
    "mend": "Writes the labels of a data set as a list, with corrections.",
    "report": "Writes an HTML page about a run, or a comparison of several.",
    "diagnose": "Says what the curves of a run show, and what to try next.",
    "export": "Writes a trained model as a file that runs without hw2.",
    "scan": "Lists the classes of a data set, and its damaged files.",
    "preview": "Draws pictures as the network sees them in training.",
    "shard": "Writes a data set as TFRecord shards.",
    "weights": "Fetches trained weights, to train from or to predict with.",
    "models": "Lists the models, their parameters and their cost.",
    "bench": "Compares convolutions on every layer of a model.",
    "draw": "Draws a convolution as a moving picture.",
    "exercises": "Lays out exercises in convolution, which grade themselves.",
    "grade": "Grades exercises, and says what kind of mistake is in them.",
    "verify": "Compares every op with its definition and with TensorFlow.",
}
TAIL = "`hw2 COMMAND --help` explains a command; `hw2 --version` prints the version."


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Runs the command that the first word names, and exits.

    Args:
      argv: The program's name, then its arguments; by default `sys.argv`.
    """
    _, *words = sys.argv if argv is None else argv
    name = words[0] if words else "--help"
    if name in COMMANDS:
        call(name, [f"hw2 {name}", *words[1:]], recipes=True)
    launch.run(_nothing, argv=words, parse=_parse, tensorflow=False)


def call(name: str, argv: Sequence[str] | None = None, *, recipes: bool = False) -> NoReturn:
    """Runs a command and exits.

    Args:
      name: One of `COMMANDS`.
      argv: The program's name, then its arguments; by default `sys.argv`.
      recipes: Whether a built-in data set, named without a flagfile, brings its recipe. The
        scripts beside the package have no recipes, and leave every flag at its default.
    """
    command: Command = importlib.import_module(f"hw2.commands.{name}").COMMAND
    command(sys.argv if argv is None else argv, recipes=recipes)


def _parse(words: Sequence[str]) -> NoReturn:
    """Prints what `hw2` itself has to say, and exits; refuses a word that is no command."""
    name = words[0] if words else "--help"
    bare = name.lstrip("-")
    if bare == "version":
        print(f"hw2 {hw2.__version__}", flush=True)  # a closed pipe is felt here
        sys.exit(0)
    if bare in flagfile.HELP:
        lines = [f"  {command:<17} {text}" for command, text in COMMANDS.items()]
        print(HEAD, "commands:", *lines, "", TAIL, sep="\n", flush=True)
        sys.exit(0)
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    remedy = f"did you mean hw2 {near[0]}?" if near else "see hw2 --help"
    what, why = "unknown command", f"there is no hw2 {name[:60]}"
    flagfile.fail(what, flagfile.COMMAND_LINE, why, remedy)


def _nothing(_: object) -> None:
    """What is left to do after `_parse`, which always exits."""
