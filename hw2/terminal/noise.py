"""Hides the lines that TensorFlow writes to stderr as it starts."""

import contextlib
import faulthandler
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import BinaryIO

# C++ lines of level info and their header; the search for a GPU driver where there is none (error
# 303); types that oneDNN leaves to Eigen; notes of the converters to their developers. Seen with
# TensorFlow 2.21, where TF_CPP_MIN_LOG_LEVEL hides none of them.
NOISE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog|I\d{4} \d\d:"
    rb"|To enable the following instructions:|E\d{4} .*cuInit: .*\(303\)"
    rb"|E\d{4} .*\] oneDNN supports DT_|W\d{4} .*\] (Ignored |Skipping runtime version)"
    rb"|INFO: Created TensorFlow Lite|fully_quantize: "
)


def quiet_tensorflow() -> None:
    """Imports TensorFlow and finds its devices, without the start-up lines in `NOISE`."""
    with without_noise():
        import tensorflow as tf

        tf.config.list_physical_devices()  # looks for the GPU driver; configures nothing


@contextlib.contextmanager
def without_noise() -> Iterator[None]:
    """Captures stderr, even from C++; then passes on all but `NOISE`, or after an error all.

    Descriptor 2 belongs to the process: threads that are in this block at once share one capture,
    which ends with the last of them.
    """
    failed = True
    _capture.enter()
    try:
        yield
        failed = False
    except BaseException as stop:
        failed = isinstance(stop, Exception)
        raise
    finally:
        _capture.leave(failed)


class _Capture:
    """Where descriptor 2 leads to while somebody is in `without_noise`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside, self._failed = 0, False
        self._held: BinaryIO | None = None
        self._stderr = -1

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._begin()

    def leave(self, failed: bool) -> None:
        with self._lock:
            self._inside -= 1
            self._failed |= failed
            if self._inside == 0 and self._held is not None:
                held, self._held = self._held, None
                self._end(held)

    def _begin(self) -> None:
        self._failed = False
        if sys.__stderr__ is None:  # started with stderr closed: descriptor 2 may be any file
            return
        try:
            held = _memory()
            self._stderr = os.dup(2)
        except OSError:  # no room for the lines, or nobody to read them: nothing is hidden
            return
        self._held = held
        _flush()
        os.dup2(held.fileno(), 2)
        faulthandler.enable(self._stderr)  # a crash inside must still say something

    def _end(self, held: BinaryIO) -> None:
        _flush()
        os.dup2(self._stderr, 2)
        faulthandler.enable(2)
        os.close(self._stderr)
        with held:
            held.seek(0)
            for line in held:
                if self._failed or not NOISE.match(line):
                    with contextlib.suppress(OSError):  # the terminal may be gone
                        os.write(2, line)


_capture = _Capture()


def _flush() -> None:
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def _memory() -> BinaryIO:
    """A file without a name, in memory where there is such a thing."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    return tempfile.TemporaryFile()
