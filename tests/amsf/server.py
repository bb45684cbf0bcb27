"""The service over HTTP, with what CloudWatch and CloudFormation are asked beside it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from tests.amsf.service import ManagedFlink
from tests.amsf.shapes import Refused, plain

TARGET = "KinesisAnalytics_20180523."


class LocalService:
    """``outputs``: of the stack that CloudFormation is asked for. ``throttle``: so many of the next calls
    are refused for coming too fast."""

    def __init__(self, flink: ManagedFlink, outputs: dict[str, str] | None = None) -> None:
        self.flink, self.outputs = flink, outputs or {}
        self.throttle = 0
        self._one = threading.Lock()
        self.endpoint = ""

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Its endpoint, on a free port of 127.0.0.1."""
        ours = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 2**16  # an answer in one piece, or each waits 40 ms for its acknowledgement

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                with ours._one:
                    status, kind, body = ours.answer(self.path, dict(self.headers), raw)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def date_time_string(self, timestamp: float | None = None) -> str:
                return super().date_time_string(ours.flink.clock.now_ms() / 1000)

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        self.endpoint = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self.endpoint
        finally:
            server.shutdown()
            server.server_close()

    def answer(self, path: str, headers: dict[str, str], raw: bytes) -> tuple[int, str, bytes]:
        target = {name.lower(): value for name, value in headers.items()}.get("x-amz-target", "")
        if target == "GraniteServiceVersion20100801.GetMetricData":
            return 200, "application/x-amz-json-1.0", _json(self._metrics(json.loads(raw)))
        if target == "Logs_20140328.FilterLogEvents":
            return 200, "application/x-amz-json-1.1", _json(self._logs(json.loads(raw)))
        if target.startswith(TARGET):
            return self._flink(target.removeprefix(TARGET), json.loads(raw))
        if parse_qs(raw.decode()).get("Action") == ["DescribeStacks"]:
            return 200, "text/xml", self._stacks()
        return 404, "text/plain", f"nothing of this is imitated: {path} {target}".encode()

    def _flink(self, operation: str, request: dict[str, Any]) -> tuple[int, str, bytes]:
        kind = "application/x-amz-json-1.1"
        try:
            if self.throttle:
                self.throttle -= 1
                raise Refused("ThrottlingException", "Rate exceeded")
            return 200, kind, json.dumps(plain(self.flink.call(operation, request))).encode()
        except Refused as error:
            body = {"__type": error.code, "message": error.message}
            return 400, kind, json.dumps(body).encode()

    def _metrics(self, request: dict[str, Any]) -> dict[str, Any]:
        times = [int(request[name] * 1000) for name in ("StartTime", "EndTime")]
        found = []
        for query in request["MetricDataQueries"]:
            metric = query["MetricStat"]["Metric"]
            named = {one["Name"]: one["Value"] for one in metric["Dimensions"]}
            series = self.flink.engine.series(named["Application"], metric["MetricName"], *times)
            found.append({
                "Id": query["Id"],
                "Label": metric["MetricName"],
                "Timestamps": [at / 1000 for at, _ in series][::-1],
                "Values": [float(value) for _, value in series][::-1],
                "StatusCode": "Complete",
            })  # fmt: skip
        return {"MetricDataResults": found}

    def _logs(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["logGroupName"].rpartition("/")[2]
        since, to = request.get("startTime", 0), request.get("endTime", 2**62)
        every = [(at, text) for at, text in self.flink.engine.logs(name) if since <= at <= to]
        begin, most = int(request.get("nextToken", "0")), request.get("limit", 10_000)
        events = [
            {"logStreamName": "application", "timestamp": at, "message": text, "eventId": str(n)}
            for n, (at, text) in enumerate(every)
        ]
        more = {"nextToken": str(begin + most)} if begin + most < len(events) else {}
        return {"events": events[begin : begin + most], **more}

    def _stacks(self) -> bytes:
        members = "".join(
            f"<member><OutputKey>{name}</OutputKey><OutputValue>{escape(value)}</OutputValue></member>"
            for name, value in self.outputs.items()
        )
        made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return (
            '<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">'
            "<DescribeStacksResult><Stacks><member><StackName>s</StackName>"
            f"<CreationTime>{made}</CreationTime><StackStatus>UPDATE_COMPLETE</StackStatus>"
            f"<Outputs>{members}</Outputs></member></Stacks></DescribeStacksResult>"
            "</DescribeStacksResponse>"
        ).encode()


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
