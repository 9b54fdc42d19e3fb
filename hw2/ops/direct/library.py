"""The kernel in this process: built and loaded once, when it is first needed."""

from __future__ import annotations

import os
import sys
import threading
from types import ModuleType

import tensorflow as tf

from hw2.ops.direct import build, cache, cpu
from hw2.ops.direct.unavailable import Unavailable

_lock = threading.Lock()  # replicas trace in threads of their own
_loaded: ModuleType | Unavailable | None = None
_said = False


@tf.autograph.experimental.do_not_convert
def load() -> ModuleType:
    """Returns the ops of the kernel.

    Raises:
      Unavailable: There is no kernel on this machine; the same reason at every call.
    """
    global _loaded
    with _lock:
        if _loaded is None:
            try:
                _loaded = _load()
            except Unavailable as error:
                _loaded = error
    if isinstance(_loaded, Unavailable):
        raise Unavailable(*_loaded.words)
    return _loaded


@tf.autograph.experimental.do_not_convert
def available() -> bool:
    """Whether there is a kernel; where there is none, one line on stderr says why, once."""
    global _said
    try:
        load()
    except Unavailable as error:
        if not _said:
            _said = True
            print(f"{error}; what it would do is done without it", file=sys.stderr, flush=True)
        return False
    return True


def fast() -> bool:
    """Whether the kernel is compiled for an instruction set that it is made for."""
    return cpu.chosen() != cpu.PLAIN or bool(os.environ.get(cpu.VARIABLE))


def _load() -> ModuleType:
    path = build.library(cpu.chosen(), sanitize=bool(os.environ.get(build.SANITIZE)))
    try:
        return tf.load_op_library(str(path))
    except (tf.errors.OpError, OSError, RuntimeError) as error:
        why = str(getattr(error, "message", error)).splitlines()[0]
        remedy = "remove the file, and it is built again"
        if "failed to map segment" in why:  # by the loader of Linux, where nothing may be executed
            remedy = f"its disk is mounted noexec: name a folder of another in {cache.VARIABLE}"
        raise Unavailable(f"{path} cannot be loaded: {why}", remedy) from None
