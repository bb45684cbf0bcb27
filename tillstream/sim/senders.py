"""Where simulated records go: Kafka or a file. Kinesis has a module of its own.

A sender takes ``send(key, raw)`` in order, and ``close()`` returns once all is delivered, or kept in
its spool file where it could not be: nothing is lost silently.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from tillstream.clients.delivery import Writer, must_be_there, open_producer
from tillstream.clients.kafka import source_settings
from tillstream.conf import Conf
from tillstream.errors import Problem
from tillstream.till.exported import TILLS, read_lines
from tillstream.till.exported import line_of as spool_line

DELIVERY_SECONDS = 60
MOVEMENTS, HOUSEHOLDS = "movements", "households"  # streams beside TILLS, as ``Sent`` names them


class SendError(Problem):
    """Records cannot be sent; the message is one line that names the fix."""


class Sender(Protocol):
    def send(self, key: str, raw: bytes) -> None: ...

    def close(self) -> int:
        """Delivers what is under way; the number of records that are in the spool file instead."""
        ...


class Spool:
    """Records of a ``stream`` that could not be sent, one JSON line each, kept for ``--from-spool``."""

    def __init__(self, path: Path, stream: str = TILLS) -> None:
        self.path, self.stream, self.count = path, stream, 0
        self._lock = threading.Lock()

    def keep(self, key: str, raw: bytes) -> None:
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(spool_line(key, raw, self.stream))
            self.count += 1


def read_spool(path: Path) -> Iterator[tuple[str, bytes, str]]:
    """(key, record, stream) of each line. Raises NotExported at a line that is none of a spool file."""
    return read_lines(path, (TILLS, MOVEMENTS, HOUSEHOLDS))


class FileSender:
    """Writes records as a spool file, to be sent later."""

    def __init__(self, path: Path, stream: str = TILLS) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file, self._stream = path.open("wb", buffering=1 << 20), stream

    def send(self, key: str, raw: bytes) -> None:
        self._file.write(spool_line(key, raw, self._stream))

    def close(self) -> int:
        self._file.close()
        return 0


class KafkaSender:
    """Idempotent producer; the key's partition is the one Java clients choose. It tries for a minute by
    itself and has many batches under way, so it is not `tillstream till`'s, which waits for each."""

    def __init__(
        self, conf: Conf, spool: Path, topic: str | None = None, stream: str = TILLS
    ) -> None:
        topic = topic or conf.source.kafka.topic
        settings = source_settings(conf)
        must_be_there(settings, topic, conf.own_name("sim"))
        self._spool = Spool(spool, stream)
        own = {
            "linger.ms": 20,
            "batch.size": 262_144,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 100_000,
            "delivery.timeout.ms": DELIVERY_SECONDS * 1000,
            "delivery.report.only.error": True,
        }
        self._writer = Writer(open_producer(settings | own), topic, self._spool.keep)

    def send(self, key: str, raw: bytes) -> None:
        self._writer.send(key, raw)

    def close(self) -> int:
        self._writer.flush(DELIVERY_SECONDS + 5)
        return self._spool.count
