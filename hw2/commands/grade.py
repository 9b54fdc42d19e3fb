"""Grades exercises, and says what kind of mistake is in them.

    hw2 grade FOLDER/1_unfold.py
    hw2 grade FOLDER            # all exercises that have been begun
    hw2 grade mine.py --exercise=conv2d --json

The code runs in a process of its own, which is stopped after --seconds. Each function is compared
with its definition in float64 on images of many shapes, then timed beside im2col and tf.nn. Exits
with 1 if something that was begun is wrong.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hw2.commands.command import Command, Own
from hw2.config.fields import setting
from hw2.config.rules import at_least
from hw2.config.settings import Config
from hw2.errors import UsageError

PRINTED = 20  # lines of what a student's code prints


def _grade(config: Config, own: Own) -> int:
    """Grades files, and all files of folders."""
    from hw2.exercises import grade as grades  # imports TensorFlow
    from hw2.exercises.course import EXERCISES
    from hw2.exercises.run import NoCompiler

    if not own.rest:
        raise UsageError("no file to grade - give one: hw2 grade FOLDER/1_unfold.py")
    files = []
    for path in map(Path, own.rest):
        there = [path / one.file for one in EXERCISES if (path / one.file).is_file()]
        if path.is_dir() and not there:
            raise UsageError(f"no exercises in {path} - hw2 exercises {path} lays them out")
        files += there if path.is_dir() else [path]
    whole: list[dict[str, Any]] = []
    wrong = 0
    for file in files:
        try:
            found, printed = grades.grade(file, exercise=own.exercise, seconds=own.seconds)
        except NoCompiler as fault:  # all others of a folder can be graded
            if len(files) == 1:
                raise
            whole.append({"file": str(file), "functions": [], "times": {}, "skipped": str(fault)})
            if not own.json:
                print(file, f"  skipped: {fault}", sep="\n", flush=True)
            continue
        peers = {g.function: _peers(file, own.exercise, g) for g in found}
        wrong += sum(g.state == grades.WRONG for g in found)
        whole.append({"file": str(file), "functions": [vars(g) for g in found], "times": peers})
        if not own.json:
            print(*_lines(file, found, peers, printed), sep="\n", flush=True)
    if own.json:
        print(json.dumps(whole, indent=1))
    elif len(files) > 1:
        every = [g for one in whole for g in one["functions"]]
        right = sum(g["state"] == grades.RIGHT for g in every)
        print(f"{right} of {len(every)} functions are right")
    return int(wrong > 0)


def _peers(file: Path, exercise: str, grade: Any) -> dict[str, float]:
    """Times of im2col and tf.nn, where the student's function has one."""
    if grade.seconds is None:
        return {}
    from hw2.exercises import grade as grades
    from hw2.exercises import peers

    functions = {f.name: f for f in grades.chosen(file, exercise).functions()}
    function = functions[grade.function]
    timed = grades.single_precision(function.timed.arguments) if function.timed else ()
    return peers.seconds(function, timed)


def _lines(
    file: Path, found: list[Any], peers: dict[str, dict[str, float]], printed: str
) -> list[str]:
    """What people read about a file."""
    lines = [str(file)]
    for grade in found:
        mark = {"right": "right", "wrong": "NOT YET", "not begun": "not begun"}[grade.state]
        cases = f"{grade.right} of {grade.cases} cases right"
        if grade.state == "wrong" and grade.right == grade.cases:
            cases = "the values are right in all cases, but:"
        elif grade.state == "not begun":
            cases = ""
        lines.append(f"  {grade.function:22} {mark:11}{cases}")
        lines += [f"    {sentence}" for sentence in dict.fromkeys(grade.sentences)]
        if grade.state == "right":
            figures = [f"largest error {grade.error:.0e}"]
            if grade.adjoint is not None:
                figures.append(f"adjoint identity {grade.adjoint:.0e}")
            if grade.seconds is not None:
                times = {"yours": grade.seconds} | peers[grade.function]
                figures += [f"{name} {1e3 * value:.3g} ms" for name, value in times.items()]
            lines.append(f"    {', '.join(figures)}")
    said = printed.splitlines()
    if said:
        lines += ["  your code printed:", *(f"    {line}" for line in said[:PRINTED])]
        lines += ["    ..."] * (len(said) > PRINTED)
    return lines


COMMAND = Command(
    __doc__,
    _grade,
    many=True,
    flags={
        "exercise": setting("", "its exercise, as conv2d; empty to go by the file's name"),
        "seconds": setting(60, "after which the code is stopped", at_least(1)),
        "json": setting(False, "print JSON"),
    },
    reads=("debug",),
)
