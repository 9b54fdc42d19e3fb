"""The command: from its line of JSON to the signal that ends it."""

import json
import os
import signal
import threading
import time
import urllib.request

import pytest


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_serves_until_a_signal(command, digits_run, capfd, monkeypatch, signum, code):
    monkeypatch.setattr("webbrowser.open", lambda url: pytest.fail(f"opened {url}"))
    found = {}

    def stop():
        out = ""
        while "\n" not in out:
            out += capfd.readouterr().out
            time.sleep(0.05)
        found.update(json.loads(out))
        with urllib.request.urlopen(found["url"]) as answer:
            found["page"] = answer.read()
        os.kill(os.getpid(), signum)

    thread = threading.Thread(target=stop)
    thread.start()
    assert command("serve", digits_run, "--port=0", "--noopen") == code
    thread.join()
    assert b"<!doctype html>" in found["page"]
    assert found["step"] in (2, 4, 6)


def test_a_port_that_is_taken(command, digits_run, served, capsys):
    port = served.server_address[1]
    assert command("serve", digits_run, f"--port={port}", "--noopen") == 1
    assert f"cannot serve at 127.0.0.1:{port} - address already in use" in capsys.readouterr().err


def test_mistakes(command, capsys, tmp_path):
    assert command("serve", tmp_path, "--port=70000") == 1
    assert "--port must be in [0, 65535]" in capsys.readouterr().err
    assert command("serve", tmp_path) == 4
    assert "no run in" in capsys.readouterr().err
