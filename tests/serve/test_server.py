"""The JSON API over sockets: what it answers, what it refuses, and what it survives."""

import concurrent.futures
import contextlib
import gc
import io
import os
import socket
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hw2.config import settings
from hw2.jobs import model as trained
from hw2.runs.folder import RunFolder
from hw2.serve import server as serving
from hw2.serve.model import Model
from hw2.serve.server import allowed
from tests.serve.conftest import encoded

MEGABYTES = 400  # by which memory may grow: bodies in flight, and one picture that is decoded


def test_an_answer_is_that_of_predict(ask, digit, digits_run, tmp_path, command):
    answer = ask("POST", "/predict", digit.read_bytes())
    assert answer.status == 200
    output = tmp_path / "answer.csv"
    assert command("predict", digits_run, digit, f"--output={output}") == 0
    cells = output.read_text().splitlines()[1].split(",")[1:-1]
    guesses = [(guess["class"], guess["probability"]) for guess in answer.found["guesses"]]
    assert [name for name, _ in guesses] == cells[::2]
    np.testing.assert_allclose([p for _, p in guesses], list(map(float, cells[1::2])), atol=1e-5)


def test_a_picture_of_none_of_the_classes(digits_run, digit):
    found = trained.choose(RunFolder(digits_run), "auto")
    for least, rejected in ((0.999, True), (0.001, False)):
        model = Model(*found, settings.parse(["serve", f"--reject_below={least}"]))
        assert model.predict(digit.read_bytes(), "it")["rejected"] is rejected
    flags = ["--reject_by=distance", "--reject_below=coverage:0.001"]
    one = Model(*found, settings.parse(["serve", *flags])).predict(digit.read_bytes(), "it")
    assert one["rejected"] is (one["distance"] > one["reject_above"]) is True


def test_a_form_is_taken_as_browsers_and_curl_send_it(ask, digit):
    content = digit.read_bytes()
    form = b"--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--xyz\r\n"
    form += b'Content-Disposition: form-data; name="p"; filename="digit.png"\r\n'
    form += b"Content-Type: image/png\r\n\r\n"
    form += content + b"\r\n--xyz--\r\n"
    kind = "multipart/form-data; boundary=xyz"
    of_form = ask("POST", "/predict", form, Content_Type=kind)
    assert of_form.found["guesses"] == ask("POST", "/predict", content).found["guesses"]
    for wrong in (form.replace(b"filename", b"nofile"), form.replace(b"xyz", b"abc"), b""):
        assert ask("POST", "/predict", wrong, Content_Type=kind).status == 400
    cut = ask("POST", "/predict", form[:-60], Content_Type=kind)
    assert cut.status == 422
    assert "bad picture in digit.png" in cut.found["error"]
    named = ask("POST", "/predict", form[:-60].replace(b"digit", "花".encode()), Content_Type=kind)
    assert "bad picture in 花.png" in named.found["error"]


@pytest.mark.parametrize("name", [b"filename*=undefined''y", b"filename*=a\0b''y"])
def test_the_name_of_a_file_in_no_character_set(ask, name):
    form = b"--xyz\r\nContent-Disposition: form-data; " + name + b"\r\n\r\nb\r\n--xyz--\r\n"
    answer = ask("POST", "/predict", form, Content_Type="multipart/form-data; boundary=xyz")
    assert answer.status == 400
    assert answer.found["error"].startswith("damaged form - ")


def test_a_form_of_many_parts_is_refused(ask):
    form = b"\r\n--a\r\n\r\n" * 100_000
    answer = ask("POST", "/predict", form, Content_Type="multipart/form-data; boundary=a")
    assert answer.status == 400
    assert answer.found["error"].startswith("a form of more than 32 parts - ")


