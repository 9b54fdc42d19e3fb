"""What the scripts at the root share: flags first, then TensorFlow, then the work."""

import contextlib
import os
import re
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence

from hw2.config import settings
from hw2.errors import Fault, Interrupted
from hw2.machines import cluster
from hw2.terminal import noise


def run(
    main: Callable[[settings.Config], None],
    *,
    machines: bool = False,
    argv: Sequence[str] | None = None,
) -> None:
    """Parses the flags, imports TensorFlow and calls `main`; then exits, and never returns.

    A `Fault` ends as one line on stderr and its own exit code, Ctrl-C as 130, SIGTERM as 143, a
    closed pipe behind stdout as 141 (128 + SIGPIPE), silently. Any other exception keeps its
    traceback.

    Args:
      main: Called with the settings.
      machines: Whether it may be one process of several, by `TF_CONFIG` or Slurm's variables.
      argv: The program's name and its arguments; by default `sys.argv`.
    """
    try:
        with _terminated_as_interrupted():
            code = _run(main, machines, sys.argv if argv is None else argv)
        print(end="", flush=True)  # a closed pipe is felt here
    except BrokenPipeError:
        code = 141
        _drop_unwritten()
    sys.exit(code)


def folders(usage: str, *, most: int | None = None) -> list[str]:
    """Takes the run folders that a command begins with off `sys.argv`; the rest are flags.

    Args:
      usage: What the command is for, its first example in the third line; printed before the
        flags for `--help`.
      most: How many folders there may be; any number for None.

    Returns:
      One folder at least, unless help is asked for. The program ends where none is given.
    """
    words = sys.argv[1:]
    count = next((n for n, word in enumerate(words) if word.startswith("-")), len(words))
    count = count if most is None else min(count, most)
    if not count and not any(word.lstrip("-").startswith("help") for word in words):
        print(f"error: no run folder given - {usage.splitlines()[2].strip()}", file=sys.stderr)
        sys.exit(1)
    if not count:
        print(usage)
    sys.argv[1:] = words[count:]
    return words[:count]


def _run(main: Callable[[settings.Config], None], machines: bool, argv: Sequence[str]) -> int:
    debug = False
    try:
        config = settings.parse(argv)
        debug = config.debug
        if machines:
            _join_cluster()
        noise.quiet_tensorflow()
        warnings.formatwarning = _one_line
        main(config)
    except Fault as fault:
        if debug:
            traceback.print_exc()
        # A path may hold an end of line; those before two spaces begin an item of a list.
        line = re.sub(r"\n(?!  )", r"\\n", str(fault))
        print(f"error: {line}", file=sys.stderr)
        return fault.exit_code
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return stop.exit_code
    except KeyboardInterrupt:
        return 130  # 128 + SIGINT
    return 0


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Lets SIGTERM end the program as Ctrl-C does, by an exception that cleans up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(signum: int, frame: object) -> None:
        raise Interrupted(signum)

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _join_cluster() -> None:
    """Finds out about the other machines, before TensorFlow does."""
    found = cluster.from_environment(os.environ)
    if found.several:
        cluster.check_port(found)
        os.environ["TF_CONFIG"] = found.tf_config
        print(
            f"warning: worker {found.index} of {len(found.workers)} takes connections from "
            f"everywhere at port {found.workers[found.index].rpartition(':')[2]}, without "
            "passwords; keep it inside a network that you trust\nwaiting for the other workers",
            file=sys.stderr,
        )


def _one_line(message: Warning | str, *_: object) -> str:
    """A warning as users read it, without the line of code that gave it."""
    return f"warning: {message}\n"


def _drop_unwritten() -> None:
    """Sends what a closed pipe did not take to nowhere, or the exit would complain of it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
