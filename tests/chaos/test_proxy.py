"""The proxy on real sockets: as if it were not there, until it is told to make trouble."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.wait import wait_for
from tillstream.chaos.proxy import ANSWERS, Proxy


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def proxy():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made = Proxy("dynamodb", lambda: server.server_address[1]).start()
    yield made
    made.stop()
    server.shutdown()
    server.server_close()


def ask(
    proxy: Proxy, body: bytes = b"x", connection=None, timeout: float = 30
) -> tuple[int, bytes]:
    connection = connection or http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=timeout)
    connection.request("POST", "/", body)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_without_trouble_every_byte_passes_on_one_connection(proxy: Proxy):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=30)
    for size in (0, 1, 300_000, 5):
        body = bytes(n % 256 for n in range(size))
        assert ask(proxy, body, connection) == (200, body)


def test_a_cut_ends_open_connections_and_takes_no_new_ones_until_it_is_over(proxy: Proxy):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=30)
    ask(proxy, b"x", connection)
    proxy.set("cut")
    # The first may still find the connection open on its side.
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(proxy, b"x", connection)
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(proxy)
    proxy.set("")
    assert ask(proxy) == (200, b"x")


def test_what_is_stalled_comes_when_it_is_over(proxy: Proxy):
    proxy.set("stall")
    answers: list[tuple[int, bytes]] = []
    asking = threading.Thread(target=lambda: answers.append(ask(proxy)))
    asking.start()
    asking.join(0.3)
    assert answers == []
    proxy.set("slow")
    asking.join(30)
    assert answers == [(200, b"x")]


@pytest.mark.parametrize("trouble", ANSWERS)
def test_some_requests_are_answered_in_the_services_place_and_some_pass(proxy: Proxy, trouble: str):
    proxy.set(trouble)
    answers = [ask(proxy) for _ in range(30)]
    refusals = {answer for answer in answers if answer[0] != 200}
    (status, body) = refusals.pop()
    assert not refusals
    assert status == ANSWERS[trouble]["dynamodb"][0]
    assert b"dynamodb.v20120810#" in body
    assert answers.count((200, b"x")) == 30 - proxy.refused


def test_a_service_that_is_down_is_down_through_the_proxy_too():
    gone = Proxy("kafka", lambda: 1).start()
    try:
        with pytest.raises((OSError, http.client.HTTPException)):
            ask(gone)
        wait_for(lambda: not gone._open, 10, "no connection to be left")
    finally:
        gone.stop()
