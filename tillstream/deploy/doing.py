"""What the commands do to one job: each returns when the job is well, or raises Problem."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

from tillstream import catalog
from tillstream.cluster import restoring
from tillstream.deploy import plan as plans
from tillstream.deploy.apply import BACK, CHANGE, CHANGE_BACK, HALT, STOP, TAKE, UPLOAD, Deployer
from tillstream.deploy.journal import GIVEN_UP, HEALTHY, Entry
from tillstream.deploy.office import Office
from tillstream.deploy.plan import Consents, Plan, Wanted
from tillstream.deploy.release import Packed, packed
from tillstream.deploy.runs import rows_again, sums_again
from tillstream.deploy.service import ServiceError, Snapshot
from tillstream.errors import Problems


class Asked(NamedTuple):
    """Of `plan` and `apply`. ``packages``: the folder they are in."""

    packages: Path
    consents: Consents
    parallelism: int | None = None


def planned(office: Office, job: str, asked: Asked) -> tuple[Plan, Wanted, Packed]:
    """What `apply` would do. Raises Problem where there is no package."""
    found = packed(job, asked.packages)
    running = office.running(job)
    wanted = office.wanted(found, running, asked.parallelism)
    made = plans.make(wanted, running, asked.consents)
    usual = found.release.manifest.parallelism
    if asked.parallelism is None and wanted.config.parallelism != usual:
        made.warnings.append(
            f"parallelism stays {wanted.config.parallelism}, the settings say {usual}: `tillstream deploy "
            f"scale {job} --parallelism {usual}`"
        )
    return made, wanted, found


def applied(office: Office, job: str, asked: Asked) -> bool:
    """Goes on with a deployment that is open, then does what is wanted if that is something else. Returns
    whether there was anything to do."""
    deployer = office.deployer(job)
    last = deployer.journal.read()
    went_on = False
    if last and last.open:
        entry = deployer.journal.take(office.say)
        if entry.step == UPLOAD:  # nothing was touched yet, so what is wanted now is begun instead
            deployer.journal.close(entry, GIVEN_UP)
        else:
            office.say(
                f"{job}: the last deployment is not through, going on with step {entry.step}"
            )
            deployer.run(entry)
            went_on = True
    made, wanted, found = planned(office, job, asked)
    if made.refusals:
        raise Problems([f"{job}: {one}" for one in made.refusals])
    for line in made.warnings:
        office.say(f"{job}: {line}")
    if made.action == plans.NONE:
        office.say(f"{job}: nothing to change")
        return went_on
    deployer.packed = found
    _begun(office, deployer, job, made, wanted, UPLOAD, asked.consents.counted_again)
    return True


def _begun(
    office: Office, deployer: Deployer, job: str, made: Plan, wanted: Wanted, first: str,
    counted_again: bool = False,
) -> Entry:  # fmt: skip
    restore_from: str | None = None
    now = office.service.find(office.application(job))
    if made.action in (plans.START, plans.CREATE):
        newest = office.service.newest(now.name) if now else None
        restore_from = newest.name if newest else None
        _may_start(office, deployer, newest, counted_again)
    entry = deployer.begin(
        made, wanted.config, now, restore_from, first, counted_again=counted_again
    )
    return deployer.run(entry)


def _may_start(
    office: Office, deployer: Deployer, snapshot: Snapshot | None, accepted: bool
) -> None:
    """Says what a job makes again from there, None: from nothing. Raises ServiceError where that harms,
    unless ``accepted``."""
    job, last = deployer.job, deployer.runs.last()
    made_ms = snapshot.made_ms if snapshot else 0
    if snapshot and catalog.job(job).raw and restoring.writes_again(office.conf, made_ms):
        office.say(restoring.WRITES_AGAIN)
    if last is None or (snapshot and last.left == snapshot.name):
        return  # nothing has come after it
    if not last.left and not deployer.health.may_have_written(last.started_ms):
        return
    if not deployer.sums:
        if snapshot:
            office.say(rows_again(job, made_ms, office.clock.now_ms()))
    elif not accepted:
        raise ServiceError(sums_again(job, snapshot.name if snapshot else None))


def scaled(office: Office, job: str, parallelism: int | None, factor: float | None) -> Plan:
    """``factor``: of what it has. A job that does not run is refused."""
    running = office.running(job)
    if running is None or not running.application.runs:
        raise ServiceError(f"{job} does not run: `tillstream deploy apply {job} --parallelism N`")
    deployer = office.deployer(job)
    _must_be_through(deployer, job)
    asked = parallelism or math.ceil(running.application.parallelism * (factor or 1))
    wanted = office.scaled(running, job, asked)
    made = plans.make(wanted, running)
    if made.refusals:
        raise Problems([f"{job}: {one}" for one in made.refusals])
    if made.action == plans.NONE:
        office.say(f"{job}: it has parallelism {asked} already")
    else:
        _begun(office, deployer, job, made, wanted, TAKE)
    return made


def restored(office: Office, job: str, snapshot: str | None, counted_again: bool = False) -> Entry:
    """Starts what is stopped, as it is, from a snapshot; None: the newest. ``counted_again``: a job that sums
    may start from one that is not its last state."""
    running = office.running(job)
    if running is None:
        raise ServiceError(
            f"there is no application of {job}: `tillstream deploy apply {job}` makes it"
        )
    now = running.application
    if now.status != "READY":
        raise ServiceError(
            f"{job} is {now.status}: `tillstream deploy stop {job}` first; to undo an update, `tillstream "
            f"deploy rollback {job}`"
        )
    deployer = office.deployer(job)
    _must_be_through(deployer, job)
    kept = [one for one in office.service.snapshots(now.name) if one.status == "READY"]
    chosen = next((one for one in kept if snapshot in (None, one.name)), None)
    if chosen is None:
        raise ServiceError(
            f"there is no snapshot {snapshot or ''} of {job}: `tillstream deploy status {job}` lists them; "
            f"`tillstream deploy apply {job}` starts a job that never had any"
        )
    _may_start(office, deployer, chosen, counted_again)
    made = Plan(job, plans.START)
    entry = deployer.begin(
        made, running.config, now, chosen.name, CHANGE, counted_again=counted_again
    )
    return deployer.run(entry)


def rolled_back(
    office: Office, job: str, state_of_before: bool = False, counted_again: bool = False
) -> Entry:
    """Undoes the last update, or the one that is under way: the settings and the code of before it. From the
    job's last state, if that code can read it, unless ``state_of_before`` asks for the snapshot of before:
    then what has come since is read and made again. ``counted_again``: also by a job that sums."""
    deployer = office.deployer(job)
    last = deployer.journal.read()
    if last and last.open:
        return _given_up(office, deployer, state_of_before, counted_again)
    if last is None or last.outcome != HEALTHY or last.before is None or not last.left:
        raise ServiceError(
            f"{job} has no update that could be undone: `tillstream deploy status {job}`, and `deploy "
            "restore` starts a stopped job from a snapshot"
        )
    if last.goes_back:
        raise ServiceError(
            f"{job} was rolled back already: `tillstream deploy apply {job}` goes forward"
        )
    now = office.service.describe(office.application(job))
    from_before = state_of_before or not last.reads_back
    if from_before and deployer.sums and not counted_again:
        raise ServiceError(
            f"the release of before cannot read what {job} has now, so it would go back to snapshot "
            f"{last.left}, and add up again what has come since, which nothing undoes: --counted-again "
            f"if that is meant, else `tillstream deploy apply {job}` with a release "
            "that is mended"
        )
    start, first = last.left, TAKE
    if not now.runs:
        first = CHANGE
        ended = deployer.runs.last()
        start = ended.left if ended and ended.left and not from_before else last.left
        if found := office.service.snapshot(now.name, start):
            _may_start(office, deployer, found, counted_again)
    made = Plan(job, plans.UPDATE if now.runs else plans.START)
    entry = deployer.begin(
        made, last.before, now, start, first, goes_back=True, from_before=from_before,
        counted_again=counted_again,
    )  # fmt: skip
    deployer.run(entry)
    if now.runs and entry.restore_from == last.left:
        deployer.say_written_again(last.left)
    return entry


def _given_up(
    office: Office, deployer: Deployer, state_of_before: bool, counted_again: bool
) -> Entry:
    """Of a deployment that is under way."""
    entry, job = deployer.journal.take(office.say), deployer.job
    stopping = entry.step == STOP
    if entry.step in (UPLOAD, TAKE) or (stopping and deployer.still_runs()):
        deployer.journal.close(entry, GIVEN_UP)
        office.say(f"{job}: given up, nothing was changed")
        return entry
    entry.problem = entry.problem or "rolled back by hand"
    entry.counted_again = entry.counted_again or counted_again
    entry.reads_back = entry.reads_back and not state_of_before
    if stopping:
        entry.wrote = deployer.stopped(entry)  # by force: what came after the snapshot comes again
        entry.step = CHANGE_BACK
    elif entry.step not in BACK:
        entry.step = HALT
    deployer.journal.note(entry)
    return deployer.run(entry)


def _must_be_through(deployer: Deployer, job: str) -> None:
    last = deployer.journal.read()
    if last and last.open:
        raise ServiceError(
            f"a deployment of {job} is not through, it is in step {last.step}: `tillstream deploy apply "
            f"{job}` goes on with it, `deploy rollback {job}` undoes it"
        )
