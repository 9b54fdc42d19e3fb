"""What TensorBoard shows of a run: scalars, histograms, pictures, the graph."""

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
# Of a file that a reader finds before those that a writer opens after it: these have the number
# of a process in place of the first 0.
_BEGINNING = "events.out.tfevents.{seconds:010d}.{host}.0.0.v2"

_HISTOGRAMS = tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": "histograms"})
_BINS = 30  # as TensorBoard's own


class Events:
    """Writes a new file of events; once the disk refuses one, there are no more, with a warning.

    `new` tells whether there were none in the folder before.
    """

    def __init__(self, folder: Path, step: int | None = None):
        """Opens the file.

        Args:
          folder: For events; made when missing.
          step: That a run goes on from. What an earlier process wrote past it is not shown any
            more, for this one comes by the same steps. None adds to what is there.
        """
        self.new = True
        self._writer: tf.summary.SummaryWriter | None = None
        self._try(lambda: self._open(folder, step))

    def scalars(self, step: int, values: Mapping[str, float | None]) -> None:
        """Adds values at one step; None is left out."""

        def write() -> None:
            for name, value in values.items():
                if value is not None:
                    tf.summary.scalar(name, value)

        self._write(step, write)

    def histograms(self, step: int, values: Mapping[str, np.ndarray]) -> None:
        """Adds the distributions of values at one step, those that are not finite left out."""

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
        """Writes out what waits in memory."""
        self._try(lambda: self._writer and self._writer.flush())

    def close(self) -> None:
        """Writes out what waits, and closes the file."""
        self._try(lambda: self._writer and self._writer.close())
        self._writer = None

    def _open(self, folder: Path, step: int | None) -> None:
        self.new = not folder.is_dir() or not any(folder.iterdir())
        if step is not None and not self.new:
            _begin_again(folder, step)
        self._writer = tf.summary.create_file_writer(str(folder))

    def _write(self, step: int, write: Callable[[], None]) -> None:
        def into() -> None:
            with self._writer.as_default(step=step):
                write()

        if self._writer:
            self._try(into)

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except (tf.errors.OpError, OSError) as error:
            reason = error.message if isinstance(error, tf.errors.OpError) else error
            warnings.warn(f"no more TensorBoard events: {reason}", stacklevel=1)
            self._writer = None


def opened(folder: Path, step: int | None = None) -> Events | None:
    """Opens a file of events, as `Events`; None where TensorBoard is not installed."""
    try:
        import tensorboard  # noqa: F401  TensorFlow no longer brings it
    except ImportError:
        return None
    return Events(folder, step)


def write_scalars(folder: Path, step: int, values: dict[str, float]) -> None:
    """Adds values at one step to the TensorBoard events of a folder."""
    events = opened(folder)
    if events:
        events.scalars(step, values)
        events.close()


def _histogram(values: np.ndarray) -> np.ndarray:
    """`[bins, 3]`: left edge, right edge and count, in a tenth of `tf.summary.histogram`'s time."""
    values = values[np.isfinite(values)].astype(np.float64)  # bins of float32 may have no width
    counts, edges = np.histogram(values, _BINS)
    return np.stack([edges[:-1], edges[1:], counts], 1)


def _begin_again(folder: Path, step: int) -> None:
    """Tells readers that a session begins after a step: they forget later events of before."""
    # Readers take files by the second in their names: this one must not be that of a file before.
    seconds = [int(found[1]) for file in folder.iterdir() if (found := _SECOND.search(file.name))]
    time.sleep(min(max(0.0, max(seconds, default=0) + 1 - time.time()), 1.0))
    start = {"step": step + 1, "session_log": tf.compat.v1.SessionLog(status=START)}
    now = time.time()
    name = _BEGINNING.format(seconds=int(now), host=socket.gethostname())
    with tf.io.TFRecordWriter(os.fspath(folder / name)) as file:
        # A reader takes the first start for that of the run, and only others for later ones.
        for content in ({"file_version": "brain.Event:2"}, start, start):
            file.write(tf.compat.v1.Event(wall_time=now, **content).SerializeToString())
