"""What a job asks of AWS and of Kafka, written down: a proxy before a stand-in, and a broker that says whom
it let do what."""

from __future__ import annotations

import http.client
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from tillstream.local.services import listener

ALLOWED = re.compile(
    r"Principal = User:(\S+) is (Allowed|Denied) operation = (\w+) from host = \S+ on resource = "
    r"(\w+):LITERAL:(\S+)"
)
# (kind of resource, operation) of Kafka as IAM for MSK calls it: Amazon MSK's developer guide, "Semantics of
# IAM authorization policy actions and resources".
OF_MSK = {
    ("Cluster", "IDEMPOTENT_WRITE"): "WriteDataIdempotently",
    ("Topic", "DESCRIBE"): "DescribeTopic",
    ("Topic", "READ"): "ReadData",
    ("Topic", "WRITE"): "WriteData",
    ("Group", "DESCRIBE"): "DescribeGroup",
    ("Group", "READ"): "AlterGroup",
    ("TransactionalId", "DESCRIBE"): "DescribeTransactionalId",
    ("TransactionalId", "WRITE"): "AlterTransactionalId",
}
LISTENER = "JOBS"


class Call(NamedTuple):
    """``action`` as IAM has it. ``resource``: a table, stream, topic, group, or a key with its bucket; ""
    where the call names none."""

    action: str
    resource: str


def broker(port: int, jobs: list[str]) -> dict[str, str]:
    """Settings for $TILLSTREAM_KAFKA: each job signs in under its own name at ``port``, and whatever is done
    is logged at level TRACE."""
    users = " ".join(f'user_{job}="{job}"' for job in jobs)
    name = f"listener.name.{LISTENER.lower()}"
    plain = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    everybody = ";".join(f"User:{one}" for one in ("ANONYMOUS", *jobs))
    return {
        **listener(LISTENER, port, port, "SASL_PLAINTEXT"),
        f"{name}.sasl.enabled.mechanisms": "PLAIN",
        f"{name}.plain.sasl.jaas.config": f"{plain} {users};",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": everybody,
    }


def signs_in(job: str) -> dict[str, str]:
    """kafka.properties of the job."""
    plain = "org.apache.kafka.common.security.plain.PlainLoginModule"
    return {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.jaas.config": f'{plain} required username="{job}" password="{job}";',
    }


def asked_of_kafka(log: Path) -> dict[str, set[Call]]:
    """Job -> what it did, out of the broker's log and those before it."""
    found: dict[str, set[Call]] = {}
    for file in log.parent.glob(f"{log.name}*"):
        for line in file.read_text(errors="replace").splitlines():
            if said := ALLOWED.search(line):
                job, verdict, operation, kind, name = said.groups()
                assert verdict == "Allowed", line
                known = OF_MSK.get((kind, operation), f"{operation} of {kind}")
                resource = "" if kind == "Cluster" else name
                found.setdefault(job, set()).add(Call(f"kafka-cluster:{known}", resource))
    return found


class Recorder:
    """A proxy of HTTP before the stand-in for ``service`` at ``upstream``; ``calls`` has what came."""

    def __init__(self, service: str, upstream: str) -> None:
        self.service, self.calls = service, set[Call]()
        at = urlsplit(upstream)
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 300

            def setup(self) -> None:
                super().setup()
                self.behind = http.client.HTTPConnection(at.hostname or "", at.port, timeout=300)

            def finish(self) -> None:
                self.behind.close()
                super().finish()

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

            def forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                recorder.calls |= calls_of(service, self.command, self.path, self.headers, body)
                self.behind.putrequest(
                    self.command, self.path, skip_host=True, skip_accept_encoding=True
                )
                for name, value in self.headers.items():
                    if name.lower() != "expect":  # the proxy has answered it
                        self.behind.putheader(name, value)
                self.behind.endheaders(body)
                answer = self.behind.getresponse()
                content = answer.read()
                self.send_response_only(answer.status, answer.reason)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                        self.send_header(name, value)
                told = answer.getheader("Content-Length") if self.command == "HEAD" else None
                self.send_header("Content-Length", told or str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def calls_of(service: str, method: str, path: str, headers: Any, body: bytes) -> set[Call]:
    """What IAM asks for before it lets a request through."""
    if service == "s3":
        return _of_s3(method, path, headers, body)
    operation = headers["X-Amz-Target"].rpartition(".")[2]
    said = json.loads(body or b"{}")
    name = said.get("TableName") or said.get("StreamName") or said.get("StreamARN", "")
    return {Call(f"{service}:{operation}", name.rpartition("/")[2])}


def _of_s3(method: str, path: str, headers: Any, body: bytes) -> set[Call]:
    """As the service authorization reference of S3 has it: an upload in parts is made by PutObject."""
    where = urlsplit(path)
    asked = parse_qs(where.query, keep_blank_values=True)
    name = unquote(where.path).strip("/")
    _, _, key = name.partition("/")
    if not key and "delete" in asked:
        bucket = name.partition("/")[0]
        keys = re.findall(rb"<Key>(.*?)</Key>", body)
        return {Call("s3:DeleteObject", f"{bucket}/{one.decode()}") for one in keys}
    if not key:
        prefix = (asked.get("prefix") or [""])[0]
        return {Call("s3:ListBucket", f"{name}/{prefix}")}
    if source := headers.get("x-amz-copy-source"):
        return {Call("s3:GetObject", unquote(source).strip("/")), Call("s3:PutObject", name)}
    of_upload = {"DELETE": "AbortMultipartUpload", "GET": "ListMultipartUploadParts"}
    if "uploadId" in asked and method in of_upload:
        return {Call(f"s3:{of_upload[method]}", name)}
    verbs = {"GET": "GetObject", "HEAD": "GetObject", "DELETE": "DeleteObject"}
    return {Call(f"s3:{verbs.get(method, 'PutObject')}", name)}