def test_an_error_of_the_model_is_no_mistake_in_the_address(ask, served, monkeypatch, capsys):
    def fail(*picture):
        raise ValueError("of the model")

    monkeypatch.setattr(served.model, "predict", fail)
    answer = ask("POST", "/predict", b"picture")
    assert answer.status == 500
    assert answer.found["error"].startswith("something went wrong - ")
    assert "ValueError: of the model" in capsys.readouterr().err
    answer = ask("GET", "/layers?" + "&".join("abcdefghijk=1"))  # more fields than are taken
    assert answer.status == 400
    assert answer.found["error"].startswith("not an address that can be read: ")


def test_the_walk_from_a_picture_to_a_sum(ask, digit):
    token = ask("POST", "/predict", digit.read_bytes()).found["picture"]
    layers = ask("GET", "/layers").found["layers"]
    look = ask("GET", f"/pictures/{token}").found
    assert look["seen"].startswith("data:image/png")
    number = [layer["number"] for layer in layers if layer["kind"] == "convolution"][1]
    sheet = ask("GET", f"/pictures/{token}/layers/{number}?first=0").found
    assert len(sheet["low"]) == layers[number]["channels"]
    channel = f"/pictures/{token}/layers/{number}/channels/3"
    values = ask("GET", channel).found["values"]
    told = ask("GET", f"{channel}/pixels/1/0?most=1000").found
    assert told["value"] == values[1][0]
    pairs = ((term["inputs"], term["weights"]) for term in told["terms"])
    by_hand = sum((np.array(x) * np.array(w)).sum() for x, w in pairs) + told["bias"]
    assert by_hand == pytest.approx(values[1][0], abs=1e-5)
    for path in (
        f"/pictures/{token}/layers/999",
        f"/pictures/{token}/layers/1?first=999",
        f"/pictures/{token}/layers/1/channels/999",
        f"/pictures/{token}/layers/1/channels/0/pixels/0/999",
        "/pictures/nothing",
        "/nothing",
        "/../page.js",
    ):
        assert ask("GET", path).status == 404
    assert ask("GET", f"{channel}/pixels/1/0?most=-1").status == 400


def test_a_page_without_anything_from_outside(ask):
    for path in ("/", "/page.js", "/sum.js", "/page.css"):
        answer = ask("GET", path)
        assert answer.status == 200
        assert "http://" not in answer.found
        assert "https://" not in answer.found
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert ask("HEAD", "/").found == ""


def test_other_sites_and_names_are_refused(ask, served, digit):
    content, own = digit.read_bytes(), served.url.rstrip("/")
    assert ask("POST", "/predict", content, Origin=own, Sec_Fetch_Site="same-origin").status == 200
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Host": "evil.example"},
    ):
        answer = ask("POST", "/predict", content, **headers)
        assert answer.status == 403, headers
        assert set(answer.found) == {"error"}
    assert ask("GET", "/", Host="evil.example:80").status == 403


def test_names_under_which_it_is_served():
    assert all(allowed(n, "127.0.0.1") for n in ("localhost:80", "127.0.0.1", "[::1]:8765"))
    assert not any(allowed(n, "127.0.0.1") for n in ("", "a.example", "192.168.0.7", "[::1", "::"))
    assert allowed("192.168.0.7:8765", "0.0.0.0")
    assert allowed(socket.gethostname(), "0.0.0.0")
    assert not allowed("a.example", "0.0.0.0")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Length": "-1"}, 411),
        ({"Content-Length": "many"}, 411),
        ({"Content-Length": str(2**40)}, 413),
        ({"Transfer-Encoding": "chunked"}, 411),
        ({}, 411),
    ],
)
def test_bodies_of_no_good_length(served, headers, status):
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(["POST /predict HTTP/1.1", "Host: localhost", *lines, "", ""])
    assert raw(served, head.encode()).startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 99, b"GIF89a", b"<svg/>", b"%PDF-1.7", b"\xff\xd8\xff" + b"\xff" * 999]
)
def test_what_is_not_a_picture(ask, content):
    answer = ask("POST", "/predict", content)
    assert answer.status == 422
    assert answer.found["error"].startswith("bad picture in the request - ")


