"""Streams that lack letters, that nobody reads, or that are not there."""

import errno
import io
import os
import subprocess
import sys
import threading

import pytest

from hw2.commands import launch
from hw2.config.settings import Config
from hw2.errors import RunError
from hw2.terminal import console, noise, progress_bar, stream

LETTERS = "café 中文 Ж"


class Dead(io.StringIO):
    """A terminal that was closed."""

    encoding = "utf-8"

    def __init__(self, number=errno.EIO):
        super().__init__()
        self.number = number

    def write(self, text):
        raise OSError(self.number, os.strerror(self.number))  # of errno's own type


def encoded(encoding, **options):
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True, **options)


@pytest.fixture
def run(monkeypatch):
    """Calls `launch.run(main)` with these streams; returns the exit code."""
    monkeypatch.setattr(noise, "quiet_tensorflow", lambda: None)

    def call(main, stdout=None, stderr=None, **options):
        monkeypatch.setattr(sys, "stdout", stdout or sys.stdout)
        monkeypatch.setattr(sys, "stderr", stderr or sys.stderr)
        with pytest.raises(SystemExit) as left:
            launch.run(main, argv=["train.py"], parse=lambda argv: Config(), **options)
        return left.value.code

    return call


@pytest.mark.fault(97)
@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("latin-1", "café \\u4e2d\\u6587 \\u0416"),
        ("ascii", "caf\\xe9 \\u4e2d\\u6587 \\u0416"),
        ("cp1251", "caf\\xe9 \\u4e2d\\u6587 Ж"),
        ("utf-8", LETTERS),
        ("utf-16-le", LETTERS),
    ],
)
@pytest.mark.parametrize("by", ["print", "console"])
def test_letters_that_a_stream_lacks_are_escapes(run, encoding, expected, by):
    out = encoded(encoding)

    def main(config):
        print(LETTERS) if by == "print" else console.stdout().print(LETTERS)

    assert run(main, stdout=out) == 0
    assert out.buffer.getvalue().decode(encoding) == expected + "\n"


@pytest.mark.fault(97)
def test_bytes_of_names_that_are_no_text_are_written_as_they_are(run):
    out = encoded("latin-1")
    assert run(lambda config: print("caf\udce9 \ud800 中"), stdout=out) == 0
    assert out.buffer.getvalue() == b"caf\xe9 \\ud800 \\u4e2d\n"


@pytest.mark.fault(97)
def test_a_stream_of_a_notebook_that_lacks_letters_gets_escapes_too():
    class Narrow(io.StringIO):
        encoding = "ascii"

        def write(self, text):
            text.encode("ascii")
            return super().write(text)

    narrow = Narrow()
    stream.exact(narrow).write(LETTERS)
    stream.lasting(narrow).writelines([LETTERS])
    assert narrow.getvalue() == 2 * "caf\\xe9 \\u4e2d\\u6587 \\u0416"


@pytest.mark.fault(89)
@pytest.mark.parametrize("number", [errno.EIO, errno.EPIPE, errno.ENOSPC, errno.EBADF])
def test_nothing_ends_because_stderr_cannot_be_written(run, capsys, number):
    done = []

    def main(config):
        print("a warning", file=sys.stderr, flush=True)
        out = console.stderr()
        out.print("a line")
        with progress_bar.reporting("scanning", out) as report:
            report(1, 2)
        done.append(True)

    assert run(main, stderr=Dead(number)) == 0
    assert done


@pytest.mark.fault(89)
def test_a_console_of_a_program_that_is_no_command_of_ours_lasts_too(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Dead())
    console.stderr().print("a line")
    monkeypatch.setattr(sys, "stderr", None)  # pythonw, or 2>&-
    console.stderr().print("a line")


@pytest.mark.fault(89)
def test_a_pipe_that_is_closed_ends_a_training_neither_on_stdout_nor_on_stderr(run):
    """As in `train.py 2>&1 | head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    out, err = (os.fdopen(descriptor, "w") for descriptor in (os.dup(writer), writer))
    done = []

    def main(config):
        for _ in range(3):
            print("by a hook", flush=True)
            print("a warning", file=sys.stderr, flush=True)
            console.stderr().print("step 1/3")
            done.append(True)

    assert run(main, stdout=out, stderr=err, lasting=True) == 0
    assert len(done) == 3
    out.close()  # no error now, nor when Python exits
    err.close()


@pytest.mark.fault(89)
def test_a_closed_pipe_behind_results_ends_the_command_with_141(run):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        assert run(lambda config: console.stdout().print("a row"), stdout=out) == 141


@pytest.mark.fault(89)
def test_a_full_disk_behind_results_is_one_line(run, capsys):
    out = Dead(errno.ENOSPC)
    out.name = "<stdout>"
    assert run(lambda config: print("a row"), stdout=out) == RunError.exit_code
    words = "cannot write <stdout> - no space left on device; make room, or send the output "
    assert capsys.readouterr().err == f"error: {words}elsewhere\n"


@pytest.mark.fault(181)
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
@pytest.mark.parametrize(("lasting", "code"), [(False, RunError.exit_code), (True, 0)])
def test_what_a_full_disk_has_not_taken_is_no_error_of_the_exit(lasting, code):
    program = (
        "import sys; from hw2.commands import launch; from hw2.config.settings import Config; "
        "launch.run(lambda config: print('a row'), argv=['x'], parse=lambda argv: Config(), "
        f"tensorflow=False, lasting={lasting})"
    )
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == code
    assert done.stderr.count(b"\n") == (not lasting)  # one line, and none of the interpreter's


@pytest.mark.fault(101)
def test_nothing_is_hidden_and_nothing_fails_without_a_temporary_folder(monkeypatch, capfd):
    def none():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(noise.tempfile, "TemporaryFile", none)
    monkeypatch.delattr(os, "memfd_create", raising=False)
    with noise.without_noise():
        os.write(2, b"kept\n")
    assert capfd.readouterr().err == "kept\n"


@pytest.mark.fault(101)
def test_a_temporary_folder_that_is_needed_and_not_there_is_named(run, capsys):
    def main(config):
        raise FileNotFoundError(
            errno.ENOENT, "No usable temporary directory found in ['/tmp', '/var/tmp']"
        )

    assert run(main) == 6
    assert capsys.readouterr().err == (
        "error: no temporary folder - none can be written of ['/tmp', '/var/tmp']; "
        "set TMPDIR to a folder that can be written\n"
    )


@pytest.mark.fault(101)
def test_another_file_that_is_not_there_keeps_its_traceback(run):
    def main(config):
        os.stat("/nonexistent/file")

    with pytest.raises(FileNotFoundError, match="nonexistent"):
        launch.run(main, argv=["train.py"], parse=lambda argv: Config())


@pytest.mark.fault(127)
def test_two_threads_that_hide_lines_at_once_give_stderr_back(capfd):
    def hide(enter, leave):
        with noise.without_noise():
            inside.set()
            assert leave.wait(30)
        enter.set()

    first_left, inside, leave = threading.Event(), threading.Event(), threading.Event()
    thread = threading.Thread(target=hide, args=(first_left, leave))
    with noise.without_noise():
        thread.start()
        assert inside.wait(30)
        os.write(2, b"I0000 00:00 noise\nkept\n")
    leave.set()
    thread.join(30)
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "kept\nafter\n"
