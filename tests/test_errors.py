"""What a Fault says is what a terminal can show, whatever the names in it hold."""

import pytest

from hw2.config import settings
from hw2.errors import DataError, Fault, UsageError


@pytest.mark.fault(168)
@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("plain", "plain"),
        ("caf\u00e9 \u732b", "caf\u00e9 \u732b"),
        ("\x1b[2J\x07", r"\x1b[2J\x07"),  # clears the screen, and beeps
        ("a\rb", r"a\rb"),
        ("gpj.\u202ecat", r"gpj.\u202ecat"),  # reverses what follows it
        ("\udcff", r"\udcff"),  # a byte that is not UTF-8
        ("a\nb", r"a\nb"),
        ("list:\n  item\n  item", "list:\n  item\n  item"),
    ],
)
def test_nothing_that_a_terminal_obeys(message, shown):
    assert str(DataError(message)) == shown
    assert str(Fault(shown)) == shown  # an error that repeats another changes nothing


@pytest.mark.fault(168)
def test_a_line_of_a_flagfile(tmp_path):
    path = tmp_path / "x.cfg"
    path.write_bytes(b"--model \x1b[2J\xff\n")
    with pytest.raises(UsageError) as caught:
        settings.parse(["train.py", f"--flagfile={path}"])
    assert "\\x1b[2J" in str(caught.value)
    assert str(caught.value).isprintable()