def test_a_picture_of_too_many_pixels(ask):
    small = encoded(Image.new("L", (1, 1)), "BMP")
    huge = small[:18] + (60_000).to_bytes(4, "little") * 2 + small[26:]
    answer = ask("POST", "/predict", huge)
    assert answer.status == 422
    assert "too many pixels" in answer.found["error"]


def test_a_slow_request_ends(served, monkeypatch):
    monkeypatch.setattr(serving, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(serving, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(serving, "DRAIN_SECONDS", 0.1)
    assert raw(served, b"POST /pre", end=False) == b""
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\n123"
    assert raw(served, head, end=False).startswith(b"HTTP/1.1 408 ")


def raw(served, content, *, end=True):
    """Sends bytes, and returns all that comes back."""
    found = b""
    with (
        socket.create_connection(served.server_address[:2], timeout=60) as connection,
        contextlib.suppress(OSError),  # of a server that has heard enough
    ):
        connection.sendall(content)
        if end:
            connection.shutdown(socket.SHUT_WR)
        while chunk := connection.recv(65536):
            found += chunk
    return found


def hostile(served, number, content):
    """One of the requests that no honest client sends."""
    rng = np.random.default_rng(number)
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    cut = content[: int(rng.integers(1, len(content)))]
    kind = number % 8
    if kind == 0:  # a truncated picture
        return raw(served, head % len(cut) + cut)
    if kind == 1:  # a truncated request
        return raw(served, head % len(content) + cut)
    if kind == 2:  # noise for a picture, of up to 2 MB
        noise = rng.bytes(int(rng.integers(0, 2**21)))
        return raw(served, head % len(noise) + noise)
    if kind == 3:  # a damaged picture
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 9):
            damaged[place] = int(rng.integers(256))
        return raw(served, head % len(damaged) + bytes(damaged))
    if kind == 4:  # noise for a request
        return raw(served, rng.bytes(int(rng.integers(0, 5000))))
    if kind == 5:  # headers without end
        return raw(served, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000)
    if kind == 6:  # more than may be sent
        return raw(served, head % 2**35 + b"\0" * 100_000)
    with socket.create_connection(served.server_address[:2]) as connection:  # one who hangs up
        connection.sendall(head % len(content) + content)
    return b""


def megabytes():
    """The memory of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def survives(served, ask, count, digit):
    """Sends hostile requests, 50 at once; the server must answer, and have kept no memory."""
    photograph = encoded(Image.effect_noise((640, 480), 60).convert("RGB"), "JPEG")
    before = megabytes()
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda n: hostile(served, n, photograph), range(count)))
    statuses = {answer[9:12] for answer in answers if answer.startswith(b"HTTP/1.1 ")}
    assert {b"400", b"413", b"422"} <= statuses
    assert b"500" not in statuses
    assert ask("POST", "/predict", digit.read_bytes()).status == 200
    assert megabytes() - before < MEGABYTES
    return statuses


def test_hostile_requests(served, ask, digit, monkeypatch):
    monkeypatch.setattr(serving, "HEAD_SECONDS", 3.0)  # who is silent is sent away earlier
    monkeypatch.setattr(serving, "BODY_SECONDS", 6.0)
    survives(served, ask, 64, digit)


@pytest.mark.slow
def test_a_thousand_hostile_requests(served, ask, digit):
    survives(served, ask, 1000, digit)
    silent = [socket.create_connection(served.server_address[:2]) for _ in range(100)]
    time.sleep(serving.HEAD_SECONDS + 2)  # those who say nothing are sent away
    assert ask("POST", "/predict", digit.read_bytes()).status == 200
    for connection in silent:
        connection.close()


@pytest.mark.slow
def test_the_largest_picture_that_is_taken(ask):
    buffer = io.BytesIO()
    Image.new("RGBA", (10_000, 10_000), (9, 9, 9, 99)).save(buffer, "PNG", compress_level=1)
    assert ask("POST", "/predict", buffer.getvalue()).status == 200
