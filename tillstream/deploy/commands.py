"""tillstream deploy plan, apply, status, logs, snapshot, stop, restore, rollback, scale."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec

from tillstream import catalog
from tillstream import conf as settings
from tillstream.cli import tables
from tillstream.cli.tables import Column, Table
from tillstream.cli.times import SPAN, shown
from tillstream.cluster.savepoints import Savepoints
from tillstream.deploy import doing
from tillstream.deploy.cluster import AmsfCluster
from tillstream.deploy.cost import monthly_usd
from tillstream.deploy.office import Office, packages_folder
from tillstream.deploy.plan import NONE, Consents, Plan
from tillstream.deploy.state import JobStatus, status_of
from tillstream.errors import Problem


@click.group()
def deploy() -> None:
    """Jobs on Amazon Managed Service for Apache Flink: plan, apply, watch, roll back, scale.

    Without TILLSTREAM_ENV they are production's. docs/runbooks/deployment.md
    """


def _open() -> Office:
    return Office(settings.load(), say=click.echo)


def upwards() -> list[str]:
    """Every job, the front door first: what it writes the others read."""
    return sorted(catalog.names(), key=lambda one: one != catalog.DOOR)


def _of_jobs(down: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """NAME or --all, handed on as the jobs in order; ``down``: the front door last."""

    def options(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_jobs(name: str | None, every: bool, **said: Any) -> None:
            if (name is None) != every:
                raise click.UsageError("give either JOB or --all")
            if name:
                catalog.job(name)
            chosen = [name] if name else upwards()
            command(jobs=chosen[::-1] if down else chosen, **said)

        with_all = click.option("--all", "every", is_flag=True, help="Every job.")(with_jobs)
        return click.argument("name", metavar="[JOB]", required=False)(with_all)

    return options


_counted_again = click.option(
    "--counted-again", is_flag=True,
    help="A job that adds up may start from a state that is not its last one.",
)  # fmt: skip


def _planning(command: Callable[..., None]) -> Callable[..., None]:
    """The options of `plan` and `apply`, handed on as ``asked``."""

    @functools.wraps(command)
    def with_asked(
        packages: Path | None, drop_state: tuple[str, ...], accept: tuple[str, ...], one_way: bool,
        counted_again: bool, parallelism: int | None, **said: Any,
    ) -> None:  # fmt: skip
        consents = Consents(frozenset(drop_state), frozenset(accept), one_way, counted_again)
        folder = packages or packages_folder(settings.load())
        command(asked=doing.Asked(folder, consents, parallelism), **said)

    for option in (
        click.option("--packages", type=click.Path(file_okay=False, path_type=Path),
                     help="Folder of the packages; default: where `tillstream package` leaves them."),
        click.option("--drop-state", multiple=True, metavar="UID",
                     help="This operator or keyed state may be gone, and what it holds lost."),
        click.option("--accept", multiple=True, metavar="SETTING",
                     help="This setting may change, though it says what the state means."),
        _counted_again,
        click.option("--one-way", is_flag=True, help="From Flink 1.20 to 2.x: there is no way back."),
        click.option("--parallelism", type=click.IntRange(1),
                     help="Default: as it runs, or as the settings say."),
    ):  # fmt: skip
        with_asked = option(with_asked)
    return with_asked


@contextmanager
def _interrupted(what: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise Problem(
            f"{what} is not through, and goes on as far as the service alone takes it: `tillstream deploy "
            "apply` goes on, `deploy rollback` undoes it"
        ) from None


@deploy.command()
@_planning
@click.option("--json", "as_json", is_flag=True, help="One plan per line.")
@_of_jobs()
def plan(jobs: list[str], asked: doing.Asked, as_json: bool) -> None:
    """What `apply` would change, restart, drop and refuse. Exit code 1 if it would refuse."""
    office = _open()
    made = [doing.planned(office, job, asked)[0] for job in jobs]
    region = office.conf.region
    if as_json:
        for one in made:
            click.echo(json.dumps(_as_json(one, region)))
    else:
        for one in made:
            _show_plan(one, region)
    if any(one.refusals for one in made):
        raise SystemExit(1)


def _as_json(one: Plan, region: str) -> dict[str, Any]:
    return {
        "job": one.job,
        "action": one.action,
        "restarts": one.restarts,
        "changes": [change._asdict() for change in one.changes],
        "dropped": one.dropped,
        "refusals": one.refusals,
        "warnings": one.warnings,
        "kpus": {"before": one.kpus_before, "after": one.kpus_after},
        "usd_per_month": {
            "before": _text(monthly_usd(one.kpus_before, region)),
            "after": _text(monthly_usd(one.kpus_after, region)),
        },
    }


def _text(usd: Decimal | None) -> str | None:
    return None if usd is None else str(usd)


_DOES = {"none": "nothing to change", "create": "created and started", "start": "started",
         "update": "stopped with a snapshot, changed, started from it"}  # fmt: skip


def _show_plan(one: Plan, region: str) -> None:
    tables.say(f"{one.job}: {_DOES[one.action]}")
    if one.changes:
        table = Table("what", Column("now", prose=True), Column("then", prose=True))
        for change in one.changes:
            table.add(*change)
        tables.show(table)
    if one.dropped:
        tables.say(f"state that is dropped: {', '.join(one.dropped)}")
    if one.action != NONE:
        before, after = (monthly_usd(kpus, region) for kpus in (one.kpus_before, one.kpus_after))
        cost = (
            "prices of this region are not known" if after is None else f"{after:,.2f} USD a month"
        )
        was = (
            f", now {one.kpus_before}: {before:,.2f} USD"
            if before is not None and one.kpus_before
            else ""
        )
        tables.say(f"KPUs: {one.kpus_after}, {cost}{was}")
    for line in one.warnings:
        tables.say(f"note: {line}")
    for line in one.refusals:
        tables.say(f"refused: {line}")


@deploy.command()
@_planning
@_of_jobs()
def apply(jobs: list[str], asked: doing.Asked) -> None:
    """Deploy packages, and wait until the jobs are well.

    A running job is stopped with a snapshot, changed and started from it. If it does not get healthy, it
    is rolled back. A deployment that was interrupted is finished first. With --all it goes no further
    than the first job that is not well.
    """
    office = _open()
    with _interrupted("the deployment"):
        for job in jobs:
            if doing.applied(office, job, asked):
                click.echo(f"{job} is healthy")


@deploy.command()
@click.option("--json", "as_json", is_flag=True, help="One job per line.")
@click.argument("name", metavar="[JOB]", required=False)
def status(name: str | None, as_json: bool) -> None:
    """How jobs are, and how far a deployment is. Of one JOB its snapshots too."""
    office = _open()
    if name:
        catalog.job(name)
    found = [status_of(office, job) for job in ([name] if name else upwards())]
    if as_json:
        for one in found:
            click.echo(msgspec.json.encode(one).decode())
        return
    _show_status(found)
    if name:
        _show_snapshots(office, name)


def _show_status(found: list[JobStatus]) -> None:
    table = Table("job", "status", Column("release", least=True), "Flink", Column("parallelism", right=True),
                  Column("KPUs", right=True), Column("restarts", right=True),
                  Column("checkpoint", right=True), Column("deployment", prose=True))  # fmt: skip
    for one in found:
        table.add(
            one.job, one.status, one.release, one.flink, str(one.parallelism or ""), str(one.kpus or ""),
            "" if one.restarts is None else str(one.restarts),
            "" if one.checkpoint_ms is None else f"{one.checkpoint_ms / 1000:.1f} s", one.deployment,
        )  # fmt: skip
    tables.show(table)


def _show_snapshots(office: Office, name: str) -> None:
    application = office.application(name)
    if office.service.find(application) is None:
        return
    kept = office.service.snapshots(application)
    if not kept:
        tables.say("no snapshots")
        return
    table = Table("snapshot", "status", "made", Column("of version", right=True), title="snapshots")
    for one in kept[:20]:
        table.add(one.name, one.status, shown(one.made_ms), str(one.version))
    tables.show(table)


@deploy.command()
@click.argument("name", metavar="JOB")
@click.option("--since", type=SPAN, default="1h", show_default=True, metavar="SPAN")
@click.option(
    "--lines", type=click.IntRange(1), default=100, show_default=True, help="The last so many."
)
@click.option("--errors", is_flag=True, help="Only failures, with their stack traces.")
def logs(name: str, since: int, lines: int, errors: bool) -> None:
    """What a job has logged, from CloudWatch."""
    catalog.job(name)
    office = _open()
    begin = office.clock.now_ms() - since * 1000
    found = list(office.watch.lines(office.log_group(name), begin))
    kept = [one for one in found if one.trace] if errors else found
    for one in kept[-lines:]:
        click.echo(f"{shown(one.at_ms)} {one.level:<5} {one.message}")
        if one.trace:
            click.echo(one.trace)
    if not kept:
        click.echo(f"nothing since {shown(begin)}: --since 1d looks further back")


def _savepoints(office: Office) -> Savepoints:
    return Savepoints(AmsfCluster(office.conf, office), office.conf)


@deploy.command()
@_of_jobs()
def snapshot(jobs: list[str]) -> None:
    """Take a snapshot, which `tillstream savepoint list` shows; the job runs on."""
    office = _open()
    for job in jobs:
        click.echo(f"{job}: snapshot {_savepoints(office).take(job).location}")


@deploy.command()
@_of_jobs(down=True)
@click.option(
    "--force", is_flag=True, help="Without a snapshot; what came since the last one is read again."
)
def stop(jobs: list[str], force: bool) -> None:
    """Stop with a snapshot. With --all intake is the last."""
    office = _open()
    cluster = AmsfCluster(office.conf, office)
    for job in jobs:
        if len(jobs) > 1 and cluster.running(job) is None:
            click.echo(f"{job} does not run")
        elif force:
            click.echo(f"{job} stopped without a snapshot: {cluster.cancel(job)}")
        else:
            click.echo(f"{job} stopped; snapshot {_savepoints(office).stop(job).location}")


@deploy.command()
@_of_jobs()
@click.option("--from", "start", default="latest", show_default=True, metavar="latest|SNAPSHOT")
@_counted_again
def restore(jobs: list[str], start: str, counted_again: bool) -> None:
    """Start a stopped job from a snapshot, with the code and settings it has, and wait until it is well.

    From a snapshot that is not its last state a job makes again what it has made since. One that adds up
    counts that twice, so it is refused.
    """
    if len(jobs) > 1 and start != "latest":
        raise click.UsageError("with --all, --from is latest")
    office = _open()
    chosen = None if start == "latest" else start.rstrip("/").rpartition("/")[2]
    with _interrupted("the start"):
        for job in jobs:
            running = office.running(job)
            if len(jobs) > 1 and (running is None or running.application.runs):
                click.echo(f"{job} {'runs already' if running else 'was never deployed'}")
                continue
            entry = doing.restored(office, job, chosen, counted_again)
            click.echo(f"{job} runs from snapshot {entry.restore_from}")


@deploy.command()
@click.argument("name", metavar="JOB")
@click.option(
    "--state-of-before",
    is_flag=True,
    help="From the snapshot of before the update, though the job's last state can be read.",
)
@_counted_again
def rollback(name: str, state_of_before: bool, counted_again: bool) -> None:
    """Undo the last update, also one that is under way: code and settings of before it.

    They go on from the job's last state, if they can read it, so that nothing is made twice. Else, or with
    --state-of-before, from the snapshot of before the update: what has come since is read and made again.
    A job that adds up would count that twice, so it is refused.
    """
    catalog.job(name)
    with _interrupted("the rollback"):
        entry = doing.rolled_back(_open(), name, state_of_before, counted_again)
    click.echo(f"{name}: {entry.outcome}")


@deploy.command()
@_of_jobs()
@click.option("--parallelism", type=click.IntRange(1))
@click.option("--factor", type=click.FloatRange(0.01, 100), help="Of what each has, rounded up.")
def scale(jobs: list[str], parallelism: int | None, factor: float | None) -> None:
    """Another parallelism: stopped with a snapshot, started from it. With --all intake is the first."""
    if (parallelism is None) == (factor is None):
        raise click.UsageError("give either --parallelism or --factor")
    office = _open()
    with _interrupted("the scaling"):
        for job in jobs:
            made = doing.scaled(office, job, parallelism, factor)
            usd = monthly_usd(made.kpus_after, office.conf.region)
            price = "" if usd is None else f", {usd:,.2f} USD a month"
            click.echo(f"{job}: {made.kpus_after} KPUs{price}")
