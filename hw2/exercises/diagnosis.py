"""What kind of mistake a wrong result looks like, in words."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from hw2.exercises.course import Case, Function
from hw2.exercises.mistakes import MISTAKES

TOLERANCE = 1e-6  # of float64, relative to the largest value
_MOST_PAIRS = 600
_HINTS = {  # what to look at where all cases of a kind are wrong, and no others
    "several images": "check that every image of the batch is handled",
    "several channels": "check that every channel is handled, and that the channels of a pixel "
    "stay together",
    "images that are not square": "are height and width of the image swapped somewhere?",
    "padding SAME": "look at the zeros around the image",
    "padding VALID": "is something padded that must not be?",
    "a stride above 1": "look at how far the window moves, and at the padding",
    "a dilation above 1": "look at the distance of the taps, and at the padding",
    "kernels that are not square": "are height and width of the kernel swapped somewhere? It is "
    "(rows, columns)",
    "kernels of an even size": "look at where a half is rounded, as in (size - 1) // 2",
}

Results = Sequence[list[np.ndarray] | None]  # the arrays of each case; None where there are none


def told(function: Function, found: Results, right: Sequence[bool], tolerance: float) -> str:
    """Names the mistake, or says as well as can be which results are wrong.

    Args:
      function: What was to be written.
      found: The result of each of its cases.
      right: Whether each is right.
      tolerance: Largest error of what is equal.
    """
    cases = function.cases
    names = _explanation(function, found, tolerance)
    if names:
        ended = [number for number, result in enumerate(found) if result is not None]
        which = _which([cases[number] for number in ended], [right[number] for number in ended])
        return " ".join(filter(None, [" And: ".join(MISTAKES[name] for name in names), which]))
    truths = [function.truth(*case.arguments) for case in cases]
    shapes = _shapes(cases, found, truths)  # which has a wrong case in it
    where = _where(cases, right, named=bool(shapes))
    words = [shapes, where, _values(found, truths, right)]
    return " ".join(filter(None, words)) or "The values are wrong."


def told_of_failures(cases: Sequence[Case], right: Sequence[bool]) -> str:
    """What the cases that give no result have in common, where all others are right; or ""."""
    tag = _common(cases, right)
    return f"It fails in all cases with {tag}, and in no others: {_hint(tag)}" if tag else ""


def same(found: Sequence[np.ndarray], truth: object, tolerance: float = TOLERANCE) -> bool:
    """Whether a result has the shape and the values of a definition."""
    expected = as_list(truth)
    return len(found) == len(expected) and all(
        a.shape == b.shape and error(a, b) <= tolerance
        for a, b in zip(found, expected, strict=True)
    )


def error(a: np.ndarray, b: np.ndarray) -> float:
    """max|a-b| / max|b|, of arrays of one shape."""
    if not a.size:
        return 0.0
    largest = float(np.max(np.abs(b))) or 1.0
    distance = float(np.max(np.abs(a.astype(np.float64) - b)))
    return distance / largest if np.isfinite(distance) else float("inf")


def as_list(truth: object) -> list[np.ndarray]:
    """A definition's result as a list of arrays."""
    return truth if isinstance(truth, list) else [np.asarray(truth)]


def _explanation(function: Function, found: Results, tolerance: float) -> tuple[str, ...]:
    """The mistakes with which the definition gives the student's results; () if there are none."""
    pairs = itertools.combinations(function.mistakes, 2)
    singles = ((name,) for name in function.mistakes)
    # Names for one and the same mistake must not hide each other, so the first that fits wins.
    for names in itertools.chain(singles, itertools.islice(pairs, _MOST_PAIRS)):
        if _explains(function, frozenset(names), found, tolerance):
            return names
    return ()


def _explains(function: Function, names: frozenset[str], found: Results, tolerance: float) -> bool:
    """Whether mistakes give all the results that there are, and there are some."""
    some = False
    for case, result in zip(function.cases, found, strict=True):
        if result is None:
            continue
        try:
            expected = _quietly(function.truth, case, names)
        except (IndexError, ValueError):  # with this mistake there would be no result
            return False
        if not same(result, expected, tolerance):
            return False
        some = True
    return some


def _quietly(truth: Callable[..., object], case: Case, names: frozenset[str]) -> object:
    with np.errstate(all="ignore"):
        return truth(*case.arguments, mistakes=names)


