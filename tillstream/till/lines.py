"""Records on standard input, a line each. What is safe is counted on standard output, for who writes them."""

from __future__ import annotations

import io
import os
import select
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from tillstream.errors import Problem
from tillstream.till.files import keyed, make_safe

if TYPE_CHECKING:
    from tillstream.till.forwarder import Forwarder

CHUNK = 1 << 16
LOOK_S = 0.25


class Lines:
    """safe: is told how many lines are safe, after each batch."""

    def __init__(
        self,
        source: int,
        forwarder: Forwarder,
        default_key: str,
        *,
        batch_records: int,
        record_bytes: int,
        safe: Callable[[int], None],
        say: Callable[[str], None] = print,
    ) -> None:
        self._source, self._forwarder, self._key = source, forwarder, default_key
        self._batch_records, self._record_bytes = batch_records, record_bytes
        self._safe, self._say = safe, say
        self.count = 0

    def run(self, stop: threading.Event) -> None:
        """Until the input ends, or ``stop``. Its last line may lack a newline.
        Raises Problem at a line that is too long to be a record."""
        rest = b""
        while not stop.is_set():
            if not select.select([self._source], [], [], LOOK_S)[0]:
                continue
            part = os.read(self._source, CHUNK)
            whole, newline, rest = (rest + part).rpartition(b"\n")
            lines = io.BytesIO(whole + newline).readlines()
            if not part and rest:
                lines, rest = [rest], b""
            if any(len(one) > self._record_bytes for one in (*lines, rest)):
                raise Problem(
                    f"line {self.count + len(lines) + 1:,} of the input or one just before has more than "
                    f"{self._record_bytes:,} bytes (till.record_bytes): {self.count:,} lines are safe"
                )
            for at in range(0, len(lines), self._batch_records):
                batch = lines[at : at + self._batch_records]
                if not make_safe(self._forwarder, list(keyed(batch, self._key)), stop, self._say):
                    return
                self.count += len(batch)
                self._safe(self.count)
            if not part:
                return
