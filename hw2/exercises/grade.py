"""Grades a student's file: every function of an exercise, against its definition."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hw2.errors import UsageError
from hw2.exercises import adjoint, course, diagnosis, run
from hw2.exercises.course import Case, Exercise, Function
from hw2.exercises.run import Call, Outcome

RIGHT, WRONG, NOT_BEGUN = "right", "wrong", "not begun"
SINGLE = 1e-5  # of results in float32, relative to the largest value
ADJOINT = 1e-12  # of the identity in float64


@dataclasses.dataclass
class Grade:
    """What is said about one function.

    Attributes:
      function: Its name.
      state: `RIGHT`, `WRONG` or `NOT_BEGUN`.
      right: Number of cases that are right.
      cases: Number of cases.
      sentences: What is wrong.
      error: Largest error of the right cases, relative to the largest value.
      adjoint: How far the adjoint identity is from holding; None where it does not apply.
      seconds: Time of the call that is timed; None without.
    """

    function: str
    state: str
    right: int
    cases: int
    sentences: list[str]
    error: float = 0.0
    adjoint: float | None = None
    seconds: float | None = None


def grade(file: Path, *, exercise: str = "", seconds: float = 60.0) -> tuple[list[Grade], str]:
    """Runs a file in a process of its own, and grades its functions.

    Args:
      file: The student's file.
      exercise: Name of the exercise; empty to go by the name of the file.
      seconds: After so many the process is stopped.

    Returns:
      A grade for each function, and what the file printed.

    Raises:
      UsageError: There is no such file, or no exercise of that name.
    """
    found = chosen(file, exercise)
    functions = found.functions()
    calls, places = _calls(functions, single=file.suffix == ".py")
    done = run.run(file, calls, seconds=seconds)
    if done.failure or (not done.functions and done.ended):
        sentence = _about_file(file, done.failure, done.ended, seconds)
        return [Grade(f.name, WRONG, 0, len(f.cases), [sentence]) for f in functions], done.printed
    grades = []
    stopped = ""  # why nothing was called any more
    for function in functions:
        own = {kind: done.outcomes[part] for kind, part in places[function.name].items()}
        if function.name not in done.functions:
            sentence = f"There is no function {function.name} in {file.name}: keep its name."
            grades.append(Grade(function.name, WRONG, 0, len(function.cases), [sentence]))
        elif stopped:
            sentence = f"It was not called, since {stopped}."
            grades.append(Grade(function.name, WRONG, 0, len(function.cases), [sentence]))
        else:
            grades.append(_graded(function, own, done.ended, seconds))
            if any(outcome.told is None for outcome in own["cases"] + own.get("single", [])):
                stopped = f"{function.name} did not return"
            elif any(outcome.told is None for outcome in own["timed"]):
                what = "the time was used up" if done.ended == "time" else "the program ended"
                stopped = f"{what} while {function.name} was timed"
    return grades, done.printed


def chosen(file: Path, name: str = "") -> Exercise:
    """The exercise of a file.

    Raises:
      UsageError: There is no such file, or no exercise of that name.
    """
    if not file.is_file():
        raise UsageError(f"no file {file} - hw2 exercises FOLDER lays the exercises out")
    exercise = course.find(name or file.name)
    if exercise is None:
        names = ", ".join(one.name for one in course.EXERCISES)
        raise UsageError(
            f"no exercise {name or file.name} - give --exercise, one of {names}, or keep the name "
            "of the file"
        )
    return exercise


def _calls(
    functions: Sequence[Function], *, single: bool
) -> tuple[list[Call], dict[str, dict[str, slice]]]:
    """All calls of a file, and where those of each function are."""
    calls: list[Call] = []
    places: dict[str, dict[str, slice]] = {}
    for function in functions:
        place = places[function.name] = {}
        kinds = {"cases": [case.arguments for case in function.cases]}
        if single:
            kinds["single"] = [single_precision(function.cases[0].arguments)]
        kinds["timed"] = [single_precision(function.timed.arguments)] if function.timed else []
        for kind, arguments in kinds.items():
            start = len(calls)
            calls += [Call(function.name, values, kind == "timed") for values in arguments]
            place[kind] = slice(start, len(calls))
    return calls, places


def _graded(function: Function, own: dict[str, list[Outcome]], ended: str, seconds: float) -> Grade:
    """The grade of a function that there is."""
    outcomes = own["cases"]
    first = outcomes[0].told
    result = Grade(function.name, WRONG, 0, len(outcomes), [])
    if first and "error" in first and not first["begun"]:
        result.state = NOT_BEGUN
        return result
    in_cpp = "single" not in own
    pairs = list(zip(function.cases, outcomes, strict=True))
    if in_cpp and all(o.arrays and _untouched(c, o) for c, o in pairs):
        result.state = NOT_BEGUN
        return result
    tolerance = SINGLE if in_cpp else diagnosis.TOLERANCE
    troubles, arrays, same, right = [], [], [], []
    for case, outcome in pairs:
        trouble, usable = _trouble(function, case, outcome, ended, seconds)
        arrays.append(outcome.arrays if usable else None)
        truth = function.truth(*case.arguments)
        same.append(usable and diagnosis.same(outcome.arrays, truth, tolerance))
        right.append(same[-1] and not trouble)
        if trouble and trouble not in troubles:
            troubles.append(trouble)
        if right[-1]:
            parts = zip(outcome.arrays, diagnosis.as_list(truth), strict=True)
            result.error = max(result.error, *(diagnosis.error(a, b) for a, b in parts))
    result.right = sum(right)
    if any(a is not None and not s for a, s in zip(arrays, same, strict=True)):
        result.sentences.append(diagnosis.told(function, arrays, same, tolerance))
    elif all(s or "error" in (o.told or {}) for s, o in zip(same, outcomes, strict=True)):
        common = diagnosis.told_of_failures(function.cases, same)
        result.sentences += [common] if common else []
    result.sentences += troubles[:1] if result.sentences else troubles[:2]
    if all(right):
        if len(outcomes[0].arrays) == 1 and "single" in own:
            result.adjoint = adjoint.distance(function, [o.arrays[0] for o in outcomes])
        if result.adjoint is not None and result.adjoint > ADJOINT:
            result.sentences.append(
                f"The adjoint identity sum(y*dy) = sum(x*dx) is off by {result.adjoint:.0e}, for "
                "float64 arrays: is something computed in float32?"
            )
        result.sentences += _about_single(function, own.get("single", []))
        timed = own["timed"][0].told if own["timed"] else None
        result.seconds = timed.get("seconds") if timed else None
    if not result.sentences:
        result.state = RIGHT
    return result


def _trouble(
    function: Function, case: Case, outcome: Outcome, ended: str, seconds: float
) -> tuple[str, bool]:
    """What is wrong with a result apart from its values, and whether it may be compared."""
    told, where = outcome.told, f"for {case.words}"
    if told is None:
        if ended == "time":
            return (
                f"It had not returned after {seconds:g} seconds, {where}: look for a loop that "
                "does not end, or for loops over single numbers.",
                False,
            )
        return f"There is no result {where}: {ended or 'an earlier call ended the program'}.", False
    if told.get("error") == "Outside":
        return f"Row distance ignored: {told['text']}, {where}.", False
    if "error" in told:
        line = f" in line {told['line']}" if told["line"] else ""
        return f"It raises {told['error']}{line}: {told['text']} - {where}.", False
    expected = diagnosis.as_list(function.truth(*case.arguments))
    if told["kinds"] == ["NoneType"]:
        return "It returns None: is the return at its end missing?", False
    if len(told["kinds"]) != len(expected) or not outcome.arrays:
        kinds = ", ".join(told["kinds"])
        return f"It must return {_number(len(expected))}, it returns {kinds}.", False
    for array in outcome.arrays:
        if not np.issubdtype(array.dtype, np.floating):
            return (
                f"The result has the dtype {array.dtype}, it should be float64 {where}: make "
                f"arrays with the dtype of {_first(function)}.",
                False,
            )
        if not np.isfinite(array).all():
            kind = "NaN" if np.isnan(array).any() else "infinity"
            return (
                f"The result has {kind} in it, {where}: is there a division by 0, or an array "
                "that was never filled (np.empty)?",
                False,
            )
    if told["changed"]:
        return (
            "It changes the array that it is given: work on a copy, or on a new array of zeros.",
            True,
        )
    return "", True


def _untouched(case: Case, outcome: Outcome) -> bool:
    """Whether an inner loop has left the result as it was."""
    return np.array_equal(outcome.arrays[0], case.arguments[2].astype(np.float32))


def _about_single(function: Function, outcomes: Sequence[Outcome]) -> list[str]:
    """What is wrong with a result of float32 arrays."""
    for outcome in outcomes:
        if outcome.told is None or "error" in outcome.told:
            return ["It fails for float32 arrays."]
        for array in outcome.arrays:
            if array.dtype != np.float32:
                name = _first(function)
                return [
                    f"For float32 arrays the result has the dtype {array.dtype}: make arrays "
                    f"with the dtype of {name}, as np.zeros(shape, {name}.dtype)."
                ]
    return []


def _first(function: Function) -> str:
    """The name of a function's first argument, with which the words of a case begin."""
    return function.cases[0].words.partition(" ")[0]


def _about_file(file: Path, failure: dict[str, Any] | None, ended: str, seconds: float) -> str:
    """Why a file cannot be used."""
    if failure is None:
        if ended == "time":
            return f"{file.name} had not been read after {seconds:g} seconds: look for a loop."
        return f"{file.name} cannot be used: {ended}."
    line = f", line {failure['line']}" if failure["line"] else ""
    if failure["error"] in ("SyntaxError", "IndentationError", "TabError"):
        return (
            f"{file.name}{line} is not Python ({failure['text']}): correct the line, or the one "
            "before."
        )
    if failure["error"] == "the compiler":
        return f"{file.name}{line} is refused by the compiler: {failure['text']}."
    return f"{file.name}{line} fails when it is imported: {failure['error']}: {failure['text']}."


def single_precision(arguments: tuple) -> tuple:
    """Arguments with arrays in float32."""
    return tuple(a.astype(np.float32) if isinstance(a, np.ndarray) else a for a in arguments)


def _number(count: int) -> str:
    return "an array" if count == 1 else f"a tuple of {count} arrays"