def _shapes(cases: Sequence[Case], found: Results, truths: Sequence[object]) -> str:
    """The first wrong shape."""
    for case, result, truth in zip(cases, found, truths, strict=True):
        if result is None:
            continue
        for a, b in zip(result, as_list(truth), strict=False):
            if a.shape != b.shape:
                hint = ""
                if sorted(a.shape) == sorted(b.shape):
                    hint = " (the same numbers in another order: are height and width swapped?)"
                elif a.size == b.size:
                    hint = " (a reshape is missing at the end)"
                return (
                    f"The shape is wrong: {list(a.shape)}, it should be {list(b.shape)}{hint}, "
                    f"for {case.words}."
                )
    return ""


def _common(cases: Sequence[Case], right: Sequence[bool]) -> str:
    """What all wrong cases have and no right one has; "" if there is nothing."""
    wrong = [case.tags for case, is_right in zip(cases, right, strict=True) if not is_right]
    good = [case.tags for case, is_right in zip(cases, right, strict=True) if is_right]
    if not good or not wrong:
        return ""
    alone = frozenset.intersection(*wrong) - frozenset.union(*good)
    return min(alone, default="")


def _hint(tag: str) -> str:
    """What to look at, as the end of a sentence."""
    return _HINTS[tag] if _HINTS[tag].endswith("?") else f"{_HINTS[tag]}."


def _which(cases: Sequence[Case], right: Sequence[bool]) -> str:
    """Which of the cases with a result are wrong, where a mistake has been named."""
    tag = _common(cases, right)
    wrong = [case for case, is_right in zip(cases, right, strict=True) if not is_right]
    if tag:
        return f"The wrong cases are those with {tag}."
    return f"A wrong case is {wrong[0].words}." if 0 < len(wrong) < len(cases) else ""


def _where(cases: Sequence[Case], right: Sequence[bool], *, named: bool) -> str:
    """What the wrong cases have in common, or one of them unless one is named already."""
    wrong = [case for case, is_right in zip(cases, right, strict=True) if not is_right]
    good = len(cases) - len(wrong)
    if not good or not wrong:
        return ""
    tag = _common(cases, right)
    if tag:
        return f"It is right in all cases but those with {tag}: {_hint(tag)}"
    if named:
        return f"It is right in {good} of {len(cases)} cases."
    if all(case.edge for case in wrong):
        return f"It is right but for an edge case: {wrong[0].words}."
    return f"It is right in {good} of {len(cases)} cases; a wrong one is {wrong[0].words}."


def _values(found: Results, truths: Sequence[object], right: Sequence[bool]) -> str:
    """How the values of the wrong cases differ."""
    pairs = [
        (a.astype(np.float64), b)
        for result, truth, is_right in zip(found, truths, right, strict=True)
        if result is not None and not is_right
        for a, b in zip(result, as_list(truth), strict=False)
        if a.shape == b.shape and error(a, b) > TOLERANCE
    ]
    if not pairs:
        return ""
    if all(error(-a, b) <= TOLERANCE for a, b in pairs):
        return "Every value has the wrong sign."
    ratios = [_ratio(a, b) for a, b in pairs]
    if all(ratio is not None for ratio in ratios):
        return f"Every value is {ratios[0]:.4g} times what it should be."
    if all(error(np.sort(a.ravel()), np.sort(b.ravel())) <= TOLERANCE for a, b in pairs):
        return (
            "The right numbers, but in other places: look at the order of the axes in each "
            "reshape, and at the order of rows and columns in each slice."
        )
    if all(not a.any() for a, _ in pairs):
        return "Every value is 0."
    if all(_inside_right(a, b) for a, b in pairs):
        return "Only values at the border are wrong: look at the padding."
    a, b = pairs[0]
    place = np.unravel_index(int(np.argmax(np.abs(a - b))), b.shape)
    at = ", ".join(str(int(i)) for i in place)
    return f"The value at [{at}] is {a[place]:.4g}, it should be {b[place]:.4g}."


def _ratio(a: np.ndarray, b: np.ndarray) -> float | None:
    """The number by which all values are multiplied, if there is one."""
    place = np.unravel_index(int(np.argmax(np.abs(b))), b.shape)
    ratio = float(a[place] / b[place]) if b[place] else 0.0
    return ratio if ratio and error(a / ratio, b) <= TOLERANCE else None


def _inside_right(a: np.ndarray, b: np.ndarray) -> bool:
    inner = (slice(None), slice(1, -1), slice(1, -1))
    return a.ndim == 4 and a[inner].size > 0 and error(a[inner], b[inner]) <= TOLERANCE
