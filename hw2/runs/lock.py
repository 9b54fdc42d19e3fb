"""A lock that allows one training at a time in a run folder."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path

import filelock

from hw2.errors import RunError, writing

LOCK = ".lock"  # stays where it is, so that all who come lock the same file
HOLDER = ".lock.json"  # who holds it, for messages


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keeps every other training out of the folder while the block runs.

    The system holds the lock, and frees it when the process is gone, however it went: what a
    killed training leaves behind stops nobody.

    Raises:
      RunError: Another training holds it, or the folder cannot be written.
    """
    with writing(folder):
        lock = _taken(folder)
    who = json.dumps({"pid": os.getpid(), "host": socket.gethostname()})
    with contextlib.suppress(OSError):  # it only tells others who holds the lock
        (folder / HOLDER).write_text(who)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / HOLDER).unlink()
        if lock:
            lock.release()


def _taken(folder: Path) -> filelock.BaseFileLock | None:
    """Takes the lock; None on a disk that has no locks."""
    path = folder / LOCK
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o644))  # a disk that refuses is no lock's
    lock = filelock.FileLock(path, blocking=False, thread_local=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise RunError(
            f"another training in {folder} - locked by {_holder(folder)}; "
            "wait for it, end it, or give another --log_path"
        ) from None
    except (OSError, NotImplementedError) as error:  # a network disk without locks
        why = getattr(error, "strerror", None) or error
        warnings.warn(f"no lock on {path}: {why}; start one training at a time there", stacklevel=4)
        return None
    return lock


def _holder(folder: Path) -> str:
    try:
        who = json.loads((folder / HOLDER).read_text())
        return f"pid {who['pid']} on host {who['host']}"
    except (OSError, ValueError, KeyError, TypeError):  # it has just begun, or ended
        return "another process"
