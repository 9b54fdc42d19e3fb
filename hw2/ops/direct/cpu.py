"""The instruction sets that the kernel is compiled for, and those that this CPU has."""

from __future__ import annotations

import functools
import os
import platform
from pathlib import Path
from typing import NamedTuple

from hw2.ops.direct.unavailable import Unavailable

VARIABLE = "HW2_DIRECT_ISA"  # names the instruction set, for tests
PLAIN = "plain"  # what every CPU of an architecture has; on ARM that includes NEON


class InstructionSet(NamedTuple):
    """What a compiler is told, and what the CPU must have."""

    flags: tuple[str, ...]
    needs: frozenset[str]  # as Linux lists them in /proc/cpuinfo


# x86-64-v3, of Haswell, 2013, and x86-64-v4
_V3 = frozenset(["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"])
_V4 = _V3 | frozenset(["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"])

# The best first.
SETS = {
    "avx512_bf16": InstructionSet(("-march=x86-64-v4", "-mavx512bf16"), _V4 | {"avx512_bf16"}),
    "avx512": InstructionSet(("-march=x86-64-v4",), _V4),
    "avx2": InstructionSet(("-march=x86-64-v3",), _V3),
    PLAIN: InstructionSet((), frozenset()),
}


def chosen() -> str:
    """Names the best instruction set of this CPU, or the one that the environment names.

    Raises:
      Unavailable: The environment names one that the CPU has not.
    """
    name = os.environ.get(VARIABLE)
    if not name:
        return available()[0]
    if name not in available():
        raise Unavailable(
            f"{VARIABLE} must be an instruction set of this CPU, got {name!r}",
            f"take one of {', '.join(available())}, or unset it",
        )
    return name


def available() -> list[str]:
    """Names the instruction sets that this CPU has, the best first."""
    has = _flags() if platform.machine().lower() in ("x86_64", "amd64") else frozenset()
    return [name for name, needed in SETS.items() if needed.needs <= has]


def name() -> str:
    """The CPU's own name, or its architecture where the system does not tell."""
    for line in _cpuinfo():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _flags() -> frozenset[str]:
    for line in _cpuinfo():
        if line.startswith("flags"):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


@functools.cache
def _cpuinfo() -> tuple[str, ...]:
    try:
        return tuple(Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines())
    except OSError:  # not Linux
        return ()
