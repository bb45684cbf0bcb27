"""``tillstream savepoint``: list, take, verify, prune, schedule."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import click
import msgspec

from tillstream import catalog
from tillstream import conf as settings
from tillstream.cli import tables
from tillstream.cli.sizes import human
from tillstream.cli.tables import Column, Table
from tillstream.cli.times import SPAN, now_ms, shown
from tillstream.cluster.local import open_cluster
from tillstream.cluster.manifest import Manifest
from tillstream.cluster.protocol import JobError
from tillstream.cluster.restoring import unread_since_ms
from tillstream.cluster.savepoints import Savepoints, standing
from tillstream.errors import Problem


def open_savepoints(job: str | None = None) -> Savepoints:
    """Raises UnknownJob where neither the catalogue nor a folder of savepoints knows ``job``."""
    conf = settings.load()
    found = Savepoints(open_cluster(conf), conf)
    if job and not catalog.knows(job) and job not in found.storage().folders():
        catalog.must_know(job)
    return found


@click.group()
def savepoint() -> None:
    """Savepoints of jobs, each with a manifest."""


@savepoint.command("list")
@click.argument("job", required=False)
@click.option("--json", "as_json", is_flag=True, help="One manifest per line.")
def list_(job: str | None, as_json: bool) -> None:
    """Savepoints that are kept, newest first."""
    savepoints = open_savepoints(job)
    kept = savepoints.kept(job)
    nameless = savepoints.without_manifest(job)
    if as_json:
        for one in kept:
            click.echo(msgspec.json.encode(one).decode())
        return
    table = Table("job", "as of", Column("size", right=True), "code", Column("verified", prose=True),
                  Column("where", below=True))  # fmt: skip
    for one in kept:
        table.add(one.job, shown(one.as_of_ms), human(one.size_bytes), one.code_version,
                  _verdict(one), one.location)  # fmt: skip
    if kept:
        tables.show(table)
    elif not nameless:
        click.echo("none: `tillstream savepoint take JOB`")
    for location in nameless:
        tables.say(f"without a manifest that can be read: {location}")


def _verdict(one: Manifest) -> str:
    if one.superseded_by:
        return f"replaced by replay {one.superseded_by}"
    if one.verified is None:
        return "not yet"
    if one.verified.problem:
        return f"BAD: {one.verified.problem.splitlines()[0]}"
    return f"{shown(one.verified.at_ms)}, {one.verified.restore_s:.0f} s"


@savepoint.command()
@click.argument("job")
@click.option("--every", type=SPAN, metavar="SPAN", help="Repeat each 30m, 1h, ..., and prune.")
def take(job: str, every: int | None) -> None:
    """Take a savepoint of JOB, which keeps running."""
    if every:
        _keep_taking((job,), every)
    else:
        _show_taken(open_savepoints(job).take(job))


def _show_taken(one: Manifest) -> None:
    took = (one.completed_at_ms - one.taken_at_ms) / 1000
    click.echo(
        f"{one.job} as of {shown(one.as_of_ms)}: {human(one.size_bytes)} in {took:.1f} s, "
        f"{one.location}"
    )


@savepoint.command()
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...")
@click.option("--every", type=SPAN, default="1h", show_default=True, metavar="SPAN")
def schedule(jobs: tuple[str, ...], every: int) -> None:
    """Take savepoints of JOBs periodically and prune by policy, until Ctrl-C.

    Run one such process per cluster, under whatever keeps processes alive. A failure is reported, and
    the next time it tries again.
    """
    _keep_taking(jobs, every)


def _keep_taking(names: tuple[str, ...], every_s: int) -> None:
    for name in names:
        catalog.must_know(name)
    sleeper = threading.Event()
    try:
        while True:
            # At whole multiples of the span, so that a restart neither skips nor doubles an hour.
            for name in names:
                try:
                    savepoints = open_savepoints()
                    _show_taken(savepoints.take(name))
                    savepoints.prune(name, now_ms(), False, _show_pruned)
                except Problem as error:
                    click.echo(f"{name}: no savepoint: {error}", err=True)
            sleeper.wait(every_s - time.time() % every_s)
    except KeyboardInterrupt:
        click.echo("no more savepoints are taken")


@savepoint.command()
@click.argument("job")
@click.argument("which", default="newest", metavar="[newest|LOCATION]")
@click.option("--job-file", type=click.Path(exists=True, path_type=Path), hidden=True)
def verify(job: str, which: str, job_file: Path | None) -> None:
    """Restore a savepoint of JOB for real, in a scratch cluster, and record the outcome.

    Needs about 2 GB of memory while it runs. Exit code 1 if it cannot be restored.
    """
    from tillstream.cluster.verify import verify as run_verify

    savepoints = open_savepoints(job)
    found = savepoints.find(job, now_ms() if which == "newest" else which)
    click.echo(f"{found.location}, as of {shown(found.as_of_ms)}")
    found.verified = outcome = run_verify(found, savepoints, job_file, click.echo)
    savepoints.note(found)
    if outcome.problem:
        raise JobError(f"it cannot be restored: {outcome.problem}")
    click.echo(
        f"restored in {outcome.restore_s:.1f} s; its first checkpoint took "
        f"{outcome.checkpoint_s:.2f} s for {human(outcome.state_bytes)} of state"
    )


@savepoint.command("read-to")
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...")
def read_to(jobs: tuple[str, ...]) -> None:
    """From where on the JOBs, stopped, have not read the tills' stream: where intake begins for them.

    For savepoints of 0.1.0, in which each job read that stream by itself.
    """
    conf = settings.load()
    cluster = open_cluster(conf)
    times = {}
    for name in jobs:
        catalog.must_know(name)
        times[name] = unread_since_ms(conf, name, standing(cluster.locate(name, "latest"), conf))
        click.echo(f"{name} has read what arrived before {shown(times[name])}")
    first = min(times.values())
    click.echo(f"`tillstream job submit {catalog.DOOR} --conf source.start_ms={first}`")


@savepoint.command()
@click.argument("job")
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted.")
def prune(job: str, dry_run: bool) -> None:
    """Delete savepoints of JOB that the policy does not keep; the newest good one always stays."""
    savepoints = open_savepoints(job)
    gone = savepoints.prune(job, now_ms(), dry_run, _show_pruned)
    left = len(savepoints.kept(job))
    click.echo(f"{gone} {'would be deleted' if dry_run else 'deleted'}, {left} are there")


def _show_pruned(one: Manifest) -> None:
    click.echo(f"not kept: as of {shown(one.as_of_ms)}, {one.location}")


@savepoint.command()
@click.argument("job")
@click.argument("which", default="newest", metavar="[newest|LOCATION]")
def show(job: str, which: str) -> None:
    """A savepoint's manifest."""
    found = open_savepoints(job).find(job, now_ms() if which == "newest" else which)
    click.echo(json.dumps(msgspec.to_builtins(found), indent=2))
