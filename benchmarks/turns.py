"""Peers in processes of their own that take turns, since PyTorch and TensorFlow share none well.

A line on a peer's stdin asks for one call, and a line of JSON on its stdout answers. Imports the
standard library alone, so that a peer in any interpreter can use it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import machine

REST = 0.02  # seconds between turns, in which idle threads of the last peer stop to spin
_LAST_LINES = 3  # of a peer that ended, that are repeated


class Ended(Exception):
    """A peer's process ended before it answered; the message is how, with its last lines."""


class Peer:
    """A process that calls `serve`; it has made its first call when this returns.

    Args:
      name: Of the peer.
      command: Starts the process.

    Raises:
      Ended: It did not start, or ended before its first call was done.
    """

    def __init__(self, name: str, command: Sequence[str]):
        self.name = name
        self.peak_mb = 0  # of the process, when it last answered
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - until `close`
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                text=True,
            )
        except OSError as error:
            self._said.close()
            raise Ended(f"{name} does not start: {error}") from None
        self.facts: dict[str, object] = self._answer()

    def call(self) -> float:
        """Has it make one call, and returns the seconds that it took.

        Raises:
          Ended: It ended instead.
        """
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        answer = self._answer()
        self.peak_mb = answer["peak_mb"]
        return answer["seconds"]

    def close(self) -> None:
        """Ends the process."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()  # which ends `serve`
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._said.close()

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            how = _how(self._process.wait())
            self._said.seek(0)
            lines = self._said.read().decode("utf-8", "replace").splitlines()
            last = [line for line in lines if line.strip()][-_LAST_LINES:]
            self.close()
            raise Ended("\n  ".join([f"{self.name} ended {how}", *last]))
        return json.loads(line)


@contextlib.contextmanager
def peers(commands: Mapping[str, Sequence[str]]) -> Iterator[list[Peer]]:
    """Starts a process for each command, and ends them after the block.

    One after another: a first call may measure what is the fastest, and must do it alone. What
    cannot be started is told on stderr, and left out.
    """
    with contextlib.ExitStack() as running:
        started = []
        for name, command in commands.items():
            try:
                started.append(Peer(name, command))
            except Ended as error:
                print(f"left out: {error}", file=sys.stderr)
                continue
            running.callback(started[-1].close)
        yield started


def seconds(running: Sequence[Peer], *, rounds: int) -> dict[str, list[float]]:
    """Has every peer make one call in turn, `rounds` times.

    Returns:
      The times of each peer's calls. One that ends is told on stderr, and left out.
    """
    times: dict[str, list[float]] = {peer.name: [] for peer in running}
    for _ in range(rounds):
        for peer in running:
            if peer.name not in times:
                continue
            time.sleep(REST)
            try:
                times[peer.name].append(peer.call())
            except Ended as error:
                print(f"left out: {error}", file=sys.stderr)
                del times[peer.name]
    return times


def serve(make: Callable[[], tuple[Callable[[], object], dict[str, object]]]) -> None:
    """Is the peer: makes a call once to warm up, then once for each line on stdin.

    Args:
      make: Returns the call, which must return only when its work is done, and facts about the
        process that figures depend on.
    """
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
        call, facts = make()
        call()
        print(json.dumps(facts), file=answers, flush=True)
        for _ in sys.stdin:
            start = time.perf_counter()
            call()
            answer = {"seconds": time.perf_counter() - start, "peak_mb": machine.peak_mb()}
            print(json.dumps(answer), file=answers, flush=True)


def _how(code: int) -> str:
    if code >= 0:
        return f"with exit code {code}"
    return f"by signal {-code} ({signal.strsignal(-code)})"
