"""Errors that a user can correct: one line on stderr, an exit code, and no traceback."""

import contextlib
import os
import re
import signal
from collections.abc import Iterator


class Fault(Exception):
    """Something outside the program is wrong; raise a subclass, which sets the exit code.

    The message is one line, `<what> in <path>[:line] - <why>; <remedy>`. `command.run` prints it
    as `error: <message>`, with a traceback only under `--debug`. Whatever a terminal would obey or
    could not show, such as a control character of a file name, is escaped; a line that begins with
    two spaces is an item of a list, and stays one.
    """

    exit_code: int

    def __init__(self, message: str = ""):
        super().__init__(_UNSHOWN.sub(_escaped, message))


_UNSHOWN = re.compile(r"(?!\n  )[^ -~]")  # all but printable ASCII, to be looked at


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    return character if character.isprintable() else character.encode("unicode_escape").decode()


class UsageError(Fault):
    """A flag, a line of a flagfile, or their combination is wrong."""

    exit_code = 1  # as absl exits


class DataError(Fault):
    """Pictures, labels or their folders cannot be used."""

    exit_code = 3


class RunError(Fault):
    """A checkpoint or the run folder cannot be used."""

    exit_code = 4


class NotFinite(Fault):
    """The loss or a gradient became infinite or NaN."""

    exit_code = 5


class MachineError(Fault):
    """The machine has no memory left, or another machine of the cluster is gone."""

    exit_code = 6


class Interrupted(BaseException):
    """A signal asked the program to end; like `KeyboardInterrupt`, no handler of errors takes it.

    Attributes:
      signum: Number of the signal.
      exit_code: 128 + `signum`, as shells have it.
    """

    def __init__(self, signum: int, message: str = ""):
        super().__init__(message or f"stopped by {signal.Signals(signum).name}")
        self.signum, self.exit_code = signum, 128 + signum


@contextlib.contextmanager
def writing(
    path: str | os.PathLike[str],
    remedy: str = "make room or repair the folder, and rerun the command: a run resumes from its "
    "last checkpoint",
) -> Iterator[None]:
    """Turns what a disk refuses while the block runs into a `RunError` that names the path."""
    try:
        yield
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise RunError(f"cannot write {path} - {why}; {remedy}") from error
