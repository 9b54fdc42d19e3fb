"""Every state in which a killed process can leave a folder.

A process that is killed does nothing more, so that it leaves the folder as it is at that moment.
The folder changes only by system calls. `left_by` therefore runs an action in a process that it
stops after each of its system calls (`ptrace`, as debuggers and strace do), and copies the folder
whenever it has changed; the last one kills the process there.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import sys
import traceback
import warnings

import pytest

TRACE_ME, NEXT_CALL = 0, 24  # requests of ptrace(2) on Linux


def left_by(action, folder, copies):
    """Returns copies of the folder, one after each system call of the action that changed it.

    Args:
      action: Function without arguments; runs in a forked process, and must not use TensorFlow.
      folder: The folder that it changes.
      copies: Where to put the copies; made by this function.
    """
    if sys.platform != "linux":
        pytest.skip("stops a process at its system calls by ptrace, which Linux has")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    copies.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the child of a process with threads: it uses none
        process = os.fork()
    if not process:
        _child(action, libc)
    try:
        return _copied(process, libc, folder, copies)
    finally:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def _child(action, libc):
    code = 1
    try:
        if libc.ptrace(TRACE_ME, 0, None, None):
            os._exit(77)
        os.kill(os.getpid(), signal.SIGSTOP)
        action()
        code = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _copied(process, libc, folder, copies):
    found, before, passed_on = [], _look(folder), 0
    while True:
        _, status = os.waitpid(process, 0)
        if os.WIFEXITED(status):
            if os.WEXITSTATUS(status) == 77:
                pytest.skip("this machine refuses ptrace")
            assert os.WEXITSTATUS(status) == 0
            return found
        stopped = os.WSTOPSIG(status)
        passed_on = 0 if stopped in (signal.SIGTRAP, signal.SIGSTOP) else stopped
        if (now := _look(folder)) != before:
            before = now
            found.append(copies / f"{len(found):03d}")
            shutil.copytree(folder, found[-1], symlinks=True)
        libc.ptrace(NEXT_CALL, process, None, passed_on)


def _look(folder):
    """What can be seen of the folder without reading files."""
    seen = []
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            inner = os.path.join(path, name)
            status = os.lstat(inner)
            link = os.readlink(inner) if os.path.islink(inner) else ""
            size = 0 if os.path.isdir(inner) else status.st_size
            seen.append((inner, status.st_ino, size, link))
    return sorted(seen)
