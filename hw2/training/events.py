"""Writes TensorBoard events: scalars, histograms, pictures, the graph."""

from __future__ import annotations

import os
import re
import socket
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

START = tf.compat.v1.SessionLog.START

_SECOND = re.compile(r"tfevents\.(\d{10})\.")
# The name of a file that sorts before those that a writer opens in the same second or later:
# these have a process id in place of the first 0.
_BEGINNING = "events.out.tfevents.{seconds:010d}.{host}.0.0.v2"

_HISTOGRAMS = tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": "histograms"})
_BINS = 30  # as TensorBoard's own


class Events:
    """Writes events to a new file; if the disk refuses one, it warns and writes no more.

    `new` tells whether the folder had no events before.
    """

    def __init__(self, folder: Path, step: int | None = None):
        """Opens the file.

        Args:
          folder: The folder of the events; made if it is missing.
          step: The step from which a run resumes: TensorBoard will no longer show what an earlier
            process wrote after it. None keeps all events that are there.
        """
        self.new = True
        self._writer: tf.summary.SummaryWriter | None = None
        self._try(lambda: self._open(folder, step))

    def scalars(self, step: int, values: Mapping[str, float | None]) -> None:
        """Adds values at one step, except those that are None."""

        def write() -> None:
            for name, value in values.items():
                if value is not None:
                    tf.summary.scalar(name, value)

        self._write(step, write)

    def histograms(self, step: int, values: Mapping[str, np.ndarray]) -> None:
        """Adds the distributions of the finite values at one step."""

        def write() -> None:
            for name, value in values.items():
                tf.summary.write(name, _histogram(value), metadata=_HISTOGRAMS)

        self._write(step, write)

    def pictures(self, step: int, name: str, pictures: np.ndarray) -> None:
        """Adds uint8 pictures `[N, H, W, 1 or 3]` at one step."""
        self._write(step, lambda: tf.summary.image(name, pictures, max_outputs=len(pictures)))

    def graph(self, graph: tf.Graph) -> None:
        """Adds a graph."""
        self._write(0, lambda: tf.summary.graph(graph))

    def flush(self) -> None:
        """Writes buffered events to disk."""
        self._try(lambda: self._writer and self._writer.flush())

    def close(self) -> None:
        """Writes buffered events to disk, and closes the file."""
        self._try(lambda: self._writer and self._writer.close())
        self._writer = None

    def _open(self, folder: Path, step: int | None) -> None:
        self.new = not folder.is_dir() or not any(folder.iterdir())
        if step is not None and not self.new:
            _begin_again(folder, step)
        self._writer = tf.summary.create_file_writer(str(folder))

    def _write(self, step: int, write: Callable[[], None]) -> None:
        writer = self._writer
        if writer is None:
            return

        def into() -> None:
            with writer.as_default(step=step):
                write()

        self._try(into)

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except (tf.errors.OpError, OSError) as error:
            reason = error.message if isinstance(error, tf.errors.OpError) else error
            warnings.warn(f"no more TensorBoard events: {reason}", stacklevel=1)
            self._writer = None


def opened(folder: Path, step: int | None = None) -> Events | None:
    """Opens a new file of events; returns None if TensorBoard is not installed."""
    try:
        import tensorboard  # noqa: F401  TensorFlow no longer brings it
    except ImportError:
        return None
    return Events(folder, step)


def write_scalars(folder: Path, step: int, values: Mapping[str, float | None]) -> None:
    """Adds values at one step to the TensorBoard events of a folder."""
    events = opened(folder)
    if events:
        events.scalars(step, values)
        events.close()


def _histogram(values: np.ndarray) -> np.ndarray:
    """Left edge, right edge and count of each bin, `[bins, 3]`, faster than TensorFlow's."""
    values = values[np.isfinite(values)].astype(np.float64)  # bins of float32 may have no width
    counts, edges = np.histogram(values, _BINS)
    return np.stack([edges[:-1], edges[1:], counts], 1)


def _begin_again(folder: Path, step: int) -> None:
    """Writes the start of a session after `step`, at which readers drop later events of before."""
    # Readers order files by the second in their names, so it must be later than in all before.
    seconds = [int(found[1]) for file in folder.iterdir() if (found := _SECOND.search(file.name))]
    time.sleep(min(max(0.0, max(seconds, default=0) + 1 - time.time()), 1.0))
    start = {"step": step + 1, "session_log": tf.compat.v1.SessionLog(status=START)}
    now = time.time()
    name = _BEGINNING.format(seconds=int(now), host=socket.gethostname())
    with tf.io.TFRecordWriter(os.fspath(folder / name)) as file:
        # Readers take the first start for that of the run; only a second one drops later events.
        for content in ({"file_version": "brain.Event:2"}, start, start):
            file.write(tf.compat.v1.Event(wall_time=now, **content).SerializeToString())
