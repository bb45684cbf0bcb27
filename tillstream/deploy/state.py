"""How a job is on the service, for `deploy status`."""

from __future__ import annotations

import msgspec

from tillstream.deploy import figures
from tillstream.deploy.journal import Entry
from tillstream.deploy.office import Office

HOUR_MS = 3_600_000


class JobStatus(msgspec.Struct):
    """``status``: the application's, or ``absent``. ``restarts``, ``checkpoint_ms`` (how long the last one
    took): of the last hour, None where nothing is known. ``deployment``: of the last one."""

    job: str
    status: str
    release: str = ""
    commit: str = ""
    flink: str = ""
    version: int = 0
    parallelism: int = 0
    kpus: int = 0
    restarts: int | None = None
    checkpoint_ms: int | None = None
    deployment: str = ""


def status_of(office: Office, job: str) -> JobStatus:
    entry = office.journal(job).read()
    running = office.running(job)
    if running is None:
        return JobStatus(job, "absent", deployment=_said(entry))
    now, release = running.application, running.release
    found = JobStatus(
        job, now.status, version=now.version, parallelism=now.parallelism, deployment=_said(entry)
    )
    if release:
        made = release.manifest
        found.release, found.commit, found.flink = made.release, made.commit, made.line
    if now.runs:
        found.kpus = running.config.kpus
        last = office.runs(job).last()
        to_ms = office.clock.now_ms()
        since = max(last.started_ms if last else 0, to_ms - HOUR_MS)
        seen = office.watch.figures(now.name, since, to_ms)
        took = seen.last(figures.DURATION)
        found.restarts = seen.restarts
        found.checkpoint_ms = None if took is None else int(took)
    return found


def _said(entry: Entry | None) -> str:
    if entry is None:
        return ""
    if not entry.open:
        return entry.outcome if not entry.problem else f"{entry.outcome}: {entry.problem}"
    who = f"{entry.holder} is at it" if entry.holder else "nobody is at it, `deploy apply` goes on"
    return f"{entry.step} ({who})"
