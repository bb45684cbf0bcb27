"""The phases of a replay, each a value that leads to the next, and where they are kept.

    Filling ──► Reading ──► Live ──► Done
       ▲           │
       └───────────┘  the stream let go of more meanwhile

A replay that reads nothing out of the archive begins with Live.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tillstream.clients.storage import Storage
from tillstream.cluster.protocol import JobError
from tillstream.replay.coverage import Missing
from tillstream.replay.stream_reach import Gap


class ReplayError(JobError):
    """The replay cannot begin or go on; the message says what to do."""


class Origin(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What was asked for, and where it went back to; the same in every phase.

    savepoint: its location. taken_at_ms: what its state is as of. boundary_ms: by S3's clock, when the
    run before had ended and this replay had not begun. until_ms: what arrived later is left out.
    accept_loss: goes on without what is kept nowhere. history_ms, named: as of that time (by S3's clock;
    0: not known) all files of what the savepoint holds were finished, but those keys.
    """

    job: str
    replay_id: str
    savepoint: str
    taken_at_ms: int
    boundary_ms: int
    overrides: dict[str, Any] = {}
    parallelism: int | None = None
    until_ms: int | None = None
    accept_loss: bool = False
    history_ms: int = 0
    named: list[str] = []

    @property
    def topics(self) -> str:
        """How the topics begin that are filled out of the archive."""
        return f"replay-{self.job}-{self.replay_id}-".lower()


class Start(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a job is submitted from. drops: the positions in ``state`` are not to be used."""

    state: str
    drops: bool = False


class _Phase(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag_field="phase"):
    origin: Origin


class _ThroughArchive(_Phase, frozen=True, kw_only=True):
    """gap: what the topic stands in for. begun: partition -> where the stream goes on, for those
    without a gap. lost: what of it is kept nowhere, and accepted. round: of so many topics."""

    gap: Gap
    lost: Missing = {}
    begun: dict[int, int] = {}
    round: int = 1

    @property
    def topic(self) -> str:
        """The topic that is filled out of the archive."""
        return f"{self.origin.topics}{self.round}"


class Filling(_ThroughArchive, frozen=True, kw_only=True, tag="filling"):
    """A topic is filled out of the archive; ``state`` is what the job then starts from."""

    state: str


class Reading(_ThroughArchive, frozen=True, kw_only=True, tag="reading"):
    """The job reads that topic. job_id: "" until it is submitted."""

    start: Start
    job_id: str = ""


class Live(_Phase, frozen=True, kw_only=True, tag="live"):
    """The job reads the stream, from where ``begins`` says (settings of its source) or its state does.
    job_id: "" until it is submitted."""

    start: Start
    begins: dict[str, Any] = {}
    job_id: str = ""


class Done(_Phase, frozen=True, tag="done"):
    """The job is up to date, or stopped at ``until_ms``, and its history is settled."""


Phase = Filling | Reading | Live | Done
Submitted = Reading | Live


class Phases:
    """The phase that each job's replay is in, one file a job."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def load(self, job: str) -> Filling | Reading | Live | None:
        """The job's replay, None if there was none or it is done. Raises ReplayError."""
        raw = self._storage.read(f"{job}.json")
        if raw is None:
            return None
        where = f"{self._storage.root}/{job}.json"
        try:
            found: dict[str, Any] = msgspec.json.decode(raw, type=dict)
            if found.get("phase") == "done":
                return None
            if "origin" not in found:
                raise ReplayError(
                    f"{where} is of an earlier release: let that release finish it with --resume, or "
                    f"begin again with --from {found.get('savepoint', 'SAVEPOINT')}"
                )
            phase = msgspec.json.decode(raw, type=Filling | Reading | Live)
            if phase.origin.job != job:
                raise ReplayError(f"{where} is of {phase.origin.job}: begin again with --from")
            return phase
        except (msgspec.MsgspecError, ValueError) as error:
            raise ReplayError(
                f"{where} cannot be read ({error}): begin again with --from"
            ) from None

    def save(self, phase: Phase) -> None:
        """A file on a disk is its owner's alone: settings given with --conf may be secrets."""
        raw = msgspec.json.format(msgspec.json.encode(phase)) + b"\n"
        self._storage.write(f"{phase.origin.job}.json", raw, private=True)
