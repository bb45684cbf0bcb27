"""POST /records on 127.0.0.1: the answer is 200 once all records of a request are safe."""

from __future__ import annotations

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from tillstream.errors import Problem
from tillstream.till.files import keyed
from tillstream.till.keys import key_of
from tillstream.till.spool import SpoolFull

if TYPE_CHECKING:
    from tillstream.till.forwarder import Forwarder

HOST = "127.0.0.1"
AT_ONCE = 32  # requests; more wait for their turn in the kernel
SILENCE_S = 10  # a client that sends nothing for so long is hung up on
RETRY_AFTER_S = 5
ANSWERED_S = 15.0  # for each answer under way at the end
NDJSON = "application/x-ndjson"


class Endpoint:
    """Listens from the start; ``run`` answers. port: 0 is any free one."""

    def __init__(
        self, port: int, forwarder: Forwarder, default_key: str, request_bytes: int
    ) -> None:
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        own = {"forwarder": forwarder, "default_key": default_key, "turns": self._turns}
        handler = type("Handler", (_Handler,), own | {"request_bytes": request_bytes})
        try:
            self._server = _Server((HOST, port), handler)
        except OSError as error:
            raise Problem(
                f"port {port} of {HOST}: {error.strerror}: give another --listen"
            ) from None
        self.url = f"http://{HOST}:{self._server.server_port}"

    def run(self, stop: threading.Event) -> None:
        """Until ``stop``; requests under way are answered."""
        threading.Thread(target=self._end_on, args=(stop,), daemon=True).start()
        self._server.serve_forever(poll_interval=0.1)
        self._server.server_close()
        for _ in range(AT_ONCE):
            self._turns.acquire(timeout=ANSWERED_S)

    def _end_on(self, stop: threading.Event) -> None:
        stop.wait()
        self._server.shutdown()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # an idle connection is no request
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away in mid-request: it has no 200, so it sends again."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = SILENCE_S
    disable_nagle_algorithm = True
    forwarder: Forwarder
    default_key: str
    request_bytes: int
    turns: threading.BoundedSemaphore

    def do_POST(self) -> None:
        if self.path != "/records":
            self.close_connection = True  # its body is not read
            self._answer(404, "POST /records")
            return
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            self.close_connection = True
            self._answer(411, "a Content-Length is needed")
            return
        if int(length) > self.request_bytes:
            self.close_connection = True
            self._answer(413, f"more than {self.request_bytes:,} bytes (till.request_bytes)")
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return
        with self.turns:
            self._answer(*self._made_safe(body))

    def do_GET(self) -> None:
        """Whether it runs, for whoever watches it. `tillstream till status` says more."""
        sums = self.forwarder.spool.sums
        self._answer(200, "", waiting=sums.waiting, refused=sums.refused)

    def _made_safe(self, body: bytes) -> tuple[int, str]:
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind == NDJSON:
            records = list(keyed(io.BytesIO(body).readlines(), self.default_key))
        else:
            records = [(key_of(body, self.default_key), body)] if body else []
        for key, raw in records:
            if why := self.forwarder.target.never(key, raw):
                return 413, f"a record is {why}; nothing of the request was taken"
        try:
            self.forwarder.accept_many(records)
        except SpoolFull as full:
            return 503, full.message
        except Problem as problem:
            return 503, problem.message
        return 200, ""

    def _answer(self, status: int, error: str, **more: int) -> None:
        said = json.dumps(({"error": error} if error else {"safe": True}) | more).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        if status == 503:
            self.send_header("Retry-After", str(RETRY_AFTER_S))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a log line per request would wear out a till's disk."""
