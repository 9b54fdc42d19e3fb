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


def start(script, folder, *flags, count=2):
    """Starts the workers; what they say goes to files `err<index>` beside the run folder."""
    workers = [f"127.0.0.1:{port}" for port in free_ports(count)]
    processes = []
    for index in range(count):
        task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        with open(f"{folder}.out{index}", "w") as out, open(f"{folder}.err{index}", "w") as err:
            process = subprocess.Popen(
                [sys.executable, *script, f"--log_path={folder}", *flags],
                cwd=ROOT,
                env={**os.environ, "TF_CONFIG": json.dumps(task), "PYTHONPATH": str(ROOT)},
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
