"""What a figure depends on: the CPU, its instruction sets and cores, and the libraries.

Imports the standard library alone, so that a peer in any interpreter can use it.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys
from pathlib import Path

# Those that decide how fast a convolution can be, as Linux lists them; asimd is ARM's.
SETS = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16", "asimd")


def cpu() -> dict[str, object]:
    """Names this machine's CPU, those of `SETS` that it has, and the cores for this process."""
    name, sets = described(_cpuinfo())
    return {
        "CPU": name or platform.processor() or platform.machine(),
        "instruction sets": " ".join(sets) or "not told by this system",
        "cores": cores(),
    }


def described(cpuinfo: str) -> tuple[str, list[str]]:
    """Reads the CPU's name and those of `SETS` that it has from the text of /proc/cpuinfo."""
    name = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    has = set(flags[1].split()) if flags else set()
    return (name[1].strip() if name else ""), [one for one in SETS if one in has]


def cores() -> int:
    """The cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def libraries(*names: str) -> dict[str, object]:
    """Versions of those libraries that this interpreter has, by name."""
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def kernel() -> dict[str, object]:
    """Says for which instruction set hw2's kernel is compiled, or why there is none."""
    try:
        from hw2.ops.direct import cpu, library
    except ImportError:
        return {"hw2's kernel": "none in this version"}
    try:
        library.load()
    except ValueError as error:
        return {"hw2's kernel": f"none: {error}"}
    return {"hw2's kernel": cpu.chosen()}


def peak_mb() -> int:
    """The largest that this process has been, in 10^6 bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would begin at the size of the process that started this one
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024 // 10**6
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest * (1 if sys.platform == "darwin" else 1024) // 10**6


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:  # not Linux
        return ""
