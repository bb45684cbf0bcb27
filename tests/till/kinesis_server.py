"""PutRecords over HTTP, as little of it as a forwarder needs, in the process of the test."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tillstream.clients.retry import Keyed

Hook = Callable[[str, list[Keyed]], None]


class KinesisServer:
    """``taken`` in the order of arrival. outcome(key): an error code, or empty. at: is told ``request`` and
    ``taken``, before the answer; what it raises is a line that breaks. away: hangs up on all."""

    def __init__(self) -> None:
        self.taken: list[Keyed] = []
        self.requests: list[list[Keyed]] = []
        self.outcome: Callable[[str], str] = lambda key: ""
        self.whole: tuple[str, str] | None = None  # code and message of an error of the request
        self.at: Hook = lambda place, records: None
        self.away = False
        self.lock = threading.Lock()
        own = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    answer = own.answer(json.loads(body))
                except ConnectionError:
                    self.close_connection = True
                    return
                status = 400 if "__type" in answer else 200
                said = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, format: str, *args: object) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: object, client_address: object) -> None: ...

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        records = [(r["PartitionKey"], base64.b64decode(r["Data"])) for r in asked["Records"]]
        if self.away:
            raise ConnectionError
        with self.lock:
            self.requests.append(records)
            self.at("request", records)
            if self.whole:
                return {"__type": self.whole[0], "message": self.whole[1]}
            results = [self._one(key, raw) for key, raw in records]
            self.at("taken", records)
        failed = sum("ErrorCode" in one for one in results)
        return {"FailedRecordCount": failed, "Records": results}

    def _one(self, key: str, raw: bytes) -> dict[str, str]:
        if code := self.outcome(key):
            return {"ErrorCode": code, "ErrorMessage": f"of {key}"}
        self.taken.append((key, raw))
        return {"ShardId": "shardId-000000000000", "SequenceNumber": str(len(self.taken))}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
