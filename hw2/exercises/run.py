"""Runs a student's code in a process of its own, with a limit of time."""

from __future__ import annotations

import json
import os
import pickle
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import hw2
from hw2.errors import UsageError

PRINTED = 20_000  # bytes of what is printed that are kept
COMPILERS = ("c++", "g++", "clang++")  # looked for in this order, as for hw2's own kernel
COMPILING = 60  # seconds; it takes about one


class NoCompiler(UsageError):
    """There is no compiler for an exercise in C++."""


class Call(NamedTuple):
    """What a student's function is called with; `timed` asks for its time instead of its result."""

    function: str
    arguments: tuple
    timed: bool = False


class Outcome(NamedTuple):
    """What came of a call.

    Attributes:
      arrays: The result, or the parts of a tuple; empty unless all are arrays.
      told: What the process wrote of the call; None where it was not made.
    """

    arrays: list[np.ndarray]
    told: dict[str, Any] | None


class Run(NamedTuple):
    """What came of a file.

    Attributes:
      functions: Those that the file has.
      outcomes: One for each call.
      failure: Why the file itself could not be used, as the process wrote it; else None.
      ended: "time" if it was stopped, words about how the process ended if it ended by itself in
        the middle, else "".
      printed: What the student's code printed.
    """

    functions: list[str]
    outcomes: list[Outcome]
    failure: dict[str, Any] | None
    ended: str
    printed: str


def run(file: Path, calls: Sequence[Call], *, seconds: float) -> Run:
    """Calls the functions of a file.

    Args:
      file: The student's file: Python, or C++ that is compiled first.
      calls: The calls, in order.
      seconds: After so many the process is stopped.

    Raises:
      NoCompiler: There is no compiler for C++.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = file.resolve()
        if file.suffix in (".cc", ".cpp"):
            path, failure = _compiled(path, folder)
            if failure:
                return Run([], [], failure, "", "")
        request = {"file": str(path), "calls": [tuple(call) for call in calls]}
        (folder / "calls.pickle").write_bytes(pickle.dumps(request))
        ended, printed = _wait(folder, path.parent, seconds)
        about = _read(folder / "import.json")
        if about is None:
            return Run([], [], None, ended or "it ended while it was imported", printed)
        if "error" in about:
            return Run([], [], about, "", printed)
        outcomes = [_outcome(folder, number) for number in range(len(calls))]
        return Run(about["functions"], outcomes, None, ended, printed)


def _wait(folder: Path, working: Path, seconds: float) -> tuple[str, str]:
    """Starts the process and waits; returns how it ended if not well, and what it printed."""
    package = str(Path(hw2.__file__).parents[1])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1"}
    with (folder / "printed").open("wb") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", "hw2.exercises.child", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            cwd=folder if not working.is_dir() else working,
            env=environment,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
            ended = "" if code == 0 else _how(code)
        except subprocess.TimeoutExpired:
            ended = "time"
        finally:
            _end(process)
    with (folder / "printed").open("rb") as said:
        return ended, said.read(PRINTED).decode("utf-8", "replace")


def _end(process: subprocess.Popen) -> None:
    """Ends the process, and those that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (PermissionError, ProcessLookupError):
        process.kill()
    process.wait()


def _how(code: int) -> str:
    """How a process ended, in words."""
    if code in (-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGABRT):
        return "it crashed, most likely by reading or writing outside of an array"
    if code < 0:
        return f"the signal {signal.Signals(-code).name} ended it"
    return f"it ended the program itself, with exit code {code}"


def _outcome(folder: Path, number: int) -> Outcome:
    told = _read(folder / f"{number}.json")
    arrays: list[np.ndarray] = []
    if told and "kinds" in told:
        paths = [folder / f"{number}-{k}.npy" for k in range(len(told["kinds"]))]
        if all(path.exists() for path in paths):
            arrays = [np.load(path, allow_pickle=False) for path in paths]
    return Outcome(arrays, told)


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def _compiled(path: Path, folder: Path) -> tuple[Path, dict[str, Any] | None]:
    """Compiles C++; returns the library, or what the compiler refuses."""
    library = folder / "student.so"
    options = ["-std=c++17", "-O3", "-march=native", "-shared", "-fPIC"]
    with subprocess.Popen(
        [*_compiler(path), *options, str(path), "-o", str(library)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"LC_ALL": "C"},  # messages in English, in which errors are looked for
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            _, said = process.communicate(timeout=COMPILING)
        except subprocess.TimeoutExpired:
            text = f"it had not finished after {COMPILING} seconds"
            return library, {"error": "the compiler", "text": text, "line": None}
        finally:
            _end(process)
    if process.returncode == 0:
        return library, None
    lines = [line for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line] or lines or ["no reason given"]
    place, _, text = errors[0].partition("error: ")
    numbers = [part for part in place.split(":") if part.strip().isdigit()]
    line = int(numbers[0]) if numbers else None
    return library, {"error": "the compiler", "text": text or errors[0], "line": line}


def _compiler(path: Path) -> list[str]:
    """The command of `$CXX` with its options, or the first of `COMPILERS` on the PATH."""
    named = shlex.split(os.environ.get("CXX", ""))
    found = next(filter(None, map(shutil.which, named[:1] or COMPILERS)), None)
    if found is None:
        raise NoCompiler(f"no C++ compiler for {path.name} - install g++, or set CXX to yours")
    return [found, *named[1:]]
