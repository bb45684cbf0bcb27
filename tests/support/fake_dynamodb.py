"""A DynamoDB over HTTP that can be sick: it throttles, hangs, fails or refuses as a test says.

A put keeps an item whose version is newer, as its condition says. An item is changed whatever the
condition: who wins there is the real one's affair (tests/integration/test_hot_items.py).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import orjson

_SERVICE = "com.amazonaws.dynamodb.v20120810#"


class Asked(NamedTuple):
    """One request. key: the item's first key value; number: how often that key was asked for, from 1."""

    key: str
    number: int
    body: dict[str, Any]


class Refusal(NamedTuple):
    """error: DynamoDB's name of it, "" for none. pause_s: before the answer's body. written: it was, and
    only the answer says otherwise."""

    status: int
    error: str
    message: str = "as the test wants it"
    pause_s: float = 0
    written: bool = False


TOO_LATE = Refusal(400, "ConditionalCheckFailedException")
THROTTLED = Refusal(400, "ProvisionedThroughputExceededException")
Answer = Refusal | None  # None: written
Behaviour = Callable[[Asked], Answer]


class FakeDynamoDb:
    """``items``: key -> attributes. ``asked``: all requests. ``behave``: asked before each is answered,
    in a thread of its own: it may wait."""

    def __init__(self, key: str, behave: Behaviour) -> None:
        self.key, self.behave = key, behave
        self.items: dict[str, dict[str, Any]] = {}
        self.asked: list[Asked] = []
        self.over = threading.Event()  # set at the end: for who hangs
        self.lock = threading.Lock()
        self.endpoint = ""

    def answer(self, body: dict[str, Any]) -> tuple[int, bytes, float]:
        item = body.get("Item") or body["Key"]
        key = next(iter(item[self.key].values()))
        with self.lock:
            asked = Asked(key, 1 + sum(one.key == key for one in self.asked), body)
            self.asked.append(asked)
        said = self.behave(asked)
        if said is None or said.written:
            with self.lock:
                if self._holds(body, self.items.get(key)):
                    self.items[key] = item
                else:
                    said = said or TOO_LATE
        if said is not None:
            problem = {"__type": _SERVICE + said.error, "message": said.message}
            return said.status, orjson.dumps(problem if said.error else {}), said.pause_s
        return 200, b"{}", 0

    def _holds(self, body: dict[str, Any], item: dict[str, Any] | None) -> bool:
        """Whether an item that is put is not older than what is there."""
        if item is None or "Item" not in body or "ConditionExpression" not in body:
            return True
        version = body["ExpressionAttributeNames"]["#v0"]
        return int(item[version]["N"]) <= int(body["ExpressionAttributeValues"][":v0"]["N"])


@contextmanager
def fake_dynamodb(key: str, behave: Behaviour = lambda asked: None) -> Iterator[FakeDynamoDb]:
    """Listening on a free port of this machine. ``key``: the tables' key attribute."""
    fake = FakeDynamoDb(key, behave)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            status, answer, pause_s = fake.answer(orjson.loads(self.rfile.read(length)))
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                time.sleep(pause_s)
                self.wfile.write(answer)
            except OSError:  # who asked has hung up
                self.close_connection = True

        def log_message(self, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: Any) -> None:
            pass  # a client that ends leaves connections

    server = Server(("127.0.0.1", 0), Handler)
    fake.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
