"""One at a time at the files of a history: whoever merges or sets aside some of them holds its lease.

It is an object in the history's folder, written by S3's conditional put, so of two one is refused. Who has
crashed cannot give it back: the next one watches whether the object still changes, by its own clock alone,
and takes it when it does not.

Someone who was taken for gone may only have been slow, and still put a file. So names that nobody is to
put any more are `dropped`: such a file is never merged into another, and is deleted wherever it turns up.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
import uuid
from collections.abc import Callable
from types import TracebackType

import msgspec

from tillstream.clients.storage import S3Folder, StorageError
from tillstream.errors import Problem

FILE = "_lease.json"  # readers skip names that begin with an underscore
BEAT_S = 20.0  # how often who holds it writes it
GONE_S = 120.0  # who has not written for so long is gone
LOOK_S = 5.0
MOST_DROPPED = 500  # the newest of them: what is put at all is put within minutes


class Held(msgspec.Struct, omit_defaults=True):
    """``holder``: "" while nobody has it. ``what``: they are doing. ``beat``: counted up by the holder."""

    holder: str = ""
    what: str = ""
    beat: int = 0
    dropped: list[str] = []


class Taken(Problem):
    """Somebody else is at this history."""


class Lease:
    """The lease of the history under ``prefix``, as one holder sees it. All calls raise StorageError."""

    def __init__(
        self,
        bucket: S3Folder,
        prefix: str,
        what: str,
        say: Callable[[str], None] = lambda _: None,
        wait: bool = False,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``what``: the command, for others to read. ``wait``: for who is at it, rather than raise."""
        self.bucket, self.prefix, self.what = bucket, prefix, what
        self.me = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._name = f"{prefix}/{FILE}"
        self._say, self._wait, self._now, self._sleep = say, wait, now, sleep
        self._held, self._tag, self._beaten = Held(), "", 0.0

    def __enter__(self) -> Lease:
        """Raises Taken while another one is at it, unless told to wait."""
        while not self._take():
            pass
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._held.holder == self.me:
            self._held.holder = self._held.what = ""
            with contextlib.suppress(StorageError, Taken):  # then it is taken from us in time
                self._write()

    @property
    def dropped(self) -> frozenset[str]:
        """Names of files that count nowhere, as of the last time that we have read or written it."""
        return frozenset(self._held.dropped)

    def read(self) -> Held:
        """What is there now, whoever's it is."""
        found = self.bucket.tagged(self._name)
        self._tag = found[1] if found else ""
        try:
            self._held = msgspec.json.decode(found[0], type=Held) if found else Held()
        except msgspec.MsgspecError as error:
            raise Taken(
                f"{self.bucket.root}/{self._name} cannot be read ({error}): delete it while nothing is "
                "being compacted or replayed"
            ) from None
        return self._held

    def check(self) -> None:
        """Raises Taken if it is no longer ours."""
        if self._held.holder != self.me:
            raise self._taken()
        self._write()

    def beat(self) -> None:
        """The same, as often as is needed to keep it."""
        if self._now() - self._beaten >= BEAT_S:
            self.check()

    def drop(self, name: str) -> None:
        """Nobody is to put this file any more."""
        if name not in self._held.dropped:
            self._held.dropped = [*self._held.dropped, name][-MOST_DROPPED:]
        self.check()

    def _take(self) -> bool:
        held = self.read()
        if held.holder:
            self._say(
                f"{self.prefix}: {held.holder} ({held.what}) was at it: looking whether it still is"
            )
            self._must_be_gone()
        self._held.holder, self._held.what = self.me, self.what
        try:
            self._write()
        except Taken:
            if not self._wait:
                raise
            return False
        return True

    def _must_be_gone(self) -> None:
        seen, until = self._tag, self._now() + GONE_S
        while self._held.holder and self._now() < until:
            self._sleep(LOOK_S)
            self.read()
            if self._tag != seen and self._held.holder:
                if not self._wait:
                    raise self._taken()
                seen, until = self._tag, self._now() + GONE_S

    def _taken(self) -> Taken:
        return Taken(
            f"{self.prefix}: {self._held.holder or 'somebody else'} ({self._held.what or 'who is through'}) "
            "is at these files: run the command again when that has ended"
        )

    def _write(self) -> None:
        self._held.beat += 1
        wanted = msgspec.json.encode(self._held)
        tag = self.bucket.swap(self._name, wanted, self._tag or None)
        if tag is None:
            now = msgspec.json.encode(self.read())
            if now != wanted or not self._tag:
                raise self._taken()
            tag = self._tag  # it is our own, whose answer was lost and which was sent again
        self._tag, self._beaten = tag, self._now()
