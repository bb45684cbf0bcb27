"""Where a replay stands, on disk: what was interrupted is taken up again from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from tillstream.replay.stream_reach import Gap


class Plan(msgspec.Struct, omit_defaults=True):
    """phase: ``fill`` (a topic out of the archive), ``archive`` (reading it), ``live``, ``done``.

    savepoint: the one gone back to; start_from: what the job is submitted from now. boundary_ms: by
    S3's clock, when the run before had ended and this replay had not begun. begun: the savepoint's
    own Kafka positions. drops: positions in ``start_from`` are not to be used.
    """

    job: str
    replay_id: str
    savepoint: str
    start_from: str
    taken_at_ms: int
    boundary_ms: int
    phase: str = "live"
    overrides: dict[str, Any] = {}
    parallelism: int | None = None
    until_ms: int | None = None
    job_id: str = ""
    begun: dict[int, int] = {}
    begins: dict[str, Any] = {}
    drops: bool = False
    round: int = 0
    topic: str = ""
    gap: Gap = Gap()
    filled: int = 0


class Plans:
    """One file a job."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, job: str) -> Plan | None:
        """The plan of this job's replay, None if there was none or it is done."""
        file = self._folder / f"{job}.json"
        if not file.exists():
            return None
        plan = msgspec.json.decode(file.read_bytes(), type=Plan)
        return None if plan.phase == "done" else plan

    def save(self, plan: Plan) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        aside = self._folder / f"{plan.job}.tmp"
        aside.write_bytes(msgspec.json.format(msgspec.json.encode(plan)) + b"\n")
        aside.replace(self._folder / f"{plan.job}.json")
