"""Damaged files of every format, in a process of their own: no crash, no hang, none unnamed."""

import json
import os
import subprocess
import sys

import pytest

from tests.input.faulty import ROOT
from tests.input.mutate import OTHERS, PICTURES


def mutate(count, seed, *formats):
    """How many were read, and how many refused by name, of each format."""
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "tests/input/mutate.py", str(count), str(seed), *formats],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return json.loads(process.stdout)


def test_a_few_of_each():
    found = mutate(60, 1, *PICTURES, *OTHERS[:-1])
    for format in (*PICTURES, *OTHERS[:-1]):
        accepted, refused = found[format]
        assert accepted + refused == 60
        assert refused > 5, format  # the damage is real
    assert all(found[format][0] > 0 for format in PICTURES)  # and not always deadly


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("format", [*PICTURES, *OTHERS])
def test_two_thousand_of_each(format):
    accepted, refused = mutate(2000, 0, format)[format]
    assert accepted + refused == 2000
    assert refused > 200
