"""The machines that train together, as `TF_CONFIG` or the variables of Slurm list them.

TensorFlow is not imported here, so that a mistake is found before TensorFlow waits for others.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import re
import socket
from collections.abc import Mapping
from typing import Any

from hw2.errors import UsageError

SLURM_PORT = 8470  # of a host's first task; its other tasks take the ports after it


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Addresses `host:port` of all workers, and which of them this process is.

    By default a process by itself: the first and only worker, which nobody has to reach.
    """

    workers: tuple[str, ...] = ("localhost",)
    index: int = 0

    @property
    def several(self) -> bool:
        """Whether there is more than one worker."""
        return len(self.workers) > 1

    @property
    def is_first(self) -> bool:
        """Whether this is the worker that writes the run folder and prints to the terminal."""
        return self.index == 0

    @property
    def tf_config(self) -> str:
        """The value of `TF_CONFIG` that describes this cluster."""
        task = {"type": "worker", "index": self.index}
        return json.dumps({"cluster": {"worker": list(self.workers)}, "task": task})


def from_environment(environ: Mapping[str, str]) -> Cluster:
    """Reads the cluster from the environment variables that describe it.

    Args:
      environ: `TF_CONFIG` takes precedence over the variables that Slurm's `srun` sets.

    Returns:
      A cluster of one worker if the variables name no other.

    Raises:
      UsageError: The variables are malformed or contradict each other.
    """
    if environ.get("TF_CONFIG"):
        return _from_tf_config(environ["TF_CONFIG"])
    tasks = environ.get("SLURM_STEP_NUM_TASKS") or "1"
    if not tasks.isdecimal():
        raise UsageError(
            "bad value in the variables of Slurm - SLURM_STEP_NUM_TASKS must be a number, got "
            f"{tasks!r}; start with srun, or unset it"
        )
    if int(tasks) > 1 and "SLURM_PROCID" in environ:
        return _from_slurm(environ)
    return Cluster()


def check_port(cluster: Cluster) -> None:
    """Refuses a port that another program uses; TensorFlow would hang, or exit silently.

    Raises:
      UsageError: The port of this worker is taken.
    """
    address = cluster.workers[cluster.index]
    host, port = address.rsplit(":", 1)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("", int(port)))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                return  # TensorFlow has a better message for it
            why = (error.strerror or str(error)).lower()
            raise UsageError(
                f"cannot serve on {address} - {why}; end the program that has "
                f"port {port}, or give worker {cluster.index} another one on all machines"
            ) from None


def _from_tf_config(text: str) -> Cluster:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise _bad(f"it is not JSON: {error}") from None
    workers, index = _workers_and_index(value)
    if not workers:
        return Cluster()
    for address in workers:
        host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
        if not (host and port.isascii() and port.isdecimal() and 0 < int(port) < 2**16):
            raise _bad(f"an address must be host:port, got {address!r}")
    if len(set(workers)) != len(workers):
        raise _bad("two workers have one address")
    if type(index) is not int or not 0 <= index < len(workers):
        raise _bad(
            f"the task's index must be in [0, {len(workers)}), one for each worker, got {index!r}"
        )
    return Cluster(tuple(workers), index) if len(workers) > 1 else Cluster()


def _workers_and_index(value: Any) -> tuple[list, Any]:
    """Reads the addresses of all workers and the index of this one from a parsed `TF_CONFIG`."""
    for name in ("cluster", "task"):
        if not isinstance(value, dict) or not isinstance(value.get(name), dict):
            raise _bad(f"it must be an object with objects cluster and task, {name!r} is not")
    cluster, task = value["cluster"], value["task"]
    if odd := sorted(set(cluster) - {"worker", "chief"}):
        raise _bad(f"jobs must be worker, or chief and worker, got {', '.join(odd)}")
    chiefs, workers = cluster.get("chief", []), cluster.get("worker", [])
    if not isinstance(chiefs, list) or not isinstance(workers, list):
        raise _bad("addresses must be in a list")
    kind, index = task.get("type"), task.get("index")
    if kind not in ("chief", "worker"):
        raise _bad(f"the task's type must be worker or chief, got {kind!r}")
    if kind == "chief" and not (type(index) is int and 0 <= index < len(chiefs)):
        raise _bad(
            f"the chief's index must be in [0, {len(chiefs)}), one for each chief, got {index!r}"
        )
    if kind == "worker" and type(index) is int and index >= 0:
        index += len(chiefs)
    return [*chiefs, *workers], index


def _bad(why: str) -> UsageError:
    return UsageError(
        f"bad value in TF_CONFIG - {why}; write for example "
        '{"cluster": {"worker": ["host0:8470", "host1:8470"]}, '
        '"task": {"type": "worker", "index": 0}}'
    )


def _from_slurm(environ: Mapping[str, str]) -> Cluster:
    try:
        hosts = _hosts(environ["SLURM_STEP_NODELIST"])
        counts = _counts(environ["SLURM_STEP_TASKS_PER_NODE"])
        index = int(environ["SLURM_PROCID"])
        if len(hosts) != len(counts):
            raise ValueError(f"{len(hosts)} hosts and {len(counts)} counts of tasks")
        workers = tuple(
            f"{host}:{SLURM_PORT + task}"
            for host, count in zip(hosts, counts, strict=True)
            for task in range(count)
        )
        if not 0 <= index < len(workers):
            raise ValueError(f"SLURM_PROCID is {index} of {len(workers)} tasks")
    except (KeyError, ValueError) as error:
        raise UsageError(
            f"bad value in the variables of Slurm - {error}; start with srun, whose tasks are "
            "laid out in blocks (--distribution=block), or set TF_CONFIG"
        ) from None
    return Cluster(workers, index)


def _hosts(text: str) -> list[str]:
    """Expands a list of hosts: "a[1-2,07],b" is a1, a2, a07, b."""
    hosts = []
    for part in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", text):
        names = [""]
        for plain, ranges in re.findall(r"([^\[]+)|\[([^\]]*)\]", part):
            ends = [plain] if plain else [n for r in ranges.split(",") for n in _numbers(r)]
            names = [name + end for name in names for end in ends]
        hosts += names
    return hosts


def _numbers(text: str) -> list[str]:
    low, _, high = text.partition("-")
    return [f"{n:0{len(low)}}" for n in range(int(low), int(high or low) + 1)]


def _counts(text: str) -> list[int]:
    """Expands counts of tasks: "2(x3),1" is 2, 2, 2, 1."""
    counts = []
    for part in text.split(","):
        found = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if not found:
            raise ValueError(f"SLURM_STEP_TASKS_PER_NODE is {text!r}")
        counts += [int(found[1])] * int(found[2] or 1)
    return counts
