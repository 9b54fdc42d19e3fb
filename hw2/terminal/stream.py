"""Streams that people read: letters that one lacks are written as escapes, a dead one is dropped.

All of hw2 that prints goes through here: commands replace `sys.stdout` and `sys.stderr` by
`guarded`, and consoles write to a `Stream`.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from hw2.errors import RunError

ESCAPES = "hw2.escapes"  # of `show_all`
_GONE = (errno.EPIPE, errno.EIO)  # nobody reads the pipe, the terminal was closed


class Stream:
    """A text stream for which no letter is an error, and of which it is known what failure means.

    In all else it is the stream that it wraps.
    """

    def __init__(self, stream: Any, *, lasting: bool):
        """Wraps a stream.

        Args:
          stream: What `sys.stdout` or `sys.stderr` is.
          lasting: Whether the work goes on when nobody can read what is written: then it is
            dropped. Else a closed pipe raises `BrokenPipeError`, and a full disk `RunError`.
        """
        self._stream, self._lasting = stream, lasting

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._failing():
            try:
                self._stream.write(text)
            except UnicodeEncodeError:  # a stream that `show_all` could not change
                code = self._stream.encoding or "ascii"
                self._stream.write(text.encode(code, "backslashreplace").decode(code))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with self._failing():
            self._stream.flush()

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._lasting:
                if isinstance(error, BrokenPipeError):
                    raise
                why = (error.strerror or str(error)).lower()
                raise RunError(
                    f"cannot write {getattr(self._stream, 'name', 'a stream')} - {why}; make room, "
                    "or send the output elsewhere"
                ) from error
            if error.errno in _GONE:
                _to_nowhere(self._stream)
        except ValueError:
            if not self._lasting or not self._stream.closed:
                raise


def lasting(stream: Any) -> Any:
    """The stream as one that the work outlives."""
    return stream if stream is None or _is_lasting(stream) else Stream(stream, lasting=True)


def exact(stream: Any) -> Any:
    """The stream as one whose failure ends the work; no change to one that is wrapped already."""
    return stream if stream is None or _is_wrapped(stream) else Stream(stream, lasting=False)


@contextlib.contextmanager
def guarded(*, lasting_stdout: bool = False) -> Iterator[None]:
    """Makes `sys.stderr` last while the block runs, and `sys.stdout` show all letters.

    Args:
      lasting_stdout: Whether `sys.stdout` lasts too, or its failure ends the work.
    """
    before = sys.stdout, sys.stderr
    show_all(sys.stdout)
    sys.stdout = lasting(sys.stdout) if lasting_stdout else exact(sys.stdout)
    sys.stderr = lasting(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def flush_or_drop(stream: Any) -> None:
    """Flushes a stream; what it does not take is dropped."""
    try:
        stream.flush()
    except (OSError, ValueError):
        _to_nowhere(stream)


def show_all(stream: Any) -> None:
    r"""Lets a stream write letters that its encoding lacks as escapes, `\u4e2d`.

    Bytes of the names of files that are no text, which Python holds as surrogates, are written as
    they are.
    """
    change = getattr(stream, "reconfigure", None)  # notebooks have streams of their own
    if change is not None:
        codecs.register_error(ESCAPES, _escaped)
        change(errors=ESCAPES)


def _to_nowhere(stream: Any) -> None:
    """Lets what is still to come vanish, or the exit would fail on it once more."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _escaped(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letter = error.object[error.start]
    if "\udc80" <= letter <= "\udcff":
        return bytes([ord(letter) - 0xDC00]), error.start + 1
    return letter.encode("ascii", "backslashreplace").decode(), error.start + 1


def _is_wrapped(stream: Any) -> bool:
    return isinstance(stream, Stream)


def _is_lasting(stream: Any) -> bool:
    return _is_wrapped(stream) and stream._lasting
