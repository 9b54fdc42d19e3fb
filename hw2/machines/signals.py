"""Signals that end a training: the first lets it save and stop, the second ends it at once.

SIGTERM and SIGINT are those of people and of systems that shut down. Some come again and again, or
beside a SIGTERM, though nobody asks for haste, so that they never count as the first nor as the
second: SIGHUP where the terminal is closed; SIGUSR1 and SIGUSR2, which queues such as Slurm and LSF
send before the time is up; and SIGXCPU at a limit of processor time, once a second.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator

from hw2.errors import Interrupted

_HANGUP = getattr(signal, "SIGHUP", None)  # which Windows has not, nor those that follow
_WARNINGS = {
    _HANGUP: "since the terminal is gone",
    getattr(signal, "SIGUSR1", None): "before the queue ends it",
    getattr(signal, "SIGUSR2", None): "before the queue ends it",
    getattr(signal, "SIGXCPU", None): "since its processor time is used up",
}
CAUGHT = tuple(filter(None, (signal.SIGTERM, signal.SIGINT, *_WARNINGS)))


def caught_here() -> list[signal.Signals]:
    """Those of `CAUGHT` that are caught: all but SIGHUP where it is ignored, as under `nohup`.

    A warning of a queue that a program catches or ignores by itself is left to it.
    """

    def ours(signum: signal.Signals) -> bool:
        now = signal.getsignal(signum)
        if signum == _HANGUP:
            return now is not signal.SIG_IGN
        return signum not in _WARNINGS or now is signal.SIG_DFL

    return [signum for signum in CAUGHT if ours(signum)]


class Signals:
    """The first signal that came inside `caught`, which `check` raises where it is safe to stop."""

    def __init__(self) -> None:
        self.received: int | None = None
        self.waiting = False  # whether a signal waits for `check`, or is raised at once
        self.catch: Callable[[], None] = lambda: None

    def check(self) -> None:
        """Stops here if a signal has come.

        Raises:
          Interrupted: A signal has come.
        """
        if self.received is not None:
            raise Interrupted(self.received)

    def defer(self) -> None:
        """Lets signals wait for `check` from now on.

        The handlers are set again, since TensorFlow replaces that of SIGTERM when it connects
        several machines.
        """
        self.waiting = True
        self.catch()

    def raise_at_once(self) -> None:
        """Lets signals raise `Interrupted` wherever they come from now on.

        Raises:
          Interrupted: A signal was waiting.
        """
        self.waiting = False
        self.check()


@contextlib.contextmanager
def caught() -> Iterator[Signals]:
    """Catches the signals while the block runs, and restores the previous handlers after it.

    Python runs a handler only between two of its own instructions, which a kernel of TensorFlow
    can delay for minutes. A thread therefore waits for signals too, and ends the process at the
    second one. Outside the main thread, where Python allows no handlers, nothing is caught.
    """
    signals = Signals()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return

    def handle(signum: int, frame: object) -> None:
        first = signals.received is None
        signals.received = signals.received or signum
        if first and not signals.waiting:
            raise Interrupted(signum)

    mine, wakes = socket.socketpair()
    wakes.setblocking(False)
    threading.Thread(target=_leave_at_the_second, args=(mine,), daemon=True).start()
    before = {signum: signal.signal(signum, handle) for signum in caught_here()}

    def catch() -> None:
        for signum in before:
            signal.signal(signum, handle)

    signals.catch = catch
    descriptor = signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
    try:
        yield signals
    finally:
        signal.set_wakeup_fd(descriptor)
        for signum, handler in before.items():
            signal.signal(signum, handler)
        wakes.close()  # which ends the thread


def _leave_at_the_second(mine: socket.socket) -> None:
    count = 0
    with mine:
        while numbers := mine.recv(64):
            for signum in numbers:
                if signum not in CAUGHT:
                    continue
                name = signal.Signals(signum).name
                if signum in _WARNINGS:
                    _say(f"{name}: saving and stopping, {_WARNINGS[signum]}")
                    continue
                count += 1
                if count > 1:
                    _say(f"stopped at once by a second {name}")
                    os._exit(128 + signum)
                _say(f"{name}: saving and stopping; send it again to exit at once")


def _say(words: str) -> None:
    if sys.__stderr__ is not None:
        with contextlib.suppress(OSError):
            os.write(2, f"{words}\n".encode())
