"""A proxy on this machine between jobs and a stand-in, which can cut, stall, slow and refuse.

Of HTTP it understands as much as it takes to answer a request in the service's place.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from random import Random
from typing import Any

CHUNK = 65_536
SLOW_S = 0.15  # that each piece of data waits while it is slow
REFUSED = 0.5  # share of requests that are answered in the service's place
_AWS = "application/x-amz-json-1.0"
# (status, content type, body) that stand for trouble, in each service's own words
_ERRORS = {
    "dynamodb": (500, _AWS, {"__type": "com.amazonaws.dynamodb.v20120810#InternalServerError"}),
    "kinesis": (503, _AWS, {"__type": "ServiceUnavailableException"}),
    "s3": (503, "application/xml", "<Error><Code>ServiceUnavailable</Code></Error>"),
}
_THROTTLED = {
    "dynamodb": (
        400, _AWS,
        {"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"},
    ),
    "kinesis": (400, _AWS, {"__type": "ProvisionedThroughputExceededException"}),
    "s3": (503, "application/xml", "<Error><Code>SlowDown</Code></Error>"),
}  # fmt: skip
ANSWERS = {"errors": _ERRORS, "throttle": _THROTTLED}


class Proxy:
    """Listens on ``port`` of 127.0.0.1 and connects to ``upstream()`` for each connection.

    ``trouble``: cut, stall, slow, errors, throttle, or "" while there is none; set by ``set``.
    """

    def __init__(self, service: str, upstream: Callable[[], int]) -> None:
        self.service, self.trouble, self.port, self.refused = service, "", 0, 0
        self._upstream = upstream
        self._http = service in _ERRORS
        self._random = Random(service)
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=service, daemon=True)

    def start(self) -> Proxy:
        self._thread.start()
        self._server = self._in_loop(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def set(self, trouble: str) -> None:
        """From now on. What is connected is cut where that is the trouble."""
        self.trouble = trouble
        if trouble == "cut":
            self._loop.call_soon_threadsafe(self._abort)

    def stop(self) -> None:
        async def close() -> None:
            self._server.close()
            self._abort()

        self._in_loop(close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _in_loop(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    def _abort(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.trouble == "cut":
            writer.transport.abort()
            return
        there: asyncio.StreamWriter | None = None
        try:
            back, there = await asyncio.open_connection("127.0.0.1", self._upstream())
            self._open |= {writer, there}
            up = self._requests if self._http else self._pipe
            ways = [asyncio.ensure_future(up(reader, there, writer)),
                    asyncio.ensure_future(self._pipe(back, writer))]  # fmt: skip
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except OSError:  # upstream is not there: neither are we
            pass
        finally:
            for one in (writer, there):
                if one is not None:
                    self._open.discard(one)
                    one.close()

    async def _pipe(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *_: Any
    ) -> None:
        while data := await reader.read(CHUNK):
            await self._pass(data, writer)

    async def _pass(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        if self.trouble == "slow":
            await asyncio.sleep(SLOW_S)
        while self.trouble == "stall":
            await asyncio.sleep(0.05)
        writer.write(data)
        await writer.drain()

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        there: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
    ) -> None:
        """Requests one after the other, each sent on or refused as a whole."""
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                return
            if self.trouble in ANSWERS and self._random.random() < REFUSED:
                self.refused += 1
                client.write(_answer(self.trouble, self.service))
                await client.drain()
                return  # its body is not read, so the connection ends
            await self._pass(head, there)
            fields = head.lower()
            if b"\r\ntransfer-encoding:" in fields:
                await self._pipe(reader, there)
                return
            left = int(fields.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0] or 0)
            while left:
                data = await reader.read(min(left, CHUNK))
                if not data:
                    return
                left -= len(data)
                await self._pass(data, there)


def _answer(trouble: str, service: str) -> bytes:
    status, kind, said = ANSWERS[trouble][service]
    body = said.encode() if isinstance(said, str) else json.dumps(said).encode()
    head = f"HTTP/1.1 {status} Trouble\r\nContent-Type: {kind}\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
