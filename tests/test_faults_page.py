"""The table of docs/faults.md: every number is in it once, and its tests exist and carry it."""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "faults.md").read_text("utf-8")
ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+?) \| (.+) \|$", re.MULTILINE)
ROWS = {int(row[1]): row for row in ROW.finditer(PAGE)}
REPORTED = range(134, 173)  # the numbers of faults that users of other programs reported


@functools.cache
def marked(file):
    """The numbers of each test of a file, those of the whole file included."""
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    of_all = [
        number
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
        for number in numbers(node.value)
    ]
    return {
        node.name: {*of_all, *(n for mark in node.decorator_list for n in numbers(mark))}
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def numbers(node):
    """The numbers of the `pytest.mark.fault(...)` in a piece of code."""
    return [
        call.args[0].value
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.fault"
    ]


def test_every_number_is_there_once():
    assert sorted(int(row[1]) for row in ROW.finditer(PAGE)) == list(range(1, max(ROWS) + 1))
    assert len(ROWS) > 150


@pytest.mark.parametrize("number", ROWS)
def test_a_row_has_words_and_tests_that_carry_its_number(number):
    _, was, now, tests = ROWS[number].groups()
    assert min(len(was), len(now)) > 3
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", tests)
    assert tests == "<br>".join(f"`{file}::{name}`" for file, name in named)
    for file, name in named:
        assert number in marked(file).get(name, ()), f"{file}::{name} does not carry {number}"
    assert ("](https://" in was) == (number in REPORTED)


def test_every_number_on_a_test_has_a_row():
    files = [path for path in (ROOT / "tests").rglob("test_*.py")]
    carried = {n for path in files for found in marked(path).values() for n in found}
    assert carried == ROWS.keys()
