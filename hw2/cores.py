"""How many processor cores this process may use, which can be fewer than the machine has."""

from __future__ import annotations

import math
import os

CGROUP = "/sys/fs/cgroup"  # of a container, which sees its own group as the root


def usable(cgroup: str = CGROUP) -> int:
    """Returns the number of cores that affinity and a container's quota leave, at least 1.

    Source: docs.kernel.org/admin-guide/cgroup-v2.html, `cpu.max`, and for the first version
    docs.kernel.org/scheduler/sched-bwc.html, `cpu.cfs_quota_us`.
    """
    if hasattr(os, "sched_getaffinity"):  # set by taskset, Slurm and `docker run --cpuset-cpus`
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, min(cores, _quota(cgroup)))


def _quota(cgroup: str) -> int:
    """Returns the cores' worth of time that a container gets, rounded up."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            words = [word for name in names for word in _words(os.path.join(cgroup, name))]
            quota, period = int(words[0]), int(words[1])
        except (OSError, ValueError, IndexError):  # no such file, or "max", which is no quota
            continue
        if quota > 0 and period > 0:  # -1 is no quota
            return math.ceil(quota / period)
    return 2**31


def _words(path: str) -> list[str]:
    with open(path, encoding="ascii") as file:
        return file.read().split()
