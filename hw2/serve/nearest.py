"""The training pictures nearest to a picture, whose features are computed once, when asked for."""

from __future__ import annotations

import threading
import traceback
from typing import Any

import tensorflow as tf

from hw2.config.settings import Config
from hw2.errors import DataError, Fault
from hw2.input.examples import Examples
from hw2.jobs import data, neighbours, spec
from hw2.jobs.extractor import extractor
from hw2.jobs.neighbours import Extract, Neighbours
from hw2.report import thumbnail
from hw2.report.neighbours import label_of
from hw2.runs.checkpoints import Checkpoint
from hw2.runs.folder import RunFolder
from hw2.terminal import console

BATCH = 32  # pictures at a time, beside those that people send
SIDE = 160  # pixels of the shorter side of a neighbour
PATIENCE = 5.0  # seconds that the end waits for the batch that is being computed

Json = dict[str, Any]


class Nearest:
    """Training pictures by their features. Any thread may ask; one reads them."""

    def __init__(self, module: tf.Module, checkpoint: Checkpoint, config: Config, count: int):
        """Reads nothing yet.

        Args:
          module: The model.
          checkpoint: Its checkpoint, in a run folder.
          config: The settings: where the training data are, and how they are read.
          count: How many neighbours a picture has; none are looked for if it is 0.
        """
        self._module, self._checkpoint = module, checkpoint
        self._config, self._count = config, count
        self._found: tuple[Neighbours, Examples, Extract] | None = None
        self._why: str | None = None if count else ""
        self._progress = (0, 0)
        self._thread: threading.Thread | None = None
        self._lock, self._ended = threading.Lock(), threading.Event()

    @property
    def ready(self) -> bool:
        """Whether the features are there."""
        return self._found is not None

    def told(self) -> Json:
        """What to answer while there are no features; the first call begins to compute them.

        Returns:
          "state": "reading" with the pictures "done" and in "total", or "none" with "why", which
          is empty where no neighbours are wanted.
        """
        with self._lock:
            if self._thread is None and self._why is None:
                self._thread = threading.Thread(target=self._read, daemon=True)
                self._thread.start()
        if self._why is not None:
            return {"state": "none", "why": self._why}
        done, total = self._progress
        return {"state": "reading", "done": done, "total": total}

    def of(self, image: tf.Tensor) -> Json:
        """The neighbours of an image `[1, H, W, C]`.

        Returns:
          "state": "ready", "nearest" with "name", "class", "similarity" (the cosine of the
          features) and "picture", a data URI, null for one that has gone; "among" how many
          pictures of a "total" they are. Without features, what `told` answers.
        """
        if self._found is None:
            return self.told()
        known, examples, extract = self._found
        [indices], [cosines] = known.nearest(extract(image)[0].numpy(), self._count)
        found = [
            {
                "name": examples.names[index],
                "class": label_of(examples, index),
                "similarity": round(cosine, 4),
                "picture": _thumbnail(examples, index),
            }
            for index, cosine in zip(indices.tolist(), cosines.tolist(), strict=True)
        ]
        among = len(known.indices)
        return {"state": "ready", "nearest": found, "among": among, "total": known.total}

    def close(self) -> None:
        """Ends the reading, after the batch that is being computed."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def _read(self) -> None:
        """Reads the training data and computes their features, or keeps the reason why not."""
        try:
            self._found = self._computed()
        except Fault as fault:
            self._why = str(fault)
        except _Ended:
            self._why = "the server ends"
        except Exception:
            traceback.print_exc()
            self._why = "something went wrong - the terminal of hw2 serve says what"

    def _computed(self) -> tuple[Neighbours, Examples, Extract]:
        checkpoint = self._checkpoint
        extract = extractor(self._module, checkpoint.path)
        folder = RunFolder(checkpoint.path.parents[1])
        config = data.accepting_bad_files(self._config, folder)
        examples, training, _ = data.of_run(config, folder, checkpoint, console.stderr(quiet=True))
        known = neighbours.of(
            extract,
            examples,
            training,
            spec.preprocessing(checkpoint.state["identity"]),
            batch_size=min(config.batch_size, BATCH),
            report=self._report,
        )
        return known, examples, extract

    def _report(self, done: int, total: int) -> None:
        self._progress = (done, total)
        if self._ended.is_set():
            raise _Ended


class _Ended(Exception):
    """The server ends, so nobody waits for the features."""


def _thumbnail(examples: Examples, index: int) -> str | None:
    try:
        return thumbnail.encode_example(examples.load, index, SIDE)
    except DataError:  # the file has gone since
        return None
