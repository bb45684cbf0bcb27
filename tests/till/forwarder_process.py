"""A forwarder as a process that starts at once: all of `tillstream till forward` but settings and boto3.

Arguments, as JSON: port of the stream, folders of spool and intake, port to listen on, size of a batch.
"""

from __future__ import annotations

import base64
import http.client
import json
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from tests.till.fakes import ROOMY, settings
from tillstream.cli.stopping import stop_on_signal
from tillstream.clients.retry import Keyed, Receipt
from tillstream.till import layout
from tillstream.till.endpoint import Endpoint
from tillstream.till.files import Folder
from tillstream.till.forwarder import Forwarder
from tillstream.till.progress import Progress
from tillstream.till.service import serve
from tillstream.till.spool import Spool


class HttpTarget:
    """A connection per lane to the server of `kinesis_server`."""

    name = "kinesis:till-transactions"

    def __init__(self, port: int) -> None:
        self._port, self._own = port, threading.local()

    def never(self, key: str, raw: bytes) -> str:
        return ""

    def put(self, batch: Sequence[Keyed]) -> list[Receipt]:
        line = getattr(self._own, "line", None)
        if line is None:
            line = self._own.line = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        records = [{"PartitionKey": k, "Data": base64.b64encode(r).decode()} for k, r in batch]
        try:
            line.request("POST", "/", json.dumps({"Records": records}))
            answer = json.loads(line.getresponse().read())
        except (OSError, http.client.HTTPException):
            line.close()
            return [Receipt(None, "no answer")] * len(batch)
        return [
            Receipt(one.get("SequenceNumber"), one.get("ErrorCode")) for one in answer["Records"]
        ]

    def close(self) -> None: ...


def main(port: int, spool: str, watch: str, listen: int, batch: int) -> None:
    own = settings(batch_records=batch, backoff_first_ms=10, backoff_max_ms=80)
    with layout.lock(Path(spool)), stop_on_signal() as stop:
        target = HttpTarget(port)
        progress = Progress(target.name, Path(spool))
        forwarder = Forwarder(Spool(Path(spool), ROOMY), target, own, progress=progress)
        folder = Folder(
            Path(watch), forwarder, "till", batch_records=batch, record_bytes=10_000,
            say=lambda text: None,
        )  # fmt: skip
        endpoint = Endpoint(listen, forwarder, "till", 100_000)
        print("ready", flush=True)
        serve(forwarder, [folder, endpoint], stop, drain_s=20)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
