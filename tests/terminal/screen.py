"""Commands as they are on a terminal: a process whose streams are a pseudoterminal."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")  # ECMA-48: colours, and moves of the cursor
COLOUR = re.compile(r"\x1b\[(?:[\d;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[\d;]*)?m")


class Shown(NamedTuple):
    """What a command printed: on the terminal, and on stdout where that was a pipe."""

    screen: str
    out: str

    @property
    def lines(self) -> list[str]:
        """What stands on the terminal, each state of a line that was drawn again by itself."""
        return re.split(r"[\r\n]+", CONTROL.sub("", self.screen))


def show(*words, columns=80, piped=True, **environ):
    """Runs Python with its stdin and stderr on a terminal, and stdout too unless it is piped."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    out = subprocess.PIPE if piped else theirs
    process = subprocess.Popen(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        stdin=theirs,
        stdout=out,
        stderr=theirs,
        env=kept | {"TERM": "xterm-256color"} | environ,
    )
    os.close(theirs)
    seen = b""
    while part := _read(ours):
        seen += part
    os.close(ours)
    printed = process.stdout.read().decode() if piped else ""  # a line or two, so no pipe fills
    process.communicate()
    screen = seen.decode()
    assert process.returncode == 0, screen
    return Shown(screen, printed)


def _read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says EIO at the end
        return b""
