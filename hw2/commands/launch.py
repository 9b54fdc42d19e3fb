"""How a program runs: its flags first, then TensorFlow, then the work."""

import contextlib
import os
import re
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from hw2.config import settings
from hw2.errors import Fault, Interrupted, MachineError
from hw2.machines import cluster, signals
from hw2.terminal import noise, stream

_NO_FOLDER = "No usable temporary directory found in"  # words of Python's tempfile


def run(
    main: Callable[[settings.Config], int | None],
    *,
    machines: bool = False,
    argv: Sequence[str] | None = None,
    parse: Callable[[Sequence[str]], settings.Config] | None = None,
    tensorflow: bool = True,
    lasting: bool = False,
) -> NoReturn:
    """Parses the flags, imports TensorFlow and calls `main`; then exits, and never returns.

    A `Fault` ends as one line on stderr and its own exit code, Ctrl-C as 130, SIGTERM as 143,
    SIGHUP as 129, a closed pipe behind stdout as 141 (128 + SIGPIPE), silently. Any other exception
    keeps its traceback. A closed pipe or terminal behind stderr ends nothing.

    Args:
      main: Called with the settings; may return an exit code, and None means 0.
      machines: Whether it may be one process of several, by `TF_CONFIG` or Slurm's variables.
      argv: The program's name and its arguments; by default `sys.argv`.
      parse: From `argv` to the settings; by default `settings.parse`.
      tensorflow: Whether to import TensorFlow, without its start-up messages.
      lasting: Whether a closed pipe behind stdout ends nothing either.
    """
    argv = sys.argv if argv is None else argv
    with stream.guarded(lasting_stdout=lasting):
        try:
            with _terminated_as_interrupted():
                code = _run(main, argv, parse or settings.parse, machines, tensorflow)
        except BrokenPipeError:
            code = 141
    _drop_unwritten()
    sys.exit(code)


def _run(
    main: Callable[[settings.Config], int | None],
    argv: Sequence[str],
    parse: Callable[[Sequence[str]], settings.Config],
    machines: bool,
    tensorflow: bool,
) -> int:
    """Does what `run` says; returns the exit code."""
    debug = False
    try:
        config = parse(argv)
        debug = config.debug
        if machines:
            _join_cluster()
        if tensorflow:
            noise.quiet_tensorflow()
        warnings.formatwarning = _one_line
        code = main(config) or 0
        print(end="", flush=True)  # a closed pipe is felt here
        return code
    except Fault as fault:
        return _told(fault, debug)
    except FileNotFoundError as error:
        if _NO_FOLDER not in str(error):
            raise
        why = str(error.strerror or error).replace(_NO_FOLDER, "none can be written of")
        return _told(
            MachineError(
                f"no temporary folder - {why}; set TMPDIR to a folder that can be written"
            ),
            debug,
        )
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return stop.exit_code
    except KeyboardInterrupt:
        return 130  # 128 + SIGINT


def _told(fault: Fault, debug: bool) -> int:
    """Prints a fault; returns its exit code."""
    if debug:
        traceback.print_exc()
    # A path may hold an end of line; those before two spaces begin an item of a list.
    line = re.sub(r"\n(?!  )", r"\\n", str(fault))
    print(f"error: {line}", file=sys.stderr)
    return fault.exit_code


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Lets SIGTERM and SIGHUP end the program as Ctrl-C does, by an exception that cleans up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(signum: int, frame: object) -> None:
        raise Interrupted(signum)

    ends = [signum for signum in signals.caught_here() if signum != signal.SIGINT]
    before = {signum: signal.signal(signum, terminate) for signum in ends}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


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


def _one_line(message: Warning | str, *_: object, **__: object) -> str:
    """A warning as users read it, without the line of code that gave it."""
    return f"warning: {message}\n"


def _drop_unwritten() -> None:
    """Sends what a closed pipe or a full disk did not take to nowhere, or the exit would complain.

    Whether that is an error has been decided before.
    """
    for one in filter(None, (sys.stdout, sys.stderr)):
        stream.flush_or_drop(one)
