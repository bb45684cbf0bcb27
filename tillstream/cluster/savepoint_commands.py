"""``tillstream savepoint``: list, take, verify, prune, schedule."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Column, Table

from tillstream import conf as settings
from tillstream.cli.times import shown, span_s
from tillstream.cluster.job_commands import told
from tillstream.cluster.manifest import Manifest
from tillstream.cluster.opening import open_cluster
from tillstream.cluster.savepoints import Savepoints
from tillstream.errors import Problem


def open_savepoints() -> Savepoints:
    conf = settings.load()
    return Savepoints(open_cluster(conf), conf)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@click.group()
def savepoint() -> None:
    """Savepoints of jobs, each with a manifest."""


@savepoint.command("list")
@click.argument("job", required=False)
@click.option("--json", "as_json", is_flag=True, help="One manifest a line.")
def list_(job: str | None, as_json: bool) -> None:
    """What is kept, newest first."""
    with told():
        savepoints = open_savepoints()
        kept = savepoints.kept(job)
        nameless = savepoints.without_manifest(job)
    if as_json:
        for one in kept:
            click.echo(msgspec.json.encode(one).decode())
        return
    console = Console() if sys.stdout.isatty() else Console(width=260, highlight=False)
    table = Table(
        "job", "as of (UTC)", Column("size", justify="right"), "code", "verified", "where"
    )
    for one in kept:
        table.add_row(
            one.job, shown(one.as_of_ms), _size(one.size_bytes), one.code_version,
            _verdict(one), one.location,
        )  # fmt: skip
    console.print(table)
    for location in nameless:
        click.echo(f"without a manifest: {location}")


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count / 1e3:,.1f} kB"


def _verdict(one: Manifest) -> str:
    if one.superseded_by:
        return f"replaced by replay {one.superseded_by}"
    if one.verified is None:
        return "not yet"
    if one.verified.problem:
        return f"BAD: {one.verified.problem.splitlines()[0][:60]}"
    return f"{shown(one.verified.at_ms)}, {one.verified.restore_s:.0f} s"


@savepoint.command()
@click.argument("job")
@click.option("--every", metavar="SPAN", help="And again each 30m, 1h, ..., pruning after each.")
def take(job: str, every: str | None) -> None:
    """Take a savepoint of JOB, which runs on."""
    if every:
        _keep_taking((job,), every)
        return
    with told():
        _taken(open_savepoints().take(job))


def _taken(one: Manifest) -> None:
    took = (one.completed_at_ms - one.taken_at_ms) / 1000
    click.echo(
        f"{one.job} as of {shown(one.as_of_ms)}: {_size(one.size_bytes)} in {took:.1f} s, "
        f"{one.location}"
    )


@savepoint.command()
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...")
@click.option("--every", default="1h", show_default=True, metavar="SPAN")
def schedule(jobs: tuple[str, ...], every: str) -> None:
    """Take savepoints of JOBs by and by and prune by policy, until Ctrl-C. One such process a
    cluster, under whatever keeps processes alive; a failure is told and the next time tried again."""
    _keep_taking(jobs, every)


def _keep_taking(names: tuple[str, ...], every: str) -> None:
    try:
        span = span_s(every)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--every") from None
    sleeper = threading.Event()
    try:
        while True:
            # At whole multiples of the span, so that a restart neither skips nor doubles an hour.
            for name in names:
                try:
                    savepoints = open_savepoints()
                    _taken(savepoints.take(name))
                    savepoints.prune(name, _now_ms(), False, _pruned)
                except Problem as error:
                    click.echo(f"{name}: no savepoint: {error}", err=True)
            sleeper.wait(span - time.time() % span)
    except KeyboardInterrupt:
        click.echo("no more savepoints are taken")


@savepoint.command()
@click.argument("job")
@click.argument("which", default="newest", metavar="[newest|LOCATION]")
@click.option("--job-file", type=click.Path(exists=True, path_type=Path), hidden=True)
def verify(job: str, which: str, job_file: Path | None) -> None:
    """Restore a savepoint of JOB for real, in a scratch cluster of its own, and note the outcome.

    Needs some 2 GB of memory for the time it takes. Exit code 1 if it cannot be restored.
    """
    from tillstream.cluster.verify import verify as run_verify

    with told():
        savepoints = open_savepoints()
        found = savepoints.find(job, _now_ms() if which == "newest" else which)
        click.echo(f"{found.location}, as of {shown(found.as_of_ms)}")
        found.verified = run_verify(found, savepoints, job_file, click.echo)
        savepoints.note(found)
    outcome = found.verified
    if outcome.problem:
        click.echo(f"error: it cannot be restored: {outcome.problem}", err=True)
        sys.exit(1)
    click.echo(
        f"restored in {outcome.restore_s:.1f} s; its first checkpoint took "
        f"{outcome.checkpoint_s:.2f} s for {_size(outcome.state_bytes)} of state"
    )


@savepoint.command()
@click.argument("job")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
def prune(job: str, dry_run: bool) -> None:
    """Delete savepoints of JOB that the policy does not keep; never the newest good one."""
    with told():
        savepoints = open_savepoints()
        gone = savepoints.prune(job, _now_ms(), dry_run, _pruned)
        left = len(savepoints.kept(job))
    click.echo(f"{gone} {'would go' if dry_run else 'deleted'}, {left} are there")


def _pruned(one: Manifest) -> None:
    click.echo(f"not kept: as of {shown(one.as_of_ms)}, {one.location}")


@savepoint.command()
@click.argument("job")
@click.argument("which", default="newest", metavar="[newest|LOCATION]")
def show(job: str, which: str) -> None:
    """A savepoint's manifest."""
    with told():
        found = open_savepoints().find(job, _now_ms() if which == "newest" else which)
    click.echo(json.dumps(msgspec.to_builtins(found), indent=2))
