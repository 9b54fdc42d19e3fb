"""The HTTP server: bounded in threads, time and memory, and closed to other sites."""

from __future__ import annotations

import io
import ipaddress
import json
import socket
import sys
import threading
import time
import traceback
import urllib.parse
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import hw2
from hw2.serve import api, body
from hw2.serve.model import Model
from hw2.serve.refusal import Refusal

THREADS = 64  # connections at once
HEAD_SECONDS, BODY_SECONDS, ANSWER_SECONDS = 10.0, 30.0, 30.0
DRAIN_SECONDS, DRAIN_BYTES = 2.0, 4 * body.MOST  # of a body that is refused unread
PAGE = Path(__file__).with_name("page")
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
JSON = "application/json"
HEADERS = {
    "Cache-Control": "no-store",
    "Connection": "close",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Server(ThreadingHTTPServer):
    """Answers requests about one model, each in a thread of its own."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, model: Model):
        """Binds the address; port 0 takes any that is free.

        Raises:
          OSError: The address cannot be had.
        """
        self.model, self.host = model, host
        self.room = body.Room()
        self._free = threading.Semaphore(THREADS)
        self.files = {
            f"/{path.name}": (path.read_bytes(), f"{TYPES[path.suffix]}; charset=utf-8")
            for path in PAGE.iterdir()
            if path.suffix in TYPES
        }
        self.files["/"] = self.files.pop("/page.html")
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), Handler)

    @property
    def url(self) -> str:
        """The address of the page on this machine."""
        host = "127.0.0.1" if self.host in ("", "0.0.0.0") else self.host
        host = "::1" if host == "::" else host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_address[1]}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Starts a thread for a connection, or closes it when there are too many."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread could be started, which would give the place back
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answers, in the thread of the connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of clients that hang up."""
        if not isinstance(sys.exc_info()[1], OSError):
            traceback.print_exc()


class Handler(BaseHTTPRequestHandler):
    """Answers one request, and closes the connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = f"hw2/{hw2.__version__}", ""

    def setup(self) -> None:
        """Gives the request a time by which its head must have come."""
        super().setup()
        self._timed = _Timed(self.connection, HEAD_SECONDS)
        self.rfile = self._reader = io.BufferedReader(self._timed)

    def do_GET(self) -> None:
        """Answers with the page or JSON."""
        self._answer(self._get)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Answers with what the model says of a picture."""
        self._answer(self._post)

    def _get(self) -> tuple[bytes, str]:
        path, query = self._asked()
        if path in self.server.files:
            return self.server.files[path]
        return _encoded(api.get(self.server.model, path, query)), JSON

    def _post(self) -> tuple[bytes, str]:
        self._check_origin()
        path, _ = self._asked()
        if path != "/predict":
            raise Refusal(404, f"nothing to post to at {self.path[:80]} - see POST /predict")
        count = body.length(self.headers)
        self._timed.allow(BODY_SECONDS)
        with self.server.room.shared() as take:
            content = body.read(self._reader, count, take)
            self._timed.allow(0)  # all is read
            found = body.picture(self.headers.get("Content-Type", ""), content)
            return _encoded(self.server.model.predict(*found)), JSON

    def _asked(self) -> tuple[str, dict[str, str]]:
        """The path of the address, and what follows its question mark."""
        try:
            parts = urllib.parse.urlsplit(self.path)
            query = urllib.parse.parse_qsl(parts.query, max_num_fields=10)
        except ValueError as error:
            raise Refusal(400, f"not an address that can be read: {error}") from error
        return parts.path, dict(query)

    def _answer(self, work: Any) -> None:
        """Sends what `work` returns, or why it is refused."""
        try:
            self._check_host()
            status = 200
            content, kind = work()
        except Refusal as refusal:
            status, content, kind = refusal.status, _error(refusal.message), JSON
        except TimeoutError:
            status, kind = 408, JSON
            content = _error(f"the picture must come within {BODY_SECONDS:.0f} seconds")
        except OSError:
            raise  # the client has hung up
        except Exception:
            traceback.print_exc()
            status, kind = 500, JSON
            content = _error("something went wrong - the terminal of hw2 serve says what")
        self._send(status, content, kind)

    def _check_host(self) -> None:
        """Refuses names that another site may have given this machine, as by DNS rebinding."""
        name = self.headers.get("Host", "")
        if not allowed(name, self.server.host):
            raise Refusal(
                403, f"not served under the name {name[:80]!r} - open {self.server.url} instead"
            )

    def _check_origin(self) -> None:
        """Refuses what the page of another site sends."""
        origin, host = self.headers.get("Origin"), self.headers.get("Host", "")
        site = self.headers.get("Sec-Fetch-Site", "none")
        if site not in ("same-origin", "none") or origin not in (None, f"http://{host}"):
            raise Refusal(403, "sent by the page of another site - use the page of hw2 serve")

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Sends an error that `http.server` finds, as JSON."""
        self._send(code, _error(message or HTTPStatus(code).phrase), JSON)

    def _send(self, status: int, content: bytes, kind: str) -> None:
        self.close_connection = True
        self.connection.settimeout(ANSWER_SECONDS)
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        if status in (405, 501):
            self.send_header("Allow", "GET, HEAD, POST")
        if status == 503:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        if status >= 400:
            self._drain()

    def _drain(self) -> None:
        """Takes in what is still being sent, or the client would not read why it is refused."""
        try:
            self.connection.shutdown(socket.SHUT_WR)
            self._timed.allow(DRAIN_SECONDS)
            left = DRAIN_BYTES
            while left > 0 and (chunk := self._reader.read1(2**16)):
                left -= len(chunk)
        except OSError:
            return

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing of single requests."""


class _Timed(io.RawIOBase):
    """What a socket receives until a certain time."""

    def __init__(self, connection: socket.socket, seconds: float):
        self._connection = connection
        self.allow(seconds)

    def allow(self, seconds: float) -> None:
        """Sets the time that is left."""
        self._end = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


def allowed(name: str, host: str) -> bool:
    """Whether a request may call this machine so.

    A site of the internet can point its own name at this machine, but not an address.

    Args:
      name: The header `Host`.
      host: The address that the server is bound to.
    """
    try:
        asked = urllib.parse.urlsplit(f"//{name}").hostname or ""
    except ValueError:
        return False
    if asked == "localhost" or asked == host.lower():
        return True
    address = _address(asked)
    if is_local(host):
        return address is not None and address.is_loopback
    own = socket.gethostname().lower()
    return address is not None or asked in (own, own.partition(".")[0] + ".local")


def is_local(host: str) -> bool:
    """Whether only this machine can reach an address."""
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _encoded(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer, allow_nan=False).encode()


def _error(message: str) -> bytes:
    return _encoded({"error": message})
