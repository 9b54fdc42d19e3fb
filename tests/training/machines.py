"""Two worker processes on this machine, as TF_CONFIG has them."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def by_tf_config(count=2):
    """The environment of each worker."""
    workers = [f"127.0.0.1:{port}" for port in free_ports(count)]
    tasks = [{"type": "worker", "index": index} for index in range(count)]
    return [
        {"TF_CONFIG": json.dumps({"cluster": {"worker": workers}, "task": task})} for task in tasks
    ]


def by_slurm(count=2):
    """What srun sets for each task of one host; the ports are the real ones."""
    common = {
        "SLURM_STEP_NUM_TASKS": str(count),
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_STEP_TASKS_PER_NODE": str(count),
    }
    return [{"SLURM_PROCID": str(index), **common} for index in range(count)]


def start(script, folder, *flags, environments=None):
    """Starts the workers; what they say goes to files `err<index>` beside the run folder."""
    processes = []
    for index, environment in enumerate(environments or by_tf_config()):
        with open(f"{folder}.out{index}", "w") as out, open(f"{folder}.err{index}", "w") as err:
            process = subprocess.Popen(
                [sys.executable, *script, f"--log_path={folder}", *flags],
                cwd=ROOT,
                env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
                stdout=out,
                stderr=err,
            )
        processes.append(process)
    return processes


def said(folder, index):
    return Path(f"{folder}.err{index}").read_text()


def wait(processes, seconds):
    """Waits for all; returns their exit codes, None for those that are still there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(p.poll() is None for p in processes):
        time.sleep(0.1)
    codes = [p.poll() for p in processes]
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()
    return codes
