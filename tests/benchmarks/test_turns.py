"""Peers in processes of their own: turns, what they print, and those that end."""

import os
import sys

import pytest

GOOD = """
import os, turns

def make():
    print("a library has loaded")
    os.system("echo so has another")
    return lambda: print("working"), {"library": "1.0"}

turns.serve(make)
"""
DIES_AT_ONCE = "import sys; sys.exit('no such network')"
DIES_LATER = """
import os, sys, turns

def call(calls=[]):
    calls.append(1)
    if len(calls) == 3:
        print("about to fail", file=sys.stderr, flush=True)
        os.kill(os.getpid(), 11)

turns.serve(lambda: (call, {}))
"""


def command(text):
    return [sys.executable, "-c", text]


@pytest.fixture(autouse=True)
def no_rest(monkeypatch, on_the_path):
    import turns

    monkeypatch.setattr(turns, "REST", 0)


@pytest.mark.fault(105)
def test_peers_take_turns_whatever_they_print():
    import turns

    with turns.peers({"one": command(GOOD), "two": command(GOOD)}) as running:
        times = turns.seconds(running, rounds=3)
        assert [peer.facts for peer in running] == [{"library": "1.0"}] * 2
        assert all(peer.peak_mb > 1 for peer in running)
    assert {name: len(values) for name, values in times.items()} == {"one": 3, "two": 3}
    assert all(value > 0 for values in times.values() for value in values)


@pytest.mark.fault(105)
def test_the_others_go_on_without_a_peer_that_ends(capfd):
    import turns

    commands = {"none": command(DIES_AT_ONCE), "short": command(DIES_LATER), "one": command(GOOD)}
    commands["absent"] = [os.path.join(os.sep, "no", "such", "python")]
    with turns.peers(commands) as running:
        assert [peer.name for peer in running] == ["short", "one"]
        times = turns.seconds(running, rounds=4)
    assert {name: len(values) for name, values in times.items()} == {"one": 4}
    told = capfd.readouterr().err
    assert "left out: none ended with exit code 1\n  no such network\n" in told
    assert "left out: absent does not start: " in told
    assert "left out: short ended by signal 11 (Segmentation fault)\n" in told
    assert "\n  about to fail\n" in told


def test_the_end_of_the_block_ends_the_processes():
    import turns

    with turns.peers({"one": command(GOOD)}) as running:
        process = running[0]._process
        assert process.poll() is None
    assert process.returncode == 0
