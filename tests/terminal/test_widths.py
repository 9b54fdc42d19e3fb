"""Terminals without a width, as that of a container or of a debugger."""

import io
import os

import pytest
from rich.console import Console

from hw2.terminal import console, progress_bar


@pytest.mark.fault(166)
@pytest.mark.parametrize("columns", [0, 1])
def test_terminals_of_hardly_any_columns(monkeypatch, columns):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(os, "get_terminal_size", lambda *of: os.terminal_size((columns, columns)))
    out = Console(file=io.StringIO(), force_terminal=True)
    with progress_bar.reporting("reading", out) as report:
        for done in range(3):
            report(done, 3)
    out.print("a line of words")
    assert "w" in out.file.getvalue()


@pytest.mark.fault(166)
@pytest.mark.parametrize("name", ["", "dumb", "no-such-terminal"])
def test_terminals_without_a_name(monkeypatch, name):
    monkeypatch.setenv("TERM", name)
    monkeypatch.setenv("COLUMNS", "nonsense")
    assert console.stderr().width > 0


def test_a_file_is_no_terminal_whatever_a_notebook_says(monkeypatch, capsys):
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.setenv(name, "1")
    for out in (console.stdout(), console.stderr()):
        assert (out.is_terminal, out.is_interactive, out.color_system) == (False, False, None)
        out.print("word " * 30, style="red")
    assert set(capsys.readouterr()) == {"word " * 30 + "\n"}
