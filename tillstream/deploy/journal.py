"""What a deployment has done so far: one object per job in the bucket of code, written before each step.

Who wants to write it says by S3's conditional put which version it has read, so of two deployers one is
refused. A deployer that has crashed cannot give it back: another one watches whether the object still
changes, by its own clock alone, and takes it when it does not.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable

import msgspec

from tillstream.clients.storage import S3Folder
from tillstream.deploy.plan import Config
from tillstream.deploy.service import Clock, ServiceError

FOLDER = "deploy"
BEAT_S = 20.0  # how often who holds it writes it
GONE_S = 90.0  # who has not written for so long is gone
LOOK_S = 5.0
DONE = "done"
# How it has ended.
HEALTHY, ROLLED_BACK, FAILED, GIVEN_UP = "healthy", "rolled back", "failed", "given up"


class Entry(msgspec.Struct):
    """One deployment. ``step``: the one under way. ``before``: what ran, None where nothing did.
    ``ran``: whether the job ran before. ``taken``: the snapshot that is taken before anything stops.
    ``kept``: names of those there are before a stop that is under way, so the stop's own is the new one,
    whatever anybody's clock says. ``left``: the state of before, "" if there is none. ``restore_from``: what
    the new one starts from, None without state. ``version``: the application's, before it is changed.
    ``start_ms``, ``running_ms``: when it was last started, and when it ran. ``wrote``: since then it may
    have completed a checkpoint, so what it made is there for all to see. ``reads_back``: the version of
    before can read what the new one writes. ``newest``: the new one's last state, which that goes on from
    then. ``outcome``: "" while it is open. ``goes_back``: it undoes another; ``from_before``: from the state
    of before that. ``counted_again``: whoever asked accepts that sums count again. ``beat``: counted up by
    its holder.
    """

    id: str
    job: str
    action: str
    started_ms: int
    wanted: Config
    step: str
    before: Config | None = None
    ran: bool = False
    taken: str = ""
    left: str = ""
    restore_from: str | None = None
    allow_dropped_state: bool = False
    drops: tuple[str, ...] = ()
    version: int = 0
    start_ms: int = 0
    running_ms: int = 0
    kept: tuple[str, ...] | None = None
    wrote: bool = False
    reads_back: bool = False
    newest: str = ""
    from_before: bool = False
    counted_again: bool = False
    problem: str = ""
    outcome: str = ""
    ended_ms: int = 0
    goes_back: bool = False
    holder: str = ""
    beat: int = 0
    format: int = 1

    @property
    def open(self) -> bool:
        return not self.outcome


class Journal:
    """The journal of one job, as one deployer sees it. All calls raise StorageError."""

    def __init__(self, storage: S3Folder, job: str, clock: Clock) -> None:
        self._storage, self._clock = storage, clock
        self.job, self.name = job, f"{FOLDER}/{job}/journal.json"
        self.me = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:6]}"
        self._tag: str | None = None
        self._beaten_ms = 0
        self.entry: Entry | None = None

    def read(self) -> Entry | None:
        """The last deployment, open or not; None if there was none."""
        found = self._storage.tagged(self.name)
        self._tag = found[1] if found else None
        try:
            self.entry = msgspec.json.decode(found[0], type=Entry) if found else None
        except msgspec.MsgspecError as error:
            raise ServiceError(
                f"{self._storage.root}/{self.name} cannot be read ({error}): see what runs with `tillstream "
                "deploy status`, then put an older version of that object back, or delete it"
            ) from None
        return self.entry

    def open(self, entry: Entry) -> None:
        """Begins ``entry``, after the one that ``read`` has returned. Raises ServiceError if somebody else
        has begun another meanwhile."""
        entry.holder = self.me
        self._write(entry)

    def take(self, say: Callable[[str], None]) -> Entry:
        """The open deployment, for us to go on with. Raises ServiceError while another deployer is at it."""
        entry = self.entry
        assert entry is not None
        if entry.holder and entry.holder != self.me:
            say(
                f"{self.job}: {entry.holder} was at it, in step {entry.step}: looking whether it still is"
            )
            self._must_be_gone()
            entry = self.entry
            assert entry is not None  # nobody deletes it
        if not entry.open:
            raise ServiceError(
                f"the deployment of {self.job} has just ended: run the command again"
            )
        entry.holder = self.me
        self._write(entry)
        return entry

    def _must_be_gone(self) -> None:
        seen, until = self._tag, self._clock.now_ms() + GONE_S * 1000
        while self._clock.now_ms() < until:
            self._clock.sleep(LOOK_S)
            now = self.read()
            if self._tag != seen:
                if now and now.holder:
                    raise self._taken(now.holder)
                return  # given back meanwhile

    def _taken(self, holder: str) -> ServiceError:
        return ServiceError(
            f"another deployer is at {self.job} ({holder}): wait until it is through, `tillstream deploy "
            f"status {self.job}` says how far it is"
        )

    def note(self, entry: Entry) -> None:
        """Raises ServiceError if another deployer has taken it."""
        self._write(entry)

    def beat(self) -> None:
        """Called while something is waited for: says that we are still there."""
        if (
            self.entry
            and self.entry.holder
            and self._clock.now_ms() - self._beaten_ms >= BEAT_S * 1000
        ):
            self._write(self.entry)

    def leave(self) -> None:
        """Gives an open deployment back, for whoever goes on with it."""
        if self.entry and self.entry.open and self.entry.holder == self.me:
            self.entry.holder = ""
            self._write(self.entry)

    def close(self, entry: Entry, outcome: str) -> None:
        entry.outcome, entry.step, entry.holder = outcome, DONE, ""
        entry.ended_ms = self._clock.now_ms()
        self._storage.write(f"{FOLDER}/{self.job}/done/{entry.id}.json", _encoded(entry))
        self._write(entry)

    def _write(self, entry: Entry) -> None:
        entry.beat += 1
        tag = self._storage.swap(self.name, _encoded(entry), self._tag)
        if tag is None:
            now = self.read()
            if now != entry or self._tag is None:
                raise self._taken(now.holder if now and now.holder else "it has just ended")
            tag = self._tag  # it is our own, whose answer was lost and which was sent again
        self._tag, self.entry, self._beaten_ms = tag, entry, self._clock.now_ms()


def _encoded(entry: Entry) -> bytes:
    return msgspec.json.format(msgspec.json.encode(entry), indent=1) + b"\n"
