"""A lock that allows one training at a time in a run folder."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path

from hw2.errors import RunError, writing

LOCK = ".lock"


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keeps every other training out of the folder while the block runs.

    The kernel holds the lock (`flock`), and frees it when the process is gone, however it went:
    what a killed training leaves behind stops nobody. The file says who holds it.

    Raises:
      RunError: Another training holds it, or the folder cannot be written.
    """
    path = folder / LOCK
    with writing(folder):
        handle = _taken(path)
        text = json.dumps({"pid": os.getpid(), "host": socket.gethostname()})
        with contextlib.suppress(OSError):  # it only tells others who holds the lock
            os.truncate(handle, 0)
            os.pwrite(handle, text.encode(), 0)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(handle)


def _taken(path: Path) -> int:
    """Opens the lock file and locks it; returns the descriptor."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise RunError(
                f"another training in {path.parent} - locked by {_holder(path)}; "
                "wait for it, end it, or give another --log_path"
            ) from None
        except OSError as error:  # a network disk without locks
            warnings.warn(
                f"no lock on {path}: {error.strerror}; start one training at a time there",
                stacklevel=3,
            )
            return handle
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path).st_ino == os.fstat(handle).st_ino:
                return handle
        os.close(handle)  # the one before removed it in between


def _holder(path: Path) -> str:
    try:
        who = json.loads(path.read_text())
        return f"pid {who['pid']} on host {who['host']}"
    except (OSError, ValueError, KeyError, TypeError):  # it has just begun, or ended
        return "another process"
