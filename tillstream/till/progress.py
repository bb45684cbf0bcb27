"""What a forwarder says of itself, for `tillstream till status`: a small file beside the spool.

It is written at most once a second and never waited for: what counts is in the spool.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tillstream.cli.times import now_ms

NAME = "forwarder.json"
EVERY_S = 1.0
SAY_EVERY_S = 10.0


class Progress:
    """folder: None writes nothing. say: is told that the stream went away, or is back."""

    def __init__(
        self,
        target: str,
        folder: Path | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._folder, self._say = folder, say
        before = read(folder) if folder else {}
        self._facts: dict[str, Any] = {
            "pid": os.getpid(),
            "target": target,
            "started_ms": now_ms(),
            "delivered": 0,
            "last_success_ms": before.get("last_success_ms"),
            "last_error": before.get("last_error"),
            "last_error_ms": before.get("last_error_ms"),
        }
        self._lock = threading.Lock()
        self._away = self._changed = False
        self._written_at, self._said_at = 0.0, -SAY_EVERY_S

    @property
    def delivered(self) -> int:
        """Records the stream has taken in this run."""
        return int(self._facts["delivered"])

    def succeeded(self, records: int, whole: bool = True) -> None:
        """``whole``: nothing of the request failed."""
        with self._lock:
            self._facts["delivered"] += records
            self._facts["last_success_ms"] = now_ms()
            self._changed = True
            back = whole and self._away and self._may_say()
            self._away &= not back
        if back:
            self._say(f"{self._facts['target']} takes records again")

    def failed(self, why: str) -> None:
        """``why`` holds nothing of a record."""
        with self._lock:
            self._facts |= {"last_error": why, "last_error_ms": now_ms()}
            self._changed = True
            new = not self._away and self._may_say()
            self._away |= new
        if new:
            self._say(f"{self._facts['target']}: {why}; records wait in the spool")

    def noted(self, why: str) -> None:
        """An error that is none of the stream's; it is shown as the last one."""
        with self._lock:
            self._facts |= {"last_error": why, "last_error_ms": now_ms()}
            self._changed = True
        self._say(why)

    def _may_say(self) -> bool:
        """One line in so long at most: a stream that comes and goes fills no log."""
        now = time.monotonic()
        if now - self._said_at < SAY_EVERY_S:
            return False
        self._said_at = now
        return True

    def write(self, now: bool = False) -> None:
        with self._lock:
            due = self._changed and time.monotonic() - self._written_at >= EVERY_S
            if self._folder is None or not (due or now):
                return
            self._changed, self._written_at = False, time.monotonic()
            half = self._folder / f"{NAME}.new"
            try:
                half.write_text(json.dumps(self._facts))
                half.rename(self._folder / NAME)
            except OSError:  # a full disk: the next second may have room
                self._changed = True


def read(folder: Path) -> dict[str, Any]:
    """{} where no forwarder wrote anything that can be read."""
    try:
        found = json.loads((folder / NAME).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
