"""Where notices go: SNS, one topic a kind, or a file. ``send`` says what is known when it fails."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Any, Protocol

import msgspec
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
)

from tillstream import conf as settings
from tillstream.clients import aws as clients
from tillstream.domain.notice import Notice


class NotSent(RuntimeError):
    """Certainly not sent, and may go another time: throttled, or nobody answers."""


class Stuck(RuntimeError):
    """It is not to be tried again by itself. status: what the notice is from then on."""

    status: str


class Refused(Stuck):
    """Certainly not sent, and would not be another time either."""

    status = "failed"


class MaybeSent(Stuck):
    """The answer was lost: it may have been sent, or not."""

    status = "uncertain"


class Sender(Protocol):
    def send(self, notice: Notice) -> str:
        """Sends once and returns a receipt. Raises NotSent, Refused or MaybeSent."""
        ...


class FileSender:
    """One JSON line a notice, on disk before it counts as sent."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._lock = threading.Lock()

    def send(self, notice: Notice) -> str:
        with self._lock:
            try:
                self._file.write(msgspec.json.encode(notice) + b"\n")
                os.fsync(self._file.fileno())
            except OSError as error:
                raise MaybeSent(f"the file may have it: {error}") from None
            return f"byte {self._file.tell()}"


class SnsSender:
    """Publishes to the topic of the notice's kind. Who resolves business ids subscribes there."""

    def __init__(self, topics: dict[str, str], client: Any) -> None:
        self._topics, self._client = topics, client

    def send(self, notice: Notice) -> str:
        topic = self._topics.get(notice.kind)
        if not topic:
            raise Refused(f"notify.sns_topics names no topic for kind {notice.kind}")
        attributes = {"kind": notice.kind, "template": notice.template}
        message: dict[str, Any] = {
            "TopicArn": topic,
            "Message": msgspec.json.encode(notice).decode(),
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value}
                for name, value in attributes.items()
            },
        }
        if topic.endswith(".fifo"):
            digest = hashlib.sha256(notice.notice_id.encode()).hexdigest()
            message |= {"MessageGroupId": notice.recipient, "MessageDeduplicationId": digest}
        try:
            return self._client.publish(**message)["MessageId"]
        except (EndpointConnectionError, ConnectTimeoutError) as error:
            raise NotSent(str(error)) from None
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
            code = error.response.get("Error", {}).get("Code", "")
            if status == 429 or "Throttl" in code:
                raise NotSent(str(error)) from None
            if 400 <= status < 500:
                raise Refused(str(error)) from None
            raise MaybeSent(str(error)) from None
        except BotoCoreError as error:
            raise MaybeSent(str(error)) from None


def open_sender(conf: settings.Conf) -> Sender:
    """The one that conf.notify.sender names."""
    if conf.notify.sender == "file":
        return FileSender(Path(conf.notify.file or settings.home() / "notices.jsonl"))
    return SnsSender(conf.notify.sns_topics, clients.sns(conf, pool=conf.notify.workers))
