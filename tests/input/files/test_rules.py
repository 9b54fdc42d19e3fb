import pwd
import re

import pytest

from hw2.input.files.rules import Rules, default_cache_folder


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("on_bad_file", "ignore", "on_bad_file must be error or skip, got 'ignore'."),
        ("max_bad_fraction", -0.1, "max_bad_fraction must be in [0, 1], got -0.1."),
        ("max_bad_fraction", 1.1, "max_bad_fraction must be in [0, 1], got 1.1."),
        ("max_bad_fraction", float("nan"), "max_bad_fraction must be in [0, 1], got nan."),
        ("max_pixels", 0, "max_pixels and min_size must be at least 1, got 0 and 1."),
        ("min_size", 0, "max_pixels and min_size must be at least 1, got 100000000 and 0."),
    ],
)
def test_numbers_out_of_range(field, value, words):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        Rules(**{field: value})


@pytest.mark.fault(161)
def test_a_user_that_the_machine_does_not_know_keeps_none(monkeypatch):
    def unknown(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "XDG_CACHE_HOME", "HW2_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert default_cache_folder() is None


def test_where_manifests_are_kept(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_cache_folder() == "/home/me/.cache/hw2"
    monkeypatch.setenv("XDG_CACHE_HOME", "/scratch")
    assert default_cache_folder() == "/scratch/hw2"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which the specification says to ignore
    assert default_cache_folder() in (None, "/home/me/.cache/hw2")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert default_cache_folder() == "/home/me/.cache/hw2"
