"""Hides the lines that TensorFlow writes to stderr as it starts."""

import contextlib
import faulthandler
import os
import re
import sys
import tempfile
from collections.abc import Iterator

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
    """Captures stderr, even from C++; then passes on all but `NOISE`, or after an error all."""
    if sys.stderr is None:  # started with stderr closed: descriptor 2 may be any file
        yield
        return
    noise = NOISE
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        os.dup2(held.fileno(), 2)
        faulthandler.enable(stderr)  # a crash inside must still say something
        try:
            yield
        except Exception:
            noise = re.compile(rb"(?!)")  # matches nothing
            raise
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            faulthandler.enable(2)
            os.close(stderr)
            held.seek(0)
            for line in held:
                if not noise.match(line):
                    os.write(2, line)
